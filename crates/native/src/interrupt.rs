// SPDX-License-Identifier: GPL-3.0-or-later
//! Interrupts a running script from the network thread.
//!
//! By a signal to the main thread, with a Python handler that raises [`Interrupted`], which needs no attachment to the
//! interpreter. On Unix it is a real one, which also ends `time.sleep`, sockets and locks; on Windows Python simulates
//! it. The handler raises only while the script that is meant is inside [`Interruptible`], and not while Blender calls a
//! handler or a driver back; a signal that comes late does nothing, so that no other request, no timer and no code of
//! ours is hit. `except Exception` does not catch it. What is inside C is interrupted when it returns to Python.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use pyo3::prelude::*;

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
pub(crate) struct Interruptible<'py>(Python<'py>);

impl<'py> Interruptible<'py> {
    pub(crate) fn begin(py: Python<'py>, number: u64) -> Self {
        RUNNING.store(number, Ordering::SeqCst);
        Self(py)
    }
}

impl Drop for Interruptible<'_> {
    fn drop(&mut self) {
        RUNNING.store(0, Ordering::SeqCst);
        callback::stop_tracing(self.0);
    }
}

/// What Python calls, on the main thread, soon after the signal.
#[pyfunction]
fn on_signal(_number: i32, frame: &Bound<'_, PyAny>) -> PyResult<()> {
    let Some(reason) = wanted() else { return Ok(()) };
    match callback::scripts_frames(frame) {
        Ok(Some(frames)) => callback::interrupt_after(frame.py(), &frames),
        _ => Err(Interrupted::new_err(reason)),
    }
}

/// Why the script that runs is to be interrupted, if it is.
fn wanted() -> Option<String> {
    let running = RUNNING.load(Ordering::SeqCst);
    let wanted = WANTED.lock().unwrap_or_else(PoisonError::into_inner);
    (running != 0 && wanted.0 == running).then(|| wanted.1.clone())
}

