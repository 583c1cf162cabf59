// SPDX-License-Identifier: GPL-3.0-or-later
//! `get_object_detail_summary`: everything worth knowing of one object.

use rmcp::model::{CallToolResult, JsonObject, Tool};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Failure, ToolEntry, output_schema, parameters, read_only, run, structured, tool};
use crate::caller::Caller;

pub(super) const TOOL: ToolEntry =
    ToolEntry { name: NAME, definition, call: |caller, arguments| Box::pin(call(caller, arguments)) };

const NAME: &str = "get_object_detail_summary";

const SNIPPET: &str = include_str!("get_object_detail_summary.py");

const DESCRIPTION: &str = "One object in detail: type, transform, dimensions, parent, children, modifiers, \
    constraints, materials, visibility, data-block, collections. An unknown name is answered with similar ones.";

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Parameters {
    /// The object's name, exactly as in `get_objects_summary`
    name: String,
}

fn definition() -> Tool {
    let vector = json!({"type": "array", "items": {"type": "number"}});
    let names = json!({"type": "array", "items": {"type": ["string", "null"]}});
    let described = json!({"type": "array", "items": {"type": "object"}});
    tool::<Parameters>(NAME, "One object in detail", DESCRIPTION).with_annotations(read_only()).with_raw_output_schema(
        output_schema(json!({
            "type": "object",
            "properties": {
                "status": {"const": "ok"},
                "name": {"type": "string"},
                "type": {"type": "string"},
                "location": vector,
                "rotation": {"type": "array", "items": {"type": "number"}, "description": "Euler angles in radians"},
                "rotation_mode": {"type": "string"},
                "scale": vector,
                "dimensions": vector,
                "parent": {"type": ["string", "null"]},
                "children": names,
                "modifiers": described,
                "constraints": described,
                "materials": names,
                "visibility": {"type": "object"},
                "data_name": {"type": ["string", "null"]},
                "collections": names,
            },
            "required": ["status", "name", "type"],
        })),
    )
}

async fn call(caller: &Caller<'_>, arguments: JsonObject) -> Result<CallToolResult, Failure> {
    let parameters: Parameters = parameters(arguments)?;
    structured(run(caller, NAME, SNIPPET, &parameters).await?.as_ref())
}
