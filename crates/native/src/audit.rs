// SPDX-License-Identifier: GPL-3.0-or-later
//! Watches what a script does outside of Blender: an audit hook of Python's, for the journal and the guard rules.
//!
//! Python calls the hook for whatever happens in any of its threads. It returns at once unless a script of ours is being
//! run by this thread, or this thread has come into being since it began. The add-on's own work around a script is
//! [`Paused`]. What Blender does in C has no audit events: `file_written` is told of files that Blender's handlers name.
//!
//! A hook cannot be taken away again, and costs each of Python's events some fraction of a microsecond. So there is none
//! before the first script that is journalled or guarded.

mod events;
mod threads;

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use blendwire_journal::{Deed, Deeds};
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple};

use crate::{deferred, execute, guard};

thread_local! {
    /// This thread runs a script of ours, and not something of the add-on's around it.
    static IS_WATCHED: Cell<bool> = const { Cell::new(false) };
}

static IS_INSTALLED: AtomicBool = AtomicBool::new(false);

/// Number of the request whose script runs; 0 for none.
static RUNNING: AtomicU64 = AtomicU64::new(0);

/// What that script has done so far.
static DEEDS: Mutex<Option<Deeds>> = Mutex::new(None);

/// While it lives, what this thread does is a script's.
pub(crate) struct Watching(());

impl Watching {
    /// To be called on the main thread.
    pub(crate) fn begin(py: Python<'_>, number: u64) -> PyResult<Self> {
        if !IS_INSTALLED.load(Ordering::Relaxed) {
            py.import("sys")?.call_method1("addaudithook", (wrap_pyfunction!(on_event, py)?,))?;
            IS_INSTALLED.store(true, Ordering::Relaxed);
        }
        threads::remember(py)?;
        RUNNING.store(number, Ordering::Relaxed);
        IS_WATCHED.set(true);
        Ok(Self(()))
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        IS_WATCHED.set(false);
        RUNNING.store(0, Ordering::Relaxed);
        threads::forget();
    }
}

/// While it lives, what this thread does is not the script's.
pub(crate) struct Paused(bool);

impl Paused {
    pub(crate) fn begin() -> Self {
        Self(IS_WATCHED.replace(false))
    }
}

impl Drop for Paused {
    fn drop(&mut self) {
        IS_WATCHED.set(self.0);
    }
}

/// Takes what the script has done.
pub(crate) fn take() -> Deeds {
    DEEDS.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default()
}

fn note(deed: Deed, what: &str) {
    DEEDS.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default().note(deed, what);
}

/// What Python calls. The exception that it raises is raised in the script, in place of what that was about to do.
#[pyfunction]
fn on_event(event: &Bound<'_, PyAny>, arguments: &Bound<'_, PyAny>) -> PyResult<()> {
    if !IS_WATCHED.get() && !threads::is_ours(event.py(), RUNNING.load(Ordering::Relaxed)) {
        return Ok(());
    }
    // Looking at arguments may run Python's own code, a path's for instance, which is none of the script's deeds.
    let _paused = Paused::begin();
    let (Ok(event), Ok(arguments)) = (event.cast::<PyString>(), arguments.cast::<PyTuple>()) else { return Ok(()) };
    let Ok(event) = event.to_str() else { return Ok(()) };
    let mut refusal = Ok(());
    // Strange arguments are the script's affair: Python refuses them right after.
    let _ = events::read(event, arguments, |deed, what| {
        if refusal.is_ok() {
            refusal = guard::check(deed, what);
            note(if refusal.is_ok() { deed } else { Deed::Refused }, what);
        }
    });
    refusal
}

/// Notes a file that Blender itself has written: for the script that runs, else for the oldest request whose result is
/// deferred, because a render goes on when its script has ended.
#[pyfunction]
pub(crate) fn file_written(path: &str) {
    if execute::is_executing() {
        note(Deed::FileWritten, path);
    } else {
        let mut deeds = Deeds::default();
        deeds.note(Deed::FileWritten, path);
        deferred::add_deeds_to_oldest(&deeds);
    }
}
