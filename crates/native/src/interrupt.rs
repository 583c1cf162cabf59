// SPDX-License-Identifier: GPL-3.0-or-later
//! Interrupts a running script from the network thread.
//!
//! On Unix by a signal to the main thread, with a Python handler that raises [`Interrupted`]: it also ends
//! `time.sleep`, sockets and locks, and needs no attachment to the interpreter. The handler raises only while the
//! script that is meant is inside [`Interruptible`], and not while Blender calls a handler or a driver back; a signal that
//! comes late does nothing, so that no other request, no timer and no code of ours is hit. `except Exception` does not catch it. What is inside C is interrupted when it
//! returns to Python.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString};

use crate::python::Python3;

pyo3::create_exception!(
    blendwire,
    Interrupted,
    pyo3::exceptions::PyBaseException,
    "The client's time limit has passed, or somebody cancelled the request."
);

/// Number of the request whose script may be interrupted now; 0 for none.
static RUNNING: AtomicU64 = AtomicU64::new(0);

/// Number of the request that is to be interrupted, and why.
static WANTED: Mutex<(u64, String)> = Mutex::new((0, String::new()));

/// While it lives, the script of this request is on the main thread and may be interrupted.
pub(crate) struct Interruptible;

impl Interruptible {
    pub(crate) fn begin(number: u64) -> Self {
        RUNNING.store(number, Ordering::SeqCst);
        Self
    }
}

impl Drop for Interruptible {
    fn drop(&mut self) {
        RUNNING.store(0, Ordering::SeqCst);
    }
}

/// What Python calls, on the main thread, soon after the signal.
#[pyfunction]
fn on_signal(_number: i32, frame: &Bound<'_, PyAny>) -> PyResult<()> {
    let running = RUNNING.load(Ordering::SeqCst);
    let is_wanted = running != 0 && WANTED.lock().unwrap_or_else(PoisonError::into_inner).0 == running;
    // The signal comes again in a moment: until then the handler is through.
    if !is_wanted || is_in_callback(frame).unwrap_or(false) {
        return Ok(());
    }
    Err(Interrupted::new_err(WANTED.lock().unwrap_or_else(PoisonError::into_inner).1.clone()))
}

/// Whether Blender is calling somebody else's Python back on behalf of the script: a handler of another add-on, which must
/// not be left half-way, or a driver, which Blender would switch off.
fn is_in_callback(frame: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = frame.py();
    let Some(bpy) = &Python3::get(py)?.bpy else { return Ok(false) };
    let handlers = bpy.bind(py).getattr(intern!(py, "app"))?.getattr(intern!(py, "handlers"))?;
    let mut codes = Vec::new();
    for name in handlers.dir()? {
        let Ok(list) = handlers.getattr(name.cast::<PyString>()?)?.cast_into::<PyList>() else { continue };
        codes.extend(list.iter().filter_map(|handler| handler.getattr(intern!(py, "__code__")).ok()));
    }
    let mut next = Some(frame.clone());
    while let Some(frame) = next.take().filter(|frame| !frame.is_none()) {
        let code = frame.getattr(intern!(py, "f_code"))?;
        let file = code.getattr(intern!(py, "co_filename"))?;
        if codes.iter().any(|handler| handler.is(&code)) || file.cast::<PyString>()?.to_str()? == DRIVER_FILE {
            return Ok(true);
        }
        next = Some(frame.getattr(intern!(py, "f_back"))?);
    }
    Ok(false)
}

/// What Blender calls the source of every driver's expression.
const DRIVER_FILE: &str = "<bpy driver>";

#[cfg(unix)]
mod system {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use pyo3::prelude::*;

    /// The main thread's `pthread_t`; 0 before the handler is in place.
    static MAIN_THREAD: AtomicUsize = AtomicUsize::new(0);

    /// Not used by Python, nor by Blender.
    const SIGNAL: libc::c_int = libc::SIGUSR2;

    /// To be called on the main thread.
    #[expect(unsafe_code, reason = "the standard library has no name for a thread that it did not start")]
    pub(super) fn install(py: Python<'_>, handler: Bound<'_, PyAny>) -> PyResult<()> {
        py.import("signal")?.call_method1("signal", (SIGNAL, handler))?;
        // SAFETY: `pthread_self` has no preconditions.
        let this = unsafe { libc::pthread_self() };
        #[allow(
            clippy::cast_possible_truncation,
            reason = "a pointer's width on every Unix, whatever its type is called"
        )]
        MAIN_THREAD.store(this as usize, Ordering::SeqCst);
        Ok(())
    }

    #[expect(unsafe_code, reason = "the standard library cannot signal a thread")]
    pub(super) fn signal() {
        let main_thread = MAIN_THREAD.load(Ordering::SeqCst);
        if main_thread == 0 {
            return;
        }
        // SAFETY: the main thread lives as long as the process, so its `pthread_t` is valid. The signal has Python's
        // handler, which only notes that it came: it was installed before the thread was stored, and Python keeps it.
        // A failure only means that nothing is interrupted this time.
        let _ = unsafe { libc::pthread_kill(main_thread as libc::pthread_t, SIGNAL) };
    }
}

/// Elsewhere a request waits until its script comes to its end by itself.
#[cfg(not(unix))]
mod system {
    use pyo3::prelude::*;

    #[expect(clippy::unnecessary_wraps, reason = "the same signature on every system")]
    pub(super) fn install(_py: Python<'_>, _handler: Bound<'_, PyAny>) -> PyResult<()> {
        Ok(())
    }

    pub(super) fn signal() {}
}

/// Makes interruption possible. To be called on the main thread, at each start, because a script may have taken the
/// signal for itself.
pub(crate) fn install(py: Python<'_>) -> PyResult<()> {
    system::install(py, wrap_pyfunction!(on_signal, py)?.into_any())
}

/// Interrupts the script of this request, if it runs now. Called from the network thread; returns at once.
pub(crate) fn interrupt(number: u64, reason: &str) {
    if RUNNING.load(Ordering::SeqCst) != number {
        return;
    }
    *WANTED.lock().unwrap_or_else(PoisonError::into_inner) = (number, reason.to_owned());
    system::signal();
}
