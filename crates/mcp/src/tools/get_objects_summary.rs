// SPDX-License-Identifier: GPL-3.0-or-later
//! `get_objects_summary`: the tree of collections with the objects in them.

use rmcp::model::{CallToolResult, JsonObject, Tool};

use super::{Failure, NoParameters, ToolEntry, Work, any_object, looks, parameters, run, structured, tool};
use crate::caller::Caller;

pub(super) const TOOL: ToolEntry =
    ToolEntry { name: NAME, definition, work: Work::Call(|caller, arguments| Box::pin(call(caller, arguments))) };

const NAME: &str = "get_objects_summary";

pub(crate) const SNIPPET: &str = include_str!("get_objects_summary.py");

const DESCRIPTION: &str = "List what is in the current scene: the tree of collections, and in each its objects with \
    type, parent, data-block, selection and visibility; also the active object, the mode and the scene's camera.";

fn definition() -> Tool {
    tool::<NoParameters>(NAME, DESCRIPTION, looks()).with_raw_output_schema(any_object())
}

async fn call(caller: &Caller, arguments: JsonObject) -> Result<CallToolResult, Failure> {
    let none: NoParameters = parameters(arguments)?;
    structured(run(caller, NAME, SNIPPET, &none).await?.as_ref())
}
