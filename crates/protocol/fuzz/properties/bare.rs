// SPDX-License-Identifier: GPL-3.0-or-later
//! The dialect of mcp-for-blender.

use blendwire_protocol::{BadBareRequest, BareRequest, BareResult, Decoder, ErrorCode, Reply, Request, is_bare};
use bytes::BytesMut;
use serde_json::Value;

use super::assert_readable;
use super::object::{Key, Object};

pub(crate) fn text(text: &[u8], order: u8) {
    let (parsed, is_taken) = (BareRequest::parse(text), is_bare(text));
    if let Err(why) = &parsed {
        assert_readable(&why.to_string());
    }
    // Told by its shape, it is answered in its dialect; that it is no UTF-8 is said there.
    if std::str::from_utf8(text).is_err() {
        assert!(parsed.is_err(), "not UTF-8, but {parsed:?}");
        return;
    }
    if is_taken {
        let is_its_fault = matches!(parsed, Err(BadBareRequest::NotAnObject | BadBareRequest::NotJson(_)));
        assert!(!is_its_fault, "taken for a bare request, and then {parsed:?}");
        assert!(Request::parse(text).is_err(), "both a framed and a bare request");
    }
    let object = Object::read(text).filter(|_| text.starts_with(b"{"));
    let Some(object) = object else {
        assert!(parsed.is_err() && !is_taken, "no object, but {parsed:?}");
        return;
    };
    has_its_shape(&object, is_taken);
    if let Ok(request) = &parsed {
        accepted(&object, request);
    }
    let rewritten = object.rewritten(order);
    let shown = String::from_utf8_lossy(&rewritten);
    assert_eq!(without_position(BareRequest::parse(&rewritten)), without_position(parsed), "as {shown}");
    assert_eq!(is_bare(&rewritten), is_taken, "as {shown}");
    is_one_message(text.trim_ascii_end());
}

/// Section 8: never a framed request, and always what has `params` that are an object.
fn has_its_shape(object: &Object, is_taken: bool) {
    const FRAMED: [&str; 8] = ["execute", "cancel", "outcome", "status", "ping", "hello", "undo", "redo"];
    let readable = |key: &str| !matches!(object.get(key), Key::Unreadable);
    let kind = object.value("type");
    let is_framed = kind.as_ref().and_then(Value::as_str).is_some_and(|kind| FRAMED.contains(&kind));
    let has_code = object.raw("code").is_some_and(|code| code != "null");
    let has_params = object.raw("params").is_some_and(|params| params.starts_with('{'));
    assert!(!(is_taken && (is_framed || has_code)), "a framed request was taken for a bare one");
    if has_params && !has_code && !is_framed && kind.is_some() && readable("params") && object.raw("code").is_none() {
        assert!(is_taken, "a bare request was not told");
    }
}

/// What is served says what the text says.
fn accepted(object: &Object, request: &BareRequest) {
    let kind = object.value("type");
    let kind = kind.as_ref().and_then(Value::as_str).expect("a request has a type");
    // The parameters as the document names them; a key that stands there twice is refused.
    let params = object.raw("params").and_then(|params| Object::read(params.as_bytes()));
    let param = |key: &str| params.as_ref().and_then(|params| params.value(key));
    match request {
        BareRequest::ObjectInfo(name) => {
            assert_eq!((kind, param("name")), ("get_object_info", Some(Value::from(name.as_str()))));
        }
        BareRequest::ExecuteCode(code) => {
            assert_eq!((kind, param("code")), ("execute_code", Some(Value::from(code.as_str()))));
        }
        BareRequest::Screenshot(shot) => {
            assert_eq!(
                (kind, param("filepath")),
                ("get_viewport_screenshot", Some(Value::from(shot.filepath.as_str())))
            );
            assert_eq!(param("max_size").unwrap_or(Value::from(800)), shot.max_size.get());
            assert_eq!(param("format").unwrap_or(Value::from("png")), shot.format.as_str());
        }
        BareRequest::SetTelemetryConsent(consent) => {
            assert_eq!(kind, "set_telemetry_consent");
            assert_eq!(param("consent").unwrap_or(Value::Bool(false)), *consent);
        }
        BareRequest::Other(name) => assert!(name == kind && !BareRequest::SERVED.contains(&kind)),
        BareRequest::ServiceStatus(label) => {
            assert!(kind.starts_with("get_") && kind.ends_with("_status") && !label.is_empty());
        }
        BareRequest::AddonInfo | BareRequest::TelemetryConsent | BareRequest::SceneInfo => {
            assert!(BareRequest::SERVED.contains(&kind), "{kind}");
        }
        BareRequest::Ping => assert_eq!(kind, "ping"),
    }
}

fn without_position(parsed: Result<BareRequest, BadBareRequest>) -> Result<BareRequest, String> {
    parsed.map_err(|why| match why {
        BadBareRequest::NotJson(_) => "not JSON".to_owned(),
        why => why.to_string(),
    })
}

/// Replies to that client are one object to the last byte, whatever a script printed or raised.
pub(crate) fn replies(words: &str) {
    let raised = Reply::Raised {
        message: words.to_owned(),
        stdout: words.to_owned(),
        code: ErrorCode::PythonException,
        exception: None,
    };
    let ok = Reply::Ok { result: Value::from(words).to_string().into_bytes(), stdout: words.to_owned() };
    for reply in [ok, raised, Reply::refused(ErrorCode::Busy, words)] {
        for wanted in [BareResult::Value, BareResult::Printed] {
            let is_ok = reply.is_ok();
            let written = wanted.encode(reply.clone()).pieces.concat();
            is_one_message(&written);
            let read: Value = serde_json::from_slice(&written).expect("JSON");
            assert_eq!(read["status"], if is_ok { "success" } else { "error" });
            assert!(is_ok || read["message"].is_string(), "{read}");
            if let (true, BareResult::Printed) = (is_ok, wanted) {
                assert_eq!(read["result"]["result"], words);
            }
        }
    }
}

/// A JSON object comes out of the decoder as one message that ends with its brace.
fn is_one_message(object: &[u8]) {
    let (mut decoder, mut buffer) = (Decoder::new(object.len()), BytesMut::from(object));
    let found = decoder.decode_bare(&mut buffer).expect("within the limit").expect("whole");
    assert_eq!((&found[..], buffer.is_empty()), (object, true));
}
