// SPDX-License-Identifier: GPL-3.0-or-later
//! Requests whose script left a callable `check_is_finished`: it is polled on the main thread until it returns
//! something other than `None`, which is the result. Renders with a window work this way: they go on in Blender's own
//! event loop while the client waits.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use blendwire_bridge::{Job, Shared};
use pyo3::prelude::*;

use crate::capture::Captured;
use crate::execute::{Outcome, conclude, protected, traceback};
use crate::json::to_json;
use crate::python::Python3;

/// Pause between two polls of one callable: quick to a person, cheap to a render.
const POLL_EVERY: Duration = Duration::from_millis(20);

/// A deferred result that has not come by then never will; a long render fits.
const LONGEST_WAIT: Duration = Duration::from_hours(1);

/// Requests that wait, all of them known to the main thread only; the lock is for the compiler.
static WAITING: Mutex<Vec<Deferred>> = Mutex::new(Vec::new());

/// One request that waits for its result.
pub(crate) struct Deferred {
    job: Job,
    check: Py<PyAny>,
    next_poll: Instant,
    deadline: Instant,
}

impl Deferred {
    pub(crate) fn new(job: Job, check: Py<PyAny>) -> Self {
        let now = Instant::now();
        Self { job, check, next_poll: now + POLL_EVERY, deadline: now + LONGEST_WAIT }
    }
}

/// Files a request to be polled.
pub(crate) fn file(deferred: Deferred) {
    with_waiting(|waiting| waiting.push(deferred));
}

/// When the next poll is due; `None` when nothing waits.
pub(crate) fn next_due() -> Option<Instant> {
    with_waiting(|waiting| waiting.iter().map(|deferred| deferred.next_poll).min())
}

/// Polls what is due. Returns whether anything waits.
pub(crate) fn poll(py: Python<'_>, shared: &Arc<Shared>) -> bool {
    if with_waiting(|waiting| waiting.is_empty()) {
        return false;
    }
    let now = Instant::now();
    let due = with_waiting(|waiting| waiting.extract_if(.., |deferred| deferred.next_poll <= now).collect::<Vec<_>>());
    for deferred in due {
        if let Some(deferred) = poll_one(py, shared, deferred) {
            with_waiting(|waiting| waiting.push(deferred));
        }
    }
    with_waiting(|waiting| !waiting.is_empty())
}

/// Drops all that wait; each is answered by being dropped.
pub(crate) fn drop_all() {
    let dropped = with_waiting(std::mem::take);
    drop(dropped);
}

fn poll_one(py: Python<'_>, shared: &Arc<Shared>, mut deferred: Deferred) -> Option<Deferred> {
    let mut is_pending = false;
    let outcome = protected(|| {
        let python = Python3::get(py)?;
        let _captured = Captured::begin(py, python, deferred.job.output.clone())?;
        Ok(match deferred.check.bind(py).call0() {
            Ok(value) if value.is_none() => {
                is_pending = true;
                Outcome::Finished(b"null".to_vec())
            }
            Ok(value) => Outcome::Finished(to_json(python, &value)),
            Err(error) => Outcome::Raised(traceback(py, python, &error)),
        })
    });
    if is_pending && Instant::now() < deferred.deadline {
        deferred.next_poll = Instant::now() + POLL_EVERY;
        return Some(deferred);
    }
    let outcome = if is_pending { Ok(Outcome::Raised(gave_up())) } else { outcome };
    shared.job_begins(&mut deferred.job);
    conclude(shared, deferred.job, outcome);
    None
}

fn gave_up() -> String {
    let secs = LONGEST_WAIT.as_secs();
    format!(
        "TimeoutError: check_is_finished() returned None for {secs} s, which is the limit; the work may still go on"
    )
}

fn with_waiting<T>(body: impl FnOnce(&mut Vec<Deferred>) -> T) -> T {
    body(&mut WAITING.lock().unwrap_or_else(PoisonError::into_inner))
}
