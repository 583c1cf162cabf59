// SPDX-License-Identifier: GPL-3.0-or-later
//! The way out: a script that ends the process (`bpy.ops.wm.quit_blender()` in the background calls C's `exit` while
//! the script runs) is answered before it happens, and a server that still runs is stopped.
//!
//! Two doors lead out. Python's `atexit` is used when the interpreter is finalised; C's `exit` alone does not do
//! that in the `bpy` module, so the same is registered with C too. Whoever comes second finds nothing left to do.

use std::sync::Once;

use blendwire_protocol::Reply;
use pyo3::prelude::*;

use crate::{deferred, execute, host};

static REGISTERED: Once = Once::new();

/// Registers both doors, once in a process.
pub(crate) fn register(py: Python<'_>) -> PyResult<()> {
    let farewell = wrap_pyfunction!(farewell, py)?;
    let mut registered = Ok(());
    REGISTERED.call_once(|| {
        registered = py.import("atexit").and_then(|atexit| atexit.call_method1("register", (farewell,))).map(drop);
        register_with_c();
    });
    registered
}

/// Answers the running request, if any, and stops the server.
#[pyfunction]
fn farewell(py: Python<'_>) {
    deferred::drop_all();
    py.detach(answer_and_stop);
}

/// Touches no Python.
fn answer_and_stop() {
    if let Some(job) = execute::take_running() {
        let stdout = job.output.take();
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
