// SPDX-License-Identifier: GPL-3.0-or-later
//! What a client asks: one JSON object with a `type`.
//!
//! Keys that this version does not know are ignored, because clients of other servers send their own. What is known
//! must have its type: a wrong one is refused with the key, what was expected and what came. `null` counts as absent.

mod values;

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use self::values::{answer, boolean, kind, name, on_error, shown, steps, string, timeout, wrong};
use crate::{BadRequest, ConsentAnswer, Feature, PROTOCOL_VERSION, Token};

/// A request that the server understands, and the client's name for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The client's own name for it, echoed in the reply.
    pub id: Option<Id>,
    /// Who asks.
    pub sender: Sender,
    /// What is asked.
    pub body: Body,
}

/// Who asks, by its own words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sender {
    /// What the client calls itself. Anybody can call itself anything.
    pub client: Option<String>,
    /// For whom a part of the server asks, as a secret that the server has given out to it.
    pub behalf: Option<Token>,
}

/// A message that is no request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What was wrong.
    pub why: BadRequest,
    /// The client's name for it, where that could be read.
    pub id: Option<Id>,
}

/// A client's name for a request: a JSON string or an integer, kept as its JSON text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Id(String);

impl Id {
    /// An id is a name; whole documents as ids would make the list of outcomes a store.
    pub const LONGEST_BYTES: usize = 256;

    /// The JSON text.
    pub fn json(&self) -> &str {
        &self.0
    }
}

/// What a request asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// Agree on version and features for this connection.
    Hello {
        /// Those that the client asks for and this version knows.
        features: Vec<Feature>,
        /// What the client proves itself with.
        token: Option<Token>,
    },
    /// Run Python on Blender's main thread.
    Execute(Execute),
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
    /// Answer for the user a request of that name that waits for consent.
    Consent {
        /// The `id` that it was sent with.
        target: Id,
        /// What the user has said.
        answer: ConsentAnswer,
    },
    /// Undo in Blender.
    Undo {
        /// How many steps, at least one.
        steps: u32,
    },
    /// Redo in Blender.
    Redo {
        /// How many steps, at least one.
        steps: u32,
    },
    /// Say what the server and Blender's main thread are doing. Answered without the main thread.
    Status,
    /// Say that the server is there. Answered without the main thread.
    Ping,
}

/// A script, and how it is to be run.
#[expect(clippy::struct_excessive_bools, reason = "each is a key of the message")]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Execute {
    /// The source text.
    pub code: String,
    /// Bounds waiting and running together.
    pub timeout: Option<Duration>,
    /// Events before the final reply.
    pub stream: bool,
    /// What people are shown: the name of its undo step, in the panel, in `status`.
    pub title: Option<String>,
    /// The namespace of that name is used, and kept for the next request that names it.
    pub session: Option<String>,
    /// Values of expression statements are printed, as a Python prompt does.
    pub echo: bool,
    /// When the script raises or is interrupted, what it did to the file is taken back.
    pub rollback: bool,
    /// The reply tells what the script did to the file.
    pub changes: bool,
    /// It makes no undo step: what it edits it takes back itself.
    pub no_undo_step: bool,
}

impl Request {
    /// Whether it uses more than the plain protocol, so that its reply may too.
    pub fn is_extended(&self) -> bool {
        self.id.is_some()
            || match &self.body {
                Body::Execute(execute) => !execute.is_plain(),
                Body::Hello { .. } | Body::Consent { .. } | Body::Undo { .. } | Body::Redo { .. } => true,
                Body::Cancel { .. } | Body::Outcome { .. } | Body::Status | Body::Ping => false,
            }
    }

    /// The features that it uses.
    pub fn features(&self) -> impl Iterator<Item = Feature> {
        let (execute, is_undo) = match &self.body {
            Body::Execute(execute) => (Some(execute), false),
            Body::Undo { .. } | Body::Redo { .. } => (None, true),
            _ => (None, false),
        };
        let asks = |wish: fn(&Execute) -> bool| execute.is_some_and(wish);
        let used = [
            (Feature::Stream, asks(|execute| execute.stream)),
            (Feature::Session, asks(|execute| execute.session.is_some())),
            (Feature::Undo, is_undo),
            (Feature::Rollback, asks(|execute| execute.rollback)),
            (Feature::Changes, asks(|execute| execute.changes)),
            (Feature::Consent, matches!(self.body, Body::Consent { .. })),
        ];
        used.into_iter().filter_map(|(feature, is_used)| is_used.then_some(feature))
    }
}

