// SPDX-License-Identifier: GPL-3.0-or-later
//! What a client is told: `{"status": "ok", …}` or `{"status": "error", …}` with exactly the keys of the protocol.
//!
//! The result of a script is JSON text that was written elsewhere (straight from Python's objects); it is put between
//! two small pieces here and never copied again, because it may be a hundred megabytes.

use std::io::Write as _;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::Terminator;

/// The final reply to one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The script ran to its end, or a question was answered.
    Ok {
        /// JSON text of the result: one valid JSON value.
        result: Vec<u8>,
        /// What the script printed to stdout and stderr, in order.
        stdout: String,
    },
    /// The script raised. `message` is the whole traceback.
    Raised {
        /// The traceback as Python prints it.
        message: String,
        /// What the script printed before.
        stdout: String,
    },
    /// The request never ran: what was wrong with it, or with the server.
    Refused {
        /// What was wrong and what to do.
        message: String,
    },
}

/// A reply as bytes, in the order in which they go out. The pieces are separate so that a large result is not copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedReply {
    /// The pieces; none is empty but perhaps the middle one.
    pub pieces: [Bytes; 3],
}

impl EncodedReply {
    /// Length in bytes, terminator included.
    pub fn len(&self) -> usize {
        self.pieces.iter().map(Bytes::len).sum()
    }

    /// Never: a reply has at least its braces. Here because a `len` wants one.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Reply {
    /// The reply to a question whose answer is `value`, such as a status.
    pub fn of<T: Serialize>(value: &T) -> Self {
        match serde_json::to_vec(value) {
            Ok(result) => Self::Ok { result, stdout: String::new() },
            Err(error) => Self::Refused { message: format!("the answer could not be written as JSON: {error}") },
        }
    }

    /// A refusal with this text.
    pub fn refused(message: impl std::fmt::Display) -> Self {
        Self::Refused { message: message.to_string() }
    }

    /// Whether the status is `ok`.
    pub fn is_ok(&self) -> bool {
        matches!(self, Self::Ok { .. })
    }

    /// The bytes of this reply for a request that ended with `terminator`.
    pub fn encode(self, terminator: Terminator) -> EncodedReply {
        let (head, body, mut tail) = match self {
            Self::Ok { result, stdout } => {
                (br#"{"status": "ok", "result": "#.to_vec(), result, text_key(br#", "stdout": "#, &stdout))
            }
            Self::Raised { message, stdout } => {
                let head = text_key(br#"{"status": "error", "message": "#, &message);
                (head, Vec::new(), text_key(br#", "stdout": "#, &stdout))
            }
            Self::Refused { message } => {
                (text_key(br#"{"status": "error", "message": "#, &message), Vec::new(), Vec::new())
            }
        };
        tail.push(b'}');
        tail.push(terminator.byte());
        EncodedReply { pieces: [head.into(), body.into(), tail.into()] }
    }
}

/// `prefix` and then `text` as a JSON string.
fn text_key(prefix: &[u8], text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(prefix.len() + text.len() + 8);
    // Writing to a vector cannot fail, nor can a string fail to serialise.
    let _ = bytes.write_all(prefix);
    let _ = serde_json::to_writer(&mut bytes, text);
    bytes
}

/// A reply as a client reads it, from this server or from another of the same protocol.
#[derive(Debug, Deserialize)]
pub struct ClientReply {
    /// `ok` or `error`.
    pub status: String,
    /// The result, as the JSON text that came. Absent on errors.
    #[serde(default)]
    pub result: Option<Box<RawValue>>,
    /// Traceback or refusal. Absent when ok.
    #[serde(default)]
    pub message: Option<String>,
    /// What was printed. Some servers leave it out when it is empty.
    #[serde(default)]
    pub stdout: Option<String>,
}

impl ClientReply {
    /// Parses the text of one reply frame.
    ///
    /// # Errors
    /// The parser's, when the text is not a reply.
    pub fn parse(text: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(reply: Reply, terminator: Terminator) -> String {
        String::from_utf8(reply.encode(terminator).pieces.concat()).unwrap()
    }

    #[test]
    fn replies_have_exactly_their_keys() {
        let ok = Reply::Ok { result: b"[1]".to_vec(), stdout: "a\"\n".to_owned() };
        assert_eq!(text(ok, Terminator::Nul), "{\"status\": \"ok\", \"result\": [1], \"stdout\": \"a\\\"\\n\"}\0");
        let raised = Reply::Raised { message: "T".to_owned(), stdout: String::new() };
        assert_eq!(
            text(raised, Terminator::Newline),
            "{\"status\": \"error\", \"message\": \"T\", \"stdout\": \"\"}\n"
        );
        assert_eq!(text(Reply::refused("no"), Terminator::Nul), "{\"status\": \"error\", \"message\": \"no\"}\0");
    }

    #[test]
    fn a_client_reads_what_the_server_writes() {
        let ok = Reply::Ok { result: b"{\"x\": 1e400}".to_vec(), stdout: "out".to_owned() };
        let bytes = text(ok, Terminator::Nul);
        let reply = ClientReply::parse(bytes.trim_end_matches('\0').as_bytes()).unwrap();
        assert_eq!(reply.status, "ok");
        assert_eq!(reply.result.unwrap().get(), "{\"x\": 1e400}");
        assert_eq!(reply.stdout.as_deref(), Some("out"));
    }
}
