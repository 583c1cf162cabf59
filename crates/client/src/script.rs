// SPDX-License-Identifier: GPL-3.0-or-later
//! A script to run, under a name by which it can be cancelled from another connection.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Source text, name and time limit.
#[derive(Clone, Debug)]
pub struct Script<'a> {
    pub(crate) code: &'a str,
    pub(crate) id: String,
    pub(crate) timeout: Option<Duration>,
}

impl<'a> Script<'a> {
    /// A script without a time limit.
    pub fn new(code: &'a str) -> Self {
        Self { code, id: unique_id(), timeout: None }
    }

    /// The same with a limit to waiting and running together. Servers of other kinds ignore it.
    #[must_use]
    pub fn with_timeout(self, timeout: Option<Duration>) -> Self {
        Self { timeout, ..self }
    }

    /// Its name on the wire.
    pub fn id(&self) -> &str {
        &self.id
    }
}

/// No two clients of one server may use the same name at a time: process, start and count make it unlike any other.
fn unique_id() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    format!("{:x}-{now:x}-{:x}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}
