// SPDX-License-Identifier: GPL-3.0-or-later
//! What a script did to the file, for people: one line per kind of change.

use blendwire_client::Effects;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::printer;

/// Names of one type that are shown; a script may add thousands.
const SHOWN_NAMES: usize = 8;

/// What is told when the server told nothing.
const NOT_TOLD: &str = "changes: this server did not say (Blender's official add-on and older ones of ours cannot)";

/// What is to be told of a script that has run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    /// What it did.
    pub(crate) changes: bool,
    /// Whether that was taken back.
    pub(crate) rollback: bool,
}

/// Ours says it of every script that has begun.
const NO_WORD_OF_ROLLBACK: &str = "the server did not say that anything was rolled back: Blender's official add-on and \
    older ones of ours cannot; look at what is there";

/// Says what became of the file, as far as it was asked for.
pub(crate) fn tell(effects: &Effects, asked: Asked) {
    match (effects.rolled_back, &effects.not_rolled_back_because) {
        (Some(true), _) => printer::talk("rolled back: the file is as it was before the script"),
        (Some(false), why) => {
            let why = why.as_deref().unwrap_or("Blender gave no reason");
            printer::talk(&format!("NOT rolled back: {why}"));
        }
        (None, _) if asked.rollback => printer::talk(NO_WORD_OF_ROLLBACK),
        (None, _) => {}
    }
    if asked.changes {
        printer::talk(&summary(effects.changes.as_deref()));
    }
}

fn summary(changes: Option<&RawValue>) -> String {
    let Some(changes) = changes.and_then(|changes| serde_json::from_str::<Value>(changes.get()).ok()) else {
        return NOT_TOLD.to_owned();
    };
    if let Some(why) = changes["skipped"].as_str() {
        return format!("changes: not known, because {why}");
    }
    let kinds = ["added", "removed", "renamed", "modified"];
    let lines: Vec<_> = kinds.iter().filter_map(|kind| Some(format!("{kind:<9} {}", types(&changes[kind])?))).collect();
    if lines.is_empty() { "changes: none".to_owned() } else { lines.join("\n") }
}

/// `objects: Cube, Sphere; meshes: Sphere`; `None` when there are none.
fn types(kind: &Value) -> Option<String> {
    let types: Vec<_> = kind.as_object()?.iter().map(|(name, items)| format!("{name}: {}", names(items))).collect();
    (!types.is_empty()).then(|| types.join("; "))
}

fn names(items: &Value) -> String {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let names: Vec<String> = match items {
        Value::Array(names) => names.iter().map(text).collect(),
        Value::Object(renamed) => renamed.iter().map(|(old, new)| format!("{old} → {}", text(new))).collect(),
        other => vec![text(other)],
    };
    let more = names.len().saturating_sub(SHOWN_NAMES);
    let shown = names[..names.len() - more].join(", ");
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(changes: &str) -> String {
        summary(Some(&RawValue::from_string(changes.to_owned()).unwrap()))
    }

    #[test]
    fn changes_are_one_line_per_kind() {
        let changes = r#"{"added": {"objects": ["Sphere"], "meshes": ["Sphere", "B"]}, "renamed": {"objects": {"Light": "Key"}}}"#;
        assert_eq!(told(changes), "added     objects: Sphere; meshes: Sphere, B\nrenamed   objects: Light → Key");
    }

    #[test]
    fn no_changes_and_unknown_ones_are_told_apart() {
        assert_eq!(told("{}"), "changes: none");
        assert_eq!(told(r#"{"skipped": "too many"}"#), "changes: not known, because too many");
        assert_eq!(summary(None), NOT_TOLD);
    }

    #[test]
    fn thousands_of_names_are_counted() {
        let names: Vec<_> = (0..1000).map(|number| number.to_string()).collect();
        let told = told(&serde_json::json!({"removed": {"objects": names}}).to_string());
        assert_eq!(told, "removed   objects: 0, 1, 2, 3, 4, 5, 6, 7 and 992 more");
    }
}
