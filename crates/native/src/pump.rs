// SPDX-License-Identifier: GPL-3.0-or-later
//! Lends Blender's main thread to requests: [`tick`] for a windowed Blender, which must never wait long, and [`serve`]
//! for one in the background, which has nothing else to do.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use blendwire_bridge::{Job, Shared};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use crate::execute::{self, is_executing};
use crate::{deferred, guard, guarded, host};

/// Longest wait of the background loop before it looks after signals: a Ctrl-C ends it within this time.
const LOOK_UP_EVERY: Duration = Duration::from_millis(100);

static STOP_SERVING: AtomicBool = AtomicBool::new(false);

static END_TICK: AtomicBool = AtomicBool::new(false);

/// Runs queued requests for about `budget_secs`; after each one waits, with the GIL released, up to `linger_secs` for
/// the next, because a client that works back to back sends it within that time. With an empty queue it returns at
/// once. Returns whether it ran or answered anything; looking after deferred results is not counted.
#[pyfunction]
pub(crate) fn tick(py: Python<'_>, budget_secs: f64, linger_secs: f64) -> PyResult<bool> {
    guarded(|| {
        let Some(shared) = host::shared() else { return Ok(false) };
        // A script that makes Blender run its timers must not start the next script inside itself.
        if is_executing() {
            return Ok(false);
        }
        shared.main_thread_seen();
        let deadline = Instant::now() + Duration::from_secs_f64(budget_secs.clamp(0.0, 10.0));
        let linger = Duration::from_secs_f64(linger_secs.clamp(0.0, 1.0));
        let has_ended = deferred::poll(py, &shared);
        let has_settled = guard::poll(py, &shared);
        host::stop_if_asked(py);
        let has_run = run_until(py, &shared, deadline, linger);
        Ok(has_ended || has_settled || has_run)
    })
}

fn run_until(py: Python<'_>, shared: &Arc<Shared>, deadline: Instant, linger: Duration) -> bool {
    let mut next = shared.queue().pop(Duration::ZERO);
    let has_run = next.is_some();
    while let Some(job) = next {
        run(py, shared, job);
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() || !host::is_running() || END_TICK.swap(false, Ordering::Relaxed) {
            break;
        }
        next = wait(py, shared, linger.min(left));
    }
    has_run
}

/// Looks for requests, and says whether there is nothing at all that [`tick`] would do: for a fraction of what that costs,
/// since an idle Blender comes round 200 times a second and finds neither code nor data in the processor's caches.
#[pyfunction]
pub(crate) fn is_idle() -> PyResult<bool> {
    guarded(|| {
        let Some(shared) = host::shared() else { return Ok(false) };
        shared.main_thread_seen();
        Ok(shared.queue().is_empty() && deferred::is_empty() && guard::consent::is_empty())
    })
}

/// Has Blender come round before the next request: after loading a file it has no window in its context until then.
#[pyfunction]
pub(crate) fn end_tick() {
    END_TICK.store(true, Ordering::Relaxed);
}

/// Runs requests until [`request_stop`] or a stop of the server. Python's signal handlers run meanwhile; what they
/// raise comes out of here.
#[pyfunction]
pub(crate) fn serve(py: Python<'_>) -> PyResult<()> {
    guarded(|| {
        if is_executing() {
            return Err(PyRuntimeError::new_err("serve() was called by a request that it is running"));
        }
        while !STOP_SERVING.swap(false, Ordering::Relaxed) {
            let Some(shared) = host::shared() else { return Ok(()) };
            py.check_signals()?;
            shared.main_thread_seen();
            deferred::poll(py, &shared);
            host::stop_if_asked(py);
            let until_due = deferred::next_due().map(|due| due.saturating_duration_since(Instant::now()));
            if let Some(job) = wait(py, &shared, until_due.unwrap_or(LOOK_UP_EVERY).min(LOOK_UP_EVERY)) {
                run(py, &shared, job);
            }
        }
        Ok(())
    })
}

/// Makes [`serve`] return. Fit for a signal handler written in Python.
#[pyfunction]
pub(crate) fn request_stop() {
    STOP_SERVING.store(true, Ordering::Relaxed);
    if let Some(shared) = host::shared() {
        shared.queue().wake();
    }
}

fn run(py: Python<'_>, shared: &Arc<Shared>, job: Job) {
    execute::run(py, shared, job);
    host::stop_if_asked(py);
}

/// The next job; taken at once when there is one, else waited for with the GIL released.
fn wait(py: Python<'_>, shared: &Arc<Shared>, longest: Duration) -> Option<Job> {
    let queue = shared.queue();
    queue.pop(Duration::ZERO).or_else(|| py.detach(|| queue.pop(longest)))
}