/// What Blender calls back on behalf of a script: handlers of other add-ons, drivers, render engines, panels. They must
/// not be cut half-way, and Blender would swallow the exception. The script is interrupted when they have returned to it.
mod callback {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Mutex, PoisonError};

    use pyo3::intern;
    use pyo3::prelude::*;
    use pyo3::types::{PyList, PyString};

    use super::{Interrupted, wanted};
    use crate::python::{Python3, REQUEST_FILE};

    /// What Blender calls the source of every driver's expression.
    const DRIVER_FILE: &str = "<bpy driver>";

    /// Python's tracing is on, to interrupt the script at its next line.
    static IS_TRACING: AtomicBool = AtomicBool::new(false);

    /// Somebody else's tracing, a debugger's for instance, which gets its place back.
    static TRACED_BEFORE: Mutex<Option<Py<PyAny>>> = Mutex::new(None);

    /// The script's own frames outside of a callback, innermost first; `None` when the script itself is running.
    pub(super) fn scripts_frames<'py>(innermost: &Bound<'py, PyAny>) -> PyResult<Option<Vec<Bound<'py, PyAny>>>> {
        let py = innermost.py();
        let Some(bpy) = &Python3::get(py)?.bpy else { return Ok(None) };
        let callbacks = Callbacks::of(bpy.bind(py))?;
        let (mut frames, mut inside, mut outermost) = (Vec::new(), None, None);
        let mut next = Some(innermost.clone());
        while let Some(frame) = next.take().filter(|frame| !frame.is_none()) {
            let code = frame.getattr(intern!(py, "f_code"))?;
            let file = code.getattr(intern!(py, "co_filename"))?;
            let file = file.cast::<PyString>()?.to_str()?;
            if file.starts_with(REQUEST_FILE) {
                outermost = Some(frames.len());
            }
            if file == DRIVER_FILE || callbacks.has(&frame, &code)? {
                inside = Some(frames.len());
            }
            next = Some(frame.getattr(intern!(py, "f_back"))?);
            frames.push(frame);
        }
        Ok(match (inside, outermost) {
            (Some(inside), Some(outermost)) if inside < outermost => Some(frames[inside + 1..=outermost].to_vec()),
            _ => None,
        })
    }

    struct Callbacks<'py> {
        handlers: Vec<Bound<'py, PyAny>>,
        structs: Bound<'py, PyAny>,
        operators: Bound<'py, PyAny>,
    }

    impl<'py> Callbacks<'py> {
        fn of(bpy: &Bound<'py, PyModule>) -> PyResult<Self> {
            let py = bpy.py();
            let lists = bpy.getattr(intern!(py, "app"))?.getattr(intern!(py, "handlers"))?;
            let mut handlers = Vec::new();
            for name in lists.dir()? {
                let Ok(list) = lists.getattr(name.cast::<PyString>()?)?.cast_into::<PyList>() else { continue };
                handlers.extend(list.iter().filter_map(|handler| code_of(&handler)));
            }
            let types = bpy.getattr(intern!(py, "types"))?;
            let (structs, operators) = (types.getattr("bpy_struct")?, types.getattr("Operator")?);
            Ok(Self { handlers, structs, operators })
        }

        /// A handler, or a method of one of Blender's classes. Operators are not among them: a script calls those itself.
        fn has(&self, frame: &Bound<'py, PyAny>, code: &Bound<'py, PyAny>) -> PyResult<bool> {
            if self.handlers.iter().any(|handler| handler.is(code)) {
                return Ok(true);
            }
            // By the name: any function of a script's own may take one of Blender's structs first.
            let names = code.getattr(intern!(frame.py(), "co_varnames"))?;
            if !names.contains(intern!(frame.py(), "self"))? {
                return Ok(false);
            }
            let this = frame.getattr(intern!(frame.py(), "f_locals"))?.get_item(intern!(frame.py(), "self"));
            let Ok(this) = this else { return Ok(false) };
            Ok(this.is_instance(&self.structs)? && !this.is_instance(&self.operators)?)
        }
    }

    /// The code of a function, of what a `functools.partial` calls, or of an object that can be called.
    fn code_of<'py>(handler: &Bound<'py, PyAny>) -> Option<Bound<'py, PyAny>> {
        let py = handler.py();
        let function = handler.getattr(intern!(py, "func")).unwrap_or_else(|_| handler.clone());
        let code = intern!(py, "__code__");
        function.getattr(code).or_else(|_| function.getattr(intern!(py, "__call__"))?.getattr(code)).ok()
    }

    /// Has the script interrupted at the next line that it comes to in one of `frames`. A signal would not do: a script
    /// that calls Blender in a loop may spend so little time in its own lines that none ever finds it there.
    pub(super) fn interrupt_after(py: Python<'_>, frames: &[Bound<'_, PyAny>]) -> PyResult<()> {
        if IS_TRACING.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        let at_line = wrap_pyfunction!(at_line, py)?;
        for frame in frames {
            frame.setattr(intern!(py, "f_trace"), &at_line)?;
        }
        let sys = py.import("sys")?;
        let before = sys.call_method0("gettrace")?.unbind();
        *TRACED_BEFORE.lock().unwrap_or_else(PoisonError::into_inner) = Some(before);
        sys.call_method1("settrace", (wrap_pyfunction!(at_call, py)?,))?;
        Ok(())
    }

    /// Switches tracing off again. To be called when the script has ended, whichever way.
    pub(super) fn stop_tracing(py: Python<'_>) {
        if IS_TRACING.swap(false, Ordering::Relaxed) {
            let before = TRACED_BEFORE.lock().unwrap_or_else(PoisonError::into_inner).take();
            let before = before.unwrap_or_else(|| py.None());
            let stopped = py.import("sys").and_then(|sys| sys.call_method1("settrace", (before,)));
            if let Err(error) = stopped {
                log::error!("Python's tracing could not be switched off: {error}");
            }
        }
    }

    /// New frames are not traced: only those of the script.
    #[pyfunction]
    fn at_call(_frame: &Bound<'_, PyAny>, _event: &str, _value: &Bound<'_, PyAny>) -> Option<Py<PyAny>> {
        None
    }

    #[pyfunction]
    fn at_line(frame: &Bound<'_, PyAny>, _event: &str, _value: &Bound<'_, PyAny>) -> PyResult<Option<Py<PyAny>>> {
        stop_tracing(frame.py());
        match wanted() {
            Some(reason) => Err(Interrupted::new_err(reason)),
            None => Ok(None),
        }
    }
}

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

