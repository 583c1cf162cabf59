// SPDX-License-Identifier: GPL-3.0-or-later
//! Stands in for `sys.stdout`, `sys.stderr` and `sys.stdin` while a script runs.
//!
//! The stand-ins live as long as the process and write to the output of whichever request runs now: a logging handler
//! that one request made and that kept our `sys.stderr` writes into the next one's reply, and to the real stream when
//! none runs. Closing them does nothing. Standard input is empty, because a script that waits for a terminal would
//! freeze Blender.

use std::sync::{Arc, Mutex, PoisonError};

use blendwire_bridge::Feed;
use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString, PyTuple};

use crate::python::Python3;

/// Where the running script's output goes; `None` between scripts.
static CURRENT: Mutex<Option<Arc<Feed>>> = Mutex::new(None);

/// The three stand-ins.
pub(crate) struct Streams {
    stdout: Py<TextOutput>,
    stderr: Py<TextOutput>,
    stdin: Py<EmptyInput>,
}

impl Streams {
    pub(crate) fn new(py: Python<'_>) -> PyResult<Self> {
        Ok(Self {
            stdout: Py::new(py, TextOutput { real: "__stdout__", name: "<stdout>" })?,
            stderr: Py::new(py, TextOutput { real: "__stderr__", name: "<stderr>" })?,
            stdin: Py::new(py, EmptyInput)?,
        })
    }
}

/// Streams as they were before a script, to be put back after it.
pub(crate) struct Captured<'py> {
    python: &'static Python3,
    before: [(&'static str, Bound<'py, PyAny>); 3],
    output_before: Option<Arc<Feed>>,
}

impl<'py> Captured<'py> {
    /// Puts the stand-ins in place, writing to `output`.
    pub(crate) fn begin(py: Python<'py>, python: &'static Python3, output: Arc<Feed>) -> PyResult<Self> {
        let sys = python.sys.bind(py);
        let swap = |name: &'static str, stream: Bound<'py, PyAny>| -> PyResult<(&'static str, Bound<'py, PyAny>)> {
            let before = sys.getattr(name).unwrap_or_else(|_| py.None().into_bound(py));
            sys.setattr(name, stream)?;
            Ok((name, before))
        };
        let streams = &python.streams;
        let before = [
            swap("stdout", streams.stdout.bind(py).clone().into_any())?,
            swap("stderr", streams.stderr.bind(py).clone().into_any())?,
            swap("stdin", streams.stdin.bind(py).clone().into_any())?,
        ];
        Ok(Self { python, before, output_before: replace_current(Some(output)) })
    }
}

impl Drop for Captured<'_> {
    fn drop(&mut self) {
        self.flush_the_scripts_own_streams();
        replace_current(self.output_before.take());
        for (name, stream) in &self.before {
            let _ = self.python.sys.bind(stream.py()).setattr(*name, stream);
        }
    }
}

impl Captured<'_> {
    /// A script may have wrapped our streams in some of its own, which hold back what was printed last.
    fn flush_the_scripts_own_streams(&self) {
        for (name, stream) in &self.before[..2] {
            let now = self.python.sys.bind(stream.py()).getattr(*name);
            let Ok(now) = now else { continue };
            if now.cast::<TextOutput>().is_err() {
                let _ = now.call_method0(intern!(stream.py(), "flush"));
            }
        }
    }
}

fn replace_current(output: Option<Arc<Feed>>) -> Option<Arc<Feed>> {
    std::mem::replace(&mut *CURRENT.lock().unwrap_or_else(PoisonError::into_inner), output)
}

/// A text stream as scripts expect one.
#[pyclass(module = "blendwire", frozen)]
pub(crate) struct TextOutput {
    /// The attribute of `sys` that holds the process's own stream.
    real: &'static str,
    #[pyo3(get)]
    name: &'static str,
}

#[pymethods]
impl TextOutput {
    fn write(&self, text: &Bound<'_, PyAny>) -> PyResult<usize> {
        let Ok(text) = text.cast::<PyString>() else {
            let kind = text.get_type().name()?;
            return Err(PyTypeError::new_err(format!("write() argument must be str, not {kind}")));
        };
        if let Ok(plain) = text.to_str() {
            self.push(text.py(), plain)?;
        } else {
            // A lone surrogate has no UTF-8; show it as Python would in a repr.
            let escaped = text.call_method1("encode", ("utf-8", "backslashreplace"))?;
            self.push(text.py(), &String::from_utf8_lossy(escaped.cast::<PyBytes>()?.as_bytes()))?;
        }
        text.len()
    }

