// SPDX-License-Identifier: GPL-3.0-or-later
//! Compares two copies of the open file for the add-on's `changes`, which saves them.

use std::fs;

use blendwire_blendfile::Renamed;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::guarded;

/// The data-blocks that are in both .blend files and differ, as pairs of a collection of `bpy.data` and a name in the
/// second file. `renamed` has triples of collection, name in the first file and name in the second; an empty name there
/// for one that was removed. Python runs on while it compares.
///
/// # Errors
/// `OSError` for a file that cannot be read, `ValueError` for one that cannot be understood.
#[pyfunction]
pub(crate) fn modified(
    py: Python<'_>,
    before_path: String,
    after_path: String,
    renamed: Vec<Renamed>,
) -> PyResult<Vec<(&'static str, String)>> {
    guarded(|| {
        py.detach(|| {
            let (before, after) = (fs::read(before_path)?, fs::read(after_path)?);
            blendwire_blendfile::modified(&before, &after, &renamed)
                .map_err(|error| PyValueError::new_err(error.to_string()))
        })
    })
}
