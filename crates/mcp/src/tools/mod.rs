// SPDX-License-Identifier: GPL-3.0-or-later
//! The tools, one file each, and what they share: reading arguments, running a snippet, telling a failure.
//!
//! Names and parameters are those of Blender's official connector where the function is the same, so that prompts and
//! skills written for it keep working.

mod api_docs;
mod blend_file;
mod blendfile_summaries;
mod execute_blender_code;
mod get_blender_status;
mod get_object_detail_summary;
mod get_objects_summary;
mod get_python_api_docs;
mod get_viewport_image;
mod instances;
mod jobs;
mod jumps;
mod launch_blender;
mod render_image;
mod renders;
mod screenshots;
mod search_api_docs;
mod undo;

use std::pin::Pin;
use std::sync::Arc;

use blendwire_client::{Effects, Options, Outcome};
use rmcp::handler::server::tool::schema_for_input;
use rmcp::model::{CallToolResult, ContentBlock, JsonObject, Tool, ToolAnnotations};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::caller::Caller;
use crate::jobs::Call;
use crate::{NoReply, snippet};

pub(crate) use self::get_object_detail_summary::SNIPPET as OBJECT;
pub(crate) use self::get_objects_summary::SNIPPET as OBJECTS;
pub use self::get_viewport_image::{glance, glanced};
pub(crate) use self::jobs::{Cancelled, Progressed, Unfinished, Wish};

pub(crate) type Calling<'a> = Pin<Box<dyn Future<Output = Result<CallToolResult, Failure>> + Send + 'a>>;

/// One tool.
pub(crate) struct ToolEntry {
    /// Its name.
    pub(crate) name: &'static str,
    /// Name, description, schemas and annotations as clients see them.
    pub(crate) definition: fn() -> Tool,
    /// What it does.
    pub(crate) work: Work,
    /// What it answers with.
    pub(crate) answer: Answer,
}

/// What a tool answers with when it is done. `tools/list` has no room for it; docs/mcp-tools.md is made of it.
#[derive(Clone, Copy, Debug)]
pub enum Answer {
    /// `structuredContent` of this form.
    Object(fn() -> Schema),
    /// What the wire answers to `status`, which is described there.
    Status,
    /// A picture, with a caption in words.
    Picture,
}

impl Answer {
    const fn object<T: JsonSchema>() -> Self {
        Self::Object(|| SchemaGenerator::default().into_root_schema_for::<T>())
    }
}

/// What a tool does.
#[derive(Clone, Copy)]
pub(crate) enum Work {
    /// A job of its own.
    Call(Call),
    /// Something with the jobs that there are.
    Jobs(fn(JsonObject) -> Result<Wish, Failure>),
}

/// All tools in the order of the list.
pub(crate) const TOOLS: &[ToolEntry] = &[
    execute_blender_code::TOOL,
    get_blender_status::TOOL,
    instances::LIST,
    instances::SELECT,
    get_objects_summary::TOOL,
    get_object_detail_summary::TOOL,
    blendfile_summaries::DATABLOCKS,
    blendfile_summaries::MISSING_FILES,
    blendfile_summaries::LINKED_LIBRARIES,
    blendfile_summaries::PATH_INFO,
    blendfile_summaries::USAGE_GUESS,
    get_viewport_image::TOOL,
    screenshots::WINDOW,
    screenshots::AREA,
    screenshots::LAYOUT,
    jumps::TAB_BY_NAME,
    jumps::TAB_BY_SPACE_TYPE,
    jumps::OBJECT,
    jumps::OBJECT_DATA,
    render_image::TOOL,
    renders::VIEWPORT,
    renders::THUMBNAIL,
    search_api_docs::TOOL,
    get_python_api_docs::TOOL,
    undo::UNDO,
    undo::REDO,
    jobs::GET,
    jobs::CANCEL,
    launch_blender::TOOL,
];

/// What each tool answers with, by its name.
pub fn answers() -> impl Iterator<Item = (&'static str, Answer)> {
    TOOLS.iter().map(|entry| (entry.name, entry.answer))
}

/// Why a tool could not do its work, in words for the model: what happened and what to do.
#[derive(Debug)]
pub(crate) struct Failure(String);

impl Failure {
    pub(crate) fn new(words: impl Into<String>) -> Self {
        Self(words.into())
    }

    /// What happened and what to do.
    pub(crate) fn words(&self) -> &str {
        &self.0
    }

    /// The failure as the tool's result.
    pub(crate) fn into_result(self) -> CallToolResult {
        CallToolResult::error(vec![ContentBlock::text(self.0)])
    }

    /// For a call that the client has taken back.
    pub(crate) fn cancelled() -> Self {
        Self("cancelled; look at the file for what the script had done by then".to_owned())
    }

    /// The failure of a script: its traceback, and what it printed before.
    fn of_script(message: String, stdout: Option<String>) -> Self {
        match stdout {
            Some(printed) if !printed.is_empty() => Self(format!("{message}\n\nPrinted before the error:\n{printed}")),
            _ => Self(message),
        }
    }
}

