// SPDX-License-Identifier: GPL-3.0-or-later
//! What a client asks: one JSON object with a `type`.
//!
//! Keys that this version does not know are ignored, because clients of other servers send their own. What is known
//! must have its type: a wrong one is refused with the key, what was expected and what came.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A request that the server understands, and what it asks for beyond the plain protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The client's own name for it, echoed in the reply.
    pub id: Option<Id>,
    /// What is asked.
    pub body: Body,
}

/// A client's name for a request: a JSON string or an integer, kept as its JSON text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Id(String);

impl Id {
    /// The JSON text.
    pub fn json(&self) -> &str {
        &self.0
    }
}

/// What a request asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// Run Python on Blender's main thread.
    Execute {
        /// The source text.
        code: String,
        /// Bounds waiting and running together.
        timeout: Option<Duration>,
    },
    /// Take a request of that name out of the queue, or interrupt it.
    Cancel {
        /// The `id` that it was sent with.
        target: Id,
    },
    /// Give the final reply of a request of that name once more.
    Outcome {
        /// The `id` that it was sent with.
        target: Id,
    },
    /// Say what the server and Blender's main thread are doing. Answered without the main thread.
    Status,
    /// Say that the server is there. Answered without the main thread.
    Ping,
}

/// A request as our own clients write it.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum ClientRequest<'a> {
    /// See [`Body::Execute`].
    Execute {
        /// The source text.
        code: &'a str,
        /// Sent for servers of the origin's design, which want it; this server ignores it.
        strict_json: bool,
        /// See [`Request::id`].
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a str>,
        /// See [`Body::Execute`], in seconds.
        #[serde(skip_serializing_if = "Option::is_none")]
        timeout_secs: Option<f64>,
    },
    /// See [`Body::Cancel`].
    Cancel {
        /// The `id` of the request to end.
        id: &'a str,
    },
    /// See [`Body::Outcome`].
    Outcome {
        /// The `id` of the request whose reply is wanted.
        id: &'a str,
    },
    /// See [`Body::Status`].
    Status,
    /// See [`Body::Ping`].
    Ping,
}

impl ClientRequest<'_> {
    /// The framed JSON of this request, NUL included.
    pub fn encode(&self) -> Vec<u8> {
        // A derived `Serialize` without maps of other keys than strings cannot fail.
        let mut bytes = serde_json::to_vec(self).unwrap_or_default();
        bytes.push(0);
        bytes
    }
}

/// Why a message is no request, in words for the person who wrote the client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRequest {
    /// The bytes are not UTF-8.
    #[error("the request is not valid UTF-8 (byte {at} of {length}); send JSON as UTF-8")]
    NotUtf8 {
        /// Index of the first wrong byte.
        at: usize,
        /// Length of the message in bytes.
        length: usize,
    },
    /// The text is not JSON.
    #[error("the request is not valid JSON: {says}{hint}; send one JSON object, then a NUL byte", says = .0, hint = hint_for(.0))]
    NotJson(String),
    /// The JSON is not an object.
    #[error("a request is a JSON object such as {{\"type\": \"execute\", \"code\": \"result = 1\"}}, not {0}")]
    NotAnObject(&'static str),
    /// `type` is missing.
    #[error("the request has no \"type\"; send {KNOWN}")]
    NoType,
    /// `type` is not one of ours.
    #[error("unknown request type {0}; this server knows {KNOWN}")]
    UnknownType(String),
    /// `code` is missing.
    #[error("an \"execute\" request needs \"code\": the Python source to run, as a string")]
    NoCode,
    /// `id` is missing where it says which request is meant.
    #[error("this request needs \"id\": the id of the \"execute\" request that it is about")]
    NoTarget,
    /// `id` is neither a string nor an integer, or too long.
    #[error("\"id\" must be a string or an integer of at most {LONGEST_ID_BYTES} bytes, not {0}")]
    BadId(&'static str),
    /// `timeout_secs` is no usable number.
    #[error("\"timeout_secs\" must be a number above 0, in seconds, not {0}")]
    BadTimeout(String),
    /// A key has a value of the wrong type.
    #[error("\"{key}\" must be a string, not {found}")]
    NotAString {
        /// The key.
        key: &'static str,
        /// What came instead.
        found: &'static str,
    },
}

fn hint_for(parser_says: &str) -> &'static str {
    if parser_says.contains("control character") { " (write a line break inside a string as \\n)" } else { "" }
}

/// The keys that this version reads; all others are skipped without being kept.
#[derive(Deserialize)]
struct Wire {
    r#type: Option<Value>,
    code: Option<Value>,
    id: Option<Value>,
    timeout_secs: Option<Value>,
}

/// For messages: what may be asked.
const KNOWN: &str = "\"execute\", \"cancel\", \"outcome\", \"status\" or \"ping\"";

/// An id is a name; whole documents as ids would make the list of outcomes a store.
const LONGEST_ID_BYTES: usize = 256;

