// SPDX-License-Identifier: GPL-3.0-or-later
//! `get_blender_status`: whether Blender is there and what it is doing, answered also while a script runs.

use rmcp::model::{CallToolResult, JsonObject, Tool};

use super::{Answer, Failure, NoParameters, ToolEntry, Work, any_object, looks, parameters, told, tool};
use crate::caller::Caller;

pub(super) const TOOL: ToolEntry = ToolEntry {
    name: NAME,
    definition,
    work: Work::Call(|caller, arguments| Box::pin(call(caller, arguments))),
    answer: Answer::Status,
};

const NAME: &str = "get_blender_status";

const DESCRIPTION: &str = "Whether Blender is reachable and what it is doing now: state (idle, busy, blocked, …), what \
    script runs and since when, the queue, the open file, versions of Blender and Python. Answers at once, also while a \
    script or a render runs.";

fn definition() -> Tool {
    tool::<NoParameters>(NAME, DESCRIPTION, looks()).with_raw_output_schema(any_object())
}

async fn call(caller: &Caller, arguments: JsonObject) -> Result<CallToolResult, Failure> {
    let NoParameters {} = parameters(arguments)?;
    let status = caller.status().await?;
    told(&status)
}
