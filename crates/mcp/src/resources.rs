// SPDX-License-Identifier: GPL-3.0-or-later
//! What of Blender can be read without calling a tool: the scene, its objects, text blocks, the log, large results.

use std::sync::Arc;

use percent_encoding::percent_decode_str;
use rmcp::model::{ErrorData, ReadResourceResult, Resource, ResourceContents, ResourceTemplate};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::Blender;
use crate::caller::Caller;
use crate::large::{LargeResults, PAGE};
use crate::tools::{self, Failure};
use crate::visitor::Visitor;

const JSON: &str = "application/json";
const TEXT: &str = "text/plain";

/// One resource, or those that a template of an address stands for.
struct Entry {
    /// Up to the name that it ends with, where there is one.
    address: &'static str,
    /// What it ends with; `None` for one resource.
    key: Option<&'static str>,
    name: &'static str,
    description: &'static str,
    mime_type: &'static str,
    snippet: &'static str,
}

const SCENE: &str = include_str!("resources/scene.py");
const TEXTS: &str = include_str!("resources/texts.py");
const LOG: &str = include_str!("resources/log.py");

const ENTRIES: [Entry; 6] = [
    Entry {
        address: "blender://scene",
        key: None,
        name: "scene",
        description: "The current scene: file, frames, units, render settings, camera, world",
        mime_type: JSON,
        snippet: SCENE,
    },
    Entry {
        address: "blender://objects",
        key: None,
        name: "objects",
        description: "The tree of collections with the objects in them",
        mime_type: JSON,
        snippet: tools::OBJECTS,
    },
    Entry {
        address: "blender://object/",
        key: Some("name"),
        name: "object",
        description: "One object in detail",
        mime_type: JSON,
        snippet: tools::OBJECT,
    },
    Entry {
        address: "blender://texts",
        key: None,
        name: "texts",
        description: "Text blocks of the file, with their sizes",
        mime_type: JSON,
        snippet: TEXTS,
    },
    Entry {
        address: "blender://text/",
        key: Some("name"),
        name: "text",
        description: "One text block",
        mime_type: TEXT,
        snippet: TEXTS,
    },
    Entry {
        address: "blender://log",
        key: None,
        name: "log",
        description: "The last messages of Blendwire inside Blender",
        mime_type: TEXT,
        snippet: LOG,
    },
];

/// Those without a name in their address.
pub(crate) fn list() -> Vec<Resource> {
    let describe = |entry: &Entry| {
        Resource::new(entry.address, entry.name).with_description(entry.description).with_mime_type(entry.mime_type)
    };
    ENTRIES.iter().filter(|entry| entry.key.is_none()).map(describe).collect()
}

/// The others.
pub(crate) fn templates() -> Vec<ResourceTemplate> {
    let describe = |entry: &Entry| {
        let address = format!("{}{{{}}}", entry.address, entry.key?);
        let template = ResourceTemplate::new(address, entry.name);
        Some(template.with_description(entry.description).with_mime_type(entry.mime_type))
    };
    ENTRIES.iter().filter_map(describe).collect()
}

/// What a snippet answers for a resource that is text.
#[derive(Deserialize)]
struct Text {
    text: Option<String>,
}

/// The resource at `uri`.
pub(crate) async fn read(
    blender: &Arc<dyn Blender>,
    large: &LargeResults,
    uri: &str,
    visitor: Visitor,
) -> Result<ReadResourceResult, ErrorData> {
    let contents = |text: String, mime_type| {
        let contents = ResourceContents::text(text, uri).with_mime_type(mime_type);
        ReadResourceResult::new(vec![contents])
    };
    if let Some(page) = large.read(uri) {
        return page.map(|page| contents(page, PAGE)).map_err(not_found);
    }
    let matches = |entry: &&Entry| match entry.key {
        None => uri == entry.address,
        Some(_) => uri.strip_prefix(entry.address).is_some_and(|name| !name.is_empty()),
    };
    let Some(entry) = ENTRIES.iter().find(matches) else {
        return Err(not_found(format!(
            "there is no resource {uri:?}; resources/list and its templates say which there are"
        )));
    };
    let mut parameters = json!({});
    if let Some(key) = entry.key {
        let name = percent_decode_str(&uri[entry.address.len()..]).decode_utf8();
        let name = name.map_err(|_| not_found("the name in the address is no text in UTF-8".to_owned()))?;
        parameters[key] = Value::from(name);
    }
    let (caller, _heard) = Caller::new(blender.clone(), Arc::default(), visitor);
    let result =
        tools::run(&caller, entry.name, entry.snippet, &parameters).await.map_err(|failure| unread(&failure))?;
    let text = if entry.mime_type == TEXT { text(&result) } else { None };
    let text = text.unwrap_or_else(|| result.get().to_owned());
    Ok(match large.fit_resource(text) {
        Ok(text) => contents(text, entry.mime_type),
        Err(told) => contents(told.to_string(), JSON),
    })
}

fn text(result: &RawValue) -> Option<String> {
    serde_json::from_str::<Text>(result.get()).ok()?.text
}

fn not_found(why: String) -> ErrorData {
    ErrorData::resource_not_found(why, None)
}

fn unread(failure: &Failure) -> ErrorData {
    ErrorData::internal_error(failure.words().to_owned(), None)
}
