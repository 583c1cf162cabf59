// SPDX-License-Identifier: GPL-3.0-or-later
//! Threads that a script has started with `threading`, pools included: what they do counts as the script's while its
//! request runs.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

/// Threads that are told apart; what later ones do is not seen.
const MOST_THREADS: usize = 256;

/// The running script has started any. Until then other threads cost nothing.
static HAS_STARTED_ANY: AtomicBool = AtomicBool::new(false);

/// The objects of those threads.
static STARTED: Mutex<Vec<Py<PyAny>>> = Mutex::new(Vec::new());

/// Whose a thread is.
#[derive(Clone, Copy, PartialEq)]
enum Owner {
    Unknown,
    Request(u64),
    SomebodyElse,
}

thread_local! {
    static OWNER: Cell<Owner> = const { Cell::new(Owner::Unknown) };
    static IS_BEING_TOLD: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread, which is not the main one, was started by the script of the request that runs.
pub(super) fn is_ours(py: Python<'_>, running: u64) -> bool {
    if running == 0 || !HAS_STARTED_ANY.load(Ordering::Relaxed) || IS_BEING_TOLD.replace(true) {
        return false;
    }
    if OWNER.get() == Owner::Unknown {
        OWNER.set(owner(py, running).unwrap_or(Owner::SomebodyElse));
    }
    IS_BEING_TOLD.set(false);
    OWNER.get() == Owner::Request(running)
}

fn owner(py: Python<'_>, running: u64) -> PyResult<Owner> {
    let threading = py.import(intern!(py, "threading"))?;
    let number = threading.call_method0(intern!(py, "get_ident"))?;
    // `current_thread()` would make up an object for a thread that is not known yet.
    let active = threading.getattr(intern!(py, "_active"))?;
    let Some(this) = active.cast::<PyDict>()?.get_item(number)? else { return Ok(Owner::Unknown) };
    let started = STARTED.lock().unwrap_or_else(PoisonError::into_inner);
    let is_ours = started.iter().any(|thread| thread.bind(py).is(&this));
    Ok(if is_ours { Owner::Request(running) } else { Owner::SomebodyElse })
}

/// Remembers a thread that is about to start: its first argument is a method of its object.
pub(super) fn note_start(event: &str, arguments: &Bound<'_, PyTuple>) {
    if !matches!(event, "_thread.start_new_thread" | "_thread.start_joinable_thread") {
        return;
    }
    let thread = arguments.get_item(0).and_then(|function| function.getattr(intern!(arguments.py(), "__self__")));
    let Ok(thread) = thread else { return };
    let mut started = STARTED.lock().unwrap_or_else(PoisonError::into_inner);
    if started.len() < MOST_THREADS {
        started.push(thread.unbind());
        HAS_STARTED_ANY.store(true, Ordering::Relaxed);
    }
}

/// Forgets them, when the script has ended.
pub(super) fn forget() {
    if HAS_STARTED_ANY.swap(false, Ordering::Relaxed) {
        let started = std::mem::take(&mut *STARTED.lock().unwrap_or_else(PoisonError::into_inner));
        drop(started);
    }
}
