// SPDX-License-Identifier: GPL-3.0-or-later
//! `undo` and `redo`: Blender's own, one step for each call that changed the file.

use blendwire_client::Outcome;
use rmcp::model::{CallToolResult, JsonObject, Tool};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Answer, Failure, ToolEntry, Work, any_object, edits, parameters, structured, tool};
use crate::Travel;
use crate::caller::Caller;

pub(super) const UNDO: ToolEntry = ToolEntry {
    name: "undo",
    definition: || definition("undo", UNDO_DESCRIPTION),
    work: Work::Call(|caller, arguments| Box::pin(travel(caller, arguments, Travel::Undo))),
    answer: Answer::object::<Travelled>(),
};

pub(super) const REDO: ToolEntry = ToolEntry {
    name: "redo",
    definition: || definition("redo", "Redo what was undone last, as Ctrl+Shift+Z in Blender."),
    work: Work::Call(|caller, arguments| Box::pin(travel(caller, arguments, Travel::Redo))),
    answer: Answer::object::<Travelled>(),
};

const UNDO_DESCRIPTION: &str = "Undo the last steps, as Ctrl+Z in Blender: each call that changed the file is one, and so \
    is each edit of the user's own. Not in a Blender without a window.";

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Parameters {
    /// How many
    #[serde(default = "one")]
    steps: u32,
}

/// How far it went.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Travelled {
    /// How many steps there were, up to those that were asked for
    steps: u32,
}

fn one() -> u32 {
    1
}

fn definition(name: &'static str, description: &'static str) -> Tool {
    tool::<Parameters>(name, description, edits()).with_raw_output_schema(any_object())
}

async fn travel(caller: &Caller, arguments: JsonObject, way: Travel) -> Result<CallToolResult, Failure> {
    let Parameters { steps } = parameters(arguments)?;
    match caller.travel(way, steps).await? {
        Outcome::Finished { result, .. } => structured::<Travelled>(&result),
        Outcome::Failed { message, stdout, .. } => Err(Failure::of_script(message, stdout)),
    }
}
