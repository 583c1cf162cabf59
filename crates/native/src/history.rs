// SPDX-License-Identifier: GPL-3.0-or-later
//! What a script does to the file: its undo step, its rollback, its changes. The work needs `bpy` and is the add-on's
//! (`history.py`), which hands its functions over at the start; this calls them around a script.
//!
//! A script that cannot edit anything, because it calls and stores nothing but names of its own, is not even looked at:
//! that is what keeps small questions fast.

use std::ops::RangeInclusive;
use std::sync::{Mutex, PoisonError};

use blendwire_protocol::{Effects, ErrorCode, Execute, Reply};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyTuple};

use crate::audit::Paused;
use crate::json::to_json;
use crate::python::Python3;

/// The add-on's module; `None` before the first start, and outside Blender.
static MODULE: Mutex<Option<Py<PyAny>>> = Mutex::new(None);

/// Takes over the add-on's functions.
pub(crate) fn set_module(module: Option<Py<PyAny>>) {
    let before = std::mem::replace(&mut *MODULE.lock().unwrap_or_else(PoisonError::into_inner), module);
    drop(before);
}

pub(crate) fn module(py: Python<'_>) -> Option<Bound<'_, PyAny>> {
    let module = MODULE.lock().unwrap_or_else(PoisonError::into_inner);
    module.as_ref().map(|module| module.bind(py).clone())
}

/// A script that is being watched.
pub(crate) struct Watched<'py> {
    module: Bound<'py, PyAny>,
    token: Bound<'py, PyAny>,
}

impl<'py> Watched<'py> {
    /// To be called right before `code` runs; `None` where it can change nothing.
    ///
    /// # Errors
    /// Why nothing can be told of what it does, or taken back.
    pub(crate) fn begin(
        py: Python<'py>,
        script: &Execute,
        title: &str,
        source: &Bound<'py, PyAny>,
        code: &Bound<'py, PyAny>,
    ) -> Result<Option<Self>, String> {
        // What a session's names stand for is not known here: even `for x in names: pass` may run a generator of its own.
        if script.session.is_none() && !may_edit(py, code).unwrap_or(true) {
            return Ok(None);
        }
        let Some(module) = module(py) else { return Err("there is no Blender here".to_owned()) };
        let _not_the_scripts = Paused::begin();
        let asked = (title, source, script.rollback, script.changes, !script.no_undo_step);
        let begun = module.call_method1(intern!(py, "begin"), asked).map_err(|error| {
            log::error!("cannot watch what the script does to the file: {error}");
            format!("what was there before the script could not be recorded: {error}")
        });
        Ok(Some(Self { token: begun?, module }))
    }

    /// To be called right after: records the undo step, or takes everything back where the script failed and wants that.
    pub(crate) fn end(self, python: &'static Python3, script: &Execute, has_failed: bool) -> Effects {
        let py = self.token.py();
        let _not_the_scripts = Paused::begin();
        match self.module.call_method1(intern!(py, "end"), (&self.token, has_failed)) {
            Ok(effects) => read(python, &effects),
            Err(error) => {
                log::error!("cannot settle what the script did to the file: {error}");
                impossible(script, has_failed, &format!("that failed: {error}"))
            }
        }
    }
}

/// What the reply tells of a script that has changed nothing, because it could not, or never ran.
pub(crate) fn untouched(script: &Execute, has_failed: bool) -> Effects {
    Effects {
        changes: script.changes.then(|| "{}".to_owned()),
        rolled_back: (has_failed && script.rollback).then_some(true),
        not_rolled_back_because: None,
    }
}

/// What the reply tells of a script that could not be watched.
pub(crate) fn impossible(script: &Execute, has_failed: bool, why: &str) -> Effects {
    let wants_rollback = has_failed && script.rollback;
    Effects {
        changes: script.changes.then(|| serde_json::json!({"skipped": why}).to_string()),
        rolled_back: wants_rollback.then_some(false),
        not_rolled_back_because: wants_rollback.then(|| why.to_owned()),
    }
}

fn read(python: &'static Python3, effects: &Bound<'_, PyAny>) -> Effects {
    let Ok(effects) = effects.cast::<PyDict>() else { return Effects::default() };
    let look_up = |key: &str| effects.get_item(key).ok().flatten();
    let changes = look_up("changes").and_then(|changes| to_json(python, &changes).ok());
    Effects {
        changes: changes.and_then(|text| String::from_utf8(text).ok()),
        rolled_back: look_up("rolled_back").and_then(|value| value.extract().ok()),
        not_rolled_back_because: look_up("not_rolled_back_because").and_then(|value| value.extract().ok()),
    }
}

