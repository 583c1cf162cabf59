// SPDX-License-Identifier: GPL-3.0-or-later
//! Values of the keys of a request: what is right, and what a client is told that sent something else.

use std::time::Duration;

use serde_json::Value;

use crate::{BadRequest, ConsentAnswer};

/// More steps than Blender keeps by any setting.
const MOST_STEPS: u64 = 1000;

/// Titles and session names are names, shown in menus.
const LONGEST_NAME_CHARS: usize = 200;

pub(super) fn answer(answer: Option<Value>) -> Result<ConsentAnswer, BadRequest> {
    let answer = answer.unwrap_or_default();
    let named = answer.as_str().and_then(ConsentAnswer::named);
    named.ok_or_else(|| wrong("answer", "once, session or never", &answer))
}

pub(super) fn timeout(value: &Value) -> Result<Duration, BadRequest> {
    let secs = value.as_f64().filter(|secs| *secs > 0.0);
    let timeout = secs.and_then(|secs| Duration::try_from_secs_f64(secs).ok());
    timeout.ok_or_else(|| wrong("timeout_secs", "a number above 0, in seconds", value))
}

pub(super) fn steps(value: Option<Value>) -> Result<u32, BadRequest> {
    let Some(value) = value else { return Ok(1) };
    let steps = value.as_u64().filter(|steps| (1..=MOST_STEPS).contains(steps));
    let steps = steps.and_then(|steps| u32::try_from(steps).ok());
    steps.ok_or_else(|| wrong("steps", "a whole number from 1 to 1000", &value))
}

pub(super) fn on_error(value: Option<&Value>) -> Result<bool, BadRequest> {
    match value.map(|value| (value, value.as_str())) {
        None | Some((_, Some("keep"))) => Ok(false),
        Some((_, Some("rollback"))) => Ok(true),
        Some((other, _)) => Err(wrong("on_error", "\"rollback\" or \"keep\"", other)),
    }
}

pub(super) fn boolean(key: &'static str, value: Option<Value>, default: bool) -> Result<bool, BadRequest> {
    match value {
        None => Ok(default),
        Some(Value::Bool(value)) => Ok(value),
        Some(other) => Err(wrong(key, "true or false", &other)),
    }
}

/// A string that is shown to people: not empty, not long.
pub(super) fn name(key: &'static str, value: Option<Value>) -> Result<Option<String>, BadRequest> {
    let Some(text) = string(key, value)? else { return Ok(None) };
    if text.trim().is_empty() || text.chars().count() > LONGEST_NAME_CHARS {
        return Err(wrong(key, "a name of 1 to 200 characters", &Value::String(text)));
    }
    Ok(Some(text))
}

pub(super) fn string(key: &'static str, value: Option<Value>) -> Result<Option<String>, BadRequest> {
    match value {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(BadRequest::BadValue { key, wanted: "a string", found: kind(&other).to_owned() }),
    }
}

pub(super) fn wrong(key: &'static str, wanted: &'static str, found: &Value) -> BadRequest {
    BadRequest::BadValue { key, wanted, found: shown(&found.to_string()) }
}

pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// A client's own words, short enough for a message.
pub(super) fn shown(text: &str) -> String {
    const LONGEST_CHARS: usize = 60;
    let short: String = text.chars().take(LONGEST_CHARS).collect();
    let dots = if short.len() < text.len() { "…" } else { "" };
    short + dots
}
