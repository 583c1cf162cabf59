// SPDX-License-Identifier: GPL-3.0-or-later
//! Log records of all threads in a ring that the main thread drains: the network thread never prints, because
//! printing may need Python or block on a terminal.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use log::{Level, LevelFilter, Log, Metadata, Record};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// Records kept when nobody drains; the oldest go first.
const KEPT_RECORDS: usize = 1000;

/// Level, seconds since the epoch, text.
type Line = (&'static str, f64, String);

static RING: Mutex<VecDeque<Line>> = Mutex::new(VecDeque::new());

struct Ring;

impl Log for Ring {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("blendwire") || metadata.target().starts_with("_core")
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
        // Before the lock: what panics while it is written is logged too.
        let text = record.args().to_string();
        let mut ring = RING.lock().unwrap_or_else(PoisonError::into_inner);
        if ring.len() >= KEPT_RECORDS {
            ring.pop_front();
        }
        ring.push_back((name(record.level()), time, text));
    }

    fn flush(&self) {}
}

fn name(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warn => "warning",
        Level::Info => "info",
        Level::Debug | Level::Trace => "debug",
    }
}

/// Makes the ring the logger of this module. Python may initialise the module again; the first time counts.
pub(crate) fn install() {
    if log::set_logger(&Ring).is_ok() {
        log::set_max_level(LevelFilter::Info);
    }
}

/// Sets what is recorded: `debug`, `info`, `warning` or `error`.
#[pyfunction]
pub(crate) fn set_log_level(level: &str) -> PyResult<()> {
    let filter = match level {
        "debug" => LevelFilter::Debug,
        "info" => LevelFilter::Info,
        "warning" => LevelFilter::Warn,
        "error" => LevelFilter::Error,
        other => {
            let message = format!("unknown log level {other:?}; use debug, info, warning or error");
            return Err(PyValueError::new_err(message));
        }
    };
    log::set_max_level(filter);
    Ok(())
}

/// Takes the records since the last call: level, seconds since the epoch, text.
#[pyfunction]
pub(crate) fn drain_logs() -> Vec<Line> {
    let mut ring = RING.lock().unwrap_or_else(PoisonError::into_inner);
    ring.drain(..).collect()
}
