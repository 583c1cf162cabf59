// SPDX-License-Identifier: GPL-3.0-or-later
//! Requests whose end has not come yet, of all connections together: what they may take of Blender's memory.
//!
//! Each dialect's reader keeps a [`Share`] as large as what it holds, and refuses its client where there is no room for
//! more: waiting for room would have those who never end their requests keep out everybody else for good.

use std::sync::atomic::{AtomicUsize, Ordering};

/// So much of a request costs no more than its connection may.
const FREE_BYTES: usize = 1024 * 1024;

const MIB: usize = 1024 * 1024;

/// How much there is, and may be.
#[derive(Debug)]
pub(crate) struct Unfinished {
    limit_bytes: usize,
    bytes: AtomicUsize,
}

/// What one connection has of it, until it is dropped.
#[derive(Debug)]
pub(crate) struct Share<'a> {
    of: &'a Unfinished,
    bytes: usize,
}

/// All connections together hold too much.
#[derive(Debug, thiserror::Error)]
#[error(
    "requests that have not come whole take {} MiB of Blender's memory already, which is the limit for all clients together; \
     nothing of this one was run. Send it again when others have ended",
    .limit_bytes / MIB
)]
pub(crate) struct NoRoom {
    limit_bytes: usize,
}

impl Unfinished {
    pub(crate) fn new(limit_bytes: usize) -> Self {
        Self { limit_bytes, bytes: AtomicUsize::new(0) }
    }

    /// A share of nothing, to begin with.
    pub(crate) fn share(&self) -> Share<'_> {
        Share { of: self, bytes: 0 }
    }
}

impl Share<'_> {
    /// Makes it as large as what is held now.
    pub(crate) fn resize(&mut self, held_bytes: usize) -> Result<(), NoRoom> {
        let wanted = if held_bytes > FREE_BYTES { held_bytes } else { 0 };
        self.of.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        self.bytes = 0;
        let limit_bytes = self.of.limit_bytes;
        let fits = |taken: usize| taken.checked_add(wanted).filter(|sum| wanted == 0 || *sum <= limit_bytes);
        match self.of.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits) {
            Ok(_) => {
                self.bytes = wanted;
                Ok(())
            }
            Err(_) => Err(NoRoom { limit_bytes }),
        }
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        self.of.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_together_stay_within_the_limit() {
        let all = Unfinished::new(10 * MIB);
        let (mut first, mut second) = (all.share(), all.share());
        assert!(first.resize(6 * MIB).is_ok());
        assert!(first.resize(7 * MIB).is_ok());
        let refused = second.resize(4 * MIB).unwrap_err().to_string();
        assert!(refused.contains("10 MiB"), "{refused}");
        // Small ones always fit.
        assert!(second.resize(FREE_BYTES).is_ok());
        assert!(second.resize(3 * MIB).is_ok());
        drop(first);
        assert!(second.resize(10 * MIB).is_ok());
        assert!(second.resize(0).is_ok());
        assert_eq!(all.bytes.load(Ordering::Relaxed), 0);
    }
}
