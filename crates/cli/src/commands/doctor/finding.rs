// SPDX-License-Identifier: GPL-3.0-or-later
//! What a check found: how bad it is, what was seen, why that matters, and what mends it.

use anyhow::Result;
use serde::Serialize;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    /// As it should be.
    Ok,
    /// It works, and may not for long, or not as well as it could.
    Warning,
    /// It does not work.
    Failure,
    /// Something that it needs failed.
    NotLookedAt,
}

/// See the module.
pub(super) struct Finding {
    pub(super) state: State,
    /// What was seen.
    pub(super) seen: String,
    /// Why it matters; empty where all is well.
    pub(super) why: String,
    /// Commands, or steps in words, that mend it: any one of them, the most likely first.
    pub(super) remedies: Vec<String>,
    /// What needs this check has nothing to look at.
    pub(super) is_end: bool,
    /// Mends it without harm, and says what it did.
    pub(super) fix: Option<Fix>,
}

/// Mends something, and says what it did.
pub(super) type Fix = Box<dyn FnOnce() -> Result<String> + Send>;

impl Finding {
    /// All is well.
    pub(super) fn ok(seen: impl Into<String>) -> Self {
        Self::new(State::Ok, seen.into(), "")
    }

    /// Something is not as it should be, and what depends on it can be looked at all the same.
    pub(super) fn warning(seen: impl Into<String>, why: &str) -> Self {
        Self::new(State::Warning, seen.into(), why)
    }

    /// Something does not work.
    pub(super) fn failure(seen: impl Into<String>, why: &str) -> Self {
        Self { is_end: true, ..Self::new(State::Failure, seen.into(), why) }
    }

    fn new(state: State, seen: String, why: &str) -> Self {
        Self { state, seen, why: why.to_owned(), remedies: Vec::new(), is_end: false, fix: None }
    }

    /// The same with one more thing that mends it.
    #[must_use]
    pub(super) fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedies.push(remedy.into());
        self
    }

    /// The same, and what needs this check has nothing to look at.
    #[must_use]
    pub(super) fn end(self) -> Self {
        Self { is_end: true, ..self }
    }

    /// The same with something that mends it without harm.
    #[must_use]
    pub(super) fn fix(self, fix: impl FnOnce() -> Result<String> + Send + 'static) -> Self {
        Self { fix: Some(Box::new(fix)), ..self }
    }
}
