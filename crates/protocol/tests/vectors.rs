// SPDX-License-Identifier: GPL-3.0-or-later
//! The test vectors in `vectors/`, which `vectors/check.py` reads too: whoever implements the protocol can.

#![expect(clippy::unwrap_used, reason = "a test")]

use blendwire_protocol::{
    Body, DEFAULT_MAX_REQUEST_BYTES, Decoder, Effects, ErrorCode, Event, Exception, Execute, Extras, Id, Refusal,
    Reply, Request, Terminator,
};
use bytes::BytesMut;
use serde_json::{Value, json};

/// Each entry of a file, with its name for messages.
fn entries(text: &str) -> Vec<(String, Value)> {
    let entries: Vec<Value> = serde_json::from_str(text).unwrap();
    entries.into_iter().map(|entry| (entry["name"].as_str().unwrap().to_owned(), entry)).collect()
}

/// A string of the vectors, one byte per character.
fn bytes(text: &Value) -> Vec<u8> {
    text.as_str().unwrap().chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect()
}

fn text(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

fn id(value: &Value) -> Option<Id> {
    let request = json!({"type": "ping", "id": value}).to_string();
    Request::parse(request.as_bytes()).unwrap().id
}

#[test]
fn frames() {
    for (name, entry) in entries(include_str!("../vectors/frames.json")) {
        let limit = entry["limit"].as_u64().map_or(DEFAULT_MAX_REQUEST_BYTES, |limit| usize::try_from(limit).unwrap());
        let (mut decoder, mut buffer) = (Decoder::new(limit), BytesMut::new());
        let mut found = Vec::new();
        let mut is_too_large = false;
        for piece in entry["pieces"].as_array().unwrap() {
            buffer.extend_from_slice(&bytes(piece));
            let mut frames = Vec::new();
            loop {
                match decoder.decode(&mut buffer) {
                    Ok(None) => break,
                    Ok(Some(frame)) => {
                        let mark = if frame.terminator == Terminator::Nul { "nul" } else { "newline" };
                        frames.push(json!([text(&frame.text), mark]));
                    }
                    Err(_) => {
                        is_too_large = true;
                        break;
                    }
                }
            }
            found.push(Value::Array(frames));
        }
        assert_eq!(Value::Array(found), entry["frames"], "{name}");
        assert_eq!(is_too_large, entry["too_large"] == true, "{name}");
    }
}

/// A request as the vectors write it, what is at its default left out.
fn as_vector(request: &Request) -> Value {
    let mut value = match &request.body {
        Body::Hello { features, token: None } => json!({"type": "hello", "features": features}),
        Body::Hello { features, token: Some(token) } => {
            json!({"type": "hello", "features": features, "token": token.expose()})
        }
        Body::Execute(execute) => as_execute(execute),
        Body::Cancel { .. } => json!({"type": "cancel"}),
        Body::Outcome { .. } => json!({"type": "outcome"}),
        Body::Consent { answer, .. } => json!({"type": "consent", "answer": answer.name()}),
        Body::Undo { steps } => json!({"type": "undo", "steps": steps}),
        Body::Redo { steps } => json!({"type": "redo", "steps": steps}),
        Body::Status => json!({"type": "status"}),
        Body::Ping => json!({"type": "ping"}),
    };
    if let Some(id) = &request.id {
        value["id"] = serde_json::from_str(id.json()).unwrap();
    }
    if let Body::Cancel { target } | Body::Outcome { target } | Body::Consent { target, .. } = &request.body {
        assert_eq!(Some(target), request.id.as_ref());
    }
    value
}

fn as_execute(execute: &Execute) -> Value {
    let Execute { code, timeout, stream, title, session, echo, rollback, changes, no_undo_step } = execute;
    let mut value = json!({"type": "execute", "code": code});
    for (key, is_on) in [("stream", stream), ("echo", echo), ("changes", changes)] {
        if *is_on {
            value[key] = json!(true);
        }
    }
    for (key, name) in [("title", title), ("session", session)] {
        if let Some(name) = name {
            value[key] = json!(name);
        }
    }
    if let Some(timeout) = timeout {
        value["timeout_secs"] = json!(timeout.as_secs_f64());
    }
    if *no_undo_step {
        value["undo_step"] = json!(false);
    }
    if *rollback {
        value["on_error"] = json!("rollback");
    }
    value
}

#[test]
fn requests() {
    for (name, entry) in entries(include_str!("../vectors/requests.json")) {
        match Request::parse(&bytes(&entry["text"])) {
            Ok(request) => assert_eq!(as_vector(&request), entry["accepted"], "{name}"),
            Err(Refusal { why, id: named }) => {
                let refused = &entry["refused"];
                let words = refused["says"].as_str().unwrap_or_else(|| panic!("{name}: refused with {why}"));
                assert!(why.to_string().contains(words), "{name}: {why}");
                assert_eq!(json!(why.code()), refused["code"], "{name}");
                assert_eq!(named, refused.get("id").and_then(id), "{name}");
            }
        }
    }
}

#[test]
fn replies() {
    for (name, entry) in entries(include_str!("../vectors/replies.json")) {
        let given = &entry["reply"];
        let string = |key: &str| given[key].as_str().unwrap_or_default().to_owned();
        let code = || serde_json::from_value::<ErrorCode>(given["code"].clone()).unwrap();
        let reply = match (given.get("result"), given.get("stdout")) {
            (Some(result), _) => Reply::Ok { result: result.to_string().into_bytes(), stdout: string("stdout") },
            (None, None) => Reply::refused(code(), string("message")),
            (None, Some(_)) => {
                let exception = given.get("exception").map(|exception| Exception {
                    r#type: exception["type"].as_str().unwrap().to_owned(),
                    line: exception["line"].as_u64().map(|line| u32::try_from(line).unwrap()),
                });
                Reply::Raised { message: string("message"), stdout: string("stdout"), code: code(), exception }
            }
        };
        let extras = Extras {
            id: entry.get("id").and_then(id),
            is_extended: entry["extended"] == true,
            is_still_running: entry["still_running"] == true,
            effects: Effects {
                changes: entry.get("changes").map(Value::to_string),
                rolled_back: entry["rolled_back"].as_bool(),
                not_rolled_back_because: None,
            },
            bare: None,
        };
        let terminator = if entry["newline"] == true { Terminator::Newline } else { Terminator::Nul };
        let written = reply.encode(terminator, &extras).pieces.concat();
        if entry["bytes"].is_string() {
            assert_eq!(String::from_utf8(written.clone()).unwrap(), entry["bytes"].as_str().unwrap(), "{name}");
        }
        let reply: Value = serde_json::from_slice(&written[..written.len() - 1]).unwrap();
        assert_eq!(reply.get("id"), entry.get("id"), "{name}");
        assert_eq!(reply["state"] == "still_running", extras.is_still_running, "{name}");
        assert_eq!(reply.get("rolled_back"), entry.get("rolled_back"), "{name}");
        let mut error = reply.get("error").cloned();
        if let Some(error) = error.as_mut().and_then(Value::as_object_mut) {
            assert!(!error.remove("hint").unwrap().as_str().unwrap().is_empty(), "{name}");
        }
        assert_eq!(error.as_ref(), entry.get("error"), "{name}");
    }
}

#[test]
fn events() {
    for (name, entry) in entries(include_str!("../vectors/events.json")) {
        let event: Event = serde_json::from_value(entry["event"].clone()).unwrap();
        let written = event.encode(Terminator::Nul, entry.get("id").and_then(id).as_ref());
        assert_eq!(std::str::from_utf8(&written).unwrap(), entry["bytes"].as_str().unwrap(), "{name}");
        assert_eq!(Event::parse(&written[..written.len() - 1]), Some(event), "{name}");
    }
}
