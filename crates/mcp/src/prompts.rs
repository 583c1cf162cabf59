// SPDX-License-Identifier: GPL-3.0-or-later
//! Prompts: ways of working that a user picks in the client, with what is particular about the task.

use rmcp::model::{ErrorData, GetPromptResult, JsonObject, Prompt, PromptArgument, PromptMessage, Role};
use serde_json::Value;

/// One prompt: its text has `{argument}` where each argument goes.
struct Entry {
    name: &'static str,
    title: &'static str,
    description: &'static str,
    arguments: &'static [Argument],
    text: &'static str,
}

struct Argument {
    name: &'static str,
    description: &'static str,
    /// What stands for it when it is not given; `None` for one that must be.
    default: Option<&'static str>,
}

const ENTRIES: [Entry; 4] = [
    Entry {
        name: "model_from_reference",
        title: "Model from a reference",
        description: "Build an object after a picture or a description, comparing as it grows",
        arguments: &[
            Argument { name: "subject", description: "What to model", default: None },
            Argument {
                name: "reference",
                description: "Path of a picture on Blender's machine, or what is special about it",
                default: Some("none given: ask for one, or agree on proportions with the user first"),
            },
            Argument { name: "detail", description: "low, medium or high", default: Some("medium") },
        ],
        text: include_str!("prompts/model_from_reference.md"),
    },
    Entry {
        name: "material_setup",
        title: "Set up a material",
        description: "Make a material that looks right in Solid view and in a render",
        arguments: &[
            Argument { name: "look", description: "For example: brushed copper, wet asphalt", default: None },
            Argument { name: "object", description: "Object to give it to", default: Some("the active object") },
        ],
        text: include_str!("prompts/material_setup.md"),
    },
    Entry {
        name: "scene_audit",
        title: "Audit the scene",
        description: "Find what is wrong or wasteful in the open file, without changing it",
        arguments: &[Argument {
            name: "purpose",
            description: "What the file is for: render, game export, 3D print",
            default: Some("a render"),
        }],
        text: include_str!("prompts/scene_audit.md"),
    },
    Entry {
        name: "headless_batch",
        title: "Work through many files",
        description: "Do the same to many .blend files in background Blenders",
        arguments: &[
            Argument { name: "folder", description: "Where the files are, on Blender's machine", default: None },
            Argument { name: "task", description: "What to do to each", default: None },
        ],
        text: include_str!("prompts/headless_batch.md"),
    },
];

/// All of them.
pub(crate) fn list() -> Vec<Prompt> {
    let describe = |entry: &Entry| {
        let argument = |argument: &Argument| {
            PromptArgument::new(argument.name)
                .with_description(argument.description)
                .with_required(argument.default.is_none())
        };
        let arguments = entry.arguments.iter().map(argument).collect();
        Prompt::new(entry.name, Some(entry.description), Some(arguments)).with_title(entry.title)
    };
    ENTRIES.iter().map(describe).collect()
}

/// The prompt of this name with its arguments in it.
pub(crate) fn get(name: &str, given: Option<&JsonObject>) -> Result<GetPromptResult, ErrorData> {
    let wrong = |why: String| ErrorData::invalid_params(why, None);
    let Some(entry) = ENTRIES.iter().find(|entry| entry.name == name) else {
        let names: Vec<_> = ENTRIES.iter().map(|entry| entry.name).collect();
        return Err(wrong(format!("there is no prompt {name:?}; there are {}", names.join(", "))));
    };
    let known = |key: &str| entry.arguments.iter().any(|argument| argument.name == key);
    if let Some(unknown) = given.and_then(|given| given.keys().find(|key| !known(key))) {
        return Err(wrong(format!("{name} has no argument {unknown:?}")));
    }
    // In one pass, so that braces in what the user wrote stay what they are.
    let mut text = String::new();
    let mut rest = entry.text.split_once("-->\n").map_or(entry.text, |(_license, text)| text).trim();
    while let Some((before, after)) = rest.split_once('{') {
        let (key, after) = after.split_once('}').unwrap_or((after, ""));
        let argument = entry.arguments.iter().find(|argument| argument.name == key);
        let value = given.and_then(|given| given.get(key)).and_then(Value::as_str).map(str::trim);
        let value = value.filter(|value| !value.is_empty()).or(argument.and_then(|argument| argument.default));
        let value = value.ok_or_else(|| wrong(format!("{name} needs the argument {key:?}")))?;
        text.extend([before, value]);
        rest = after;
    }
    text.push_str(rest);
    let message = PromptMessage::new_text(Role::User, text);
    Ok(GetPromptResult::new(vec![message]).with_description(entry.description))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_prompt_names_its_arguments_and_no_others() {
        for entry in &ENTRIES {
            let given: JsonObject =
                entry.arguments.iter().map(|argument| (argument.name.to_owned(), json!("{given}"))).collect();
            let got = get(entry.name, Some(&given)).unwrap();
            let text = serde_json::to_string(&got.messages).unwrap();
            assert_eq!(text.matches("{given}").count(), entry.text.matches('{').count(), "{text}");
            for argument in entry.arguments {
                assert!(entry.text.contains(&format!("{{{}}}", argument.name)), "{} of {}", argument.name, entry.name);
            }
        }
    }

    #[test]
    fn what_is_missing_or_unknown_is_said() {
        let why = |name, given: Value| get(name, given.as_object()).unwrap_err().message.into_owned();
        assert!(why("material_setup", json!({})).contains("needs the argument \"look\""));
        assert!(why("material_setup", json!({"look": "red", "colour": 1})).contains("no argument \"colour\""));
        assert!(why("materials", json!({})).contains("scene_audit"));
    }
}