    fn writelines(&self, lines: &Bound<'_, PyAny>) -> PyResult<()> {
        for line in lines.try_iter()? {
            self.write(&line?)?;
        }
        Ok(())
    }

    #[getter]
    fn buffer(slf: Py<Self>) -> BytesOutput {
        BytesOutput { text: slf }
    }

    #[getter]
    fn encoding(&self) -> &'static str {
        "utf-8"
    }

    #[getter]
    fn errors(&self) -> &'static str {
        "backslashreplace"
    }

    #[getter]
    fn mode(&self) -> &'static str {
        "w"
    }

    #[getter]
    fn newlines(&self) -> Option<String> {
        None
    }

    #[getter]
    fn line_buffering(&self) -> bool {
        true
    }

    #[getter]
    fn closed(&self) -> bool {
        false
    }

    fn flush(&self) {}

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, _exception: &Bound<'_, PyTuple>) {}

    /// Does nothing: the stream is not the script's to close.
    fn close(&self) {}

    #[pyo3(signature = (**_options))]
    fn reconfigure(&self, _options: Option<&Bound<'_, PyAny>>) {}

    fn isatty(&self) -> bool {
        false
    }

    fn writable(&self) -> bool {
        true
    }

    fn readable(&self) -> bool {
        false
    }

    fn seekable(&self) -> bool {
        false
    }

    fn fileno(&self, py: Python<'_>) -> PyResult<i32> {
        Err(unsupported(py, "the output of a request goes to its client and has no file descriptor"))
    }
}

/// `io.UnsupportedOperation` with these words.
fn unsupported(py: Python<'_>, words: &'static str) -> PyErr {
    let made = Python3::get(py).and_then(|python| python.unsupported_operation.bind(py).call1((words,)));
    made.map_or_else(|error| error, PyErr::from_value)
}

impl TextOutput {
    fn push(&self, py: Python<'_>, text: &str) -> PyResult<()> {
        let current = CURRENT.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(output) = current {
            output.print(text);
            return Ok(());
        }
        let real = Python3::get(py)?.sys.bind(py).getattr(self.real)?;
        if !real.is_none() {
            real.call_method1(intern!(py, "write"), (text,))?;
        }
        Ok(())
    }
}

/// `sys.stdout.buffer`: takes bytes, which are shown as UTF-8.
#[pyclass(module = "blendwire", frozen)]
pub(crate) struct BytesOutput {
    text: Py<TextOutput>,
}

#[pymethods]
impl BytesOutput {
    fn write(&self, data: &Bound<'_, PyAny>) -> PyResult<usize> {
        let py = data.py();
        let bytes = py.get_type::<PyBytes>().call1((data,))?.cast_into::<PyBytes>()?;
        self.text.get().push(py, &String::from_utf8_lossy(bytes.as_bytes()))?;
        Ok(bytes.as_bytes().len())
    }

    #[getter]
    fn closed(&self) -> bool {
        false
    }

    fn flush(&self) {}

    fn close(&self) {}

    fn writable(&self) -> bool {
        true
    }

    fn readable(&self) -> bool {
        false
    }

    fn seekable(&self) -> bool {
        false
    }
}

/// A standard input at its end: `input()` raises `EOFError` at once.
#[pyclass(module = "blendwire", frozen)]
pub(crate) struct EmptyInput;

#[pymethods]
impl EmptyInput {
    #[pyo3(signature = (_size=None))]
    fn read(&self, _size: Option<isize>) -> &'static str {
        ""
    }

    #[pyo3(signature = (_size=None))]
    fn readline(&self, _size: Option<isize>) -> &'static str {
        ""
    }

    fn readlines(&self) -> Vec<String> {
        Vec::new()
    }

    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__(&self) -> Option<String> {
        None
    }

    fn isatty(&self) -> bool {
        false
    }

    #[getter]
    fn closed(&self) -> bool {
        false
    }

    #[getter]
    fn encoding(&self) -> &'static str {
        "utf-8"
    }

    /// Does nothing; `quit()` closes standard input before it raises.
    fn close(&self) {}

    #[getter]
    fn buffer(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        Ok(Python3::get(py)?.empty_bytes.clone_ref(py))
    }

    fn fileno(&self, py: Python<'_>) -> PyResult<i32> {
        Err(unsupported(py, "a request has no standard input"))
    }
}
