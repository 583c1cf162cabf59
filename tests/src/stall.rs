// SPDX-License-Identifier: GPL-3.0-or-later
//! How long this machine stands still while a test takes times: what it takes them of cannot do better.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Result;

/// A thread that sleeps again and again, and is woken late when the whole machine stands still.
#[derive(Debug)]
pub struct StallMeter {
    is_over: Arc<AtomicBool>,
    sleeper: Option<JoinHandle<Duration>>,
}

impl StallMeter {
    /// Begins to measure.
    pub fn start() -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let told = is_over.clone();
        Self { is_over, sleeper: Some(std::thread::spawn(move || longest(&told))) }
    }

    /// The longest that it was woken late since the start.
    ///
    /// # Errors
    /// When the thread has panicked.
    pub fn stop(mut self) -> Result<Duration> {
        self.is_over.store(true, Ordering::Relaxed);
        let late = self.sleeper.take().map_or(Ok(Duration::ZERO), JoinHandle::join);
        late.map_err(|_| anyhow::anyhow!("the meter panicked"))
    }
}

impl Drop for StallMeter {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

fn longest(is_over: &AtomicBool) -> Duration {
    const NAP: Duration = Duration::from_millis(5);
    let mut longest = Duration::ZERO;
    while !is_over.load(Ordering::Relaxed) {
        let before = Instant::now();
        std::thread::sleep(NAP);
        longest = longest.max(before.elapsed().saturating_sub(NAP));
    }
    longest
}
