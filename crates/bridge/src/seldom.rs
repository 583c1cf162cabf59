// SPDX-License-Identifier: GPL-3.0-or-later
//! Messages that anybody can cause by connecting: the log tells of the first, and then for a while of none, so that
//! nobody can fill it.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use log::Level;

/// What refusals say behind their first message.
pub(crate) const AND_NO_MORE: &str = "(further ones within a minute are not told)";

/// When one kind of message was told last.
#[derive(Debug)]
pub(crate) struct Seldom {
    every: Duration,
    last: Mutex<Option<Instant>>,
}

impl Default for Seldom {
    fn default() -> Self {
        Self::every(Duration::from_mins(1))
    }
}

impl Seldom {
    /// Told at most this often.
    pub(crate) fn every(every: Duration) -> Self {
        Self { every, last: Mutex::default() }
    }

    /// `level` where it is time to tell again, else `Debug`.
    pub(crate) fn level(&self, level: Level) -> Level {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_some_and(|last| last.elapsed() < self.every) {
            return Level::Debug;
        }
        *last = Some(Instant::now());
        level
    }
}

/// Those of a server.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) too_many: Seldom,
    pub(crate) not_allowed: Seldom,
    /// More often: whoever sets up TLS tries again and again, and wants to know what was wrong this time.
    pub(crate) no_tls: Seldom,
}

impl Default for Told {
    fn default() -> Self {
        Self {
            too_many: Seldom::default(),
            not_allowed: Seldom::default(),
            no_tls: Seldom::every(Duration::from_secs(1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_told_once_and_again_when_time_has_passed() {
        let seldom = Seldom::default();
        assert_eq!([Level::Warn; 3].map(|level| seldom.level(level)), [Level::Warn, Level::Debug, Level::Debug]);
        let always = Seldom::every(Duration::ZERO);
        assert_eq!([Level::Info; 2].map(|level| always.level(level)), [Level::Info; 2]);
    }
}