/// Windows has no signals between threads. Python's simulation of one runs the same handler, but does not end `time.sleep`
/// or a wait for a socket or a lock: those are interrupted when they return.
#[cfg(not(unix))]
mod system {
    use std::sync::atomic::{AtomicBool, Ordering};

    use pyo3::prelude::*;

    /// A thread waits for Python's lock.
    static IS_KNOCKING: AtomicBool = AtomicBool::new(false);

    /// `SIGBREAK`, which Blender does not use: Python takes handlers only for the few that Windows knows.
    const SIGNAL: core::ffi::c_int = 21;

    /// To be called on the main thread.
    pub(super) fn install(py: Python<'_>, handler: Bound<'_, PyAny>) -> PyResult<()> {
        py.import("signal")?.call_method1("signal", (SIGNAL, handler)).map(drop)
    }

    #[expect(unsafe_code, reason = "pyo3 has no safe name for it")]
    pub(super) fn signal() {
        // SAFETY: `PyErr_SetInterruptEx` may be called without Python's lock, from any thread and even from a signal's
        // handler (its documentation); it only notes that the signal came. Python is initialised, because the script
        // that is to be interrupted is running.
        let _ = unsafe { pyo3::ffi::PyErr_SetInterruptEx(SIGNAL) };
        knock();
    }

    /// Before 3.12 Python looks after a signal that another thread noted only when some thread wants its lock. One of
    /// its own does: the network thread must not wait for Python.
    fn knock() {
        if IS_KNOCKING.swap(true, Ordering::SeqCst) {
            return;
        }
        std::thread::spawn(|| {
            Python::try_attach(|_| ());
            IS_KNOCKING.store(false, Ordering::SeqCst);
        });
    }
}

/// Makes interruption possible. To be called on the main thread, at each start, because a script may have taken the
/// signal for itself.
pub(crate) fn install(py: Python<'_>) -> PyResult<()> {
    ignore_broken_pipes(py)?;
    system::install(py, wrap_pyfunction!(on_signal, py)?.into_any())
}

/// Has a write to a connection or pipe that nobody reads any more fail instead of ending the process. Every `python` does
/// so at its start, and so does every Rust program; a Blender with its window does not, and a client that leaves in the
/// middle of an answer, or a script's own socket, would take it down. A handler that somebody else has set stays.
fn ignore_broken_pipes(py: Python<'_>) -> PyResult<()> {
    if !cfg!(unix) {
        return Ok(());
    }
    let signal = py.import("signal")?;
    let number = signal.getattr("SIGPIPE")?;
    if signal.call_method1("getsignal", (&number,))?.eq(signal.getattr("SIG_DFL")?)? {
        signal.call_method1("signal", (number, signal.getattr("SIG_IGN")?))?;
    }
    Ok(())
}

/// Interrupts the script of this request, if it runs now, and says whether it does. Called from the network thread;
/// returns at once.
pub(crate) fn interrupt(number: u64, reason: &str) -> bool {
    if RUNNING.load(Ordering::SeqCst) != number {
        return false;
    }
    *WANTED.lock().unwrap_or_else(PoisonError::into_inner) = (number, reason.to_owned());
    system::signal();
    true
}
