// SPDX-License-Identifier: GPL-3.0-or-later
//! What a request tells while it runs: that it has begun, what it prints, how far it is. The main thread writes; the
//! network thread reads, for `status` and for clients that asked for events.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use blendwire_protocol::{Event, Progress};
use tokio::sync::Notify;

/// One event carries at most this much output, so that a client can show the beginning of a flood early.
const EVENT_BYTES: usize = 64 * 1024;

/// See the module.
#[derive(Debug)]
pub struct Feed {
    limit_bytes: usize,
    printed: Mutex<Printed>,
    progress: Mutex<Reported>,
    has_begun: AtomicBool,
    /// Rings for the client that wants events; `None` when none does.
    watcher: Option<Notify>,
}

#[derive(Debug, Default)]
struct Printed {
    text: String,
    dropped_bytes: usize,
    /// How much of `text` has gone out as events.
    told_bytes: usize,
    /// The text, when it was taken for the final reply with some of it not told.
    taken: String,
}

#[derive(Debug, Default)]
struct Reported {
    /// To what the user is asked to consent, until that is told.
    wants: Option<Vec<String>>,
    latest: Option<Progress>,
    is_told: bool,
    has_told_begin: bool,
}

impl Feed {
    /// A feed that keeps at most `limit_bytes` of output.
    pub(crate) fn new(limit_bytes: usize, is_watched: bool) -> Self {
        Self {
            limit_bytes,
            printed: Mutex::default(),
            progress: Mutex::default(),
            has_begun: AtomicBool::new(false),
            watcher: is_watched.then(Notify::new),
        }
    }

    /// The request waits for the user's consent to this.
    pub(crate) fn ask(&self, wants: Vec<String>) {
        self.reported().wants = Some(wants);
        self.ring();
    }

    /// The script has been started.
    pub(crate) fn begin(&self) {
        if !self.has_begun.swap(true, Ordering::Relaxed) {
            self.ring();
        }
    }

    /// The script has printed `text`; as much of it as fits is kept.
    pub fn print(&self, text: &str) {
        let mut printed = self.printed();
        let room = self.limit_bytes.saturating_sub(printed.text.len());
        let kept = if text.len() <= room { text } else { &text[..text.floor_char_boundary(room)] };
        printed.text.push_str(kept);
        printed.dropped_bytes += text.len() - kept.len();
        drop(printed);
        self.ring();
    }

    /// The script has said how far it is: from 0 to 1; what is outside becomes the nearer end, what is no number 0.
    pub fn report(&self, value: f64, message: &str) {
        let value = if value.is_nan() { 0.0 } else { value.clamp(0.0, 1.0) };
        let mut reported = self.reported();
        reported.latest = Some(Progress { value, message: message.to_owned() });
        reported.is_told = false;
        drop(reported);
        self.ring();
    }

    /// Everything printed, leaving nothing; ends with a note when some of it was dropped.
    pub fn take_output(&self) -> String {
        let mut printed = self.printed();
        let (mut text, dropped_bytes) = (std::mem::take(&mut printed.text), std::mem::take(&mut printed.dropped_bytes));
        if dropped_bytes > 0 {
            let limit = self.limit_bytes;
            let _ = write!(text, "\n[{dropped_bytes} more bytes were printed and dropped: the limit is {limit}]\n");
        }
        if self.watcher.is_some() && printed.told_bytes < text.len() {
            text.clone_into(&mut printed.taken);
        }
        text
    }

    /// Everything printed, for an answer that comes before the end.
    pub(crate) fn output_so_far(&self) -> String {
        self.printed().text.clone()
    }

    /// The last line that is not blank, at most 200 characters of it.
    pub(crate) fn last_line(&self) -> String {
        const LONGEST_CHARS: usize = 200;
        let printed = self.printed();
        let line = printed.text.trim_end().rsplit('\n').next().unwrap_or("");
        line.trim().chars().take(LONGEST_CHARS).collect()
    }

