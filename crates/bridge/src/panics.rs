// SPDX-License-Identifier: GPL-3.0-or-later
//! Counts and logs the panics of this library, whichever thread or task they end.
//!
//! A panic ends one task: a connection, a time limit. The runtime keeps it there, so nobody would see it. Rust's own
//! report goes to the terminal, where printing may block the network thread; this one goes to the log.

use std::panic;
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};

static COUNT: AtomicU64 = AtomicU64::new(0);

/// Takes the place of Rust's own report. The library has its own copy of the standard library, so that nothing else in
/// the process is concerned.
pub(crate) fn report() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        panic::set_hook(Box::new(|panic| {
            COUNT.fetch_add(1, Ordering::Relaxed);
            log::error!("a defect in Blendwire, please report it: {panic}");
        }));
    });
}

/// How many there were since the process started.
pub(crate) fn count() -> u64 {
    COUNT.load(Ordering::Relaxed)
}
