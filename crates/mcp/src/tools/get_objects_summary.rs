// SPDX-License-Identifier: GPL-3.0-or-later
//! `get_objects_summary`: the tree of collections with the objects in them.

use rmcp::model::{CallToolResult, JsonObject, Tool};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Answer, Failure, NoParameters, ToolEntry, Work, any_object, looks, parameters, run, structured, tool};
use crate::caller::Caller;

pub(super) const TOOL: ToolEntry = ToolEntry {
    name: NAME,
    definition,
    work: Work::Call(|caller, arguments| Box::pin(call(caller, arguments))),
    answer: Answer::object::<Summary>(),
};

const NAME: &str = "get_objects_summary";

pub(crate) const SNIPPET: &str = include_str!("get_objects_summary.py");

const DESCRIPTION: &str = "List what is in the current scene: the tree of collections, and in each its objects with \
    type, parent, data-block, selection and visibility; also the active object, the mode and the scene's camera.";

/// The current scene.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Summary {
    status: String,
    scene_name: String,
    /// null in a Blender without a window
    active_workspace: Option<String>,
    active_object: Option<String>,
    /// `OBJECT`, `EDIT_MESH`, … of the active object
    object_mode: Option<String>,
    /// The scene's camera
    camera_object: Option<String>,
    /// The scene's own collection, with those in it
    collections: Vec<Collection>,
}

/// A collection as the current view layer has it.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Collection {
    name: String,
    /// Whether the view layer leaves it out
    exclude: bool,
    hide_viewport: bool,
    /// By name
    objects: Vec<Object>,
    /// By name
    children: Vec<Collection>,
}

/// An object as the current view layer has it.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Object {
    name: String,
    /// `MESH`, `LIGHT`, …
    #[serde(rename = "type")]
    kind: String,
    parent: Option<String>,
    /// Its mesh, light, …
    data_name: Option<String>,
    selected: bool,
    visible: bool,
    /// Hidden in the viewport, by the eye
    hide_viewport: bool,
    /// The collection that it shows, where it is an instance of one
    #[serde(default, skip_serializing_if = "Option::is_none")]
    instance_collection: Option<String>,
}

fn definition() -> Tool {
    tool::<NoParameters>(NAME, DESCRIPTION, looks()).with_raw_output_schema(any_object())
}

async fn call(caller: &Caller, arguments: JsonObject) -> Result<CallToolResult, Failure> {
    let none: NoParameters = parameters(arguments)?;
    structured::<Summary>(run(caller, NAME, SNIPPET, &none).await?.as_ref())
}
