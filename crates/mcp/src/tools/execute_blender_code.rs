// SPDX-License-Identifier: GPL-3.0-or-later
//! `execute_blender_code`: runs the model's own Python.

use blendwire_client::Outcome;
use rmcp::model::{CallToolResult, JsonObject, Tool, ToolAnnotations};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::{Failure, ToolEntry, output_schema, parameters, tool};
use crate::Blender;

pub(super) const TOOL: ToolEntry =
    ToolEntry { name: NAME, definition, call: |blender, arguments| Box::pin(call(blender, arguments)) };

const NAME: &str = "execute_blender_code";

const DESCRIPTION: &str = "Run Python in Blender and wait for its end. `bpy` is imported; other modules you import. \
    Assign what you want back to `result`: any JSON value; what JSON cannot hold comes as its repr(). Prints come back \
    as `stdout`. Variables do not live on between calls; the scene does. On an exception the traceback comes back and \
    what ran before it stays done.";

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Parameters {
    /// Python source, for example: result = [o.name for o in bpy.data.objects]
    code: String,
}

fn definition() -> Tool {
    tool::<Parameters>(NAME, "Run Python in Blender", DESCRIPTION)
        .with_annotations(ToolAnnotations::new().read_only(false).destructive(true).idempotent(false).open_world(true))
        .with_raw_output_schema(output_schema(json!({
            "type": "object",
            "properties": {
                "status": {"const": "ok"},
                "result": {"description": "What the script assigned to `result`"},
                "stdout": {"type": "string"},
            },
            "required": ["status", "result", "stdout"],
        })))
}

async fn call(blender: &dyn Blender, arguments: JsonObject) -> Result<CallToolResult, Failure> {
    let Parameters { code } = parameters(arguments)?;
    match blender.execute(&code).await? {
        Outcome::Finished { result, stdout } => {
            Ok(CallToolResult::structured(json!({"status": "ok", "result": value(&result), "stdout": stdout})))
        }
        Outcome::Failed { message, stdout } => Err(Failure::of_script(message, stdout)),
    }
}

/// The result as a value. Python's integers have no limit, ours do: one that does not fit comes as its digits.
fn value(result: &RawValue) -> Value {
    serde_json::from_str(result.get()).unwrap_or_else(|_| Value::String(result.get().to_owned()))
}