    /// How far the script said last that it is.
    pub(crate) fn progress(&self) -> Option<Progress> {
        self.reported().latest.clone()
    }

    /// Returns when there may be an event that has not been told; never where nobody asked for events.
    pub(crate) async fn changed(&self) {
        match &self.watcher {
            Some(watcher) => watcher.notified().await,
            None => std::future::pending().await,
        }
    }

    /// The next event to tell, in the order: asked, begun, output, progress.
    pub(crate) fn next_event(&self) -> Option<Event> {
        let mut reported = self.reported();
        if let Some(wants) = reported.wants.take() {
            return Some(Event::Consent { wants });
        }
        if self.has_begun.load(Ordering::Relaxed) && !std::mem::replace(&mut reported.has_told_begin, true) {
            return Some(Event::Started);
        }
        if let Some(text) = self.printed().next_untold() {
            return Some(Event::Output { text });
        }
        if std::mem::replace(&mut reported.is_told, true) {
            return None;
        }
        reported.latest.clone().map(Event::Progress)
    }

    fn ring(&self) {
        if let Some(watcher) = &self.watcher {
            watcher.notify_one();
        }
    }

    fn printed(&self) -> MutexGuard<'_, Printed> {
        self.printed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reported(&self) -> MutexGuard<'_, Reported> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Printed {
    fn next_untold(&mut self) -> Option<String> {
        let whole = if self.taken.is_empty() { &self.text } else { &self.taken };
        // Nothing after the text was taken whole.
        let rest = whole.get(self.told_bytes..).filter(|rest| !rest.is_empty())?;
        let part = rest[..rest.floor_char_boundary(EVENT_BYTES)].to_owned();
        self.told_bytes += part.len();
        if self.told_bytes == self.taken.len() {
            self.taken = String::new();
        }
        Some(part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_when_output_was_dropped() {
        let feed = Feed::new(6, false);
        feed.print("abc\nü");
        feed.print("def\n");
        assert_eq!(feed.last_line(), "ü");
        assert_eq!(feed.take_output(), "abc\nü\n[4 more bytes were printed and dropped: the limit is 6]\n");
        assert_eq!(feed.take_output(), "");
    }

    fn told(feed: &Feed) -> Vec<Event> {
        std::iter::from_fn(|| feed.next_event()).collect()
    }

    #[test]
    fn events_come_once_and_in_order_and_nothing_printed_is_lost() {
        let feed = Feed::new(1 << 20, true);
        assert_eq!(told(&feed), []);
        feed.report(0.5, "half");
        feed.print("one\n");
        feed.begin();
        let output = |text: &str| Event::Output { text: text.to_owned() };
        let half = Event::Progress(Progress { value: 0.5, message: "half".to_owned() });
        assert_eq!(told(&feed), [Event::Started, output("one\n"), half]);
        feed.print("two\n");
        assert_eq!(feed.take_output(), "one\ntwo\n");
        assert_eq!(told(&feed), [output("two\n")]);
    }

    #[test]
    fn a_flood_comes_in_pieces_that_end_between_characters() {
        let feed = Feed::new(1 << 20, true);
        let flood = "ü".repeat(EVENT_BYTES);
        feed.print(&flood);
        let events = told(&feed);
        assert_eq!(events.len(), 2);
        feed.print("x");
        assert_eq!(feed.take_output().len(), flood.len() + 1);
        assert_eq!(told(&feed), [Event::Output { text: "x".to_owned() }]);
    }

    #[test]
    fn progress_stays_between_its_ends() {
        let feed = Feed::new(1, false);
        for (value, wanted) in [(f64::NAN, 0.0), (-1.0, 0.0), (7.0, 1.0)] {
            feed.report(value, "");
            assert!((feed.progress().unwrap().value - wanted).abs() < f64::EPSILON);
        }
    }
}
