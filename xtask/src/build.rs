// SPDX-License-Identifier: GPL-3.0-or-later
//! `cargo xtask build`: the add-on's zip, and the one executable that carries it.
//!
//! `crates/cli` embeds the zip named by `BLENDWIRE_ADDON_ZIP` at compile time, which is why the order matters
//! and why users of the executable need nothing else. `test`, `demo` and `bench` call `build`.

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::workspace::Workspace;
use crate::{addon, process};

/// What a build made; both paths are absolute.
pub(crate) struct Built {
    pub(crate) zip: PathBuf,
    pub(crate) executable: PathBuf,
}

pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    println!("{}", build(workspace)?.executable.display());
    Ok(())
}

pub(crate) fn build(workspace: &Workspace) -> Result<Built> {
    let zip = addon::pack(workspace, &workspace.dist())?;
    let mut command = process::cargo(workspace);
    command.args(["build", "--release", "--package", "blendwire", "--bin", "blendwire"]);
    command.env("BLENDWIRE_ADDON_ZIP", &zip);
    let executable =
        process::build_artifact(&mut command, "blendwire")?.pop().context("building blendwire made no executable")?;
    Ok(Built { zip, executable })
}
