// SPDX-License-Identifier: GPL-3.0-or-later
//! Runs one script on the main thread and makes the reply: compile, fresh namespace, capture, result or traceback.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use blendwire_bridge::{Job, Shared};
use blendwire_protocol::{ErrorCode, Reply};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::capture::Captured;
use crate::interrupt::Interruptible;
use crate::json::to_json;
use crate::python::Python3;
use crate::{deferred, exit, panic_text};

/// The job whose script is on the main thread now. It lives here and not on the stack, because a script may end the
/// process, and then the way out must still answer it.
static RUNNING: Mutex<Option<Job>> = Mutex::new(None);

/// Takes the running job away from its script, to answer it instead.
pub(crate) fn take_running() -> Option<Job> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// Whether a script is on the main thread now.
pub(crate) fn is_executing() -> bool {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner).is_some()
}

/// How a script, or a step of a deferred one, ended.
pub(crate) enum Outcome {
    /// JSON text of the result.
    Finished(Vec<u8>),
    /// The traceback.
    Raised(String),
    /// The callable that will give the result.
    Deferred(Py<PyAny>),
}

/// Runs `job` and answers it, or files it with the deferred ones.
pub(crate) fn run(py: Python<'_>, shared: &Arc<Shared>, mut job: Job) {
    let number = job.number;
    let code = std::mem::take(&mut job.code);
    let Some((job, outcome)) = step(py, shared, job, |python| run_script(py, python, number, code)) else { return };
    match outcome {
        Ok(Outcome::Deferred(check)) => {
            shared.job_ends(None);
            deferred::file(shared, job, check);
        }
        other => conclude(shared, job, other),
    }
}

/// Runs a piece of a client's Python for `job`: its script, or one look at its deferred result. While `body` runs, the
/// job counts as running, the output is captured, and whoever ends the process can answer it; afterwards what Blender's
/// Python cannot do without is put back. `None` when the job was answered meanwhile.
pub(crate) fn step(
    py: Python<'_>,
    shared: &Arc<Shared>,
    mut job: Job,
    body: impl FnOnce(&'static Python3) -> Outcome,
) -> Option<(Job, Result<Outcome, String>)> {
    shared.job_begins(&mut job);
    let output = job.output.clone();
    *RUNNING.lock().unwrap_or_else(PoisonError::into_inner) = Some(job);
    let outcome = protected(|| {
        let python = Python3::get(py)?;
        python.keep_modules(py)?;
        let captured = Captured::begin(py, python, output)?;
        let outcome = body(python);
        exit::end_forked_child(py)?;
        drop(captured);
        python.keep_modules(py)?;
        Ok(outcome)
    });
    take_running().map(|job| (job, outcome))
}

/// Sends the final reply of a job that has run.
pub(crate) fn conclude(shared: &Shared, job: Job, outcome: Result<Outcome, String>) {
    let stdout = job.output.take();
    let raised = |message, stdout| Reply::Raised { message, stdout, code: ErrorCode::PythonException };
    let reply = match outcome {
        Ok(Outcome::Finished(result)) => Reply::Ok { result, stdout },
        Ok(Outcome::Raised(message)) => raised(message, stdout),
        Ok(Outcome::Deferred(_)) => raised(deferred::GAVE_UP.to_owned(), stdout),
        Err(defect) => raised(defect, stdout),
    };
    shared.job_ends(Some(reply.is_ok()));
    job.answer(reply);
}

/// Runs a step of ours around a script. What goes wrong in it, a panic included, becomes a message for the client.
fn protected(step: impl FnOnce() -> PyResult<Outcome>) -> Result<Outcome, String> {
    let report = |what: String| {
        log::error!("a defect in the native core: {what}");
        format!("a defect in Blendwire's native core, please report it: {what}")
    };
    match catch_unwind(AssertUnwindSafe(step)) {
        Ok(Ok(outcome)) => Ok(outcome),
        Ok(Err(error)) => Err(report(error.to_string())),
        Err(panic) => Err(report(panic_text(panic.as_ref()))),
    }
}

fn run_script(py: Python<'_>, python: &'static Python3, number: u64, code: String) -> Outcome {
    let name = &format!("<request {number}>");
    let ran = (|| {
        let namespace = python.namespace(py)?;
        python.register_source(py, name, &code)?;
        // `dont_inherit`: the future statements of the add-on's own Python are not the script's.
        let options = PyDict::new(py);
        options.set_item(intern!(py, "dont_inherit"), true)?;
        let code = python.compile.bind(py).call((code, name, intern!(py, "exec")), Some(&options))?;
        let running = Interruptible::begin(number);
        let ran = python.exec.bind(py).call1((code, &namespace));
        drop(running);
        ran?;
        PyResult::Ok(namespace)
    })();
    match ran {
        Ok(namespace) => result_of(py, python, &namespace),
        Err(error) => Outcome::Raised(traceback(py, python, &error)),
    }
}

fn result_of(py: Python<'_>, python: &'static Python3, namespace: &Bound<'_, PyDict>) -> Outcome {
    // A script may have put anything into its namespace, but a dictionary's own look-up of a string cannot raise.
    let look_up = |name: &str| namespace.get_item(name).ok().flatten();
    if let Some(check) = look_up("check_is_finished")
        && check.is_callable()
    {
        return Outcome::Deferred(check.unbind());
    }
    let result = look_up("result").unwrap_or_else(|| py.None().into_bound(py));
    finished(python, &result)
}

/// The outcome of a script that gave `result`.
pub(crate) fn finished(python: &'static Python3, result: &Bound<'_, PyAny>) -> Outcome {
    match to_json(python, result) {
        Ok(text) => Outcome::Finished(text),
        Err(too_large) => Outcome::Raised(too_large.to_string()),
    }
}

/// The traceback as Python prints it, lines of the sent code included.
pub(crate) fn traceback(py: Python<'_>, python: &'static Python3, error: &PyErr) -> String {
    let formatted =
        python.format_exception.bind(py).call1((error.get_type(py), error.value(py), error.traceback(py))).and_then(
            |lines| {
                let mut text = String::new();
                for line in lines.try_iter()? {
                    text.push_str(&line?.cast::<PyString>()?.to_string_lossy());
                }
                Ok(text)
            },
        );
    formatted.unwrap_or_else(|formatting| {
        let kind = error.get_type(py).name().map_or_else(|_| "Exception".to_owned(), |name| name.to_string());
        let text = error.value(py).str().map_or_else(|_| String::new(), |text| text.to_string_lossy().into_owned());
        format!("{kind}: {text}\n(no traceback, because formatting it raised {formatting})\n")
    })
}
