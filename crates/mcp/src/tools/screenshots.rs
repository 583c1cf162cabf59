// SPDX-License-Identifier: GPL-3.0-or-later
//! `get_screenshot_of_window_as_image`, `get_screenshot_of_area_as_image` and `get_screenshot_of_window_as_json`: what
//! the user sees of Blender's own interface.

use rmcp::model::{CallToolResult, ContentBlock, JsonObject};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Failure, NoParameters, ToolEntry, Work, any_object, looks, parameters, read, run, structured, tool};
use crate::caller::Caller;

pub(super) const WINDOW: ToolEntry = ToolEntry {
    name: WINDOW_NAME,
    definition: || tool::<Limit>(WINDOW_NAME, "See Blender's whole window.", looks()),
    work: Work::Call(|caller, arguments| Box::pin(picture::<Limit>(caller, arguments, WINDOW_NAME))),
};

pub(super) const AREA: ToolEntry = ToolEntry {
    name: AREA_NAME,
    definition: || tool::<Area>(AREA_NAME, "See one editor of Blender's window.", looks()),
    work: Work::Call(|caller, arguments| Box::pin(picture::<Area>(caller, arguments, AREA_NAME))),
};

pub(super) const LAYOUT: ToolEntry = ToolEntry {
    name: LAYOUT_NAME,
    definition: || {
        tool::<NoParameters>(LAYOUT_NAME, "Editors of Blender's window, active object, selection.", looks())
            .with_raw_output_schema(any_object())
    },
    work: Work::Call(|caller, arguments| Box::pin(layout(caller, arguments))),
};

const WINDOW_NAME: &str = "get_screenshot_of_window_as_image";

const AREA_NAME: &str = "get_screenshot_of_area_as_image";

const LAYOUT_NAME: &str = "get_screenshot_of_window_as_json";

const PICTURE: &str = concat!(include_str!("picture.py"), "\n\n", include_str!("screenshots.py"));

const DESCRIBED: &str = include_str!("get_screenshot_of_window_as_json.py");

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
    structured(run(caller, LAYOUT_NAME, DESCRIBED, &none).await?.as_ref())
}
