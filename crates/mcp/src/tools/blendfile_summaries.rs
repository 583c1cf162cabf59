// SPDX-License-Identifier: GPL-3.0-or-later
//! `get_blendfile_summary_…`: what is in a .blend file, where it lies and what it needs, of the open one or of another.

use std::collections::BTreeMap;

use rmcp::model::{CallToolResult, JsonObject};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{
    Answer, Failure, NoParameters, ToolEntry, Work, any_object, blend_file, looks, parameters, structured, tool,
};
use crate::caller::Caller;

/// The entry of one, with its snippet from the file of the same name.
macro_rules! summary {
    ($constant:ident, $answer:ty, $name:literal, $description:literal) => {
        pub(super) const $constant: ToolEntry = ToolEntry {
            name: $name,
            definition: || tool::<Parameters>($name, $description, looks()).with_raw_output_schema(any_object()),
            work: Work::Call(|caller, arguments| {
                Box::pin(call::<$answer>(caller, arguments, $name, include_str!(concat!($name, ".py"))))
            }),
            answer: Answer::object::<$answer>(),
        };
    };
}

summary!(DATABLOCKS, DataBlocks, "get_blendfile_summary_datablocks", "Data-blocks by kind, render engine, workspaces.");
summary!(
    MISSING_FILES,
    ExternalFiles,
    "get_blendfile_summary_missing_files",
    "External files that are not there: images, libraries, …"
);
summary!(
    LINKED_LIBRARIES,
    LinkedLibraries,
    "get_blendfile_summary_of_linked_libraries",
    "Libraries that the file links from."
);
summary!(
    PATH_INFO,
    PathInfo,
    "get_blendfile_summary_path_info",
    "The file's path, unsaved changes, age, size, backups."
);
summary!(
    USAGE_GUESS,
    UsageGuess,
    "get_blendfile_summary_usage_guess",
    "What the file may be for: uses with score and certainty."
);

/// How many data-blocks there are.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct DataBlocks {
    status: String,
    /// By collection of `bpy.data`, those that are not empty
    datablock_counts: BTreeMap<String, u64>,
    render_engine: String,
    scene_name: String,
    workspaces: Vec<String>,
    /// null in a Blender without a window
    active_workspace: Option<String>,
}

/// External files.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ExternalFiles {
    status: String,
    missing_files: Vec<MissingFile>,
    /// How many files are referred to, those that are there included
    total_checked: u64,
    /// What was not looked at, before Blender 5.0
    #[serde(default, skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct MissingFile {
    /// Class of the data-block that refers to it: `Image`, `Library`, …
    id_type: String,
    id_name: String,
    /// Absolute
    path: String,
}

/// Libraries.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct LinkedLibraries {
    status: String,
    /// Those that the file itself links from
    direct_libraries: Vec<Source>,
    /// Those that its libraries link from
    indirect_libraries: Vec<Source>,
    total_library_count: u64,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Source {
    name: String,
    /// As the file has it: `//` is the folder of the file
    filepath: String,
    linked_datablocks_count: u64,
    /// Of an indirect one
    #[serde(default, skip_serializing_if = "Option::is_none")]
    parent_library: Option<String>,
}

/// The file itself.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct PathInfo {
    status: String,
    /// Empty for a file that was never saved
    filepath: String,
    is_saved: bool,
    /// Whether there are changes since it was saved
    is_dirty: bool,
    /// Since it was written, in seconds; null where it is not there
    age_seconds: Option<f64>,
    file_size_bytes: Option<u64>,
    /// Earlier versions that Blender keeps, newest first; null where the file is not there
    backups: Option<Vec<Backup>>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Backup {
    path: String,
    age_seconds: f64,
    size_bytes: u64,
}

/// Guesses.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct UsageGuess {
    status: String,
    /// By use: `Animation`, `Rendering`, `Modeling`, …
    usage_guesses: BTreeMap<String, Guess>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Guess {
    /// How much speaks for it, 0 to 100
    score: u8,
    /// How sure that is, 0 to 100
    certainty: u8,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Parameters {
    /// Another .blend, as saved
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    blend_file: Option<String>,
}

async fn call<A: DeserializeOwned + Serialize>(
    caller: &Caller,
    arguments: JsonObject,
    name: &'static str,
    snippet: &'static str,
) -> Result<CallToolResult, Failure> {
    let Parameters { blend_file } = parameters(arguments)?;
    structured::<A>(blend_file::run(caller, name, snippet, &NoParameters {}, blend_file.as_deref()).await?.as_ref())
}
