// SPDX-License-Identifier: GPL-3.0-or-later
//! `blendwire lock`: what was deployed, written down; and whether it is that still.
//!
//! `locked` is the file, `here` finds out what this executable is, `compare` says what differs and how to mend it.

mod compare;
mod here;
mod locked;

use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::json;

pub(crate) use self::compare::Difference;
use self::locked::Locked;
use super::block_on;
use crate::access;
use crate::args::LockArgs;
use crate::exit::{Ended, Failure};
use crate::printer;

/// The file's name where none is given.
pub(crate) const NAME: &str = "blendwire.lock";

pub(crate) fn run(args: &LockArgs) -> Ended {
    if args.check { check(args) } else { write(args) }
}

fn write(args: &LockArgs) -> Ended {
    // A file that cannot be understood is not written over unseen.
    let before = Locked::read(&args.file).map_err(Failure::could_not_start)?;
    let here = here::here().map_err(Failure::failed)?;
    let differences = before.as_ref().map(|before| compare::with_here(before, &here, &args.file));
    let (locked, dropped) = here.added_to(before);
    let text = locked.text().map_err(Failure::failed)?;
    put(&args.file, &text).map_err(Failure::failed)?;
    let file = args.file.display();
    if args.json {
        let written =
            json!({"file": file.to_string(), "written": true, "differences": differences.unwrap_or_default()});
        return printer::data(&written.to_string());
    }
    match differences {
        None => printer::talk(&format!("wrote {file}: blendwire {} on {}", locked.version, here.platform)),
        Some(differences) if differences.is_empty() => printer::talk(&format!("{file} is as it was")),
        Some(differences) => {
            printer::talk(&format!("wrote {file}; it had"));
            for difference in differences {
                printer::talk(&difference.line());
            }
        }
    }
    if !dropped.is_empty() {
        printer::talk(&format!(
            "what it had of {} was of other versions and is gone: run `blendwire lock` there, too",
            dropped.join(", ")
        ));
    }
    Ok(())
}

/// In one step: whoever checks at the same time meets the old one or the new one.
fn put(file: &Path, text: &str) -> Result<()> {
    // A link to the file of another folder stays one.
    let target = file.canonicalize();
    let file = target.as_deref().unwrap_or(file);
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let written = tempfile::Builder::new().prefix(".blendwire-lock-").tempfile_in(folder).and_then(|temporary| {
        std::fs::write(temporary.path(), text)?;
        make_readable(temporary.path())?;
        Ok(temporary.persist(file)?)
    });
    written.map(drop).with_context(|| format!("{} cannot be written", file.display()))
}

/// Temporary files are their user's alone; this one is for everybody who builds or deploys.
#[cfg(unix)]
fn make_readable(file: &Path) -> std::io::Result<()> {
    std::fs::set_permissions(file, std::os::unix::fs::PermissionsExt::from_mode(0o644))
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "as on Unix, where it can fail")]
fn make_readable(_file: &Path) -> std::io::Result<()> {
    Ok(())
}

fn check(args: &LockArgs) -> Ended {
    let file = args.file.display();
    let locked = Locked::read(&args.file).and_then(|locked| {
        let writes = compare::command(&args.file);
        locked
            .with_context(|| format!("there is no {file}: `{writes}` writes it, with the versions that are to be kept"))
    });
    let locked = locked.map_err(Failure::could_not_start)?;
    let here = here::here().map_err(Failure::failed)?;
    let mut differences = compare::with_here(&locked, &here, &args.file);
    if args.running {
        let blender = access::blender(&args.endpoint).map_err(Failure::could_not_start)?;
        let status = block_on(async { blender.status().await.map_err(Failure::failed) })?;
        differences.extend(compare::with_running(&locked, &status.versions, &blender.endpoint().to_string()));
    }
    if args.json {
        let told = json!({"file": file.to_string(), "holds": differences.is_empty(), "differences": differences});
        printer::data(&told.to_string())?;
    } else if differences.is_empty() {
        printer::talk(&format!("{file} holds: blendwire {} on {}", locked.version, here.platform));
    } else {
        printer::talk(&format!("{file} does not hold:"));
        for difference in &differences {
            printer::talk(&difference.line());
        }
        for mend in compare::mends(&differences) {
            printer::talk(&format!("mend: {mend}"));
        }
    }
    if differences.is_empty() { Ok(()) } else { Err(Failure::Told) }
}

/// What `doctor` looks at: how the file of this folder compares; `None` where it has none.
pub(crate) fn look(file: &Path) -> Result<Option<Vec<Difference>>> {
    let Some(locked) = Locked::read(file)? else { return Ok(None) };
    Ok(Some(compare::with_here(&locked, &here::here()?, file)))
}

/// Nothing there is no error.
fn read(file: &Path) -> Result<Option<String>> {
    match std::fs::read_to_string(file) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        read => read.map(Some).with_context(|| format!("{} cannot be read", file.display())),
    }
}
