// SPDX-License-Identifier: GPL-3.0-or-later
//! `get_objects_summary`: the tree of collections with the objects in them.

use rmcp::model::{CallToolResult, JsonObject, Tool};
use serde_json::json;

use super::{Failure, NoParameters, ToolEntry, output_schema, parameters, read_only, run, structured, tool};
use crate::caller::Caller;

pub(super) const TOOL: ToolEntry =
    ToolEntry { name: NAME, definition, call: |caller, arguments| Box::pin(call(caller, arguments)) };

const NAME: &str = "get_objects_summary";

const SNIPPET: &str = include_str!("get_objects_summary.py");

const DESCRIPTION: &str = "List what is in the current scene: the tree of collections, and in each its objects with \
    type, parent, data-block, selection and visibility; also the active object, the mode and the scene's camera.";

fn definition() -> Tool {
    tool::<NoParameters>(NAME, "Objects of the scene", DESCRIPTION)
        .with_annotations(read_only())
        .with_raw_output_schema(output_schema(json!({
            "type": "object",
            "properties": {
                "status": {"const": "ok"},
                "scene_name": {"type": "string"},
                "active_workspace": {"type": ["string", "null"]},
                "active_object": {"type": ["string", "null"]},
                "object_mode": {"type": ["string", "null"]},
                "camera_object": {"type": ["string", "null"]},
                "collections": {
                    "type": "array",
                    "description": "The scene's root collection; `children` nests the others",
                    "items": {
                        "type": "object",
                        "properties": {
                            "name": {"type": "string"},
                            "exclude": {"type": "boolean"},
                            "hide_viewport": {"type": "boolean"},
                            "objects": {"type": "array", "items": {"type": "object"}},
                            "children": {"type": "array", "items": {"type": "object"}},
                        },
                    },
                },
            },
            "required": ["status", "scene_name", "collections"],
        })))
}

async fn call(caller: &Caller<'_>, arguments: JsonObject) -> Result<CallToolResult, Failure> {
    let none: NoParameters = parameters(arguments)?;
    structured(run(caller, NAME, SNIPPET, &none).await?.as_ref())
}
