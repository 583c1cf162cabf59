// SPDX-License-Identifier: GPL-3.0-or-later
//! Writes a Python value as JSON text, straight from Python's objects.
//!
//! Whatever a script assigned, the text is one valid JSON value (RFC 8259). What JSON cannot hold becomes its `repr`
//! as a string: other types, NaN and infinities, keys that are not strings, cycles, nesting beyond
//! [`DEEPEST_LEVELS`], and strings with lone surrogates, which have no UTF-8.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};

use crate::python::Python3;

/// Containers within containers that are written as such. Common parsers stop at 128 levels (`serde_json`) or more.
const DEEPEST_LEVELS: usize = 100;

/// Longest text in bytes. A list that holds one list twice, and so on, would be written without end.
const LONGEST_BYTES: usize = 512 * 1024 * 1024;

/// The text grew beyond [`LONGEST_BYTES`].
#[derive(Debug)]
pub(crate) struct TooLarge;

impl std::fmt::Display for TooLarge {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "OverflowError: the result is longer than {LONGEST_BYTES} bytes as JSON, which is the limit; \
             write it to a file and return its path"
        )
    }
}

/// The JSON text of `value`.
///
/// # Errors
/// Only [`TooLarge`].
pub(crate) fn to_json(python: &'static Python3, value: &Bound<'_, PyAny>) -> Result<Vec<u8>, TooLarge> {
    let mut writer = Writer { python, text: Vec::with_capacity(64), path: Vec::new() };
    writer.value(value);
    if writer.is_full() { Err(TooLarge) } else { Ok(writer.text) }
}

struct Writer {
    python: &'static Python3,
    text: Vec<u8>,
    /// Addresses of the containers that are being written, outermost first.
    path: Vec<usize>,
}

impl Writer {
    fn value(&mut self, value: &Bound<'_, PyAny>) {
        // What has been written is thrown away: the rest only has to be passed over quickly.
        if self.is_full() {
            return;
        }
        let before = self.text.len();
        if self.plain(value).is_err() {
            // An object's own Python code raised in the middle: nothing of it stays, its repr stands for it.
            self.text.truncate(before);
            self.repr(value);
        }
    }

    fn is_full(&self) -> bool {
        self.text.len() > LONGEST_BYTES
    }

    /// Writes what JSON can hold. The exact types come first: they are nearly everything, and the test is cheap.
    fn plain(&mut self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        if let Ok(float) = value.cast_exact::<PyFloat>() {
            self.float(float.value());
            return Ok(());
        }
        if let Ok(text) = value.cast::<PyString>() {
            return self.string(text);
        }
        if value.is_none() {
            self.text.extend_from_slice(b"null");
        } else if let Ok(truth) = value.cast::<PyBool>() {
            self.text.extend_from_slice(if truth.is_true() { b"true" } else { b"false" });
        } else if let Ok(int) = value.cast::<PyInt>() {
            return self.int(int);
        } else if let Ok(list) = value.cast::<PyList>() {
            return self.nested(value, |writer| {
                writer.items(list.iter());
                Ok(())
            });
        } else if let Ok(dict) = value.cast::<PyDict>() {
            return self.nested(value, |writer| writer.dict(dict));
        } else if let Ok(tuple) = value.cast::<PyTuple>() {
            return self.nested(value, |writer| {
                writer.items(tuple.iter());
                Ok(())
            });
        } else if let Ok(float) = value.cast::<PyFloat>() {
            self.float(float.value());
        } else {
            self.repr(value);
        }
        Ok(())
    }

    fn float(&mut self, value: f64) {
        if !value.is_finite() {
            let words = if value.is_nan() {
                "nan"
            } else if value > 0.0 {
                "inf"
            } else {
                "-inf"
            };
            self.quoted(words);
            return;
        }
        self.number(&value);
    }

    fn number(&mut self, number: &impl serde::Serialize) {
        // Writing a number into a vector cannot fail.
        let _ = serde_json::to_writer(&mut self.text, number);
    }

