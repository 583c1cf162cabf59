// SPDX-License-Identifier: GPL-3.0-or-later
//! The few Python objects that running a script needs, looked up once. A script may replace `builtins.exec`,
//! `traceback.format_exception` or the contents of `sys.modules`; what is held here still works.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyList, PyModule};

use crate::capture::Streams;

/// See the module.
pub(crate) struct Python3 {
    pub(crate) builtins: Py<PyModule>,
    compile: Py<PyAny>,
    /// `ast.parse` and `ast.Interactive`, which make code print the values of its expressions.
    parse: Py<PyAny>,
    interactive: Py<PyAny>,
    pub(crate) exec: Py<PyAny>,
    pub(crate) repr: Py<PyAny>,
    pub(crate) int_repr: Py<PyAny>,
    pub(crate) int_format: Py<PyAny>,
    pub(crate) format_exception: Py<PyAny>,
    /// `io.UnsupportedOperation`, which libraries expect from a stream that cannot do something.
    pub(crate) unsupported_operation: Py<PyAny>,
    /// An `io.BytesIO` with nothing in it.
    pub(crate) empty_bytes: Py<PyAny>,
    pub(crate) json_loads: Py<PyAny>,
    pub(crate) sys: Py<PyModule>,
    pub(crate) streams: Streams,
    /// `None` outside Blender, where the core can be tried on a plain interpreter.
    pub(crate) bpy: Option<Py<PyModule>>,
    linecache: Py<PyModule>,
    /// The real dictionary behind `sys.modules`, and a copy of it from when it was last known to be whole.
    modules: Py<PyDict>,
    modules_copy: Mutex<(usize, Py<PyDict>)>,
    /// Names and bytes of the sources registered with `linecache`, oldest first.
    sources: Mutex<VecDeque<(String, usize)>>,
}

/// Sources of this many requests stay known to tracebacks: a function may be called long after its request, by a
/// handler or a timer, but memory is bounded.
const KEPT_SOURCES: usize = 64;

/// And this many bytes of them, the newest aside, which may be as long as a request: a few scripts that carry their data
/// in themselves would hold hundreds of megabytes.
const KEPT_SOURCES_BYTES: usize = 4 * 1024 * 1024;

/// How the names begin under which Python knows the sources of requests.
pub(crate) const REQUEST_FILE: &str = "<request ";

/// The name under which Python knows the source of this request.
pub(crate) fn file_name(number: u64) -> String {
    format!("{REQUEST_FILE}{number}>")
}

static PYTHON3: PyOnceLock<Python3> = PyOnceLock::new();

impl Python3 {
    /// The objects, looked up at the first call.
    pub(crate) fn get(py: Python<'_>) -> PyResult<&'static Self> {
        PYTHON3.get_or_try_init(py, || Self::look_up(py))
    }

    fn look_up(py: Python<'_>) -> PyResult<Self> {
        let builtins = py.import("builtins")?;
        let sys = py.import("sys")?;
        let modules = sys.getattr("modules")?.cast_into::<PyDict>()?;
        Ok(Self {
            compile: builtins.getattr("compile")?.unbind(),
            parse: py.import("ast")?.getattr("parse")?.unbind(),
            interactive: py.import("ast")?.getattr("Interactive")?.unbind(),
            exec: builtins.getattr("exec")?.unbind(),
            repr: builtins.getattr("repr")?.unbind(),
            int_repr: builtins.getattr("int")?.getattr("__repr__")?.unbind(),
            int_format: builtins.getattr("int")?.getattr("__format__")?.unbind(),
            unsupported_operation: py.import("io")?.getattr("UnsupportedOperation")?.unbind(),
            empty_bytes: py.import("io")?.getattr("BytesIO")?.call0()?.unbind(),
            format_exception: py.import("traceback")?.getattr("format_exception")?.unbind(),
            json_loads: py.import("json")?.getattr("loads")?.unbind(),
            streams: Streams::new(py)?,
            bpy: py.import("bpy").ok().map(Bound::unbind),
            linecache: py.import("linecache")?.unbind(),
            modules_copy: Mutex::new((modules.len(), modules.copy()?.unbind())),
            modules: modules.unbind(),
            builtins: builtins.unbind(),
            sys: sys.unbind(),
            sources: Mutex::default(),
        })
    }

    /// The code object of `source`; with `echo`, one that prints the values of its expression statements.
    pub(crate) fn compile<'py>(
        &self,
        source: &Bound<'py, PyAny>,
        name: &str,
        echo: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = source.py();
        // `dont_inherit`: the future statements of the add-on's own Python are not the script's.
        let options = PyDict::new(py);
        options.set_item(intern!(py, "dont_inherit"), true)?;
        let compile = self.compile.bind(py);
        if !echo {
            return compile.call((source, name, intern!(py, "exec")), Some(&options));
        }
        let tree = self.parse.bind(py).call1((source, name))?;
        let tree = self.interactive.bind(py).call1((tree.getattr(intern!(py, "body"))?,))?;
        compile.call((tree, name, intern!(py, "single")), Some(&options))
    }