impl Request {
    /// Parses the text of one frame.
    ///
    /// # Errors
    /// [`BadRequest`], whose text is what the client is told.
    pub fn parse(text: &[u8]) -> Result<Self, BadRequest> {
        let text = std::str::from_utf8(text)
            .map_err(|error| BadRequest::NotUtf8 { at: error.valid_up_to(), length: text.len() })?;
        if !text.trim_start().starts_with('{') {
            let value: Value = serde_json::from_str(text).map_err(|error| BadRequest::NotJson(error.to_string()))?;
            return Err(BadRequest::NotAnObject(kind(&value)));
        }
        let wire: Wire = serde_json::from_str(text).map_err(|error| BadRequest::NotJson(error.to_string()))?;
        let id = wire.id.map(|id| parse_id(&id)).transpose()?;
        let target = || id.clone().ok_or(BadRequest::NoTarget);
        let body = match string("type", wire.r#type)?.ok_or(BadRequest::NoType)?.as_str() {
            "execute" => Body::Execute {
                code: string("code", wire.code)?.ok_or(BadRequest::NoCode)?,
                timeout: wire.timeout_secs.map(|secs| parse_timeout(&secs)).transpose()?,
            },
            "cancel" => Body::Cancel { target: target()? },
            "outcome" => Body::Outcome { target: target()? },
            "status" => Body::Status,
            "ping" => Body::Ping,
            other => return Err(BadRequest::UnknownType(shown(other))),
        };
        Ok(Self { id, body })
    }
}

fn parse_id(value: &Value) -> Result<Id, BadRequest> {
    let text = value.to_string();
    match value {
        Value::String(_) if text.len() > LONGEST_ID_BYTES => Err(BadRequest::BadId("a longer one")),
        Value::String(_) => Ok(Id(text)),
        Value::Number(number) if number.is_i64() || number.is_u64() => Ok(Id(text)),
        other => Err(BadRequest::BadId(kind(other))),
    }
}

fn parse_timeout(value: &Value) -> Result<Duration, BadRequest> {
    let secs = value.as_f64().filter(|secs| *secs > 0.0);
    let timeout = secs.and_then(|secs| Duration::try_from_secs_f64(secs).ok());
    timeout.ok_or_else(|| BadRequest::BadTimeout(shown(&value.to_string())))
}

fn string(key: &'static str, value: Option<Value>) -> Result<Option<String>, BadRequest> {
    match value {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(BadRequest::NotAString { key, found: kind(&other) }),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// A client's own word, quoted, short enough for a message.
fn shown(text: &str) -> String {
    const LONGEST_CHARS: usize = 60;
    let short: String = text.chars().take(LONGEST_CHARS).collect();
    let dots = if short.len() < text.len() { "…" } else { "" };
    format!("{:?}", short + dots)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn plain(code: &str) -> Request {
        Request { id: None, body: Body::Execute { code: code.to_owned(), timeout: None } }
    }

    #[test]
    fn ids_and_timeouts() {
        let text = br#"{"type": "execute", "code": "", "id": "a", "timeout_secs": 1.5}"#;
        let Request { id, body } = Request::parse(text).unwrap();
        assert_eq!(id.unwrap().json(), "\"a\"");
        assert_eq!(body, Body::Execute { code: String::new(), timeout: Some(Duration::from_millis(1500)) });
        assert_eq!(Request::parse(br#"{"type": "ping", "id": 7}"#).unwrap().id.unwrap().json(), "7");
        assert!(refusal(br#"{"type": "cancel"}"#).contains("needs \"id\""));
        assert!(refusal(br#"{"type": "ping", "id": [1]}"#).contains("not an array"));
        for wrong in ["0", "-1", "\"5\"", "1e300", "null"].iter().filter(|wrong| **wrong != "null") {
            let text = format!(r#"{{"type": "execute", "code": "", "timeout_secs": {wrong}}}"#);
            assert!(refusal(text.as_bytes()).contains("must be a number above 0"), "{wrong}");
        }
    }

    fn refusal(text: &[u8]) -> String {
        Request::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn execute_as_known_clients_send_it() {
        let text = br#"{"type": "execute", "code": "result = 1", "strict_json": true, "token": "x"}"#;
        assert_eq!(Request::parse(text), Ok(plain("result = 1")));
    }

    #[test]
    fn each_refusal_says_what_was_wrong() {
        assert!(refusal(b"{\"type\": \"execute\xff\"}").contains("not valid UTF-8 (byte 17"));
        assert!(refusal(b"{\"type\": }").contains("not valid JSON: expected value at line 1 column 10"));
        assert!(refusal(b"{\"type\": \"a\nb\"}").contains("as \\n)"));
        assert!(refusal(b"[1]").contains("not an array"));
        assert!(refusal(b"{}").contains("no \"type\""));
        assert!(refusal(br#"{"type": "exec"}"#).contains("unknown request type \"exec\""));
        assert!(refusal(br#"{"type": "execute"}"#).contains("needs \"code\""));
        assert!(refusal(br#"{"type": "execute", "code": 5}"#).contains("\"code\" must be a string, not a number"));
        assert!(refusal(br#"{"type": 5}"#).contains("\"type\" must be a string, not a number"));
    }

    #[test]
    fn deep_nesting_is_refused_and_not_followed() {
        let mut text = br#"{"type": "execute", "code": "", "x": "#.to_vec();
        text.extend(std::iter::repeat_n(b'[', 100_000));
        assert!(refusal(&text).contains("not valid JSON"));
        let in_a_known_key = [&br#"{"type": "#[..], &b"[".repeat(100_000)].concat();
        assert!(refusal(&in_a_known_key).contains("recursion limit"));
    }

    #[test]
    fn what_our_clients_write_is_understood() {
        let bytes =
            ClientRequest::Execute { code: "print('ü\0')", strict_json: false, id: None, timeout_secs: None }.encode();
        let (nul, text) = bytes.split_last().unwrap();
        assert_eq!(*nul, 0);
        assert_eq!(Request::parse(text), Ok(plain("print('ü\0')")));
        assert_eq!(ClientRequest::Status.encode(), b"{\"type\":\"status\"}\0");
    }

    proptest! {
        #[test]
        fn random_text_never_hurts(text in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Request::parse(&text);
        }
    }
}
