// SPDX-License-Identifier: GPL-3.0-or-later
//! The shape of what `--json` prints, which programs rely on: a key that goes, or holds something else, is a reviewed diff.

use std::fmt::Write as _;

use serde_json::Value;

use crate::doctor::{lend_main_thread, server};
use crate::setup::User;
use crate::text;

/// A line for each place in `value`, with the kind of what stands there. Of a list the first.
fn shape(value: &Value) -> String {
    let mut lines = String::new();
    walk(value, "", &mut lines);
    lines
}

fn walk(value: &Value, at: &str, lines: &mut String) {
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "number",
        Value::String(_) => "text",
        Value::Array(_) => "list",
        Value::Object(_) => "object",
    };
    writeln!(lines, "{} {kind}", if at.is_empty() { "." } else { at }).unwrap();
    match value {
        Value::Array(all) => all.iter().take(1).for_each(|first| walk(first, &format!("{at}[]"), lines)),
        Value::Object(all) => all.iter().for_each(|(key, value)| walk(value, &format!("{at}.{key}"), lines)),
        _ => {}
    }
}

/// What a command prints as JSON while a server runs.
fn printed(command: &str) -> Value {
    let user = User::new();
    let (server, port) = server(&user, |_| {});
    lend_main_thread(&server);
    let port = ["--port", &port];
    let more: &[&str] = if command == "instances" { &[] } else { &port };
    let output = user.own(&[&[command, "--json"], more].concat()).output().unwrap();
    serde_json::from_str(text(&output.stdout)).unwrap_or_else(|_| panic!("{output:?}"))
}

#[test]
fn a_status_has_the_shape_that_was_reviewed() {
    insta::assert_snapshot!(shape(&printed("status")));
}

#[test]
fn instances_have_the_shape_that_was_reviewed() {
    insta::assert_snapshot!(shape(&printed("instances")));
}

#[test]
fn findings_have_the_shape_that_was_reviewed() {
    let found = printed("doctor");
    for finding in found.as_array().unwrap() {
        assert_eq!(keys(finding), keys(&found[0]), "{finding}");
    }
    insta::assert_snapshot!(shape(&found));
}

fn keys(finding: &Value) -> Vec<&String> {
    finding.as_object().unwrap().keys().collect()
}
