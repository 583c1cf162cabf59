// SPDX-License-Identifier: GPL-3.0-or-later
//! `get_screenshot_of_window_as_image`, `get_screenshot_of_area_as_image` and `get_screenshot_of_window_as_json`: what
//! the user sees of Blender's own interface.

use rmcp::model::{CallToolResult, ContentBlock, JsonObject};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Answer, Failure, NoParameters, ToolEntry, Work, any_object, looks, parameters, read, run, structured, tool,
};
use crate::caller::Caller;

pub(super) const WINDOW: ToolEntry = ToolEntry {
    name: WINDOW_NAME,
    definition: || tool::<Limit>(WINDOW_NAME, "See Blender's whole window.", looks()),
    work: Work::Call(|caller, arguments| Box::pin(picture::<Limit>(caller, arguments, WINDOW_NAME))),
    answer: Answer::Picture,
};

pub(super) const AREA: ToolEntry = ToolEntry {
    name: AREA_NAME,
    definition: || tool::<Area>(AREA_NAME, "See one editor of Blender's window.", looks()),
    work: Work::Call(|caller, arguments| Box::pin(picture::<Area>(caller, arguments, AREA_NAME))),
    answer: Answer::Picture,
};

pub(super) const LAYOUT: ToolEntry = ToolEntry {
    name: LAYOUT_NAME,
    definition: || {
        tool::<NoParameters>(LAYOUT_NAME, "Editors of Blender's window, active object, selection.", looks())
            .with_raw_output_schema(any_object())
    },
    work: Work::Call(|caller, arguments| Box::pin(layout(caller, arguments))),
    answer: Answer::object::<Layout>(),
};

const WINDOW_NAME: &str = "get_screenshot_of_window_as_image";

const AREA_NAME: &str = "get_screenshot_of_area_as_image";

const LAYOUT_NAME: &str = "get_screenshot_of_window_as_json";

const PICTURE: &str =
    concat!(include_str!("still_there.py"), "\n\n", include_str!("picture.py"), "\n\n", include_str!("screenshots.py"));

const DESCRIBED: &str = concat!(include_str!("finite.py"), "\n\n", include_str!("get_screenshot_of_window_as_json.py"));

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Limit {
    /// 0: about 700 KB
    #[serde(default)]
    #[schemars(with = "i32")]
    size_limit_in_bytes: u32,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Area {
    /// `VIEW_3D`, `ShaderNodeTree`, …
    area_ui_type: String,
    #[serde(default)]
    #[schemars(with = "i32")]
    size_limit_in_bytes: u32,
}

/// The window. Places are in pixels from its lower left corner.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Layout {
    status: String,
    window_width: u32,
    window_height: u32,
    screen_name: String,
    workspace: String,
    scene: String,
    areas: Vec<Editor>,
    active_object: Option<Active>,
    selected_objects: Vec<Selected>,
}

/// An editor.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Editor {
    /// `VIEW_3D`, `NODE_EDITOR`, …
    #[serde(rename = "type")]
    kind: String,
    /// The same with its mode: `ShaderNodeTree`, `UV`, …
    ui_type: String,
    x: i32,
    y: i32,
    width: i32,
    height: i32,
    space: Space,
    /// Those that are not folded away
    regions: Vec<Region>,
}

/// What an editor shows, by its type.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Space {
    #[serde(rename = "type")]
    kind: String,
    /// Of a 3D viewport: `shading_type`, `show_overlays`, `view_perspective`, `view_location`; of others what they have open
    #[serde(flatten)]
    shown: JsonObject,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Region {
    /// `WINDOW`, `HEADER`, `UI`, …
    #[serde(rename = "type")]
    kind: String,
    x: i32,
    y: i32,
    width: i32,
    height: i32,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Active {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    /// `OBJECT`, `EDIT_MESH`, …
    mode: String,
    /// null in place of a number that is NaN or infinite
    location: [Option<f64>; 3],
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Selected {
    name: String,
    #[serde(rename = "type")]
    kind: String,
}

/// What the snippet returns.
#[derive(Deserialize)]
struct Screenshot {
    what: String,
    full_size: [u32; 2],
    size: [u32; 2],
    mime_type: String,
    /// The file in Base64.
    data: String,
}

impl Screenshot {
    fn caption(&self) -> String {
        let Self { what, full_size: [full_width, full_height], size: [width, height], .. } = self;
        if self.size == self.full_size {
            return format!("{what}, {width}×{height} pixels, not scaled");
        }
        let scale = f64::from(*width) / f64::from(*full_width);
        format!("{what}, {full_width}×{full_height} pixels, scaled by {scale:.2} to {width}×{height}")
    }
}

async fn picture<P: Serialize + serde::de::DeserializeOwned>(
    caller: &Caller,
    arguments: JsonObject,
    name: &'static str,
) -> Result<CallToolResult, Failure> {
    let parameters: P = parameters(arguments)?;
    let screenshot: Screenshot = read(run(caller, name, PICTURE, &parameters).await?.as_ref())?;
    let caption = ContentBlock::text(screenshot.caption());
    Ok(CallToolResult::success(vec![ContentBlock::image(screenshot.data, screenshot.mime_type), caption]))
}

async fn layout(caller: &Caller, arguments: JsonObject) -> Result<CallToolResult, Failure> {
    let none: NoParameters = parameters(arguments)?;
    structured::<Layout>(run(caller, LAYOUT_NAME, DESCRIBED, &none).await?.as_ref())
}