impl Execute {
    fn is_plain(&self) -> bool {
        *self == Self { code: self.code.clone(), ..Self::default() }
    }
}

/// The keys that this version reads; all others are skipped without being kept.
#[derive(Deserialize)]
struct Wire {
    r#type: Option<Value>,
    id: Option<Value>,
    code: Option<Value>,
    timeout_secs: Option<Value>,
    stream: Option<Value>,
    title: Option<Value>,
    session: Option<Value>,
    echo: Option<Value>,
    on_error: Option<Value>,
    changes: Option<Value>,
    undo_step: Option<Value>,
    steps: Option<Value>,
    answer: Option<Value>,
    protocol_version: Option<Value>,
    features: Option<Value>,
    token: Option<Value>,
    client: Option<Value>,
    behalf: Option<Value>,
}

impl Request {
    /// Parses the text of one frame.
    ///
    /// # Errors
    /// [`Refusal`], whose text is what the client is told.
    pub fn parse(text: &[u8]) -> Result<Self, Refusal> {
        Self::parse_or(text, None)
    }

    /// The same for `POST /execute`, whose path says what is asked where `type` does not.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn parse_execute(text: &[u8]) -> Result<Self, Refusal> {
        Self::parse_or(text, Some("execute"))
    }

    fn parse_or(text: &[u8], default_type: Option<&str>) -> Result<Self, Refusal> {
        let nameless = |why| Refusal { why, id: None };
        let mut wire = read(text).map_err(|why| Refusal { why, id: id_alone(text) })?;
        wire.r#type = wire.r#type.or_else(|| default_type.map(Value::from));
        let id = wire.id.take().map(|id| parse_id(&id)).transpose().map_err(nameless)?;
        let asked = sender(&mut wire).and_then(|sender| Ok((sender, body(wire, id.as_ref())?)));
        match asked {
            Ok((sender, body)) => Ok(Self { id, sender, body }),
            Err(why) => Err(Refusal { why, id }),
        }
    }
}

fn read(text: &[u8]) -> Result<Wire, BadRequest> {
    let text = std::str::from_utf8(text)
        .map_err(|error| BadRequest::NotUtf8 { at: error.valid_up_to(), length: text.len() })?;
    let not_json = |error: serde_json::Error| BadRequest::NotJson(error.to_string());
    if !text.trim_start().starts_with('{') {
        let value: Value = serde_json::from_str(text).map_err(not_json)?;
        return Err(BadRequest::NotAnObject(kind(&value)));
    }
    serde_json::from_str(text).map_err(not_json)
}

/// The id of an object in which another key cannot be read, such as a string with half of a surrogate pair: its sender
/// finds by it which request was refused.
fn id_alone(text: &[u8]) -> Option<Id> {
    #[derive(Deserialize)]
    struct Named {
        id: Option<Value>,
    }
    // Serde would take a list too.
    let is_object = text.trim_ascii_start().starts_with(b"{");
    let named: Option<Named> = is_object.then(|| serde_json::from_slice(text).ok()).flatten();
    parse_id(&named?.id?).ok()
}

fn sender(wire: &mut Wire) -> Result<Sender, BadRequest> {
    let behalf = string("behalf", wire.behalf.take())?;
    // What is no secret of ours stands for nobody.
    Ok(Sender { client: name("client", wire.client.take())?, behalf: behalf.as_deref().and_then(Token::parse) })
}

fn body(mut wire: Wire, id: Option<&Id>) -> Result<Body, BadRequest> {
    let target = || id.cloned().ok_or(BadRequest::NoTarget);
    Ok(match string("type", wire.r#type.take())?.ok_or(BadRequest::NoType)?.as_str() {
        "execute" => Body::Execute(execute(wire)?),
        "hello" => hello(wire.protocol_version, wire.features, wire.token)?,
        "cancel" => Body::Cancel { target: target()? },
        "outcome" => Body::Outcome { target: target()? },
        "consent" => Body::Consent { target: target()?, answer: answer(wire.answer)? },
        "undo" => Body::Undo { steps: steps(wire.steps)? },
        "redo" => Body::Redo { steps: steps(wire.steps)? },
        "status" => Body::Status,
        "ping" => Body::Ping,
        other => return Err(BadRequest::UnknownType(shown(&format!("{other:?}")))),
    })
}