    /// A fresh namespace for one request.
    pub(crate) fn namespace<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let namespace = PyDict::new(py);
        namespace.set_item(intern!(py, "__name__"), intern!(py, "__main__"))?;
        namespace.set_item(intern!(py, "__builtins__"), &self.builtins)?;
        if let Some(bpy) = &self.bpy {
            namespace.set_item(intern!(py, "bpy"), bpy)?;
        }
        namespace.set_item(intern!(py, "result"), py.None())?;
        Ok(namespace)
    }

    /// Lets tracebacks show the lines of `code`.
    pub(crate) fn register_source(&self, py: Python<'_>, name: &str, code: &str) -> PyResult<()> {
        let cache = self.source_cache(py)?;
        let lines = PyList::new(py, code.split_inclusive('\n'))?;
        // `traceback` counts on it that every line ends with a line break, else it marks the wrong columns.
        if let Some(last) = code.rsplit('\n').next().filter(|last| !last.is_empty()) {
            lines.set_item(lines.len() - 1, format!("{last}\n"))?;
        }
        // No modification time: `linecache.checkcache` then leaves the entry alone.
        cache.set_item(name, (code.len(), py.None(), lines, name))?;
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        let mut earlier_bytes: usize = sources.iter().map(|(_, bytes)| bytes).sum();
        while sources.len() >= KEPT_SOURCES || earlier_bytes > KEPT_SOURCES_BYTES {
            let Some((oldest, bytes)) = sources.pop_front() else { break };
            earlier_bytes -= bytes;
            let _ = cache.del_item(oldest);
        }
        sources.push_back((name.to_owned(), code.len()));
        Ok(())
    }

    /// The dictionary in which `linecache` keeps sources; a new one where a script has broken it.
    pub(crate) fn source_cache<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let linecache = self.linecache.bind(py);
        if let Ok(cache) = linecache.getattr(intern!(py, "cache"))
            && let Ok(cache) = cache.cast_into::<PyDict>()
        {
            return Ok(cache);
        }
        let cache = PyDict::new(py);
        linecache.setattr(intern!(py, "cache"), &cache)?;
        Ok(cache)
    }

    /// Keeps `sys.modules` whole, before and after each piece of a client's Python: puts it back when something has
    /// replaced or emptied it, because without it nothing can be imported any more, else remembers what is in it. It is
    /// copied only when its size has changed.
    pub(crate) fn keep_modules(&self, py: Python<'_>) -> PyResult<()> {
        let (sys, modules) = (self.sys.bind(py), self.modules.bind(py));
        if !sys.getattr(intern!(py, "modules")).is_ok_and(|now| now.is(modules)) {
            log::warn!("a request replaced sys.modules; it was put back");
            sys.setattr(intern!(py, "modules"), modules)?;
        }
        let mut copy = self.modules_copy.lock().unwrap_or_else(PoisonError::into_inner);
        if !modules.contains(intern!(py, "builtins"))? || !modules.contains(intern!(py, "sys"))? {
            log::warn!("a request emptied sys.modules; it was put back");
            return modules.update(copy.1.bind(py).as_mapping());
        }
        if copy.0 != modules.len() {
            *copy = (modules.len(), modules.copy()?.unbind());
        }
        Ok(())
    }
}
