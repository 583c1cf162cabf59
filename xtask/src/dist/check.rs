// SPDX-License-Identifier: GPL-3.0-or-later
//! The `dist` step of the suite: what would be given away, packed from the executable that the other steps test, and
//! looked at by the tools of those who will read it.
//!
//! That the bundle starts, and reaches Blender, is in `tests/e2e/bundle.rs`.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use fs_err as fs;

use super::{Assembled, QUICK_EXECUTABLE_BYTES, assemble};
use crate::build::Built;
use crate::process;
use crate::provide::{self, Cache};
use crate::workspace::Workspace;

/// skillsaw has the registry's schemas and rules, `CycloneDX`'s own library has its schemas. Raise on purpose: each version
/// brings its own verdicts.
const TOOLS: [&str; 2] = ["skillsaw==0.22.0", "cyclonedx-python-lib[json-validation]==11.12.0"];

/// Crates whose sources a message of a panic names, at least: fewer would mean that they were not found any more.
const SEEN_AT_LEAST: usize = 20;

/// Packs what is built. Quick: nothing is compiled.
pub(crate) fn pack(workspace: &Workspace, built: &Built) -> Result<Assembled> {
    let folder = workspace.target.join("dist-check");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    assemble(workspace, &built.executable, &built.zip, &folder)
}

pub(crate) fn check(workspace: &Workspace, built: &Built, made: &Assembled, mcpb: &Command) -> Result<()> {
    let folder = made.bundle.parent().context("the bundle lies in no folder")?;
    made.weigh(&built.executable, QUICK_EXECUTABLE_BYTES)?;
    ensure!(made.seen >= SEEN_AT_LEAST, "only {} crates were seen in the executable", made.seen);
    let again = tempfile::tempdir()?;
    assemble(workspace, &built.executable, &built.zip, again.path())?;
    ensure!(contents(folder)? == contents(again.path())?, "packed a second time, the files differ");

    let mut unpack = provide::again(mcpb);
    let unpacked = again.path().join("unpacked");
    process::run(unpack.arg("unpack").arg(&made.bundle).arg(&unpacked))?;
    process::run(provide::again(mcpb).arg("validate").arg(unpacked.join("manifest.json")))?;

    let tools = provide::release_tools(&Cache::open()?, &TOOLS)?;
    let script = workspace.root.join("packaging/check.py");
    process::run(Command::new(tools).arg(script).arg(folder))
}

fn contents(folder: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut contents = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        contents.insert(path.file_name().unwrap_or_default().to_string_lossy().into_owned(), fs::read(&path)?);
    }
    Ok(contents)
}
