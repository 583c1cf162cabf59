// SPDX-License-Identifier: GPL-3.0-or-later
//! A script to run, under a name by which it can be cancelled from another connection.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use blendwire_protocol::SentBy;

/// Source text, name and how it is to be run.
#[derive(Clone, Debug)]
pub struct Script<'a> {
    pub(crate) code: &'a str,
    pub(crate) id: String,
    pub(crate) options: Options<'a>,
}

/// How a script is to be run. Servers of other kinds ignore all of it.
#[expect(clippy::struct_excessive_bools, reason = "each is a wish of its own")]
#[derive(Clone, Debug, Default)]
pub struct Options<'a> {
    /// A limit to waiting and running together.
    pub timeout: Option<Duration>,
    /// What people in front of Blender are shown, as the name of the undo step for instance.
    pub title: Option<&'a str>,
    /// The namespace of that name is used, and kept for the next script that names it.
    pub session: Option<&'a str>,
    /// Values of expression statements are printed, as a Python prompt does.
    pub echo: bool,
    /// When the script fails, what it did to the file is taken back.
    pub rollback: bool,
    /// The outcome tells what the script did to the file.
    pub changes: bool,
    /// It makes no undo step: what it edits it takes back itself.
    pub no_undo_step: bool,
    /// Who wants it, for Blender's journal.
    pub sent_by: SentBy<'a>,
}

impl<'a> Script<'a> {
    /// A script without any wishes.
    pub fn new(code: &'a str) -> Self {
        Self { code, id: unique_id(), options: Options::default() }
    }

    /// The same with wishes.
    #[must_use]
    pub fn with_options(self, options: Options<'a>) -> Self {
        Self { options, ..self }
    }

    /// Its source text.
    pub fn code(&self) -> &str {
        self.code
    }

    /// Who wants it.
    pub fn sent_by(&self) -> SentBy<'a> {
        self.options.sent_by
    }

    /// Its name on the wire.
    pub fn id(&self) -> &str {
        &self.id
    }
}

/// A name for one request. No two clients of one server may use the same at a time: process, start and count make it unlike any
/// other.
pub fn unique_id() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    format!("{:x}-{now:x}-{:x}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}
