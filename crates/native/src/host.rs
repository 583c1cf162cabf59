// SPDX-License-Identifier: GPL-3.0-or-later
//! The one server of this process: started, stopped and asked by the add-on, on the main thread.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use blendwire_bridge::{Config, Server, Shared};
use blendwire_journal::{Journal, Limits};
use blendwire_protocol::{Feature, Versions};
use blendwire_state::{Instances, STATE_DIR};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::execute::is_executing;
use crate::python::Python3;
use crate::{access, deferred, exit, guard, guarded, history, interrupt, mcp, session, start_error};

static SERVER: Mutex<Option<Server>> = Mutex::new(None);

/// A script asked to stop the server that runs it: done when it has been answered.
static STOP_AFTER_REQUEST: AtomicBool = AtomicBool::new(false);

/// What the running server shares; `None` when none runs.
pub(crate) fn shared() -> Option<Arc<Shared>> {
    let server = SERVER.lock().unwrap_or_else(PoisonError::into_inner);
    server.as_ref().map(|server| server.shared().clone())
}

/// Starts the server and returns its addresses as `host:port`. A server that this process already has is stopped
/// first and counted as released, unless it is running the script that calls this: then it stays as it is. `state` is
/// the folder of what is kept between starts, empty for the system's place; `journal` says whether the audit journal is.
#[pyfunction]
#[pyo3(signature = (
    host, port, *, next_free_port, addon_version, blender_version, python_version, background,
    state, journal, time_limit_secs = None, forbidden_features = Vec::new(), access = None, history = None
))]
#[expect(clippy::too_many_arguments, reason = "they are keyword arguments in Python")]
pub(crate) fn start(
    py: Python<'_>,
    host: String,
    port: u16,
    next_free_port: bool,
    addon_version: String,
    blender_version: String,
    python_version: String,
    background: bool,
    state: PathBuf,
    journal: bool,
    time_limit_secs: Option<f64>,
    forbidden_features: Vec<String>,
    access: Option<Bound<'_, PyDict>>,
    history: Option<Py<PyAny>>,
) -> PyResult<Vec<String>> {
    guarded(|| {
        Python3::get(py)?;
        if is_executing()
            && let Some(shared) = shared()
        {
            log::warn!("a request asked to start the server that runs it; it goes on as it is");
            STOP_AFTER_REQUEST.store(false, Ordering::Relaxed);
            return Ok(shared.endpoint_names());
        }
        let released = stop_now(py);
        let default = Config::default();
        let versions =
            Versions { addon: addon_version, blender: blender_version, python: python_version, ..default.versions };
        let interrupt = interrupt::interrupt;
        let access = access.map(|access| access::read(&access)).transpose()?.unwrap_or_default();
        let state = state_folder(&state);
        let journal = state.as_deref().filter(|_| journal).and_then(|state| start_journal(state, &default.instance));
        let unused = journal.clone();
        let config = Config {
            journal,
            instances: state.as_deref().map(Instances::in_state),
            host,
            port,
            next_free_port,
            versions,
            background,
            interrupt,
            mount: Some(mcp::MOUNT),
            consent: guard::answer_by_client,
            access: access.rules,
            credentials: access.folder,
            time_limit: time_limit_secs.and_then(|secs| Duration::try_from_secs_f64(secs).ok()),
            forbidden_features: forbidden_features.iter().filter_map(|name| Feature::named(name)).collect(),
            ..default
        };
        history::set_module(history);
        exit::register(py)?;
        interrupt::install(py)?;
        let server = py.detach(|| Server::start(config)).map_err(|error| {
            if let Some(journal) = unused {
                journal.close(Duration::ZERO);
            }
            start_error(py, error.to_string(), error.check())
        })?;
        if released {
            server.shared().count_released_listener();
        }
        let names = server.shared().endpoint_names();
        *SERVER.lock().unwrap_or_else(PoisonError::into_inner) = Some(server);
        Ok(names)
    })
}

/// `named`, or where the system has it when that is empty. `None` where there is no such place, which is told in the log.
fn state_folder(named: &Path) -> Option<PathBuf> {
    let folder = blendwire_state::folder(Some(named).filter(|named| !named.as_os_str().is_empty()));
    if folder.is_none() {
        log::warn!(
            "no home folder is known: there is no audit journal, and clients have to be told the port of this server; name \
             a folder with {STATE_DIR}"
        );
    }
    folder
}

/// The journal of a server. `None` where that is not possible, which is told in the log.
fn start_journal(state: &Path, instance: &str) -> Option<Journal> {
    Journal::start(blendwire_journal::folder_in(state), instance, Limits::default())
        .inspect_err(|error| log::warn!("there is no audit journal: {error}"))
        .ok()
}

/// Stops the server: answers what waits, closes the connections, joins the network thread. Called from inside a
/// request's script, it happens after that request has been answered.
#[pyfunction]
pub(crate) fn stop(py: Python<'_>) -> PyResult<()> {
    guarded(|| {
        if is_executing() {
            STOP_AFTER_REQUEST.store(true, Ordering::Relaxed);
        } else {
            stop_now(py);
        }
        Ok(())
    })
}

/// Does what [`stop`] put off. To be called after each request.
pub(crate) fn stop_if_asked(py: Python<'_>) {
    if STOP_AFTER_REQUEST.swap(false, Ordering::Relaxed) {
        stop_now(py);
    }
}

/// Whether there was a server to stop.
fn stop_now(py: Python<'_>) -> bool {
    STOP_AFTER_REQUEST.store(false, Ordering::Relaxed);
    let Some(mut server) = take_server() else { return false };
    deferred::drop_all();
    guard::drop_all();
    session::forget_all();
    py.detach(|| server.stop());
    true
}

/// Takes the server out, to stop it without Python.
pub(crate) fn take_server() -> Option<Server> {
    SERVER.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// Whether the server runs.
#[pyfunction]
pub(crate) fn is_running() -> bool {
    shared().is_some()
}

/// Whether a script that a client sent is on the main thread now.
#[pyfunction]
#[pyo3(name = "is_executing")]
pub(crate) fn is_executing_() -> bool {
    is_executing()
}

/// The status as a dictionary with the keys of the protocol's `status`; `None` when no server runs. Never waits.
#[pyfunction]
pub(crate) fn status(py: Python<'_>) -> PyResult<Option<Bound<'_, PyAny>>> {
    guarded(|| {
        let Some(shared) = shared() else { return Ok(None) };
        let text = serde_json::to_string(&shared.status()).unwrap_or_default();
        Python3::get(py)?.json_loads.bind(py).call1((text,)).map(Some)
    })
}

/// The path of the open .blend file, for `status`.
#[pyfunction]
pub(crate) fn set_file(path: String) {
    if let Some(shared) = shared() {
        shared.set_file(path);
    }
}

/// Says how far the script is that runs, or the oldest whose result is deferred: `value` from 0 to 1, and what is being
/// done. `False` when there is none.
#[pyfunction]
#[pyo3(signature = (value, message = ""))]
pub(crate) fn progress(value: f64, message: &str) -> bool {
    shared().is_some_and(|shared| shared.report(value, message))
}
