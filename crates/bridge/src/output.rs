// SPDX-License-Identifier: GPL-3.0-or-later
//! What a running script has printed so far. The main thread writes; the network thread reads the last line for
//! `status` while the script runs.

use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Output of one request, bounded.
#[derive(Debug)]
pub struct Output {
    limit_bytes: usize,
    printed: Mutex<Printed>,
}

#[derive(Debug, Default)]
struct Printed {
    text: String,
    dropped_bytes: usize,
}

impl Output {
    /// An empty output that keeps at most `limit_bytes`.
    pub fn new(limit_bytes: usize) -> Self {
        Self { limit_bytes, printed: Mutex::default() }
    }

    /// Appends `text`, as much of it as fits.
    pub fn push(&self, text: &str) {
        let mut printed = self.lock();
        let room = self.limit_bytes.saturating_sub(printed.text.len());
        let kept = if text.len() <= room { text } else { &text[..text.floor_char_boundary(room)] };
        printed.text.push_str(kept);
        printed.dropped_bytes += text.len() - kept.len();
    }

    /// Everything printed, leaving nothing; ends with a note when some of it was dropped.
    pub fn take(&self) -> String {
        let Printed { mut text, dropped_bytes } = std::mem::take(&mut *self.lock());
        if dropped_bytes > 0 {
            let limit = self.limit_bytes;
            let _ = write!(text, "\n[{dropped_bytes} more bytes were printed and dropped: the limit is {limit}]\n");
        }
        text
    }

    /// Everything printed, for an answer that comes before the end.
    pub(crate) fn so_far(&self) -> String {
        self.lock().text.clone()
    }

    /// The last line that is not blank, at most 200 characters of it.
    pub fn last_line(&self) -> String {
        const LONGEST_CHARS: usize = 200;
        let printed = self.lock();
        let line = printed.text.trim_end().rsplit('\n').next().unwrap_or("");
        line.trim().chars().take(LONGEST_CHARS).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Printed> {
        self.printed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_when_output_was_dropped() {
        let output = Output::new(6);
        output.push("abc\nü");
        output.push("def\n");
        assert_eq!(output.last_line(), "ü");
        assert_eq!(output.take(), "abc\nü\n[4 more bytes were printed and dropped: the limit is 6]\n");
        assert_eq!(output.take(), "");
    }
}