impl Failure {
    /// The same with what became of what the script had done.
    fn with_effects(self, effects: &Effects) -> Self {
        let told = match (effects.rolled_back, &effects.not_rolled_back_because, &effects.changes) {
            (Some(true), ..) => "Everything that the script did to the file was taken back.".to_owned(),
            (_, Some(why), _) => {
                format!("What the script did before that stays done and could not be taken back: {why}")
            }
            (_, None, Some(changes)) if changes.get() != "{}" => {
                format!("What the script did before that stays done: {}", changes.get())
            }
            _ => return self,
        };
        Self(format!("{}\n\n{told}", self.0.trim_end()))
    }
}

impl From<NoReply> for Failure {
    fn from(error: NoReply) -> Self {
        Self(error.to_string())
    }
}

/// The parameters of tools that have none.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NoParameters {}

/// The definition of a tool with parameters `P`. Every session pays for the list of them, so that what a model knows without
/// being told is left out: a title, widths of numbers, that what may be left out is off then or may be null, that unknown
/// arguments are refused.
fn tool<P: JsonSchema + 'static>(name: &'static str, description: &'static str, annotations: ToolAnnotations) -> Tool {
    // Only a type that is no object fails here, and the snapshot test would show it.
    let mut schema = schema_for_input::<P>().map(Arc::unwrap_or_clone).unwrap_or_default();
    schema.retain(|key, _| key != "$schema" && key != "additionalProperties");
    // Some clients refuse an object without them.
    let properties = schema.entry("properties").or_insert_with(|| Value::Object(JsonObject::new()));
    for parameter in properties.as_object_mut().into_iter().flat_map(JsonObject::values_mut) {
        if let Value::Object(parameter) = parameter {
            parameter.retain(|key, value| {
                let says_nothing = key == "default" && (value.is_null() || *value == false);
                key != "format" && !says_nothing
            });
            if let Some(Value::Array(types)) = parameter.get("type")
                && let [Value::String(one), Value::String(null)] = &types[..]
                && null == "null"
            {
                parameter["type"] = Value::from(one.clone());
            }
        }
    }
    Tool::new(name, description, schema).with_annotations(annotations)
}

/// Annotations of a tool that only looks.
fn looks() -> ToolAnnotations {
    ToolAnnotations::new().read_only(true)
}

/// Annotations of a tool that changes what is shown or selected, or adds something, and takes nothing away.
fn adds() -> ToolAnnotations {
    ToolAnnotations::new().destructive(false)
}

/// Annotations of a tool that may change or take away what is there.
fn edits() -> ToolAnnotations {
    ToolAnnotations::new().destructive(true)
}

/// The output schema of a tool whose answer tells by its keys what it is; in full, all would be larger than the list may be. Any
/// of them may instead be a job that is not done, or the address of what is too large.
fn any_object() -> Arc<JsonObject> {
    output_schema(serde_json::json!({"type": "object"}))
}

/// An output schema written by hand: what the snippet returns is decided in Python.
fn output_schema(schema: Value) -> Arc<JsonObject> {
    Arc::new(if let Value::Object(object) = schema { object } else { JsonObject::new() })
}

fn parameters<P: DeserializeOwned>(arguments: JsonObject) -> Result<P, Failure> {
    serde_json::from_value(Value::Object(arguments)).map_err(|error| Failure(format!("wrong arguments: {error}")))
}

/// How every snippet's answer begins.
#[derive(Deserialize)]
struct Verdict {
    status: String,
    #[serde(default)]
    message: String,
}

/// Runs a snippet and gives what its `main` returned. `{"status": "error", "message": …}` becomes a failure.
/// `name` is the tool's, which people in front of Blender see.
pub(crate) async fn run(
    caller: &Caller,
    name: &'static str,
    source: &str,
    parameters: &impl Serialize,
) -> Result<Box<RawValue>, Failure> {
    // They only look: a picture makes data and takes it away again.
    run_with(caller, source, parameters, Options { title: Some(name), no_undo_step: true, ..Options::default() }).await
}

/// The same for a snippet that does more than look.
async fn run_with(
    caller: &Caller,
    source: &str,
    parameters: &impl Serialize,
    options: Options<'_>,
) -> Result<Box<RawValue>, Failure> {
    let script = snippet::call(source, parameters).map_err(|error| Failure(error.to_string()))?;
    match caller.run(&script, options).await? {
        Outcome::Finished { result, .. } => verdict(result),
        Outcome::Failed { message, stdout, .. } => Err(Failure::of_script(message, stdout)),
    }
}

/// What a snippet's `main` returned, unless that tells of an error.
fn verdict(result: Box<RawValue>) -> Result<Box<RawValue>, Failure> {
    match read::<Verdict>(&result)? {
        Verdict { status, message } if status != "ok" => Err(Failure(message)),
        _ => Ok(result),
    }
}

/// Reads what a snippet returned.
fn read<T: DeserializeOwned>(result: &RawValue) -> Result<T, Failure> {
    serde_json::from_str(result.get()).map_err(|error| {
        Failure(format!("Blender's answer has another form than this tool expects ({error}); is another add-on there?"))
    })
}

/// What a snippet returned as the tool's structured result, which is an `A`.
fn structured<A: DeserializeOwned + Serialize>(result: &RawValue) -> Result<CallToolResult, Failure> {
    told(&read::<A>(result)?)
}

/// A tool's structured result.
pub(crate) fn told(answer: &impl Serialize) -> Result<CallToolResult, Failure> {
    serde_json::to_value(answer).map(CallToolResult::structured).map_err(|error| Failure(error.to_string()))
}
