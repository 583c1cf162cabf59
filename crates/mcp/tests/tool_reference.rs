// SPDX-License-Identifier: GPL-3.0-or-later
//! docs/mcp-tools.md is made of what clients are told and of the types that answers have. After a change:
//! `UPDATE_DOCS=1 cargo test -p blendwire-mcp --test tool_reference`.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::collections::HashMap;
use std::fmt::Write as _;

use blendwire_mcp::{Answer, answers, tool_definitions};
use serde_json::Value;

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/mcp-tools.md");

const HEAD: &str = "\
<!-- SPDX-License-Identifier: GPL-3.0-or-later -->
<!-- Made of the source by crates/mcp/tests/tool_reference.rs; change it there. -->
# MCP tools

Every tool with what it takes and what `structuredContent` holds when it is done. A call that takes longer than its client waits is
answered as `get_job` does; a result that is too large with the address of a resource that has it in pages. When the call is done
`get_job` gives what the call itself would have, a picture too, and without `job` `{\"jobs\": […]}`.
[How to reach the server, long calls, large results](mcp.md).
";

#[test]
fn the_reference_is_what_the_types_say() {
    let reference = reference();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(PATH, &reference).unwrap();
    }
    let kept = std::fs::read_to_string(PATH).unwrap_or_default();
    assert!(
        kept == reference,
        "docs/mcp-tools.md is not of this source: run this test with UPDATE_DOCS=1, and look at the change"
    );
}

fn reference() -> String {
    let answers: HashMap<_, _> = answers().collect();
    let mut text = HEAD.to_owned();
    for tool in tool_definitions() {
        let schema = serde_json::to_value(&tool).unwrap();
        let _ = write!(text, "\n## {}\n\n{}\n", tool.name, tool.description.unwrap_or_default());
        let required: Vec<&str> =
            schema["inputSchema"]["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let takes = schema["inputSchema"]["properties"].as_object().unwrap();
        if !takes.is_empty() {
            text.push_str("\n| Takes | Type | Default | |\n|---|---|---|---|\n");
        }
        for (name, of) in takes {
            let default = if required.contains(&name.as_str()) {
                "needed".to_owned()
            } else {
                of.get("default").map_or_else(String::new, |value| format!("`{value}`"))
            };
            let _ = writeln!(text, "| `{name}` | {} | {default} | {} |", kind(of), described(of));
        }
        match answers[&*tool.name] {
            Answer::Picture => text.push_str("\nAnswers with a picture and a caption.\n"),
            Answer::Status => text.push_str("\nAnswers as [`status`](protocol.md) does.\n"),
            Answer::Object(schema) => {
                text.push_str("\n| Answers | Type | |\n|---|---|---|\n");
                let schema = schema().to_value();
                properties(&mut text, &schema, &schema, "", &mut Vec::new());
            }
        }
    }
    text
}

/// A line for each property, and those of objects below it.
fn properties(text: &mut String, root: &Value, of: &Value, path: &str, inside: &mut Vec<String>) {
    for (name, property) in of["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}{name}");
        let _ = writeln!(text, "| `{path}` | {} | {} |", kind(property), described(property));
        let (below, mark) = match property.get("items") {
            Some(items) => (items, "[]."),
            None => (
                property.get("additionalProperties").unwrap_or(property),
                if property.get("additionalProperties").is_some() { ".*." } else { "." },
            ),
        };
        let Some(named) = reference_of(below) else { continue };
        // A collection holds collections, and they are as the first.
        if !inside.contains(&named) {
            inside.push(named.clone());
            properties(text, root, &root["$defs"][&named], &format!("{path}{mark}"), inside);
            inside.pop();
        }
    }
}

/// The name of the type that this refers to.
fn reference_of(schema: &Value) -> Option<String> {
    let whole = schema.get("$ref").or_else(|| schema["anyOf"].as_array()?.iter().find_map(|one| one.get("$ref")))?;
    Some(whole.as_str()?.trim_start_matches("#/$defs/").to_owned())
}

/// A type in words.
fn kind(schema: &Value) -> String {
    if let Some(items) = schema.get("items") {
        return format!("array of {}", kind(items));
    }
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        return values.iter().map(|value| format!("`{value}`")).collect::<Vec<_>>().join(" ");
    }
    if let Some(several) = schema["anyOf"].as_array() {
        return several.iter().map(kind).collect::<Vec<_>>().join(" or ");
    }
    if reference_of(schema).is_some() {
        return "object".to_owned();
    }
    match &schema["type"] {
        Value::String(one) => one.clone(),
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or "),
        _ => "any".to_owned(),
    }
}

fn described(schema: &Value) -> String {
    schema["description"].as_str().unwrap_or_default().replace('\n', " ").replace('|', "\\|")
}
