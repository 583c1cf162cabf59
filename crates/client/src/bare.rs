// SPDX-License-Identifier: GPL-3.0-or-later
//! mcp-for-blender's add-on at the other end: JSON without an end mark, and our scripts by way of its one command that
//! runs any. `docs/protocol.md` has that dialect from the server's side.
//!
//! It reads until what it has is whole JSON. A framed request, whose NUL makes it never that, is one that it has not run
//! and never will.

use std::time::Duration;

use blendwire_protocol::ClientReply;
use bytes::{Bytes, BytesMut};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::connection::{LONGEST_ANSWER_BYTES, dial};
use crate::{ClientError, Endpoint};

/// Runs code and prints the reply.
const SNIPPET: &str = include_str!("bare.py");

/// What our own server calls itself there.
const OURS: &str = "Blendwire";

/// Its server's own first question, which changes nothing. Add-ons of before it was there answer it with an error.
const WHO: &str = "get_addon_info";

/// A server that says nothing is not waited for for longer: it looks for requests every 50 ms, when Blender lets it.
pub(crate) const SILENCE: Duration = Duration::from_millis(1500);

/// How often to ask for an answer that a script has left to be waited for.
const LOOK_EVERY: Duration = Duration::from_millis(100);

const READ_BYTES: usize = 64 * 1024;

/// A connection to such an add-on.
#[derive(Debug)]
pub(crate) struct Bare {
    endpoint: Endpoint,
    stream: TcpStream,
}

impl Bare {
    /// Connects and asks who is there, for as long as it takes to be told; `None` when that is somebody else.
    pub(crate) async fn open(endpoint: &Endpoint) -> Result<Option<Self>, ClientError> {
        let mut bare = Self { endpoint: endpoint.clone(), stream: dial(endpoint).await? };
        let Ok(told) = bare.ask(WHO, &json!({})).await else { return Ok(None) };
        // Ours refuses with a code, where it wants a token.
        let is_of_its_kind = matches!(told["status"].as_str(), Some("success" | "error")) && told["error"].is_null();
        Ok((is_of_its_kind && told["result"]["name"] != OURS).then_some(bare))
    }

    /// Runs `code` and gives the reply as a server of ours would word it. Where that is to be waited for (`check_is_finished`),
    /// it is asked for: such an add-on does not wait by itself. `id` is the script's own.
    /// `turn` is dropped once the script itself has run.
    pub(crate) async fn execute<Turn>(mut self, code: &str, id: &str, turn: Turn) -> Result<Bytes, ClientError> {
        // Every escape that JSON writes in a string means the same in one of Python's.
        let (code, id) = (Value::from(code), Value::from(id));
        let mut reply = self.run(&format!("main({code}, {id})")).await?;
        drop(turn);
        while ClientReply::parse(&reply).is_ok_and(|reply| reply.status == "unfinished") {
            tokio::time::sleep(LOOK_EVERY).await;
            reply = self.run(&format!("look({id})")).await?;
        }
        Ok(reply)
    }

    /// Calls a function of the snippet.
    async fn run(&mut self, call: &str) -> Result<Bytes, ClientError> {
        let script = format!("{SNIPPET}\n\n{call}\n");
        let told = self.ask("execute_code", &json!({"code": script})).await;
        let told = told.map_err(|reason| ClientError::OutcomeUnknown { endpoint: self.endpoint.clone(), reason })?;
        let printed = told["result"]["result"].as_str().unwrap_or_default();
        let reply = printed.trim_end().lines().next_back().filter(|line| line.starts_with(r#"{"status": "#));
        Ok(match reply {
            Some(reply) => Bytes::copy_from_slice(reply.as_bytes()),
            None => refused(&told),
        })
    }

    /// Sends one command and reads its whole answer; else says how the connection ended.
    async fn ask(&mut self, command: &str, parameters: &Value) -> Result<Value, String> {
        let request = json!({"type": command, "params": parameters}).to_string();
        self.stream.write_all(request.as_bytes()).await.map_err(|error| error.to_string())?;
        let mut answer = BytesMut::new();
        loop {
            answer.reserve(READ_BYTES);
            match self.stream.read_buf(&mut answer).await {
                Ok(0) => return Err("closed by the other side".to_owned()),
                Err(error) => return Err(error.to_string()),
                Ok(_) if answer.len() > LONGEST_ANSWER_BYTES => {
                    return Err(format!("its answer is longer than {LONGEST_ANSWER_BYTES} bytes"));
                }
                Ok(_) if answer.first() != Some(&b'{') => return Err("no JSON came back".to_owned()),
                Ok(_) if answer.last() != Some(&b'}') => {}
                Ok(_) => {
                    if let Ok(told) = serde_json::from_slice(&answer) {
                        return Ok(told);
                    }
                }
            }
        }
    }
}

/// The reply where the script did not get to write one.
fn refused(told: &Value) -> Bytes {
    let message = told["message"].as_str().unwrap_or("the add-on ran the script and gave no answer of it");
    Bytes::from(json!({"status": "error", "message": message}).to_string())
}
