// SPDX-License-Identifier: GPL-3.0-or-later
//! Namespaces that outlive their request: a client that names a session finds what it had assigned before.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::python::Python3;

/// Sessions that are kept; the one that was used longest ago goes first. Each may hold on to meshes and pictures.
const MOST_SESSIONS: usize = 32;

/// Least recently used first.
static SESSIONS: Mutex<VecDeque<(String, Py<PyDict>)>> = Mutex::new(VecDeque::new());

/// The namespace of this session, made where there is none, ready for the next request: `result` is `None`.
pub(crate) fn namespace<'py>(
    py: Python<'py>,
    python: &'static Python3,
    session: Option<&str>,
) -> PyResult<Bound<'py, PyDict>> {
    let Some(name) = session else { return python.namespace(py) };
    let kept = take(name);
    let namespace = match kept {
        Some(kept) => kept.into_bound(py),
        None => python.namespace(py)?,
    };
    namespace.set_item(intern!(py, "result"), py.None())?;
    if namespace.contains(intern!(py, "check_is_finished"))? {
        namespace.del_item(intern!(py, "check_is_finished"))?;
    }
    // What goes may run destructors that come back here: not under the lock.
    drop(keep(name, namespace.clone().unbind()));
    Ok(namespace)
}

fn take(name: &str) -> Option<Py<PyDict>> {
    let mut sessions = SESSIONS.lock().unwrap_or_else(PoisonError::into_inner);
    let at = sessions.iter().position(|(known, _)| known == name)?;
    sessions.remove(at).map(|(_, namespace)| namespace)
}

/// Files the session as the one used last; returns the one that had to go for it.
fn keep(name: &str, namespace: Py<PyDict>) -> Option<(String, Py<PyDict>)> {
    let mut sessions = SESSIONS.lock().unwrap_or_else(PoisonError::into_inner);
    sessions.push_back((name.to_owned(), namespace));
    if sessions.len() > MOST_SESSIONS { sessions.pop_front() } else { None }
}

/// Forgets all sessions, when the server stops.
pub(crate) fn forget_all() {
    let forgotten = std::mem::take(&mut *SESSIONS.lock().unwrap_or_else(PoisonError::into_inner));
    drop(forgotten);
}
