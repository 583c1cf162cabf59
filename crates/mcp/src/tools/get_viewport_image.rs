// SPDX-License-Identifier: GPL-3.0-or-later
//! `get_viewport_image`: a picture of the scene, drawn off-screen, from any side.
//!
//! The picture crosses the wire, so Blender may run on another machine. The result carries no structured
//! content, because some clients show the model that alone and drop the picture.

use rmcp::model::{CallToolResult, ContentBlock, JsonObject, Tool};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Answer, Failure, ToolEntry, Work, looks, parameters, read, run, tool, verdict};
use crate::caller::Caller;
use crate::snippet;

pub(super) const TOOL: ToolEntry = ToolEntry {
    name: NAME,
    definition,
    work: Work::Call(|caller, arguments| Box::pin(call(caller, arguments))),
    answer: Answer::Picture,
};

const NAME: &str = "get_viewport_image";

const SNIPPET: &str = concat!(
    include_str!("../../../../addon/blendwire/graphics.py"),
    "\n\n",
    include_str!("rendering.py"),
    "\n\n",
    include_str!("picture.py"),
    "\n\n",
    include_str!("similar.py"),
    "\n\n",
    include_str!("get_viewport_image.py")
);

const DESCRIPTION: &str = "See the scene, drawn off-screen. view=current is what the user sees, camera looks through the \
    scene's camera, the others frame everything visible from that side, sheet shows four of them. Changes nothing. In a \
    background Blender the scene is rendered instead, as near to the wanted shading as that comes; the caption says how.";

/// Largest width and height in pixels: what a graphics card takes for certain, and more than a model can see.
const LARGEST_SIDE: u32 = 4096;

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Parameters {
    view: View,
    /// Default: the user's own for view=current, else solid
    #[schemars(with = "Shading")]
    #[serde(skip_serializing_if = "Option::is_none")]
    shading: Option<Shading>,
    /// Pixels
    #[schemars(range(min = 1, max = LARGEST_SIDE), with = "i32")]
    width: u32,
    /// Pixels
    #[schemars(range(min = 1, max = LARGEST_SIDE), with = "i32")]
    height: u32,
    /// Frame one object, or what is `selected`
    #[serde(skip_serializing_if = "Option::is_none")]
    focus: Option<String>,
    /// From the scene to the eye, for view=custom: [1, -2, 1]
    #[serde(skip_serializing_if = "Option::is_none")]
    direction: Option<[f64; 3]>,
    /// Of the picture's file: JPEG or smaller beyond that
    #[schemars(with = "i32")]
    max_bytes: u32,
}

/// What common clients take in one answer.
const LIMIT_BYTES: u32 = 700_000;

impl Default for Parameters {
    fn default() -> Self {
        Self {
            view: View::Current,
            shading: None,
            width: 800,
            height: 600,
            focus: None,
            direction: None,
            max_bytes: LIMIT_BYTES,
        }
    }
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
enum View {
    Current,
    Camera,
    Front,
    Back,
    Left,
    Right,
    Top,
    Bottom,
    Isometric,
    Sheet,
    Custom,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
enum Shading {
    Solid,
    Material,
    Rendered,
    Wireframe,
}

/// What the snippet returns.
#[derive(Deserialize)]
struct Picture {
    view: String,
    shading: String,
    width: u32,
    height: u32,
    drawn_by: String,
    notes: Vec<String>,
    mime_type: String,
    /// The file in Base64.
    data: String,
}

impl Picture {
    fn caption(&self) -> String {
        let Self { view, shading, width, height, drawn_by, notes, .. } = self;
        let drawn = format!("{view} view, {shading}, {width}×{height} pixels, drawn by {drawn_by}");
        std::iter::once(drawn).chain(notes.iter().cloned()).collect::<Vec<_>>().join("; ")
    }
}

fn definition() -> Tool {
    tool::<Parameters>(NAME, DESCRIPTION, looks())
}

async fn call(caller: &Caller, arguments: JsonObject) -> Result<CallToolResult, Failure> {
    let parameters: Parameters = parameters(arguments)?;
    for (name, value) in [("width", parameters.width), ("height", parameters.height)] {
        if !(1..=LARGEST_SIDE).contains(&value) {
            return Err(Failure(format!("wrong arguments: {name} must be 1 to {LARGEST_SIDE} pixels, not {value}")));
        }
    }
    let picture: Picture = read(run(caller, NAME, SNIPPET, &parameters).await?.as_ref())?;
    let caption = ContentBlock::text(picture.caption());
    Ok(CallToolResult::success(vec![ContentBlock::image(picture.data, picture.mime_type), caption]))
}

/// Side of a glance in pixels: enough to go all the way that a picture goes.
const GLANCE_SIDE: u32 = 64;

/// How a PNG file begins, in Base64.
const PNG_BASE64: &str = "iVBORw0KGgo";

/// The script of a small picture of what the user sees, for whoever only wants to know whether one comes.
///
/// # Errors
/// None that can happen: its parameters are JSON.
pub fn glance() -> Result<String, serde_json::Error> {
    let small = Parameters {
        // Materials of a large scene may take minutes to be made ready.
        shading: Some(Shading::Solid),
        width: GLANCE_SIDE,
        height: GLANCE_SIDE,
        ..Parameters::default()
    };
    snippet::call(SNIPPET, &small)
}

/// The caption of the picture that came of that script.
///
/// # Errors
/// When none came, in words.
pub fn glanced(result: Box<RawValue>) -> Result<String, String> {
    let picture: Picture = verdict(result).and_then(|result| read(&result)).map_err(|failure| failure.0)?;
    if !picture.data.starts_with(PNG_BASE64) {
        return Err("what came is no PNG file".to_owned());
    }
    Ok(picture.caption())
}
