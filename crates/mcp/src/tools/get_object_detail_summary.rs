// SPDX-License-Identifier: GPL-3.0-or-later
//! `get_object_detail_summary`: everything worth knowing of one object.

use rmcp::model::{CallToolResult, JsonObject, Tool};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Answer, Failure, ToolEntry, Work, any_object, looks, parameters, run, structured, tool};
use crate::caller::Caller;

pub(super) const TOOL: ToolEntry = ToolEntry {
    name: NAME,
    definition,
    work: Work::Call(|caller, arguments| Box::pin(call(caller, arguments))),
    answer: Answer::object::<Detail>(),
};

const NAME: &str = "get_object_detail_summary";

pub(crate) const SNIPPET: &str = concat!(
    include_str!("finite.py"),
    "\n\n",
    include_str!("similar.py"),
    "\n\n",
    include_str!("get_object_detail_summary.py")
);

const DESCRIPTION: &str = "One object in detail: type, transform, dimensions, parent, children, modifiers, \
    constraints, materials, visibility, data-block, collections. An unknown name is answered with similar ones.";

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Parameters {
    /// The object's name, exactly as in `get_objects_summary`
    name: String,
}

/// An object.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Detail {
    status: String,
    name: String,
    /// `MESH`, `LIGHT`, …
    #[serde(rename = "type")]
    kind: String,
    /// In the scene's units, relative to the parent; here and below null in place of a number that is NaN or infinite
    location: [Option<f64>; 3],
    /// Euler angles in radians, whichever way the object keeps it
    rotation: [Option<f64>; 3],
    rotation_mode: String,
    scale: [Option<f64>; 3],
    /// Of the box around it, in the scene's units
    dimensions: [Option<f64>; 3],
    parent: Option<String>,
    children: Vec<String>,
    /// In the order in which they apply
    modifiers: Vec<Modifier>,
    constraints: Vec<Constraint>,
    /// By slot; null for an empty one
    materials: Vec<Option<String>>,
    visibility: Visibility,
    /// Its mesh, light, …
    data_name: Option<String>,
    collections: Vec<String>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Modifier {
    name: String,
    /// `BEVEL`, `SUBSURF`, …
    #[serde(rename = "type")]
    kind: String,
    show_viewport: bool,
    show_render: bool,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Constraint {
    name: String,
    /// `TRACK_TO`, `CHILD_OF`, …
    #[serde(rename = "type")]
    kind: String,
    enabled: bool,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Visibility {
    hide_viewport: bool,
    hide_render: bool,
    /// Hidden by the eye, in the current view layer
    hide_get: bool,
}

fn definition() -> Tool {
    tool::<Parameters>(NAME, DESCRIPTION, looks()).with_raw_output_schema(any_object())
}

async fn call(caller: &Caller, arguments: JsonObject) -> Result<CallToolResult, Failure> {
    let parameters: Parameters = parameters(arguments)?;
    structured::<Detail>(run(caller, NAME, SNIPPET, &parameters).await?.as_ref())
}
