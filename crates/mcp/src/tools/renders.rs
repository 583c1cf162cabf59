// SPDX-License-Identifier: GPL-3.0-or-later
//! `render_viewport_to_path` and `render_thumbnail_to_path`: the scene's current frame, rendered into a file.

use rmcp::model::{CallToolResult, JsonObject, Tool};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Answer, Failure, ToolEntry, Work, adds, any_object, parameters, run, structured, tool};
use crate::caller::Caller;

pub(super) const VIEWPORT: ToolEntry = ToolEntry {
    name: VIEWPORT_NAME,
    definition: || definition(VIEWPORT_NAME, "Render the scene to a new file, with its own settings and camera."),
    work: Work::Call(|caller, arguments| Box::pin(call(caller, arguments, VIEWPORT_NAME, false))),
    answer: Answer::object::<Rendered>(),
};

pub(super) const THUMBNAIL: ToolEntry = ToolEntry {
    name: THUMBNAIL_NAME,
    definition: || definition(THUMBNAIL_NAME, "Render a small, quick preview of the scene to a new file."),
    work: Work::Call(|caller, arguments| Box::pin(call(caller, arguments, THUMBNAIL_NAME, true))),
    answer: Answer::object::<Rendered>(),
};

const VIEWPORT_NAME: &str = "render_viewport_to_path";

const THUMBNAIL_NAME: &str = "render_thumbnail_to_path";

const SNIPPET: &str = concat!(
    include_str!("../../../../addon/blendwire/graphics.py"),
    "\n\n",
    include_str!("rendering.py"),
    "\n\n",
    include_str!("render_to_path.py")
);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Parameters {
    /// /…/new.png; a mere name lands in Blender's temporary folder
    output_path: String,
}

/// The file that was written.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Rendered {
    status: String,
    filepath: String,
    /// Pixels
    width: u32,
    /// Pixels
    height: u32,
}

/// A picture as the snippet is told of it.
#[derive(Serialize)]
struct Wanted {
    output_path: String,
    is_thumbnail: bool,
}

fn definition(name: &'static str, description: &'static str) -> Tool {
    tool::<Parameters>(name, description, adds()).with_raw_output_schema(any_object())
}

async fn call(
    caller: &Caller,
    arguments: JsonObject,
    name: &'static str,
    is_thumbnail: bool,
) -> Result<CallToolResult, Failure> {
    let Parameters { output_path } = parameters(arguments)?;
    structured::<Rendered>(run(caller, name, SNIPPET, &Wanted { output_path, is_thumbnail }).await?.as_ref())
}
