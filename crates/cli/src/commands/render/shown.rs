// SPDX-License-Identifier: GPL-3.0-or-later
//! What a person sees while frames are rendered: a line for each that is done, and on a terminal a bar below.

use std::time::Instant;

use blendwire_client::Event;
use indicatif::{ProgressBar, ProgressStyle};

use crate::exit::Failure;
use crate::{narrow, printer};

/// Steps of a frame: how far a single one is can be seen too.
const STEPS: u32 = 1000;

/// See the module.
pub(super) struct Shown {
    bar: ProgressBar,
    wanted: u32,
    done: u32,
    began: Instant,
}

impl Shown {
    /// For so many frames.
    pub(super) fn new(wanted: usize) -> Self {
        // More than Blender has frames.
        let wanted = u32::try_from(wanted).unwrap_or(u32::MAX);
        let bar = ProgressBar::new(u64::from(wanted) * u64::from(STEPS));
        bar.set_draw_target(narrow::target());
        let style = ProgressStyle::with_template("{bar:30} {msg}, {eta} left");
        let bar = bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self { bar, wanted, done: 0, began: Instant::now() }
    }

    /// A frame is begun.
    pub(super) fn begin(&self, frame: i32) {
        self.bar.set_message(format!("frame {frame}, {} of {}", self.done + 1, self.wanted));
        self.bar.set_position(self.steps(0.0));
    }

    /// Blender tells something of it.
    pub(super) fn on_event(&self, event: Event) {
        match event {
            Event::Output { text } => self.bar.suspend(|| printer::script_output(&text)),
            Event::Progress(progress) => {
                self.bar.set_position(self.steps(progress.value));
            }
            Event::Queued { .. } | Event::Consent { .. } | Event::Started => {}
        }
    }

    /// A frame has come to this, well or not.
    pub(super) fn end(&mut self, frame: i32, what: &str) {
        self.done += 1;
        self.bar.set_position(self.steps(0.0));
        self.talk(&format!("frame {frame} ({} of {}{}): {what}", self.done, self.wanted, self.left()));
    }

    fn left(&self) -> String {
        let left = self.wanted - self.done;
        if left == 0 {
            return String::new();
        }
        let each = self.began.elapsed() / self.done.max(1);
        format!(", about {} left", printer::duration(each.saturating_mul(left).as_secs_f64().max(1.0).round()))
    }

    /// Steps of the frames that are done, and of this part of the next.
    fn steps(&self, part: f64) -> u64 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 1 by the protocol")]
        let steps = (part.clamp(0.0, 1.0) * f64::from(STEPS)) as u64;
        u64::from(self.done) * u64::from(STEPS) + steps
    }

    /// Says something.
    pub(super) fn talk(&self, line: &str) {
        self.bar.suspend(|| printer::talk(line));
    }

    /// Writes a line of data.
    pub(super) fn data(&self, line: &str) -> Result<(), Failure> {
        self.bar.suspend(|| printer::data(line))
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
