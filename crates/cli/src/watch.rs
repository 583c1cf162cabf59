// SPDX-License-Identifier: GPL-3.0-or-later
//! `--watch`: looks every second until Ctrl-C, which is how it is meant to end. On a terminal the whole is drawn anew;
//! elsewhere what has changed is written, with the time, so that a file or a pipe holds no more than what happened.

use std::io::IsTerminal as _;
use std::time::Duration;

use jiff::Zoned;
use owo_colors::OwoColorize as _;

use crate::exit::{Ended, Failure};
use crate::printer;

/// Often enough to follow a script, too rarely to matter to Blender.
const EVERY: Duration = Duration::from_secs(1);

/// Moves the cursor home and clears the screen below it.
const CLEAR_SCREEN: &str = "\x1b[H\x1b[J";

/// How what is seen is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// Drawn anew, over what was there.
    Screen,
    /// A line with the time for each change.
    Lines,
    /// A JSON document in a line for each change.
    Json,
}

impl Shown {
    /// By what was asked for, and where stdout goes.
    pub(crate) fn new(as_json: bool) -> Self {
        match (as_json, std::io::stdout().is_terminal()) {
            (true, _) => Self::Json,
            (false, true) => Self::Screen,
            (false, false) => Self::Lines,
        }
    }
}

/// Looks until Ctrl-C, or until looking fails.
pub(crate) async fn until_interrupted(mut look: impl AsyncFnMut() -> Ended) -> Ended {
    let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
    loop {
        tokio::select! {
            biased;
            heard = &mut interrupted => return heard.map_err(Failure::failed),
            looked = look() => looked?,
        }
        tokio::select! {
            biased;
            heard = &mut interrupted => return heard.map_err(Failure::failed),
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

/// Draws over what was there.
pub(crate) fn screen(text: &str) -> Ended {
    let time = Zoned::now().strftime("%H:%M:%S").to_string();
    printer::table(&format!("{CLEAR_SCREEN}{text}\n\n{}", format!("{time}, Ctrl-C ends").dimmed()))
}

/// A change, with the time.
pub(crate) fn line(text: &str) -> Ended {
    let time = Zoned::now().strftime("%H:%M:%S").to_string();
    printer::table(&format!("{time} {text}"))
}
