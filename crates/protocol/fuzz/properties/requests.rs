// SPDX-License-Identifier: GPL-3.0-or-later
//! The parser of framed requests.

use blendwire_protocol::{BadRequest, Body, Decoder, ErrorCode, Execute, Feature, Id, Refusal, Request, Terminator};
use bytes::BytesMut;
use serde_json::Value;

use super::object::{Key, Object};
use super::{assert_readable, client};

/// The keys that the document gives a meaning.
const KNOWN: [&str; 16] = [
    "answer",
    "token",
    "type",
    "id",
    "code",
    "timeout_secs",
    "stream",
    "title",
    "session",
    "echo",
    "on_error",
    "changes",
    "undo_step",
    "steps",
    "protocol_version",
    "features",
];

pub(crate) fn text(text: &[u8], order: u8) {
    let parsed = Request::parse(text);
    if let Err(Refusal { why, .. }) = &parsed {
        assert_readable(&why.to_string());
    }
    let Some(object) = Object::read(text) else {
        let code = parsed.expect_err("this is no JSON object").why.code();
        assert_eq!(code, ErrorCode::BadFrame);
        return;
    };
    has_its_id(&object, &parsed);
    match &parsed {
        Ok(request) => accepted(&object, request),
        Err(refusal) => refused(&object, refusal),
    }
    let rewritten = object.rewritten(order);
    let again = Request::parse(&rewritten);
    assert_eq!(without_position(again), without_position(parsed), "as {}", String::from_utf8_lossy(&rewritten));
    is_one_frame(text);
}

/// A valid id is kept, whatever else is wrong; one that is not valid is not taken.
fn has_its_id(object: &Object, parsed: &Result<Request, Refusal>) {
    let wanted = match object.get("id") {
        Key::Absent => Some(None),
        Key::Is(id) if is_id(&id) => Some(Some(id.to_string())),
        Key::Is(_) | Key::Unreadable => None,
    };
    let (Ok(Request { id: found, .. }) | Err(Refusal { id: found, .. })) = parsed;
    assert_eq!(found.as_ref().map(Id::json), wanted.clone().flatten().as_deref(), "{parsed:?}");
    assert!(wanted.is_some() || parsed.is_err(), "taken although its id is none: {parsed:?}");
}

fn is_id(value: &Value) -> bool {
    value.is_i64() || value.is_u64() || (value.is_string() && value.to_string().len() <= Id::LONGEST_BYTES)
}

fn accepted(object: &Object, request: &Request) {
    let kind = object.value("type").expect("a request has a type");
    let features: Vec<Feature> = request.features().collect();
    assert!(features.iter().all(|feature| Feature::ALL.contains(feature)));
    let uses = |key: &str| object.value(key).is_some_and(|value| value != Value::Bool(false) && value != "keep");
    let has_options = match &request.body {
        Body::Execute(execute) => {
            assert_eq!(kind, "execute");
            assert_eq!(object.value("code").as_ref().and_then(Value::as_str), Some(execute.code.as_str()));
            options(object, execute);
            let by_key = [
                (Feature::Stream, "stream"),
                (Feature::Session, "session"),
                (Feature::Rollback, "on_error"),
                (Feature::Changes, "changes"),
            ];
            let wanted = by_key.into_iter().filter(|(_, key)| uses(key)).map(|(feature, _)| feature);
            assert_eq!(features, wanted.collect::<Vec<_>>());
            ["timeout_secs", "stream", "title", "session", "echo", "on_error", "changes"].into_iter().any(uses)
                || object.value("undo_step") == Some(Value::Bool(false))
        }
        Body::Undo { steps } | Body::Redo { steps } => {
            assert_eq!(features, [Feature::Undo]);
            assert_eq!(object.value("steps").unwrap_or(Value::from(1)), *steps);
            true
        }
        Body::Hello { token, .. } => {
            let written = object.value("token");
            assert_eq!(token.as_ref().map(|token| Value::from(token.expose())), written);
            true
        }
        Body::Consent { target, answer } => {
            assert_eq!(features, [Feature::Consent]);
            assert_eq!(request.id.as_ref(), Some(target));
            assert_eq!(object.value("answer"), Some(Value::from(answer.name())));
            true
        }
        Body::Cancel { target } | Body::Outcome { target } => {
            assert_eq!(request.id.as_ref(), Some(target));
            false
        }
        Body::Status | Body::Ping => false,
    };
    assert_eq!(request.is_extended(), request.id.is_some() || has_options, "{request:?}");
    client::says_again(request);
}

fn options(object: &Object, execute: &Execute) {
    let text = |key: &str| object.value(key).and_then(|value| value.as_str().map(str::to_owned));
    let is_true = |key: &str| object.value(key) == Some(Value::Bool(true));
    assert_eq!((execute.title.clone(), execute.session.clone()), (text("title"), text("session")));
    let flags = [execute.stream, execute.echo, execute.changes, !execute.no_undo_step, execute.rollback];
    let rollback = text("on_error").as_deref() == Some("rollback");
    let makes_step = object.value("undo_step") != Some(Value::Bool(false));
    assert_eq!(flags, [is_true("stream"), is_true("echo"), is_true("changes"), makes_step, rollback]);
    let secs = object.value("timeout_secs").as_ref().and_then(Value::as_f64);
    assert_eq!(execute.timeout.is_some(), secs.is_some());
    assert!(secs.is_none_or(|secs| secs > 0.0));
}

/// What is a JSON object is refused as text only where something that matters cannot be read.
fn refused(object: &Object, refusal: &Refusal) {
    let is_unreadable = KNOWN.iter().any(|key| matches!(object.get(key), Key::Unreadable));
    match refusal.why.code() {
        ErrorCode::BadFrame => assert!(is_unreadable, "{refusal:?}"),
        ErrorCode::BadRequest => assert!(!is_unreadable, "{refusal:?}"),
        ErrorCode::Unauthorized => assert!(matches!(refusal.why, BadRequest::BadToken)),
        ErrorCode::VersionMismatch => assert!(matches!(refusal.why, BadRequest::OtherVersion(_))),
        other => panic!("{other:?} is no code for a message that was not understood"),
    }
}

/// What the parser says without the line and column, which differ when keys change places.
fn without_position(parsed: Result<Request, Refusal>) -> Result<Request, (String, Option<Id>)> {
    parsed.map_err(|Refusal { why, id }| match why {
        BadRequest::NotJson(_) => ("not JSON".to_owned(), id),
        why => (why.to_string(), id),
    })
}

/// A JSON object with a terminator comes out of the decoder whole, and as one message.
fn is_one_frame(text: &[u8]) {
    let object = text.trim_ascii();
    for terminator in [Terminator::Nul, Terminator::Newline] {
        let mut buffer = BytesMut::from(object);
        buffer.extend_from_slice(&[terminator.byte()]);
        let frame = Decoder::new(object.len()).decode(&mut buffer).expect("within the limit").expect("whole");
        assert_eq!((&frame.text[..], frame.terminator), (object, terminator));
        assert!(buffer.is_empty());
    }
}
