// SPDX-License-Identifier: GPL-3.0-or-later
//! The Python edge: the extension module `_core` that the add-on loads into Blender.
//!
//! It owns the one server of the process and runs what clients send on Blender's main thread: compiles, captures the
//! output, converts the result to JSON, formats the traceback. The add-on's Python lends the main thread by calling
//! [`pump::tick`] (windowed) or [`pump::serve`] (background).
//!
//! A native module cannot be unloaded, so its state outlives reloads of the add-on: everything here copes with being
//! started and stopped again and again.
//!
//! **Architecture invariants:** this is the only crate that knows Python; no thread but the main one touches the
//! interpreter; no panic crosses into Python.

mod access;
mod audit;
mod capture;
mod changes;
mod deferred;
mod execute;
mod exit;
mod guard;
mod history;
mod host;
mod interrupt;
mod json;
mod logs;
mod mcp;
mod pump;
mod python;
mod session;

use std::panic::{AssertUnwindSafe, catch_unwind};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

pyo3::create_exception!(_core, StartError, pyo3::exceptions::PyException, "Why the server could not start.");

/// One in words for the user, with the name that `blendwire doctor` has for what is wrong.
fn start_error(py: Python<'_>, why: String, check: &str) -> PyErr {
    let error = StartError::new_err(why);
    // Any exception takes an attribute, except where memory has run out: that is told instead then.
    error.value(py).setattr("check", check).err().unwrap_or(error)
}

/// Runs the body of a function that Python calls. A panic becomes a `RuntimeError`: pyo3's own `PanicException` is a
/// `BaseException` and would slip past the add-on's `except Exception`.
fn guarded<T>(body: impl FnOnce() -> PyResult<T>) -> PyResult<T> {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| {
        let what = panic_text(panic.as_ref());
        log::error!("a defect in the native core: {what}");
        Err(PyRuntimeError::new_err(format!("a defect in Blendwire's native core, please report it: {what}")))
    })
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
        .unwrap_or_else(|| "a panic without a message".to_owned())
}

#[pymodule(gil_used = true)]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    logs::install();
    module.add("VERSION", env!("CARGO_PKG_VERSION"))?;
    module.add("PROTOCOL_VERSION", blendwire_protocol::PROTOCOL_VERSION)?;
    module.add("StartError", module.py().get_type::<StartError>())?;
    module.add("Interrupted", module.py().get_type::<interrupt::Interrupted>())?;
    module.add_function(wrap_pyfunction!(host::start, module)?)?;
    module.add_function(wrap_pyfunction!(host::stop, module)?)?;
    module.add_function(wrap_pyfunction!(host::is_running, module)?)?;
    module.add_function(wrap_pyfunction!(host::is_executing_, module)?)?;
    module.add_function(wrap_pyfunction!(host::status, module)?)?;
    module.add_function(wrap_pyfunction!(host::set_file, module)?)?;
    module.add_function(wrap_pyfunction!(host::progress, module)?)?;
    module.add_function(wrap_pyfunction!(audit::file_written, module)?)?;
    module.add_function(wrap_pyfunction!(guard::set_guard, module)?)?;
    module.add_function(wrap_pyfunction!(guard::consent::consent, module)?)?;
    module.add_function(wrap_pyfunction!(guard::consent::consent_code, module)?)?;
    module.add_function(wrap_pyfunction!(guard::consent::answer_consent, module)?)?;
    module.add_function(wrap_pyfunction!(changes::modified, module)?)?;
    module.add_function(wrap_pyfunction!(pump::tick, module)?)?;
    module.add_function(wrap_pyfunction!(pump::is_idle, module)?)?;
    module.add_function(wrap_pyfunction!(pump::serve, module)?)?;
    module.add_function(wrap_pyfunction!(pump::end_tick, module)?)?;
    module.add_function(wrap_pyfunction!(pump::request_stop, module)?)?;
    module.add_function(wrap_pyfunction!(logs::set_log_level, module)?)?;
    module.add_function(wrap_pyfunction!(logs::drain_logs, module)?)?;
    Ok(())
}
