// SPDX-License-Identifier: GPL-3.0-or-later
//! Guard rules: what scripts may do outside of Blender, by the user's wish, for each of three kinds.
//!
//! [`check`] is asked by the audit hook for each deed and refuses it with an exception in the script. A request that visibly
//! wants what the user is to be asked about is put aside (`guard/consent.rs`) until there is an answer. This keeps well-meant
//! scripts within bounds and is no sandbox: what Python does not tell of is not seen.

pub(crate) mod consent;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};

use blendwire_journal::Deed;
use pyo3::exceptions::{PyPermissionError, PyValueError};
use pyo3::prelude::*;

pub(crate) use self::consent::{admit, answer_by_client, drop_all, poll};
use crate::execute::is_executing;
use crate::{guarded, host};

/// Kinds of deeds that have a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Files,
    Processes,
    Network,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Files, Self::Processes, Self::Network];

    fn of(deed: Deed) -> Self {
        match deed {
            Deed::FileWritten | Deed::FileRemoved => Self::Files,
            Deed::Process => Self::Processes,
            Deed::Host | Deed::Refused => Self::Network,
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Files => "files",
            Self::Processes => "processes",
            Self::Network => "network",
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::Files => "Writing Files",
            Self::Processes => "Processes",
            Self::Network => "Network",
        }
    }

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// The user's wish for one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    Allow,
    Ask,
    Deny,
}

/// Kinds, as bits: those that are denied, to be asked about, allowed until the server stops, and allowed to the script that
/// runs.
static DENIED: AtomicU8 = AtomicU8::new(0);
static ASKED: AtomicU8 = AtomicU8::new(0);
static GRANTED: AtomicU8 = AtomicU8::new(0);
static GRANTED_ONCE: AtomicU8 = AtomicU8::new(0);

/// Blender's own folder for temporary files, where scripts may write whatever the rules say. `None` before the first start.
static TEMPORARY: Mutex<Option<PathBuf>> = Mutex::new(None);

/// Sets the rules: for `files`, `processes` and `network` each `allow`, `ask` or `deny`. `temporary` is Blender's own folder
/// for temporary files. Not from inside a script that a client sent.
#[pyfunction]
pub(crate) fn set_guard(files: &str, processes: &str, network: &str, temporary: PathBuf) -> PyResult<()> {
    guarded(|| {
        if is_executing() {
            return Err(PyPermissionError::new_err("a client's script may not change the guard rules"));
        }
        let (mut denied, mut asked) = (0, 0);
        for (kind, rule) in Kind::ALL.into_iter().zip([files, processes, network]) {
            match parse(rule)? {
                Rule::Allow => {}
                Rule::Ask => asked |= kind.bit(),
                Rule::Deny => denied |= kind.bit(),
            }
        }
        DENIED.store(denied, Ordering::Relaxed);
        ASKED.store(asked, Ordering::Relaxed);
        *TEMPORARY.lock().unwrap_or_else(PoisonError::into_inner) = temporary.canonicalize().ok();
        Ok(())
    })
}

fn parse(rule: &str) -> PyResult<Rule> {
    match rule {
        "allow" => Ok(Rule::Allow),
        "ask" => Ok(Rule::Ask),
        "deny" => Ok(Rule::Deny),
        other => Err(PyValueError::new_err(format!("unknown guard rule {other:?}; use allow, ask or deny"))),
    }
}

/// Whether any kind is not simply allowed.
pub(crate) fn is_on() -> bool {
    (DENIED.load(Ordering::Relaxed) | ASKED.load(Ordering::Relaxed)) != 0
}

/// What the script that is about to run was granted beyond the rules, as bits.
pub(crate) fn grant_once(kinds: u8) {
    GRANTED_ONCE.store(kinds, Ordering::Relaxed);
}

/// Kinds that the user is to be asked about and has not granted.
fn to_be_asked() -> u8 {
    ASKED.load(Ordering::Relaxed) & !GRANTED.load(Ordering::Relaxed)
}

/// Whether a script may do this.
///
/// # Errors
/// `PermissionError` that says which rule forbids it and what to do.
pub(crate) fn check(deed: Deed, what: &str) -> PyResult<()> {
    let kind = Kind::of(deed);
    let is_denied = DENIED.load(Ordering::Relaxed) & kind.bit() != 0;
    let must_ask = to_be_asked() & !GRANTED_ONCE.load(Ordering::Relaxed) & kind.bit() != 0;
    if !(is_denied || must_ask) || (kind == Kind::Files && is_temporary(Path::new(what))) {
        return Ok(());
    }
    let (label, doing) = (kind.label(), doing(deed, what));
    let place = format!("the guard rule “{label}” in the preferences of Blender's MCP Server add-on");
    Err(PyPermissionError::new_err(if is_denied {
        format!("{doing} is not allowed: {place} is “Deny”. Do without it, or ask the user to change the rule")
    } else if host::shared().is_some_and(|shared| shared.is_background()) {
        format!(
            "{doing} is not allowed: {place} is “Ask”, and in a Blender without a window there is nobody to ask. Do without \
             it, or have Blender started with --guard {}=allow",
            kind.name()
        )
    } else {
        consent::offer(kind, what);
        format!(
            "{doing} is not allowed yet: {place} is “Ask”, and that the script would do it could not be seen beforehand. The \
             panel “MCP” in Blender's sidebar now offers to allow it for this session: ask the user to, then send the \
             request again"
        )
    }))
}

fn doing(deed: Deed, what: &str) -> String {
    match deed {
        Deed::FileWritten => format!("writing {what}"),
        Deed::FileRemoved => format!("removing {what}"),
        Deed::Process => format!("starting or signalling a process ({what})"),
        Deed::Host | Deed::Refused => format!("using the network ({what})"),
    }
}

/// Whether `path` is in Blender's own folder for temporary files and nowhere else, wherever links lead. One that is not
/// absolute is not known to be anywhere.
fn is_temporary(path: &Path) -> bool {
    let temporary = TEMPORARY.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let Some(temporary) = temporary.filter(|_| path.is_absolute()) else { return false };
    let place = match path.symlink_metadata() {
        Ok(_) => path.canonicalize(),
        // A file that is not there yet is where its folder is.
        Err(_) => path.parent().unwrap_or(path).canonicalize(),
    };
    place.is_ok_and(|place| place.starts_with(&temporary) && !has_other_names(&place))
}

/// Whether a file may be in other folders as well: who writes it by one name writes it by all.
#[cfg(unix)]
fn has_other_names(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    path.metadata().is_ok_and(|found| !found.is_dir() && found.nlink() > 1)
}

/// Elsewhere the making of a second name is judged, and that is all.
#[cfg(not(unix))]
fn has_other_names(_path: &Path) -> bool {
    false
}
