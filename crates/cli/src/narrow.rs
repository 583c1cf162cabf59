// SPDX-License-Identifier: GPL-3.0-or-later
//! A terminal on which a bar leaves the right margin free.
//!
//! indicatif fills the bar's line to its end. The `^C` that a terminal shows when Ctrl-C is pressed would then go to the
//! next line, and clearing the bar would clear that one and leave the bar's own.

use std::io;

use console::Term;
use indicatif::{ProgressDrawTarget, TermLike};

/// Columns for `^C^C`.
const MARGIN: u16 = 4;

/// Draws per second at most.
const DRAWN_HZ: u8 = 20;

/// Where bars are drawn: on a terminal that is stderr, else nowhere.
pub(crate) fn target() -> ProgressDrawTarget {
    let term = Term::stderr();
    if !term.is_term() {
        return ProgressDrawTarget::hidden();
    }
    ProgressDrawTarget::term_like_with_hz(Box::new(Narrow(term)), DRAWN_HZ)
}

#[derive(Debug)]
struct Narrow(Term);

impl TermLike for Narrow {
    fn width(&self) -> u16 {
        TermLike::width(&self.0).saturating_sub(MARGIN)
    }

    fn height(&self) -> u16 {
        TermLike::height(&self.0)
    }

    fn move_cursor_up(&self, lines: usize) -> io::Result<()> {
        self.0.move_cursor_up(lines)
    }

    fn move_cursor_down(&self, lines: usize) -> io::Result<()> {
        self.0.move_cursor_down(lines)
    }

    fn move_cursor_right(&self, chars: usize) -> io::Result<()> {
        self.0.move_cursor_right(chars)
    }

    fn move_cursor_left(&self, chars: usize) -> io::Result<()> {
        self.0.move_cursor_left(chars)
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.0.write_line(text)
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.0.write_str(text)
    }

    fn clear_line(&self) -> io::Result<()> {
        self.0.clear_line()
    }

    fn flush(&self) -> io::Result<()> {
        self.0.flush()
    }
}
