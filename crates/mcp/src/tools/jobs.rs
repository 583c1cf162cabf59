// SPDX-License-Identifier: GPL-3.0-or-later
//! `get_job` and `cancel_job`: calls that were not done within their `wait_secs`.

use rmcp::model::Tool;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Answer, ToolEntry, Work, any_object, edits, looks, parameters, tool};

pub(super) const GET: ToolEntry = ToolEntry {
    name: "get_job",
    definition: get_definition,
    work: Work::Jobs(|arguments| {
        parameters::<GetParameters>(arguments).map(|GetParameters { job, .. }| match job {
            Some(id) => Wish::Wait(id),
            None => Wish::List,
        })
    }),
    answer: Answer::object::<Unfinished>(),
};

pub(super) const CANCEL: ToolEntry = ToolEntry {
    name: "cancel_job",
    definition: cancel_definition,
    work: Work::Jobs(|arguments| {
        parameters::<CancelParameters>(arguments).map(|CancelParameters { job }| Wish::Cancel(job))
    }),
    answer: Answer::object::<Cancelled>(),
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

/// A call that is not done, which any tool may answer with; `get_job` answers with what the call itself would have, once it is done,
/// and without `job` with `{"jobs": […]}`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Unfinished {
    /// `running` or `done`
    pub(crate) status: &'static str,
    /// For `get_job` and `cancel_job`
    pub(crate) job: String,
    pub(crate) tool: &'static str,
    /// Since it was called
    pub(crate) seconds: f64,
    /// The end of what was printed so far
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) output: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) progress: Option<Progressed>,
    /// `files`, `processes`, `network`: what the user is asked about in Blender
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) waits_for_consent_to: Option<Vec<String>>,
}

/// How far a job is.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Progressed {
    /// 0 to 1
    pub(crate) value: f64,
    pub(crate) message: String,
}

/// A job that was ended.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Cancelled {
    /// `cancelled`, `had ended before`, `still running` where nothing can interrupt it, or `unknown`
    pub(crate) status: &'static str,
    pub(crate) job: String,
    /// What still runs and until when, or why that is not known
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) message: Option<String>,
}

fn get_definition() -> Tool {
    // Without an output schema: clients refuse a picture, which some jobs give, from a tool that has one.
    tool::<GetParameters>("get_job", "Wait for a call that answered with a job, and get its result.", looks())
}

fn cancel_definition() -> Tool {
    tool::<CancelParameters>("cancel_job", "Interrupt a job in Blender; what it has done stays done.", edits())
        .with_raw_output_schema(any_object())
}
