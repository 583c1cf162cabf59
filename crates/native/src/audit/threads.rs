// SPDX-License-Identifier: GPL-3.0-or-later
//! Threads that have come into being while a script runs, by `threading` and pools of it: what they do counts as the
//! script's for as long as it runs. Python does not say who started a thread, and before 3.12 not even that one was.

use std::cell::Cell;
use std::sync::{Mutex, PoisonError};

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;

/// Python's threads by number, in the dictionary of `threading`: `current_thread()` would make up an object for a thread
/// that it does not know.
static ACTIVE: PyOnceLock<Py<PyDict>> = PyOnceLock::new();

/// Those that were there before the script.
static BEFORE: Mutex<Option<Py<PyDict>>> = Mutex::new(None);

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

/// Remembers which threads there are, right before a script.
pub(super) fn remember(py: Python<'_>) -> PyResult<()> {
    let before = active(py)?.copy()?.unbind();
    *BEFORE.lock().unwrap_or_else(PoisonError::into_inner) = Some(before);
    Ok(())
}

/// Forgets them, when the script has ended.
pub(super) fn forget() {
    let before = BEFORE.lock().unwrap_or_else(PoisonError::into_inner).take();
    drop(before);
}

/// Whether this thread, which is not the main one, has come with the script of the request that runs.
pub(super) fn is_ours(py: Python<'_>, running: u64) -> bool {
    if running == 0 || OWNER.get() == Owner::SomebodyElse || IS_BEING_TOLD.replace(true) {
        return false;
    }
    if OWNER.get() == Owner::Unknown {
        OWNER.set(owner(py, running).unwrap_or(Owner::SomebodyElse));
    }
    IS_BEING_TOLD.set(false);
    OWNER.get() == Owner::Request(running)
}

fn owner(py: Python<'_>, running: u64) -> PyResult<Owner> {
    let number = py.import(intern!(py, "threading"))?.call_method0(intern!(py, "get_ident"))?;
    let Some(this) = active(py)?.get_item(&number)? else { return Ok(Owner::Unknown) };
    let before = BEFORE.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|before| before.clone_ref(py));
    let Some(before) = before else { return Ok(Owner::Unknown) };
    // A number may be that of a thread that has ended.
    let was_there = before.bind(py).get_item(number)?.is_some_and(|known| known.is(&this));
    Ok(if was_there { Owner::SomebodyElse } else { Owner::Request(running) })
}

fn active(py: Python<'_>) -> PyResult<&Bound<'_, PyDict>> {
    let look_up = || PyResult::Ok(py.import("threading")?.getattr("_active")?.cast_into::<PyDict>()?.unbind());
    Ok(ACTIVE.get_or_try_init(py, look_up)?.bind(py))
}
