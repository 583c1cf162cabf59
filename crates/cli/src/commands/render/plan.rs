// SPDX-License-Identifier: GPL-3.0-or-later
//! Which pictures there are to make, as the file says it and as it was asked for.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow};
use serde::Deserialize;
use serde_json::{Value, json};

use super::background::{Background, Unfinished};
use super::output::{Pattern, of_view};
use crate::args::RenderArgs;
use crate::printer;

const SNIPPET: &str = include_str!("set_up.py");

/// What was asked for.
pub(super) struct Order {
    pattern: Option<Pattern>,
    wanted: Value,
    is_range: bool,
}

/// What there is to make.
pub(super) struct Plan {
    /// The scene's name.
    pub(super) scene: String,
    /// The ending of a picture's file, with its dot; may be empty.
    pub(super) extension: String,
    /// In the order in which they are rendered.
    pub(super) pictures: Vec<Picture>,
}

/// One frame, and its files: one for each view.
pub(super) struct Picture {
    pub(super) frame: i32,
    pub(super) files: Vec<File>,
}

/// A file of a picture.
pub(super) struct File {
    /// What its name has beside those of other views; mostly nothing.
    pub(super) view: String,
    /// Where it belongs.
    pub(super) path: PathBuf,
}

/// What the snippet returns.
#[derive(Deserialize)]
#[serde(untagged)]
enum SetUp {
    Problem {
        problem: String,
    },
    Done {
        scene: String,
        frames: Vec<i32>,
        extension: String,
        own_paths: Vec<PathBuf>,
        views: Vec<String>,
        notes: Vec<String>,
    },
}

impl Order {
    /// Of options.
    ///
    /// # Errors
    /// When they cannot be meant.
    pub(super) fn read(args: &RenderArgs, file: &Path) -> Result<Self> {
        let pattern = args.output.as_deref().map(|text| Pattern::read(text, file)).transpose()?;
        let format = args.format.or_else(|| pattern.as_ref()?.format());
        let wanted = json!({
            "scene": args.scene, "engine": args.engine, "camera": args.camera, "samples": args.samples,
            "resolution": args.resolution, "scale": args.scale, "format": format.map(crate::args::Format::id),
            "frames": args.frames, "animation": args.animation, "own_paths": pattern.is_none(),
        });
        Ok(Self { pattern, wanted, is_range: args.animation || !args.frames.is_empty() })
    }

    /// Sets up the scene in a Blender that has opened the file.
    ///
    /// # Errors
    /// When the file does not have what was asked for, or the folder for the pictures cannot be made.
    pub(super) async fn plan(&self, blender: &mut Background) -> Result<Plan> {
        let (plan, notes) = self.ask(blender).await?;
        for note in notes {
            printer::talk(&note);
        }
        let mut made = None;
        for folder in plan.pictures.iter().flat_map(|picture| &picture.files).filter_map(|file| file.path.parent()) {
            if made != Some(folder) {
                fs_err::create_dir_all(folder).context("the folder for the pictures cannot be made")?;
                made = Some(folder);
            }
        }
        Ok(plan)
    }

    /// The same again in another Blender, with nothing new to tell.
    ///
    /// # Errors
    /// As [`Self::plan`].
    pub(super) async fn repeat(&self, blender: &mut Background) -> Result<()> {
        self.ask(blender).await.map(drop)
    }

    async fn ask(&self, blender: &mut Background) -> Result<(Plan, Vec<String>)> {
        let set_up = blender.call(SNIPPET, &json!({"wanted": self.wanted}), |_| {}).await;
        let (scene, frames, extension, own_paths, views, notes) = match set_up.map_err(Unfinished::into_error)? {
            SetUp::Problem { problem } => return Err(anyhow!(problem)),
            SetUp::Done { scene, frames, extension, own_paths, views, notes } => {
                (scene, frames, extension, own_paths, views, notes)
            }
        };
        // A single frame that was named is one of several, of other runs.
        let path = |at: usize, frame: i32| match &self.pattern {
            Some(pattern) => pattern.path(frame, &extension, self.is_range),
            None => own_paths.get(at).cloned().unwrap_or_default(),
        };
        let picture = |(at, frame): (usize, &i32)| {
            let path = path(at, *frame);
            let file = |view: &String| File { view: view.clone(), path: of_view(&path, view) };
            Picture { frame: *frame, files: views.iter().map(file).collect() }
        };
        let pictures = frames.iter().enumerate().map(picture).collect();
        Ok((Plan { scene, extension, pictures }, notes))
    }
}

impl Picture {
    /// Whether it was finished: an empty file is somebody's place holder.
    pub(super) fn is_there(&self) -> bool {
        self.files.iter().all(|file| std::fs::metadata(&file.path).is_ok_and(|metadata| metadata.len() > 0))
    }

    /// Whether making it would replace something.
    pub(super) fn is_begun(&self) -> bool {
        self.files.iter().any(|file| file.path.exists())
    }

    /// Its path, or the first of them.
    pub(super) fn shown(&self) -> String {
        self.files.first().map(|file| file.path.display().to_string()).unwrap_or_default()
    }
}
