// SPDX-License-Identifier: GPL-3.0-or-later
//! Requests whose script left a callable `check_is_finished`: it is polled on the main thread until it returns
//! something other than `None`, which is the result. Renders with a window work this way: they go on in Blender's own
//! event loop while the client waits.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use blendwire_bridge::{Job, Shared, Task};
use blendwire_journal::Deeds;
use blendwire_protocol::Effects;
use pyo3::prelude::*;

use crate::execute::{Outcome, conclude, exception, finished, step, traceback};
use crate::interrupt::Interruptible;
use crate::python::file_name;

/// Pause between two polls of one callable: quick to a person, cheap to a render.
const POLL_EVERY: Duration = Duration::from_millis(20);

/// A deferred result that has not come by then never will; a long render fits.
const LONGEST_WAIT: Duration = Duration::from_hours(1);

/// Requests that wait, all of them known to the main thread only; the lock is for the compiler.
static WAITING: Mutex<Vec<Deferred>> = Mutex::new(Vec::new());

/// Requests that may wait at a time: each is polled, also when its client has gone.
const MOST_WAITING: usize = 256;

/// What a client is told whose result never came.
pub(crate) const GAVE_UP: &str = "TimeoutError: check_is_finished() returned None for an hour, which is the limit; \
    what it waits for may still go on";

/// One request that waits for its result.
struct Deferred {
    job: Job,
    check: Py<PyAny>,
    /// What its script did to the file.
    effects: Effects,
    next_poll: Instant,
    deadline: Instant,
}

/// Files a request to be polled, or answers it when too many wait.
pub(crate) fn file(shared: &Shared, job: Job, check: Py<PyAny>, effects: Effects) {
    let now = Instant::now();
    if with_waiting(|waiting| waiting.len()) >= MOST_WAITING {
        let message = format!("{MOST_WAITING} requests wait for their check_is_finished() already, which is the limit");
        return give_up(shared, job, Ok(Outcome::Raised(message, None)), effects);
    }
    let deferred = Deferred { job, check, effects, next_poll: now + POLL_EVERY, deadline: now + LONGEST_WAIT };
    with_waiting(|waiting| waiting.push(deferred));
}

/// Whether no request waits for its result.
pub(crate) fn is_empty() -> bool {
    with_waiting(|waiting| waiting.is_empty())
}

/// When the next poll is due; `None` when nothing waits.
pub(crate) fn next_due() -> Option<Instant> {
    with_waiting(|waiting| waiting.iter().map(|deferred| deferred.next_poll).min())
}

/// Polls what is due. Returns whether any request came to its end.
pub(crate) fn poll(py: Python<'_>, shared: &Arc<Shared>) -> bool {
    let now = Instant::now();
    // One at a time: those that are not being looked at stay where an end of the process finds them.
    let next_due = || {
        with_waiting(|waiting| {
            let at = waiting.iter().position(|deferred| deferred.next_poll <= now)?;
            Some(waiting.remove(at))
        })
    };
    let mut has_ended = false;
    while let Some(deferred) = next_due() {
        match poll_one(py, shared, deferred) {
            Some(pending) => with_waiting(|waiting| waiting.push(pending)),
            None => has_ended = true,
        }
    }
    has_ended
}

/// Adds to what the oldest request that waits has done; none may wait.
pub(crate) fn add_deeds_to_oldest(deeds: &Deeds) {
    with_waiting(|waiting| {
        if let Some(oldest) = waiting.iter_mut().min_by_key(|deferred| deferred.deadline) {
            oldest.job.add_deeds(deeds);
        }
    });
}

/// Drops all that wait; each is answered by being dropped.
pub(crate) fn drop_all() {
    let dropped = with_waiting(std::mem::take);
    drop(dropped);
}

/// The same at the end of the process, where Python may be gone: its objects are left alone.
pub(crate) fn answer_all_without_python() {
    for Deferred { job, check, .. } in with_waiting(std::mem::take) {
        std::mem::forget(check);
        drop(job);
    }
}

/// `None` when the request has been answered.
fn poll_one(py: Python<'_>, shared: &Arc<Shared>, deferred: Deferred) -> Option<Deferred> {
    let Deferred { job, check, effects, deadline, .. } = deferred;
    if let Some(reason) = shared.ending_of(job.number) {
        let message = format!("{reason} while check_is_finished() returned None");
        give_up(shared, job, Ok(Outcome::Raised(message, None)), effects);
        return None;
    }
    let number = job.number;
    let (job, outcome) = step(py, shared, job, |python| {
        let looking = Interruptible::begin(py, number);
        let value = check.bind(py).call0();
        drop(looking);
        match value {
            Ok(value) if value.is_none() => Outcome::Deferred(check.clone_ref(py)),
            Ok(value) => finished(python, &value),
            Err(error) => Outcome::Raised(traceback(py, python, &error), exception(py, &error, &file_name(number))),
        }
    })?;
    let now = Instant::now();
    if matches!(outcome, Ok(Outcome::Deferred(_))) && now < deadline {
        shared.job_ends(job.number, None);
        return Some(Deferred { job, check, effects, next_poll: now + POLL_EVERY, deadline });
    }
    if matches!(outcome, Ok(Outcome::Finished(_))) {
        conclude(shared, job, outcome, effects);
    } else {
        give_up(shared, job, outcome, effects);
    }
    None
}

/// Answers a request whose result will not come. Others have run meanwhile, so that what its script did cannot be taken
/// back any more without taking theirs back.
fn give_up(shared: &Shared, job: Job, outcome: Result<Outcome, String>, effects: Effects) {
    let wants_rollback = matches!(&job.task, Task::Script(script) if script.rollback);
    let because = "its result was deferred, and other requests may have run since its script ended".to_owned();
    let effects = Effects {
        rolled_back: wants_rollback.then_some(false),
        not_rolled_back_because: wants_rollback.then_some(because),
        ..effects
    };
    conclude(shared, job, outcome, effects);
}

fn with_waiting<T>(body: impl FnOnce(&mut Vec<Deferred>) -> T) -> T {
    body(&mut WAITING.lock().unwrap_or_else(PoisonError::into_inner))
}