    fn int(&mut self, int: &Bound<'_, PyInt>) -> PyResult<()> {
        if let Ok(small) = int.extract::<i64>() {
            self.number(&small);
            return Ok(());
        }
        if let Ok(digits) = self.python.int_repr.bind(int.py()).call1((int,)) {
            self.text.extend_from_slice(digits.cast::<PyString>()?.to_str()?.as_bytes());
            return Ok(());
        }
        // Python refuses to print more than some thousand digits, but not in a base that is quick to convert to.
        let digits = self.python.int_format.bind(int.py()).call1((int, "#x"))?;
        self.quoted(digits.cast::<PyString>()?.to_str()?);
        Ok(())
    }

    fn string(&mut self, text: &Bound<'_, PyString>) -> PyResult<()> {
        let text = text.to_str()?;
        self.quoted(text);
        Ok(())
    }

    fn quoted(&mut self, text: &str) {
        // Writing a string into a vector cannot fail.
        let _ = serde_json::to_writer(&mut self.text, text);
    }

    /// Writes a container, or its repr when it holds itself or lies too deep.
    fn nested(&mut self, value: &Bound<'_, PyAny>, body: impl FnOnce(&mut Self) -> PyResult<()>) -> PyResult<()> {
        let address = value.as_ptr() as usize;
        if self.path.len() >= DEEPEST_LEVELS || self.path.contains(&address) {
            self.repr(value);
            return Ok(());
        }
        self.path.push(address);
        let done = body(self);
        self.path.pop();
        done
    }

    fn items<'py>(&mut self, items: impl Iterator<Item = Bound<'py, PyAny>>) {
        self.text.push(b'[');
        for (index, item) in items.enumerate() {
            self.comma(index);
            self.value(&item);
        }
        self.text.push(b']');
    }

    fn dict(&mut self, dict: &Bound<'_, PyDict>) -> PyResult<()> {
        self.text.push(b'{');
        // A copy of the items: the repr of a key may change the dictionary under our hands.
        let mut odd_keys = Vec::new();
        for (index, item) in dict.items().iter().enumerate() {
            let item = item.cast_into::<PyTuple>()?;
            let (key, value) = (item.get_item(0)?, item.get_item(1)?);
            self.comma(index);
            match key.cast::<PyString>() {
                Ok(text) if text.to_str().is_ok() => self.string(text)?,
                _ => {
                    let name = self.repr_text(&key);
                    self.quoted(&name);
                    odd_keys.push(name);
                }
            }
            self.text.extend_from_slice(b": ");
            self.value(&value);
        }
        self.text.push(b'}');
        refuse_collisions(dict, odd_keys)
    }

    fn comma(&mut self, index: usize) {
        if index > 0 {
            self.text.extend_from_slice(b", ");
        }
    }

    fn repr(&mut self, value: &Bound<'_, PyAny>) {
        let text = self.repr_text(value);
        self.quoted(&text);
    }

    fn repr_text(&self, value: &Bound<'_, PyAny>) -> String {
        let text = self.python.repr.bind(value.py()).call1((value,)).and_then(|text| {
            let text = text.cast_into::<PyString>()?;
            Ok(text.to_string_lossy().into_owned())
        });
        // As Python's traceback module shows an object whose repr raises.
        text.unwrap_or_else(|_| {
            let kind = value.get_type().name().map_or_else(|_| "object".to_owned(), |name| name.to_string());
            format!("<unprintable {kind} object>")
        })
    }
}

/// `{1: "a", "1": "b"}` has no JSON object that keeps both: an error makes the caller fall back to its repr.
fn refuse_collisions(dict: &Bound<'_, PyDict>, mut odd_keys: Vec<String>) -> PyResult<()> {
    odd_keys.sort_unstable();
    let is_twice = odd_keys.windows(2).any(|pair| pair[0] == pair[1]);
    for name in &odd_keys {
        if is_twice || dict.contains(name)? {
            return Err(PyValueError::new_err("two keys of the dictionary have the same text"));
        }
    }
    Ok(())
}
