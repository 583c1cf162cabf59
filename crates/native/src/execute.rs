// SPDX-License-Identifier: GPL-3.0-or-later
//! Runs one script on the main thread and makes the reply: compile, fresh namespace, capture, result or traceback.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use blendwire_bridge::{Job, Shared, Task};
use blendwire_protocol::{Effects, ErrorCode, Exception, Execute, Reply};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::audit::{self, Watching};
use crate::capture::Captured;
use crate::interrupt::Interruptible;
use crate::json::to_json;
use crate::python::{Python3, file_name};
use crate::{deferred, exit, guard, history, panic_text, session};

/// The job whose script is on the main thread now. It lives here and not on the stack, because a script may end the
/// process, and then the way out must still answer it.
static RUNNING: Mutex<Option<Job>> = Mutex::new(None);

/// Takes the running job away from its script, with what that has done, to answer it instead.
pub(crate) fn take_running() -> Option<Job> {
    let mut job = RUNNING.lock().unwrap_or_else(PoisonError::into_inner).take()?;
    job.add_deeds(&audit::take());
    Some(job)
}

fn with_running(body: impl FnOnce(&mut Job)) {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner).as_mut().map(body);
}

/// Whether a script is on the main thread now.
pub(crate) fn is_executing() -> bool {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner).is_some()
}

/// Number and title of the request whose script is on the main thread.
pub(crate) fn running_name() -> Option<(u64, String)> {
    let running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    running.as_ref().map(|job| (job.number, job.title.clone()))
}

/// How a script, or a step of a deferred one, ended.
pub(crate) enum Outcome {
    /// JSON text of the result.
    Finished(Vec<u8>),
    /// The traceback, and what it is about.
    Raised(String, Option<Exception>),
    /// What Blender did without a script.
    Done(Reply),
    /// The callable that will give the result.
    Deferred(Py<PyAny>),
}

/// Runs `job` and answers it, or files it with the deferred ones, or with those that wait for the user's consent.
pub(crate) fn run(py: Python<'_>, shared: &Arc<Shared>, job: Job) {
    if let Some(job) = guard::admit(py, shared, job) {
        run_admitted(py, shared, job);
    }
}

/// The same, when nobody need be asked any more.
pub(crate) fn run_admitted(py: Python<'_>, shared: &Arc<Shared>, mut job: Job) {
    let (number, title) = (job.number, job.title.clone());
    let code = match &mut job.task {
        Task::Script(script) => std::mem::take(&mut script.code),
        Task::Undo { .. } | Task::Redo { .. } => {
            job.tell_begin(None);
            String::new()
        }
    };
    let task = job.task.clone();
    let mut effects = Effects::default();
    let ran = step(py, shared, job, |python| match &task {
        Task::Script(script) => {
            let (outcome, done) = run_script(py, python, &Named { number, title: &title }, script, code);
            effects = done;
            outcome
        }
        Task::Undo { steps } => Outcome::Done(history::travel(py, true, *steps)),
        Task::Redo { steps } => Outcome::Done(history::travel(py, false, *steps)),
    });
    let Some((job, outcome)) = ran else { return };
    match outcome {
        Ok(Outcome::Deferred(check)) => {
            shared.job_ends(job.number, None);
            deferred::file(shared, job, check, effects);
        }
        other => conclude(shared, job, other, effects),
    }
}

/// What a request is known by.
struct Named<'a> {
    number: u64,
    title: &'a str,
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
    let (feed, number) = (job.feed.clone(), job.number);
    let is_watched = job.is_audited() || guard::is_on();
    guard::grant_once(job.granted);
    *RUNNING.lock().unwrap_or_else(PoisonError::into_inner) = Some(job);
    let outcome = protected(|| {
        let python = Python3::get(py)?;
        python.keep_modules(py)?;
        let captured = Captured::begin(py, python, feed)?;
        let watching = is_watched.then(|| Watching::begin(py, number)).transpose()?;
        let outcome = body(python);
        drop(watching);
        exit::end_forked_child(py)?;
        drop(captured);
        python.keep_modules(py)?;
        Ok(outcome)
    });
    take_running().map(|job| (job, outcome))
}

