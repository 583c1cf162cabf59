// SPDX-License-Identifier: GPL-3.0-or-later
//! What a client is told: `{"status": "ok", …}` or `{"status": "error", …}` with exactly the keys of the protocol.
//!
//! The result of a script is JSON text that was written elsewhere (straight from Python's objects); it is put between
//! two small pieces here and never copied again, because it may be a hundred megabytes.

use std::io::Write as _;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{Id, Terminator};

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
    /// The script ran, at least in part, and did not end well.
    Raised {
        /// The traceback as Python prints it, or why there is none.
        message: String,
        /// What the script printed before.
        stdout: String,
        /// Why it ended.
        code: ErrorCode,
    },
    /// The request never ran: what was wrong with it, or with the server.
    Refused {
        /// What was wrong and what to do.
        message: String,
        /// The kind of refusal.
        code: ErrorCode,
    },
}

/// Kinds of errors, for programs. Only replies to requests that use more than the plain protocol carry them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The message is no request.
    BadRequest,
    /// The message is longer than the limit.
    TooLarge,
    /// Too much waits already.
    Busy,
    /// The time limit of the request has passed.
    Timeout,
    /// Somebody cancelled the request.
    Cancelled,
    /// The script raised.
    PythonException,
    /// There is no request of that id.
    NotFound,
    /// The server is being stopped.
    ShuttingDown,
    /// The server lost the request.
    Dropped,
}

/// What a reply says beyond the plain protocol.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extras {
    /// Echoed from the request.
    pub id: Option<Id>,
    /// The request used more than the plain protocol: errors carry their code.
    pub is_extended: bool,
    /// The script is still on the main thread, because it is in a call that cannot be interrupted.
    pub is_still_running: bool,
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

    /// The same reply for a request that ended with `terminator`.
    #[must_use]
    pub fn with_terminator(mut self, terminator: Terminator) -> Self {
        let mut tail = self.pieces[2].to_vec();
        tail.pop();
        tail.push(terminator.byte());
        self.pieces[2] = tail.into();
        self
    }
}

impl Reply {
    /// The reply to a question whose answer is `value`, such as a status.
    pub fn of<T: Serialize>(value: &T) -> Self {
        // What this server answers with has string keys and finite numbers, and so can be written.
        Self::Ok { result: serde_json::to_vec(value).unwrap_or_default(), stdout: String::new() }
    }

    /// A refusal with this text.
    pub fn refused(code: ErrorCode, message: impl std::fmt::Display) -> Self {
        Self::Refused { message: message.to_string(), code }
    }

    /// Whether the status is `ok`.
    pub fn is_ok(&self) -> bool {
        matches!(self, Self::Ok { .. })
    }

    /// The bytes of this reply for a request that ended with `terminator`.
    pub fn encode(self, terminator: Terminator, extras: &Extras) -> EncodedReply {
        let (head, body, mut tail, code) = match self {
            Self::Ok { result, stdout } => {
                (br#"{"status": "ok", "result": "#.to_vec(), result, text_key(br#", "stdout": "#, &stdout), None)
            }
            Self::Raised { message, stdout, code } => {
                let head = text_key(br#"{"status": "error", "message": "#, &message);
                (head, Vec::new(), text_key(br#", "stdout": "#, &stdout), Some((code, summary(&message))))
            }
            Self::Refused { message, code } => {
                let head = text_key(br#"{"status": "error", "message": "#, &message);
                (head, Vec::new(), Vec::new(), Some((code, summary(&message))))
            }
        };
        if let Some(id) = &extras.id {
            tail.extend_from_slice(br#", "id": "#);
            tail.extend_from_slice(id.json().as_bytes());
        }
        if extras.is_still_running {
            tail.extend_from_slice(br#", "state": "still_running""#);
        }
        if let Some((code, message)) = code.filter(|_| extras.is_extended) {
            tail.extend_from_slice(br#", "error": "#);
            let error = serde_json::json!({"code": code, "message": message});
            let _ = serde_json::to_writer(&mut tail, &error);
        }
        tail.push(b'}');
        tail.push(terminator.byte());
        EncodedReply { pieces: [head.into(), body.into(), tail.into()] }
    }
}

/// The last line of a traceback says what it was; of other messages there is one line.
fn summary(message: &str) -> String {
    message.trim_end().rsplit('\n').next().unwrap_or_default().to_owned()
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
    /// `still_running` when the script goes on although the reply has come.
    #[serde(default)]
    pub state: Option<String>,
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
        String::from_utf8(reply.encode(terminator, &Extras::default()).pieces.concat()).unwrap()
    }

    #[test]
    fn replies_have_exactly_their_keys() {
        let ok = Reply::Ok { result: b"[1]".to_vec(), stdout: "a\"\n".to_owned() };
        assert_eq!(text(ok, Terminator::Nul), "{\"status\": \"ok\", \"result\": [1], \"stdout\": \"a\\\"\\n\"}\0");
        let code = ErrorCode::PythonException;
        let raised = Reply::Raised { message: "T".to_owned(), stdout: String::new(), code };
        assert_eq!(
            text(raised, Terminator::Newline),
            "{\"status\": \"error\", \"message\": \"T\", \"stdout\": \"\"}\n"
        );
        assert_eq!(
            text(Reply::refused(ErrorCode::Busy, "no"), Terminator::Nul),
            "{\"status\": \"error\", \"message\": \"no\"}\0"
        );
    }

    #[test]
    fn extended_replies_carry_id_state_and_code() {
        let Ok(request) = crate::Request::parse(br#"{"type": "ping", "id": "x"}"#) else { panic!("no request") };
        let extras = Extras { id: request.id, is_extended: true, is_still_running: true };
        let message = "Traceback\n  line\nValueError: why\n".to_owned();
        let raised = Reply::Raised { message, stdout: String::new(), code: ErrorCode::Timeout };
        let text = String::from_utf8(raised.encode(Terminator::Nul, &extras).pieces.concat()).unwrap();
        let reply: serde_json::Value = serde_json::from_str(text.trim_end_matches('\0')).unwrap();
        assert_eq!(reply["id"], "x");
        assert_eq!(reply["state"], "still_running");
        assert_eq!(reply["error"], serde_json::json!({"code": "timeout", "message": "ValueError: why"}));
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
