// SPDX-License-Identifier: GPL-3.0-or-later
//! What a person sees while a script runs: what it prints, as it prints it, and on a terminal a line below that says how
//! far it is, or why it does not run yet.
//!
//! That line is never mixed into output: it is taken away before something is printed, and comes back only where a line
//! of output has ended.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use blendwire_client::{Event, Progress};
use blendwire_protocol::wants_in_words;
use indicatif::{ProgressBar, ProgressStyle};

use crate::{narrow, printer};

/// Steps of a bar: more than a terminal has columns.
const STEPS: u32 = 1000;

/// Where the output of a script goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sink {
    /// It is talk: the result is the data.
    Stderr,
    /// It is the data.
    Stdout,
    /// It is part of a reply that is printed as a whole.
    Nowhere,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Live {
    sink: Sink,
    shown: Mutex<Shown>,
}

#[derive(Debug)]
struct Shown {
    has_begun: bool,
    was_interrupted: bool,
    /// How much of the output has been printed.
    told_bytes: usize,
    is_at_line_start: bool,
    progress: Option<Progress>,
    /// Hidden where nobody looks.
    bar: Option<ProgressBar>,
}

impl Live {
    /// For one script.
    pub(crate) fn new(sink: Sink) -> Self {
        let shown = Shown {
            has_begun: false,
            was_interrupted: false,
            told_bytes: 0,
            is_at_line_start: true,
            progress: None,
            bar: None,
        };
        Self { sink, shown: Mutex::new(shown) }
    }

    /// Shows what the server tells of the script.
    pub(crate) fn on_event(&self, event: Event) {
        let mut shown = self.shown();
        match event {
            Event::Queued { .. } => {}
            Event::Consent { wants } => {
                shown.clear();
                let wants = printer::one_line(&wants_in_words(&wants));
                printer::talk(&format!("waiting: Blender asks its user whether the script may {wants}"));
            }
            Event::Started => {
                shown.has_begun = true;
                shown.clear();
            }
            Event::Output { text } => {
                shown.told_bytes += text.len();
                shown.print(self.sink, &text);
            }
            Event::Progress(progress) => {
                shown.progress = Some(progress);
                shown.draw();
            }
        }
    }

    /// Whether the script is known to have been started.
    pub(crate) fn has_begun(&self) -> bool {
        self.shown().has_begun
    }

    /// Somebody has pressed Ctrl-C.
    pub(crate) fn interrupt(&self) {
        self.waits(None);
        self.shown().was_interrupted = true;
    }

    /// Whether somebody has.
    pub(crate) fn was_interrupted(&self) -> bool {
        self.shown().was_interrupted
    }

    /// Says why the script does not run yet; `None` takes back what was said.
    pub(crate) fn waits(&self, why: Option<&str>) {
        let mut shown = self.shown();
        match why {
            Some(why) if !shown.has_begun => shown.wait(why),
            _ if !shown.has_begun => shown.clear(),
            _ => {}
        }
    }

    /// The script has ended and has printed `stdout` in all: prints what no event told of. Servers of other kinds send no
    /// events.
    pub(crate) fn end(&self, stdout: &str) {
        let mut shown = self.shown();
        shown.progress = None;
        shown.clear();
        if let Some(rest) = stdout.get(shown.told_bytes..).filter(|rest| !rest.is_empty()) {
            let rest = rest.to_owned();
            shown.told_bytes += rest.len();
            shown.print(self.sink, &rest);
        }
    }

    /// Says something about the script while it runs, or after it, on a line of its own.
    pub(crate) fn talk(&self, line: &str) {
        self.settle();
        let mut shown = self.shown();
        shown.clear();
        printer::talk(line);
        shown.draw();
    }

    /// Where a person looks, what comes next stands on a line of its own. Elsewhere output stays as it is, byte for byte.
    pub(crate) fn settle(&self) {
        if printer::is_watched() {
            self.end_line();
        }
    }

    /// Ends a line of output that the script has left open, for what comes below it on a terminal.
    pub(crate) fn end_line(&self) {
        let mut shown = self.shown();
        if !shown.is_at_line_start {
            shown.print(self.sink, "\n");
        }
    }

    fn shown(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shown {
    fn print(&mut self, sink: Sink, text: &str) {
        let write = || match sink {
            Sink::Stderr => printer::script_output(text),
            Sink::Stdout => printer::script_data(text),
            Sink::Nowhere => {}
        };
        if sink == Sink::Nowhere {
            return;
        }
        self.is_at_line_start = text.ends_with('\n');
        match &self.bar {
            Some(bar) if self.is_at_line_start => bar.suspend(write),
            _ => {
                self.clear();
                write();
                self.draw();
            }
        }
    }

    /// Draws the bar, where there is something to draw and a line of its own for it.
    fn draw(&mut self) {
        let Some(Progress { value, message }) = &self.progress else { return };
        if !self.is_at_line_start {
            return;
        }
        let bar = self
            .bar
            .get_or_insert_with(|| styled(ProgressBar::new(STEPS.into()), "{bar:30} {percent:>3} % {wide_msg}"));
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 1 by the protocol")]
        bar.set_position((value.clamp(0.0, 1.0) * f64::from(STEPS)) as u64);
        bar.set_message(printer::one_line(message));
    }

    fn wait(&mut self, why: &str) {
        let bar = self.bar.get_or_insert_with(|| {
            let bar = styled(ProgressBar::new_spinner(), "{spinner} {wide_msg}");
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        });
        bar.set_message(printer::one_line(&format!("waiting: {why}")));
    }

    fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

fn styled(bar: ProgressBar, template: &str) -> ProgressBar {
    bar.set_draw_target(narrow::target());
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_events_told_is_not_told_again() {
        let live = Live::new(Sink::Stderr);
        live.on_event(Event::Started);
        live.on_event(Event::Output { text: "one\nü".to_owned() });
        assert!(live.has_begun() && !live.shown().is_at_line_start);
        live.end("one\nü\n");
        assert!(live.shown().told_bytes == 7 && live.shown().is_at_line_start);
    }

    #[test]
    fn a_bar_is_drawn_at_the_beginning_of_a_line_only() {
        let live = Live::new(Sink::Stderr);
        let half = || Event::Progress(Progress { value: 0.5, message: "half\nway".to_owned() });
        live.on_event(Event::Output { text: "open".to_owned() });
        live.on_event(half());
        assert!(live.shown().bar.is_none());
        live.on_event(Event::Output { text: "\n".to_owned() });
        assert_eq!(
            live.shown().bar.as_ref().map(|bar| (bar.position(), bar.message())),
            Some((500, "half way".to_owned()))
        );
        live.end("open\n");
        assert!(live.shown().bar.is_none());
    }
}
