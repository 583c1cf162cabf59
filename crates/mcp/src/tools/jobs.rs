// SPDX-License-Identifier: GPL-3.0-or-later
//! `get_job` and `cancel_job`: calls that were not done within their `wait_secs`.

use rmcp::model::Tool;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{ToolEntry, Work, any_object, edits, looks, parameters, tool};

pub(super) const GET: ToolEntry = ToolEntry {
    name: "get_job",
    definition: get_definition,
    work: Work::Jobs(|arguments| {
        parameters::<GetParameters>(arguments).map(|GetParameters { job, .. }| match job {
            Some(id) => Wish::Wait(id),
            None => Wish::List,
        })
    }),
};

pub(super) const CANCEL: ToolEntry = ToolEntry {
    name: "cancel_job",
    definition: cancel_definition,
    work: Work::Jobs(|arguments| {
        parameters::<CancelParameters>(arguments).map(|CancelParameters { job }| Wish::Cancel(job))
    }),
};

/// What is to be done with the jobs.
pub(crate) enum Wish {
    /// Give the result of this one.
    Wait(String),
    /// Say which there are.
    List,
    /// End this one.
    Cancel(String),
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct GetParameters {
    /// Without it all jobs are listed
    job: Option<String>,
    /// Default 45
    #[serde(default, rename = "wait_secs")]
    _wait_secs: Option<f64>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CancelParameters {
    job: String,
}

fn get_definition() -> Tool {
    tool::<GetParameters>("get_job", "Wait for a call that answered with a job, and get its result.", looks())
        .with_raw_output_schema(any_object())
}

fn cancel_definition() -> Tool {
    tool::<CancelParameters>("cancel_job", "Interrupt a job in Blender; what it has done stays done.", edits())
        .with_raw_output_schema(any_object())
}