fn execute(wire: Wire) -> Result<Execute, BadRequest> {
    Ok(Execute {
        code: string("code", wire.code)?.ok_or(BadRequest::NoCode)?,
        timeout: wire.timeout_secs.map(|secs| timeout(&secs)).transpose()?,
        stream: boolean("stream", wire.stream, false)?,
        title: name("title", wire.title)?,
        session: name("session", wire.session)?,
        echo: boolean("echo", wire.echo, false)?,
        rollback: on_error(wire.on_error.as_ref())?,
        changes: boolean("changes", wire.changes, false)?,
        no_undo_step: !boolean("undo_step", wire.undo_step, true)?,
    })
}

fn hello(version: Option<Value>, features: Option<Value>, token: Option<Value>) -> Result<Body, BadRequest> {
    let version = version.ok_or(BadRequest::NoVersion)?;
    let number = version.as_u64().and_then(|number| u32::try_from(number).ok());
    let number = number.ok_or_else(|| wrong("protocol_version", "a whole number", &version))?;
    if number != PROTOCOL_VERSION {
        return Err(BadRequest::OtherVersion(number));
    }
    let names = features.unwrap_or_else(|| Value::Array(Vec::new()));
    let is_names = |names: &Vec<Value>| names.iter().all(Value::is_string);
    let names =
        names.as_array().filter(|names| is_names(names)).ok_or_else(|| wrong("features", "a list of names", &names))?;
    // Names that this version does not know are simply not agreed on.
    let mut features: Vec<Feature> = Vec::new();
    for feature in names.iter().filter_map(Value::as_str).filter_map(Feature::named) {
        if !features.contains(&feature) {
            features.push(feature);
        }
    }
    // What was sent is not said: it may be a secret of somebody else.
    let token = token.map(|token| token.as_str().and_then(Token::parse).ok_or(BadRequest::BadToken)).transpose()?;
    Ok(Body::Hello { features, token })
}

