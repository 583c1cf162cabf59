// SPDX-License-Identifier: GPL-3.0-or-later
//! `jump_to_…`: shows the user another workspace, or an object in the 3D viewport.

use blendwire_client::Options;
use rmcp::model::{CallToolResult, JsonObject};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Answer, Failure, ToolEntry, Work, adds, any_object, parameters, run, run_with, structured, tool};
use crate::caller::Caller;

pub(super) const TAB_BY_NAME: ToolEntry = ToolEntry {
    name: TAB_BY_NAME_NAME,
    definition: || tool::<Named>(TAB_BY_NAME_NAME, "Show a workspace.", adds()).with_raw_output_schema(any_object()),
    work: Work::Call(|caller, arguments| Box::pin(to_tab::<Named>(caller, arguments, TAB_BY_NAME_NAME))),
    answer: Answer::object::<Shown>(),
};

pub(super) const TAB_BY_SPACE_TYPE: ToolEntry = ToolEntry {
    name: TAB_BY_SPACE_TYPE_NAME,
    definition: || {
        let description = "Show a workspace whose main editor is of this type.";
        tool::<SpaceType>(TAB_BY_SPACE_TYPE_NAME, description, adds()).with_raw_output_schema(any_object())
    },
    work: Work::Call(|caller, arguments| Box::pin(to_tab::<SpaceType>(caller, arguments, TAB_BY_SPACE_TYPE_NAME))),
    answer: Answer::object::<Shown>(),
};

pub(super) const OBJECT: ToolEntry = ToolEntry {
    name: OBJECT_NAME,
    definition: || {
        let description = "Select an object and turn the 3D viewport to it.";
        tool::<Object>(OBJECT_NAME, description, adds()).with_raw_output_schema(any_object())
    },
    work: Work::Call(|caller, arguments| Box::pin(to_object(caller, arguments, OBJECT_NAME, false))),
    answer: Answer::object::<Found>(),
};

pub(super) const OBJECT_DATA: ToolEntry = ToolEntry {
    name: OBJECT_DATA_NAME,
    definition: || {
        let description = "Select an object by the name of its mesh, light etc. and turn the 3D viewport to it.";
        tool::<Object>(OBJECT_DATA_NAME, description, adds()).with_raw_output_schema(any_object())
    },
    work: Work::Call(|caller, arguments| Box::pin(to_object(caller, arguments, OBJECT_DATA_NAME, true))),
    answer: Answer::object::<Found>(),
};

const TAB_BY_NAME_NAME: &str = "jump_to_tab_by_name";

const TAB_BY_SPACE_TYPE_NAME: &str = "jump_to_tab_by_space_type";

const OBJECT_NAME: &str = "jump_to_view3d_object_by_name";

const OBJECT_DATA_NAME: &str = "jump_to_view3d_object_data_by_name";

const TO_TAB: &str = concat!(
    include_str!("still_there.py"),
    "\n\n",
    include_str!("rendering.py"),
    "\n\n",
    include_str!("jump_to_tab.py")
);

const TO_OBJECT: &str = concat!(
    include_str!("finite.py"),
    "\n\n",
    include_str!("rendering.py"),
    "\n\n",
    include_str!("similar.py"),
    "\n\n",
    include_str!("jump_to_view3d.py")
);

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Named {
    name: String,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SpaceType {
    space_type: String,
    /// Make a missing workspace
    #[serde(default)]
    allow_edits: bool,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Object {
    name: String,
    /// Unhide it
    #[serde(default)]
    allow_edits: bool,
}

/// The workspace that is shown now.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Shown {
    status: String,
    workspace: String,
    /// The one that was asked for
    #[serde(default, skip_serializing_if = "Option::is_none")]
    space_type: Option<String>,
    /// Where the workspace was made for it
    #[serde(default, skip_serializing_if = "Option::is_none")]
    created: Option<bool>,
}

/// The object that is selected now.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Found {
    status: String,
    object: String,
    #[serde(rename = "type")]
    kind: String,
    /// null in place of a number that is NaN or infinite
    location: [Option<f64>; 3],
    /// Where it was asked for by that
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data_name: Option<String>,
    /// Why the viewport does not show it
    #[serde(default, skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

/// An object as the snippet is told of it.
#[derive(Serialize)]
struct Wanted {
    #[serde(flatten)]
    object: Object,
    by_data: bool,
}

async fn to_tab<P: Serialize + DeserializeOwned>(
    caller: &Caller,
    arguments: JsonObject,
    name: &'static str,
) -> Result<CallToolResult, Failure> {
    let parameters: P = parameters(arguments)?;
    structured::<Shown>(run(caller, name, TO_TAB, &parameters).await?.as_ref())
}

/// What is selected and hidden is undone by the user's own undo.
async fn to_object(
    caller: &Caller,
    arguments: JsonObject,
    name: &'static str,
    by_data: bool,
) -> Result<CallToolResult, Failure> {
    let wanted = Wanted { object: parameters(arguments)?, by_data };
    let options = Options { title: Some(name), ..Options::default() };
    structured::<Found>(run_with(caller, TO_OBJECT, &wanted, options).await?.as_ref())
}
