// SPDX-License-Identifier: GPL-3.0-or-later
//! `get_object_detail_summary`: everything worth knowing of one object.

use rmcp::model::{CallToolResult, JsonObject, Tool};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Failure, ToolEntry, Work, any_object, looks, parameters, run, structured, tool};
use crate::caller::Caller;

pub(super) const TOOL: ToolEntry =
    ToolEntry { name: NAME, definition, work: Work::Call(|caller, arguments| Box::pin(call(caller, arguments))) };

const NAME: &str = "get_object_detail_summary";

pub(crate) const SNIPPET: &str =
    concat!(include_str!("similar.py"), "\n\n", include_str!("get_object_detail_summary.py"));

const DESCRIPTION: &str = "One object in detail: type, transform, dimensions, parent, children, modifiers, \
    constraints, materials, visibility, data-block, collections. An unknown name is answered with similar ones.";

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Parameters {
    /// The object's name, exactly as in `get_objects_summary`
    name: String,
}

fn definition() -> Tool {
    tool::<Parameters>(NAME, DESCRIPTION, looks()).with_raw_output_schema(any_object())
}

async fn call(caller: &Caller, arguments: JsonObject) -> Result<CallToolResult, Failure> {
    let parameters: Parameters = parameters(arguments)?;
    structured(run(caller, NAME, SNIPPET, &parameters).await?.as_ref())
}
