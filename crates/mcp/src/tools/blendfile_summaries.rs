// SPDX-License-Identifier: GPL-3.0-or-later
//! `get_blendfile_summary_…`: what is in a .blend file, where it lies and what it needs, of the open one or of another.

use rmcp::model::{CallToolResult, JsonObject};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Failure, NoParameters, ToolEntry, Work, any_object, blend_file, looks, parameters, structured, tool};
use crate::caller::Caller;

/// The entry of one, with its snippet from the file of the same name.
macro_rules! summary {
    ($constant:ident, $name:literal, $description:literal) => {
        pub(super) const $constant: ToolEntry = ToolEntry {
            name: $name,
            definition: || tool::<Parameters>($name, $description, looks()).with_raw_output_schema(any_object()),
            work: Work::Call(|caller, arguments| {
                Box::pin(call(caller, arguments, $name, include_str!(concat!($name, ".py"))))
            }),
        };
    };
}

summary!(DATABLOCKS, "get_blendfile_summary_datablocks", "Data-blocks by kind, render engine, workspaces.");
summary!(
    MISSING_FILES,
    "get_blendfile_summary_missing_files",
    "External files that are not there: images, libraries, …"
);
summary!(LINKED_LIBRARIES, "get_blendfile_summary_of_linked_libraries", "Libraries that the file links from.");
summary!(PATH_INFO, "get_blendfile_summary_path_info", "The file's path, unsaved changes, age, size, backups.");
summary!(USAGE_GUESS, "get_blendfile_summary_usage_guess", "What the file may be for: uses with score and certainty.");

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Parameters {
    /// Another .blend, as saved
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    blend_file: Option<String>,
}

async fn call(
    caller: &Caller,
    arguments: JsonObject,
    name: &'static str,
    snippet: &'static str,
) -> Result<CallToolResult, Failure> {
    let Parameters { blend_file } = parameters(arguments)?;
    structured(blend_file::run(caller, name, snippet, &NoParameters {}, blend_file.as_deref()).await?.as_ref())
}