/// Undoes (or redoes) up to `steps` steps. The reply says how many there were.
pub(crate) fn travel(py: Python<'_>, is_undo: bool, steps: u32) -> Reply {
    let Some(module) = module(py) else {
        return Reply::refused(ErrorCode::NotFound, "there is no Blender here whose steps could be undone");
    };
    let name = if is_undo { intern!(py, "undo") } else { intern!(py, "redo") };
    match module.call_method1(name, (steps,)).and_then(|told| told.extract::<(u32, String)>()) {
        Ok((0, why)) => Reply::refused(ErrorCode::NotFound, why),
        Ok((done, _)) => Reply::of(&serde_json::json!({"steps": done})),
        Err(error) => Reply::refused(ErrorCode::PythonException, format!("Blender could not do that: {error}")),
    }
}

/// Instructions of Python that can change nothing but the script's own variables, by the beginnings of their names; what
/// is not known here counts as one that can.
const HARMLESS: [&str; 45] = [
    "BINARY_",
    "BUILD_",
    "CACHE",
    "COMPARE_",
    "CONTAINS_",
    "CONVERT_",
    "COPY",
    "DICT_",
    "DUP_",
    "END_",
    "EXTENDED_ARG",
    "FORMAT_",
    "FOR_ITER",
    "GEN_START",
    "GET_ITER",
    "GET_LEN",
    "IS_OP",
    "JUMP",
    "KW_NAMES",
    "LIST_",
    "LOAD_",
    "MAKE_",
    "MAP_ADD",
    "MATCH_",
    "NOP",
    "NOT_TAKEN",
    "POP_",
    "PUSH_",
    "RERAISE",
    "RESUME",
    "RETURN_",
    "ROT_",
    "SETUP_",
    "SET_ADD",
    "SET_FUNCTION_ATTRIBUTE",
    "SET_UPDATE",
    "STORE_DEREF",
    "STORE_FAST",
    "STORE_GLOBAL",
    "STORE_NAME",
    "SWAP",
    "TO_BOOL",
    "UNARY_",
    "UNPACK_",
    "YIELD_",
];

/// With these arguments `BINARY_OP` changes its left side in place (`_nb_ops` in Python's `opcode` module). What comes after
/// them, since Python 3.14, is `a[b]`.
const INPLACE: RangeInclusive<u8> = 13..=25;

struct Opcodes {
    is_harmless: [bool; 256],
    binary_op: Option<u8>,
}

static OPCODES: PyOnceLock<Opcodes> = PyOnceLock::new();

impl Opcodes {
    fn read(py: Python<'_>) -> PyResult<Self> {
        let names = py.import("opcode")?.getattr("opmap")?;
        let mut opcodes = Self { is_harmless: [false; 256], binary_op: None };
        for (name, number) in names.cast::<PyDict>()?.iter() {
            // Pseudo instructions have larger numbers and are never in code.
            let Ok(number) = number.extract::<u8>() else { continue };
            let name = name.extract::<String>()?;
            opcodes.is_harmless[usize::from(number)] = HARMLESS.iter().any(|start| name.starts_with(start));
            if name == "BINARY_OP" {
                opcodes.binary_op = Some(number);
            }
        }
        Ok(opcodes)
    }

    fn is_harmless(&self, opcode: u8, argument: u8) -> bool {
        let is_inplace = Some(opcode) == self.binary_op && INPLACE.contains(&argument);
        self.is_harmless[usize::from(opcode)] && !is_inplace
    }
}

/// Whether running `code` could change anything outside its own variables. Errs on the side of yes.
fn may_edit(py: Python<'_>, code: &Bound<'_, PyAny>) -> PyResult<bool> {
    let opcodes = OPCODES.get_or_try_init(py, || Opcodes::read(py))?;
    let instructions = code.getattr(intern!(py, "co_code"))?;
    let instructions = instructions.cast::<PyBytes>()?.as_bytes();
    if !instructions.chunks_exact(2).all(|pair| opcodes.is_harmless(pair[0], pair[1])) {
        return Ok(true);
    }
    for constant in code.getattr(intern!(py, "co_consts"))?.cast::<PyTuple>()?.iter() {
        if constant.hasattr(intern!(py, "co_code"))? && may_edit(py, &constant)? {
            return Ok(true);
        }
    }
    Ok(false)
}
