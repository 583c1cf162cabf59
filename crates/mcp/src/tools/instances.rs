// SPDX-License-Identifier: GPL-3.0-or-later
//! `list_blender_instances` and `select_blender_instance`: which Blenders run, and which of them is driven.

use blendwire_protocol::Instance;
use rmcp::model::{CallToolResult, JsonObject, Tool};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Answer, Failure, NoParameters, ToolEntry, Work, any_object, looks, parameters, told, tool};
use crate::Running;
use crate::caller::Caller;

pub(super) const LIST: ToolEntry = ToolEntry {
    name: LIST_NAME,
    definition: list_definition,
    work: Work::Call(|caller, arguments| Box::pin(async move { list(caller, arguments) })),
    answer: Answer::object::<Listed>(),
};

pub(super) const SELECT: ToolEntry = ToolEntry {
    name: SELECT_NAME,
    definition: select_definition,
    work: Work::Call(|caller, arguments| Box::pin(async move { select(caller, arguments) })),
    answer: Answer::object::<Shown>(),
};

const LIST_NAME: &str = "list_blender_instances";

const SELECT_NAME: &str = "select_blender_instance";

const LIST_DESCRIPTION: &str = "List the Blenders that run on this machine, newest first, and which of them the tools \
    drive now (`current`).";

const SELECT_DESCRIPTION: &str = "Choose which of several running Blenders all further calls go to, until another is \
    chosen.";

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Parameters {
    /// As listed, or its beginning; also a process id or a port
    id: String,
}

fn list_definition() -> Tool {
    tool::<NoParameters>(LIST_NAME, LIST_DESCRIPTION, looks()).with_raw_output_schema(any_object())
}

fn select_definition() -> Tool {
    tool::<Parameters>(SELECT_NAME, SELECT_DESCRIPTION, looks()).with_raw_output_schema(any_object())
}

fn list(caller: &Caller, arguments: JsonObject) -> Result<CallToolResult, Failure> {
    let NoParameters {} = parameters(arguments)?;
    let Running { instances, current } = caller.instances()?;
    let instances: Vec<_> = instances.iter().map(shown).collect();
    told(&Listed { instances, current })
}

fn select(caller: &Caller, arguments: JsonObject) -> Result<CallToolResult, Failure> {
    let Parameters { id } = parameters(arguments)?;
    told(&shown(&caller.select(&id)?))
}

/// The Blenders that run.
#[derive(Serialize, JsonSchema)]
struct Listed {
    /// Newest first
    instances: Vec<Shown>,
    /// `id` of the one that the tools drive now; null where it has no descriptor
    current: Option<String>,
}

/// What tells one from another.
#[derive(Serialize, JsonSchema)]
struct Shown {
    id: String,
    /// Version of Blender
    blender: String,
    /// Whether it has no window
    background: bool,
    /// Process
    pid: u32,
    /// Addresses with port
    endpoints: Vec<String>,
    /// When its server started, in seconds since 1970
    started: i64,
}

fn shown(instance: &Instance) -> Shown {
    let Instance { instance: id, pid, endpoints, background, versions, started, .. } = instance;
    Shown {
        id: id.clone(),
        blender: versions.blender.clone(),
        background: *background,
        pid: *pid,
        endpoints: endpoints.clone(),
        started: *started,
    }
}