fn parse_id(value: &Value) -> Result<Id, BadRequest> {
    let text = value.to_string();
    match value {
        Value::String(_) if text.len() > Id::LONGEST_BYTES => Err(BadRequest::BadId("a longer one")),
        Value::String(_) => Ok(Id(text)),
        Value::Number(number) if number.is_i64() || number.is_u64() => Ok(Id(text)),
        other => Err(BadRequest::BadId(kind(other))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ClientExecute, ClientRequest, ErrorCode, SentBy};
    use proptest::prelude::*;

    fn plain(code: &str) -> Request {
        let sender = Sender::default();
        Request { id: None, sender, body: Body::Execute(Execute { code: code.to_owned(), ..Execute::default() }) }
    }

    #[test]
    fn ids_and_timeouts() {
        let text = br#"{"type": "execute", "code": "", "id": "a", "timeout_secs": 1.5}"#;
        let Request { id, body, .. } = Request::parse(text).unwrap();
        assert_eq!(id.unwrap().json(), "\"a\"");
        let timeout = Some(Duration::from_millis(1500));
        assert_eq!(body, Body::Execute(Execute { timeout, ..Execute::default() }));
        assert_eq!(Request::parse(br#"{"type": "ping", "id": 7}"#).unwrap().id.unwrap().json(), "7");
        assert!(refusal(br#"{"type": "cancel"}"#).contains("needs \"id\""));
        assert!(refusal(br#"{"type": "ping", "id": [1]}"#).contains("not an array"));
        for wrong in ["0", "-1", "\"5\"", "1e300", "null"].iter().filter(|wrong| **wrong != "null") {
            let text = format!(r#"{{"type": "execute", "code": "", "timeout_secs": {wrong}}}"#);
            assert!(refusal(text.as_bytes()).contains("must be a number above 0"), "{wrong}");
        }
    }

    fn refusal(text: &[u8]) -> String {
        Request::parse(text).unwrap_err().why.to_string()
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
        assert!(refusal(br#"{"type": "ping", "client": ""}"#).contains("\"client\" must be a name of 1 to 200"));
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
        let execute = ClientExecute { code: "print('ü\0')", ..ClientExecute::default() };
        let bytes = ClientRequest::Execute(execute).encode();
        let (nul, text) = bytes.split_last().unwrap();
        assert_eq!(*nul, 0);
        assert_eq!(Request::parse(text), Ok(plain("print('ü\0')")));
        assert_eq!(ClientRequest::Status.encode(), b"{\"type\":\"status\"}\0");
        let undo = ClientRequest::Undo { id: None, steps: 3, sent_by: SentBy::default() };
        assert_eq!(parsed(&undo).body, Body::Undo { steps: 3 });
        let features = &["stream", "telepathy"][..];
        let hello = parsed(&ClientRequest::Hello { protocol_version: PROTOCOL_VERSION, features, token: None });
        assert_eq!(hello.body, Body::Hello { features: vec![Feature::Stream], token: None });
        let all = ClientExecute {
            code: "1",
            strict_json: false,
            id: Some("a"),
            timeout_secs: Some(2.0),
            stream: true,
            title: Some("t"),
            session: Some("s"),
            echo: true,
            on_error: Some("rollback"),
            changes: true,
            undo_step: Some(false),
            sent_by: SentBy { client: Some("c"), behalf: Some(&"k".repeat(43)) },
        };
        let request = parsed(&ClientRequest::Execute(all));
        let wanted = Execute {
            code: "1".to_owned(),
            timeout: Some(Duration::from_secs(2)),
            stream: true,
            title: Some("t".to_owned()),
            session: Some("s".to_owned()),
            echo: true,
            rollback: true,
            changes: true,
            no_undo_step: true,
        };
        assert_eq!(request.body, Body::Execute(wanted));
        let sender = Sender { client: Some("c".to_owned()), behalf: Token::parse(&"k".repeat(43)) };
        assert_eq!(request.sender, sender);
        let features: Vec<Feature> = request.features().collect();
        assert_eq!(features, [Feature::Stream, Feature::Session, Feature::Rollback, Feature::Changes]);
    }

    fn parsed(request: &ClientRequest<'_>) -> Request {
        let bytes = request.encode();
        Request::parse(&bytes[..bytes.len() - 1]).unwrap()
    }

    #[test]
    fn refusals_keep_the_id_and_have_a_code() {
        let refusal = Request::parse(br#"{"type": "execute", "id": "a"}"#).unwrap_err();
        assert_eq!(refusal.id.unwrap().json(), "\"a\"");
        assert_eq!(refusal.why.code(), ErrorCode::BadRequest);
        assert_eq!(Request::parse(b"nonsense").unwrap_err().why.code(), ErrorCode::BadFrame);
        // What Python writes for a string that it made of a file name that is no UTF-8.
        let refusal = Request::parse(br#"{"type": "execute", "code": "\udcff", "id": "a"}"#).unwrap_err();
        assert_eq!((refusal.why.code(), refusal.id.unwrap().json()), (ErrorCode::BadFrame, "\"a\""));
        let refusal = Request::parse(br#"{"type": "hello", "protocol_version": 9}"#).unwrap_err();
        assert_eq!(refusal.why.code(), ErrorCode::VersionMismatch);
        assert!(refusal.why.to_string().contains("speaks protocol version 1, the client wants 9; update the add-on"));
    }

    #[test]
    fn only_what_uses_more_than_the_plain_protocol_is_extended() {
        let is_extended = |text: &str| Request::parse(text.as_bytes()).unwrap().is_extended();
        assert!(!is_extended(
            r#"{"type": "execute", "code": "", "strict_json": true, "stream": false, "title": null}"#
        ));
        assert!(is_extended(r#"{"type": "execute", "code": "", "stream": true}"#));
        assert!(is_extended(r#"{"type": "execute", "code": "", "title": "t"}"#));
        assert!(is_extended(r#"{"type": "undo"}"#));
        assert!(!is_extended(r#"{"type": "ping"}"#));
        // Who asks changes nothing in the answer.
        assert!(!is_extended(r#"{"type": "execute", "code": "", "client": "c", "behalf": "nobody"}"#));
    }

    proptest! {
        #[test]
        fn random_text_never_hurts(text in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Request::parse(&text);
        }
    }
}