/// Sends the final reply of a job that has run.
pub(crate) fn conclude(shared: &Shared, job: Job, outcome: Result<Outcome, String>, effects: Effects) {
    let stdout = job.feed.take_output();
    let raised =
        |message, stdout, exception| Reply::Raised { message, stdout, code: ErrorCode::PythonException, exception };
    let reply = match outcome {
        Ok(Outcome::Finished(result)) => Reply::Ok { result, stdout },
        Ok(Outcome::Raised(message, exception)) => raised(message, stdout, exception),
        Ok(Outcome::Done(reply)) => reply,
        Ok(Outcome::Deferred(_)) => raised(deferred::GAVE_UP.to_owned(), stdout, None),
        Err(defect) => raised(defect, stdout, None),
    };
    shared.job_ends(job.number, Some(reply.is_ok()));
    job.answer_with(reply, effects);
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

fn run_script(
    py: Python<'_>,
    python: &'static Python3,
    request: &Named<'_>,
    script: &Execute,
    code: String,
) -> (Outcome, Effects) {
    let name = file_name(request.number);
    let mut watched = Ok(None);
    let ran = (|| {
        let namespace = session::namespace(py, python, script.session.as_deref())?;
        python.register_source(py, &name, &code)?;
        let source = PyString::new(py, &code);
        with_running(|job| job.tell_begin(Some(code)));
        let compiled = python.compile(source.as_any(), &name, script.echo)?;
        watched = history::Watched::begin(py, script, request.title, source.as_any(), &compiled);
        if !matches!(watched, Ok(None)) {
            // Whatever it does to Blender, the journal has it.
            with_running(|job| job.await_begin());
        }
        let running = Interruptible::begin(py, request.number);
        let ran = python.exec.bind(py).call1((compiled, &namespace));
        drop(running);
        // What follows is Python too, and must find its modules.
        python.keep_modules(py)?;
        ran?;
        PyResult::Ok(namespace)
    })();
    let outcome = match ran {
        Ok(namespace) => result_of(py, python, &namespace),
        // Gone with the error are the frames of the script, and what they hold of Blender's data.
        Err(error) => Outcome::Raised(traceback(py, python, &error), exception(py, &error, &name)),
    };
    let has_failed = matches!(outcome, Outcome::Raised(..));
    let effects = match watched {
        Ok(Some(watched)) => watched.end(python, script, has_failed),
        Ok(None) => history::untouched(script, has_failed),
        Err(why) => history::impossible(script, has_failed, &why),
    };
    (outcome, effects)
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
        Err(too_large) => Outcome::Raised(too_large.to_string(), None),
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

/// The exception's type, and where in the sent code (known to Python as `name`) it came from.
pub(crate) fn exception(py: Python<'_>, error: &PyErr, name: &str) -> Option<Exception> {
    let kind = error.get_type(py);
    let short = kind.name().ok()?.to_string();
    let module = kind.module().map_or_else(|_| String::new(), |module| module.to_string());
    let r#type = if module.is_empty() || module == "builtins" { short } else { format!("{module}.{short}") };
    let line = line_of_syntax_error(py, error, name).or_else(|| {
        let mut deepest = None;
        let mut next = error.traceback(py).map(Bound::into_any);
        while let Some(entry) = next.take().filter(|entry| !entry.is_none()) {
            let file = entry.getattr(intern!(py, "tb_frame")).ok()?.getattr(intern!(py, "f_code")).ok()?;
            if file.getattr(intern!(py, "co_filename")).ok()?.extract::<String>().is_ok_and(|file| file == name) {
                deepest = entry.getattr(intern!(py, "tb_lineno")).ok()?.extract().ok();
            }
            next = entry.getattr(intern!(py, "tb_next")).ok();
        }
        deepest
    });
    Some(Exception { r#type, line })
}

fn line_of_syntax_error(py: Python<'_>, error: &PyErr, name: &str) -> Option<u32> {
    let value = error.value(py);
    let file: String = value.getattr(intern!(py, "filename")).ok()?.extract().ok()?;
    if file == name { value.getattr(intern!(py, "lineno")).ok()?.extract().ok() } else { None }
}
