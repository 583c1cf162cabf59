// SPDX-License-Identifier: GPL-3.0-or-later
//! What a client is told: `{"status": "ok", …}` or `{"status": "error", …}` with exactly the keys of the protocol.
//!
//! The result of a script is JSON text that was written elsewhere (straight from Python's objects); it is put between
//! two small pieces here and never copied again, because it may be a hundred megabytes.

use std::io::Write as _;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{BareResult, ErrorCode, Id, Terminator};

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
        /// What was raised; `None` where the server gave it up.
        exception: Option<Exception>,
    },
    /// The request never ran: what was wrong with it, or with the server.
    Refused {
        /// What was wrong and what to do.
        message: String,
        /// The kind of refusal.
        code: ErrorCode,
    },
}

/// A Python exception, for programs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Exception {
    /// Its type's name, with its module where that is not `builtins`.
    pub r#type: String,
    /// Line of the sent code that was being run, from 1; `None` where none was, and for syntax errors the line of the
    /// error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
}

/// What became of the file, for a request that asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// JSON text of what was added, removed, renamed and modified.
    pub changes: Option<String>,
    /// Whether what the script did was taken back, for one that failed and had asked for it.
    pub rolled_back: Option<bool>,
    /// Why it could not be.
    pub not_rolled_back_because: Option<String>,
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
    /// What became of the file.
    pub effects: Effects,
    /// The client speaks the bare dialect and wants this as its result; nothing else here applies then.
    pub bare: Option<BareResult>,
}

/// A reply as bytes, in the order in which they go out. The pieces are separate so that a large result is not copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedReply {
    /// The pieces: beginning, result, rest, terminator. Some may be empty.
    pub pieces: [Bytes; 4],
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
        self.pieces[3] = terminator.bytes();
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
        if let Some(wanted) = extras.bare {
            return wanted.encode(self);
        }
        let mut error = None;
        let (head, body, mut tail) = match self {
            Self::Ok { result, stdout } => {
                (br#"{"status": "ok", "result": "#.to_vec(), result, text_key(br#", "stdout": "#, &stdout))
            }
            Self::Raised { message, stdout, code, exception } => {
                let head = text_key(br#"{"status": "error", "message": "#, &message);
                error = extras.is_extended.then(|| ErrorObject::of(code, &message, exception));
                (head, Vec::new(), text_key(br#", "stdout": "#, &stdout))
            }
            Self::Refused { message, code } => {
                let head = text_key(br#"{"status": "error", "message": "#, &message);
                error = extras.is_extended.then(|| ErrorObject::of(code, &message, None));
                (head, Vec::new(), Vec::new())
            }
        };
        extras.write(&mut tail);
        if let Some(error) = error {
            tail.extend_from_slice(br#", "error": "#);
            let _ = serde_json::to_writer(&mut tail, &error);
        }
        tail.push(b'}');
        EncodedReply { pieces: [head.into(), body.into(), tail.into(), terminator.bytes()] }
    }
}

impl Extras {
    /// Appends the keys that are not about the error.
    fn write(&self, tail: &mut Vec<u8>) {
        if let Some(id) = &self.id {
            tail.extend_from_slice(br#", "id": "#);
            tail.extend_from_slice(id.json().as_bytes());
        }
        if self.is_still_running {
            tail.extend_from_slice(br#", "state": "still_running""#);
        }
        let Effects { changes, rolled_back, not_rolled_back_because } = &self.effects;
        if let Some(changes) = changes {
            tail.extend_from_slice(br#", "changes": "#);
            tail.extend_from_slice(changes.as_bytes());
        }
        if let Some(rolled_back) = rolled_back {
            let _ = write!(tail, r#", "rolled_back": {rolled_back}"#);
        }
        if let Some(why) = not_rolled_back_because {
            tail.extend_from_slice(&text_key(br#", "not_rolled_back_because": "#, why));
        }
    }
}

/// `error` in an extended reply.
#[derive(Serialize)]
struct ErrorObject {
    code: ErrorCode,
    message: String,
    hint: &'static str,
    #[serde(flatten)]
    exception: Option<Exception>,
    #[serde(skip_serializing_if = "Option::is_none")]
    traceback: Option<String>,
}

impl ErrorObject {
    fn of(code: ErrorCode, message: &str, exception: Option<Exception>) -> Self {
        let traceback = exception.is_some().then(|| message.to_owned());
        Self { code, message: summary(message), hint: code.hint(), exception, traceback }
    }
}

/// The last line of a traceback says what it was; of other messages there is one line.
fn summary(message: &str) -> String {
    message.trim_end().rsplit('\n').next().unwrap_or_default().to_owned()
}

/// `prefix` and then `text` as a JSON string.
pub(crate) fn text_key(prefix: &[u8], text: &str) -> Vec<u8> {
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
    /// The request's `id`, as the JSON text that came. Servers of other kinds give none back.
    #[serde(default)]
    pub id: Option<Box<RawValue>>,
    /// The result, as the JSON text that came. Absent on errors.
    #[serde(default)]
    pub result: Option<Box<RawValue>>,
    /// Traceback or refusal. Absent when ok.
    #[serde(default)]
    pub message: Option<String>,
    /// `still_running` when the script goes on although the reply has come.
    #[serde(default)]
    pub state: Option<String>,
    /// What the script did to the file, as the JSON text that came, where it was asked for.
    #[serde(default)]
    pub changes: Option<Box<RawValue>>,
    /// Whether what the script did was taken back, where it failed and that was asked for.
    #[serde(default)]
    pub rolled_back: Option<bool>,
    /// Why it could not be.
    #[serde(default)]
    pub not_rolled_back_because: Option<String>,
    /// The error's code, from servers of this project.
    #[serde(default)]
    pub error: Option<ClientError>,
    /// What was printed. Some servers leave it out when it is empty.
    #[serde(default)]
    pub stdout: Option<String>,
}

/// What a client needs of `error`.
#[derive(Debug, Deserialize)]
pub struct ClientError {
    /// Its kind, as text: a later server may know more of them.
    pub code: String,
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
        let raised = Reply::Raised { message: "T".to_owned(), stdout: String::new(), code, exception: None };
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
        let effects = Effects { changes: Some("{}".to_owned()), rolled_back: Some(true), ..Effects::default() };
        let extras = Extras { id: request.id, is_extended: true, is_still_running: true, effects, bare: None };
        let message = "Traceback\n  line\nValueError: why\n".to_owned();
        let exception = Some(Exception { r#type: "ValueError".to_owned(), line: Some(3) });
        let raised = Reply::Raised { message, stdout: String::new(), code: ErrorCode::Timeout, exception };
        let text = String::from_utf8(raised.encode(Terminator::Nul, &extras).pieces.concat()).unwrap();
        let reply: serde_json::Value = serde_json::from_str(text.trim_end_matches('\0')).unwrap();
        assert_eq!((&reply["id"], &reply["state"]), (&"x".into(), &"still_running".into()));
        assert_eq!((&reply["changes"], &reply["rolled_back"]), (&serde_json::json!({}), &true.into()));
        let error = &reply["error"];
        assert_eq!((&error["code"], &error["message"]), (&"timeout".into(), &"ValueError: why".into()));
        assert_eq!((&error["type"], &error["line"]), (&"ValueError".into(), &3.into()));
        assert_eq!((&error["traceback"], &error["hint"]), (&reply["message"], &ErrorCode::Timeout.hint().into()));
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
