// SPDX-License-Identifier: GPL-3.0-or-later
//! The protocol's code, its document and the add-on name the same things: error codes, features, requests, events.
//!
//! Called by `tidy` only. Examples in the document are read by the crate itself, so that none goes stale.

use blendwire_protocol::{BareRequest, Body, ErrorCode, Event, Feature, Request};
use fs_err as fs;

use crate::workspace::Workspace;

const DOCUMENT: &str = "docs/protocol.md";
const SETTINGS: &str = "addon/blendwire/settings.py";

/// Requests and events that the document must show an example of.
const REQUESTS: [&str; 8] = ["execute", "hello", "cancel", "outcome", "undo", "redo", "status", "ping"];
const EVENTS: [&str; 4] = ["queued", "started", "output", "progress"];

pub(super) fn faults(workspace: &Workspace) -> Vec<String> {
    // A file that is missing says nothing, which is a fault like any other.
    let read = |name| fs::read_to_string(workspace.root.join(name)).unwrap_or_default();
    let document = read(DOCUMENT);
    let mut faults = example_faults(&document);
    let codes: Vec<String> = ErrorCode::ALL.iter().map(|code| serde_json::json!(code).to_string()).collect();
    faults.extend(list_faults("error code", &rows(&document, "Code"), &unquoted(&codes)));
    let features: Vec<String> = Feature::ALL.iter().map(|feature| feature.name().to_owned()).collect();
    faults.extend(list_faults("feature", &rows(&document, "Feature"), &features));
    let offered = features_of_settings(&read(SETTINGS));
    if offered != features {
        faults
            .push(format!("{SETTINGS}: FEATURES are {offered:?}, but the protocol has {features:?}; make them equal"));
    }
    faults
}

fn unquoted(names: &[String]) -> Vec<String> {
    names.iter().map(|name| name.trim_matches('"').to_owned()).collect()
}

fn list_faults(what: &str, documented: &[String], known: &[String]) -> Option<String> {
    (documented != known).then(|| {
        format!("{DOCUMENT}: the table has the {what}s {documented:?}, but the code has {known:?}; make them equal, in this order")
    })
}

/// First cells, without their marks, of the table whose first heading is `heading`.
fn rows(document: &str, heading: &str) -> Vec<String> {
    let mut lines = document.lines().skip_while(|line| !line.starts_with(&format!("| {heading} |"))).skip(2);
    let cells = std::iter::from_fn(|| lines.next()?.strip_prefix("| `")?.split('`').next().map(str::to_owned));
    cells.collect()
}

/// The names in `FEATURES = (("name", …), …)`.
fn features_of_settings(text: &str) -> Vec<String> {
    let Some((_, list)) = text.split_once("FEATURES = (\n") else { return Vec::new() };
    let lines = list.lines().take_while(|line| line.starts_with("    ("));
    lines.filter_map(|line| Some(line.split('"').nth(1)?.to_owned())).collect()
}

fn example_faults(document: &str) -> Vec<String> {
    let examples = examples(document);
    let mut faults = Vec::new();
    let (mut requests, mut events) = (Vec::new(), Vec::new());
    for example in &examples {
        if example.contains("\"params\"") {
            let bare = BareRequest::parse(example.as_bytes());
            faults.extend(bare.err().map(|why| format!("{DOCUMENT}: {why} ({example})")));
        } else if example.starts_with("{\"type\"") {
            match Request::parse(example.as_bytes()) {
                Ok(request) => requests.push(name(&request.body)),
                Err(refusal) => faults.push(format!("{DOCUMENT}: {} ({example})", refusal.why)),
            }
        } else if example.starts_with("{\"event\"") {
            match serde_json::from_str::<Event>(example) {
                Ok(event) => events.push(event_name(&event)),
                Err(error) => faults.push(format!("{DOCUMENT}: {error} ({example})")),
            }
        } else if let Err(error) = serde_json::from_str::<serde_json::Value>(example) {
            faults.push(format!("{DOCUMENT}: {error} ({example})"));
        }
    }
    let missing = |kind: &str, wanted: &[&'static str], found: &[&str]| -> Vec<String> {
        let missing = wanted.iter().filter(|name| !found.contains(name));
        missing.map(|name| format!("{DOCUMENT}: shows no {kind} `{name}` as an example of its own")).collect()
    };
    faults.extend(missing("request", &REQUESTS, &requests));
    faults.extend(missing("event", &EVENTS, &events));
    faults
}

/// Indented blocks that begin as an object does; an object goes on until its braces close.
fn examples(document: &str) -> Vec<String> {
    let mut examples: Vec<String> = Vec::new();
    let mut is_open = false;
    for line in document.lines() {
        let Some(code) = line.strip_prefix("    ") else {
            is_open = false;
            continue;
        };
        if !is_open && !code.starts_with('{') {
            continue;
        }
        if is_open {
            let last = examples.last_mut().map(|example| example.push_str(code.trim_start()));
            debug_assert!(last.is_some());
        } else {
            examples.push(code.to_owned());
        }
        is_open = examples.last().is_some_and(|example| !is_closed(example));
    }
    examples
}

fn is_closed(example: &str) -> bool {
    let count = |brace| example.matches(brace).count();
    count('{') == count('}')
}

fn name(body: &Body) -> &'static str {
    match body {
        Body::Execute(_) => "execute",
        Body::Hello { .. } => "hello",
        Body::Cancel { .. } => "cancel",
        Body::Outcome { .. } => "outcome",
        Body::Undo { .. } => "undo",
        Body::Redo { .. } => "redo",
        Body::Status => "status",
        Body::Consent { .. } => "consent",
        Body::Ping => "ping",
    }
}

fn event_name(event: &Event) -> &'static str {
    match event {
        Event::Queued { .. } => "queued",
        Event::Started => "started",
        Event::Output { .. } => "output",
        Event::Consent { .. } => "consent",
        Event::Progress(_) => "progress",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_tables_lists_and_examples() {
        let document =
            "| Code | When |\n|---|---|\n| `a` | x |\n| `b` | y |\n\n    {\"type\":\n     \"ping\"}\n\n    import x\n";
        assert_eq!(rows(document, "Code"), ["a", "b"]);
        assert_eq!(examples(document), ["{\"type\":\"ping\"}"]);
        assert_eq!(
            features_of_settings("FEATURES = (\n    (\"a\", \"A\", \"…\"),\n    (\"b\", \"B\", \"…\"),\n)\n"),
            ["a", "b"]
        );
    }

    #[test]
    fn a_stale_example_and_a_missing_one_are_found() {
        let faults = example_faults("    {\"type\": \"execute\"}\n").join("\n");
        assert!(faults.contains("needs \"code\"") && faults.contains("no request `ping`"), "{faults}");
    }
}
