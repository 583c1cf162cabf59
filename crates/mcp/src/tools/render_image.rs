// SPDX-License-Identifier: GPL-3.0-or-later
//! `render_image`: renders a frame in a background Blender and gives the picture. The open Blender stays free, progress comes
//! meanwhile, and a call that is cancelled ends the render at once.

use rmcp::model::{CallToolResult, ContentBlock, JsonObject, Tool};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Answer, Failure, ToolEntry, Work, blend_file, looks, parameters, read, tool};
use crate::caller::Caller;

pub(super) const TOOL: ToolEntry = ToolEntry {
    name: NAME,
    definition,
    work: Work::Call(|caller, arguments| Box::pin(call(caller, arguments))),
    answer: Answer::Picture,
};

const NAME: &str = "render_image";

const SNIPPET: &str = concat!(
    include_str!("../../../../addon/blendwire/graphics.py"),
    "\n\n",
    include_str!("rendering.py"),
    "\n\n",
    include_str!("similar.py"),
    "\n\n",
    include_str!("picture.py"),
    "\n\n",
    include_str!("render_image.py")
);

const DESCRIPTION: &str = "Render a frame as the scene is set up and see it. Long ones answer with a job.";

/// Bytes of the picture's file, by format and size: what common clients take in one answer.
const LIMIT_BYTES: u32 = 700_000;

/// Blender's own limit of a side, in pixels.
const LARGEST_SIDE: u32 = 65_536;

/// And of the samples of Cycles.
const MOST_SAMPLES: u32 = 1 << 24;

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Parameters {
    #[schemars(range(min = 1))]
    width: Option<u32>,
    #[schemars(range(min = 1))]
    height: Option<u32>,
    #[schemars(range(min = 1))]
    samples: Option<u32>,
    /// Object name
    camera: Option<String>,
    frame: Option<i32>,
    blend_file: Option<String>,
    #[serde(default, rename = "wait_secs", skip_serializing)]
    _wait_secs: Option<f64>,
}

/// What the snippet is told.
#[derive(Serialize)]
struct Order<'a> {
    wanted: &'a Parameters,
    limit: u32,
}

/// What the snippet returns.
#[derive(Deserialize)]
struct Rendered {
    /// The file in Base64.
    picture: String,
    mime_type: String,
    engine: String,
    frame: i32,
    size: [u32; 2],
    /// The longer side of what is sent, where it had to be made smaller.
    sent_side: Option<u32>,
    seconds: f64,
    /// What makes it another picture than the open Blender's.
    notes: Vec<String>,
}

fn definition() -> Tool {
    tool::<Parameters>(NAME, DESCRIPTION, looks())
}

async fn call(caller: &Caller, arguments: JsonObject) -> Result<CallToolResult, Failure> {
    let wanted: Parameters = parameters(arguments)?;
    let limits = [
        ("width", wanted.width, LARGEST_SIDE),
        ("height", wanted.height, LARGEST_SIDE),
        ("samples", wanted.samples, MOST_SAMPLES),
    ];
    for (name, value, most) in limits {
        if value.is_some_and(|value| !(1..=most).contains(&value)) {
            return Err(Failure(format!("wrong arguments: {name} must be 1 to {most}")));
        }
    }
    let order = Order { wanted: &wanted, limit: LIMIT_BYTES };
    let result = blend_file::run_aside(caller, NAME, SNIPPET, &order, wanted.blend_file.as_deref()).await?;
    let Rendered { picture, mime_type, engine, frame, size: [width, height], sent_side, seconds, notes } =
        read(&result)?;
    let smaller = sent_side.map_or_else(String::new, |side| format!(", sent with {side} pixels on its longer side"));
    let rendered = format!("frame {frame}, {width}×{height} pixels, {engine}, {seconds} s{smaller}");
    let caption = std::iter::once(rendered).chain(notes).collect::<Vec<_>>().join("; ");
    Ok(CallToolResult::success(vec![ContentBlock::image(picture, mime_type), ContentBlock::text(caption)]))
}
