// SPDX-License-Identifier: GPL-3.0-or-later
//! Renders the pictures of a plan, one after the other.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use serde_json::json;
use tempfile::TempPath;

use super::background::{Background, Unfinished};
use super::plan::{Order, Picture, Plan};
use super::shown::Shown;
use crate::args::RenderArgs;
use crate::commands::launch::asked::AskedToEnd;
use crate::exit::{Ended, Failure};
use crate::printer;

const SNIPPET: &str = include_str!("frame.py");

/// Frames that fail one after the other for whatever reason: the next ones would too, and each crash costs a start.
const GIVE_UP_AFTER: usize = 3;

/// See the module.
pub(super) struct Work<'a> {
    args: &'a RenderArgs,
    file: &'a Path,
    order: &'a Order,
    plan: &'a Plan,
    to_do: Vec<&'a Picture>,
    shown: Shown,
    finished: usize,
    failed: Vec<i32>,
}

impl<'a> Work<'a> {
    pub(super) fn new(
        args: &'a RenderArgs,
        file: &'a Path,
        order: &'a Order,
        plan: &'a Plan,
        to_do: Vec<&'a Picture>,
    ) -> Self {
        let shown = Shown::new(to_do.len());
        Self { args, file, order, plan, to_do, shown, finished: 0, failed: Vec::new() }
    }

    /// Renders all; `asked` stops it.
    pub(super) async fn run(mut self, blender: Background, asked: &mut AskedToEnd) -> Ended {
        let began = Instant::now();
        let mut blender = Some(blender);
        let ended = tokio::select! {
            ended = self.all(&mut blender) => Some(ended),
            () = asked.wait() => None,
        };
        let took = began.elapsed().as_secs_f64();
        let keeps_log = !self.failed.is_empty();
        if let Some(blender) = blender.take() {
            blender.end(keeps_log).await;
        }
        match ended {
            Some(ended) => ended.and_then(|()| self.sum_up(took)),
            None => Err(self.stopped()),
        }
    }

    async fn all(&mut self, blender: &mut Option<Background>) -> Ended {
        let mut in_a_row = 0;
        for picture in self.to_do.clone() {
            if in_a_row == GIVE_UP_AFTER {
                self.shown.talk(&format!("{GIVE_UP_AFTER} frames in a row failed: the others are not tried"));
                break;
            }
            self.shown.begin(picture.frame);
            match self.one(picture, blender).await {
                Ok(secs) => {
                    in_a_row = 0;
                    self.tell(picture, secs)?;
                }
                Err(error) => {
                    in_a_row += 1;
                    self.tell_failure(picture, &error)?;
                }
            }
        }
        Ok(())
    }

    /// Renders one picture into its place; how long that took.
    async fn one(&self, picture: &Picture, blender: &mut Option<Background>) -> Result<f64> {
        let began = Instant::now();
        if blender.is_none() {
            let mut fresh = Background::start(self.args, self.file).await?;
            self.order.repeat(&mut fresh).await?;
            *blender = Some(fresh);
        }
        let running = blender.as_mut().context("there is no Blender")?;
        let folder = match running.folder_beside(Path::new(&picture.shown()), picture.frame).await {
            Ok(folder) => folder,
            Err(unfinished) => return Err(lost(unfinished, blender)),
        };
        let parameters = json!({
            "scene": self.plan.scene, "frame": picture.frame, "extension": self.plan.extension,
            "folder": folder,
        });
        match running.call::<Option<String>>(SNIPPET, &parameters, |event| self.shown.on_event(event)).await {
            Ok(None) => {}
            Ok(Some(why)) => bail!(why),
            Err(unfinished) => return Err(lost(unfinished, blender)),
        }
        self.put_in_place(picture, &folder)?;
        Ok(began.elapsed().as_secs_f64())
    }

    /// Once all its files are whole and on the disk, so that a power cut leaves no empty picture with the right name.
    fn put_in_place(&self, picture: &Picture, folder: &Path) -> Result<()> {
        let made = |view: &str| folder.join(format!("picture{view}{}", self.plan.extension));
        for file in &picture.files {
            let made = fs_err::OpenOptions::new().write(true).open(made(&file.view));
            let made = made.context("Blender wrote no picture")?;
            if made.metadata()?.len() == 0 {
                bail!("Blender wrote an empty picture: is the disk full?");
            }
            made.sync_all()?;
        }
        for file in &picture.files {
            let made = TempPath::try_from_path(made(&file.view))?;
            if self.args.overwrite {
                made.persist(&file.path)?;
            } else {
                match std::fs::metadata(&file.path) {
                    // This view is from before, where another one was missing.
                    Ok(there) if self.args.resume && there.len() > 0 => continue,
                    // A place holder, which does not count as a picture.
                    Ok(_) if self.args.resume => fs_err::remove_file(&file.path)?,
                    _ => {}
                }
                // Somebody else may have made it meanwhile.
                made.persist_noclobber(&file.path).with_context(|| file.path.display().to_string())?;
            }
        }
        Ok(())
    }

    fn tell(&mut self, picture: &Picture, secs: f64) -> Result<(), Failure> {
        self.finished += 1;
        let (frame, took) = (picture.frame, printer::duration(secs));
        self.shown.end(frame, &format!("{took}, {}", picture.shown()));
        if self.args.json {
            let paths: Vec<_> = picture.files.iter().map(|file| &file.path).collect();
            return self.shown.data(&json!({"frame": frame, "paths": paths, "seconds": secs}).to_string());
        }
        picture.files.iter().try_for_each(|file| self.shown.data(&file.path.display().to_string()))
    }

    fn tell_failure(&mut self, picture: &Picture, error: &anyhow::Error) -> Result<(), Failure> {
        self.failed.push(picture.frame);
        let error = format!("{error:#}");
        self.shown.end(picture.frame, &format!("failed: {error}"));
        if self.args.json {
            return self.shown.data(&json!({"frame": picture.frame, "error": error}).to_string());
        }
        Ok(())
    }

    fn sum_up(&self, secs: f64) -> Ended {
        let (finished, wanted) = (self.finished, self.to_do.len());
        let took = printer::duration(secs);
        if self.failed.is_empty() {
            self.shown.talk(&format!("{} in {took}", frames(finished)));
            return Ok(());
        }
        let failed: Vec<_> = self.failed.iter().map(ToString::to_string).collect();
        let failed = failed.join(", ");
        self.shown.talk(&format!(
            "{finished} of {wanted} frames are done, in {took}; failed: {failed}; {}",
            self.how_to_go_on()
        ));
        Err(Failure::Told)
    }

    fn stopped(&self) -> Failure {
        let (finished, wanted) = (self.finished, self.to_do.len());
        self.shown.talk(&format!("stopped: {finished} of {wanted} frames are done; {}", self.how_to_go_on()));
        Failure::Told
    }

    /// Those that were to be replaced cannot be told from those that were.
    fn how_to_go_on(&self) -> &'static str {
        if self.args.overwrite {
            "the same command begins anew; with --frames it renders what is missing"
        } else {
            "the same command with --resume goes on"
        }
    }
}

/// Why; and where there is no Blender any more, the next frame gets a new one.
fn lost(unfinished: Unfinished, blender: &mut Option<Background>) -> anyhow::Error {
    if matches!(unfinished, Unfinished::Gone(_)) {
        *blender = None;
    }
    unfinished.into_error()
}

fn frames(count: usize) -> String {
    if count == 1 { "1 frame".to_owned() } else { format!("{count} frames") }
}
