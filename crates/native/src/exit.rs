// SPDX-License-Identifier: GPL-3.0-or-later
//! The way out: a script that ends the process (`bpy.ops.wm.quit_blender()` in the background calls C's `exit` while
//! the script runs) is answered before it happens, and a server that still runs is stopped.
//!
//! Two doors lead out. Python's `atexit` is used when the interpreter is finalised; C's `exit` alone does not do
//! that in the `bpy` module, so the same is registered with C too. Whoever comes second finds nothing left to do.

use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

use blendwire_protocol::Reply;
use pyo3::prelude::*;

use crate::{deferred, execute, guard, host};

static REGISTERED: Once = Once::new();

/// The process that serves. A child that a script has forked off has the listening sockets, but no network thread.
static SERVING_PROCESS: AtomicU32 = AtomicU32::new(0);

/// Registers both doors, once in a process.
pub(crate) fn register(py: Python<'_>) -> PyResult<()> {
    let farewell = wrap_pyfunction!(farewell, py)?;
    SERVING_PROCESS.store(std::process::id(), Ordering::Relaxed);
    let mut registered = Ok(());
    REGISTERED.call_once(|| {
        registered = py.import("atexit").and_then(|atexit| atexit.call_method1("register", (farewell,))).map(drop);
        register_with_c();
    });
    registered
}

fn is_forked_child() -> bool {
    SERVING_PROCESS.load(Ordering::Relaxed) != std::process::id()
}

/// Ends a child that a script has forked off and that came out of the script at its end: it must not go on as a second
/// server that holds the port and answers nobody.
pub(crate) fn end_forked_child(py: Python<'_>) -> PyResult<()> {
    if is_forked_child() {
        py.import("os")?.call_method1("_exit", (0,))?;
    }
    Ok(())
}

/// Answers the requests that are not answered yet, and stops the server.
#[pyfunction]
fn farewell(py: Python<'_>) {
    py.detach(answer_and_stop);
}

/// Touches no Python.
fn answer_and_stop() {
    if is_forked_child() {
        return;
    }
    deferred::answer_all_without_python();
    guard::drop_all();
    if let Some(job) = execute::take_running() {
        let stdout = job.feed.take_output();
        job.answer(Reply::Ok { result: b"null".to_vec(), stdout });
    }
    if let Some(mut server) = host::take_server() {
        server.stop();
    }
}

#[cfg(unix)]
#[expect(unsafe_code, reason = "the standard library has no way to register with C's `exit`")]
fn register_with_c() {
    extern "C" fn at_exit() {
        // A panic must not unwind into C.
        let _ = std::panic::catch_unwind(answer_and_stop);
    }
    // SAFETY: `atexit` takes a function pointer that stays valid until the process ends. `at_exit` lives in this
    // library, which Python never unloads, takes nothing, and cannot unwind. Other threads are still running when it
    // is called, so joining the network thread is sound. A failure (no memory) only costs the last answer.
    let _ = unsafe { libc::atexit(at_exit) };
}

/// On Windows the threads of a library are gone by the time its exit handlers run: nothing could be sent.
#[cfg(not(unix))]
fn register_with_c() {}
