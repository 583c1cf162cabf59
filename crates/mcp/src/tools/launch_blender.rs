// SPDX-License-Identifier: GPL-3.0-or-later
//! `launch_blender`: starts a Blender where none runs.

use std::path::PathBuf;

use rmcp::model::{CallToolResult, JsonObject, Tool};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Answer, Failure, ToolEntry, Work, adds, any_object, parameters, told, tool};
use crate::Launch;
use crate::caller::Caller;

pub(super) const TOOL: ToolEntry = ToolEntry {
    name: NAME,
    definition,
    work: Work::Call(|caller, arguments| Box::pin(call(caller, arguments))),
    answer: Answer::Status,
};

const NAME: &str = "launch_blender";

const DESCRIPTION: &str = "Start a Blender on this machine and drive it from now on. Ask the user first.";

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Parameters {
    /// .blend file to open
    file: Option<PathBuf>,
    /// Without a window
    #[serde(default)]
    background: bool,
}

fn definition() -> Tool {
    tool::<Parameters>(NAME, DESCRIPTION, adds()).with_raw_output_schema(any_object())
}

async fn call(caller: &Caller, arguments: JsonObject) -> Result<CallToolResult, Failure> {
    let Parameters { file, background } = parameters(arguments)?;
    let status = caller.launch(Launch { file, background }).await?;
    told(&status)
}
