// SPDX-License-Identifier: GPL-3.0-or-later
//! `cargo xtask build`: the add-on's zip, and the one executable that carries it.
//!
//! `crates/cli` embeds the zip named by `BLENDWIRE_ADDON_ZIP` at compile time, which is why the order matters
//! and why users of the executable need nothing else. `test`, `demo` and `bench` call `build`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::dist::flags::Flags;
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

/// The executable that is given away, with the zip in it.
pub(crate) fn to_give_away(workspace: &Workspace, flags: &Flags, zip: &Path) -> Result<PathBuf> {
    let mut command = process::cargo(workspace);
    command.args(["build", "--profile", "dist", "--locked", "--package", "blendwire", "--bin", "blendwire"]);
    command.env("BLENDWIRE_ADDON_ZIP", zip);
    flags.apply(&mut command);
    process::build_artifact(&mut command, "blendwire")?.pop().context("building blendwire made no executable")
}

/// The tests that need no Blender, in which the executable has what MCP's conformance suite calls by name.
pub(crate) const UNIT_TESTS: [&str; 6] =
    ["test", "--workspace", "--exclude", "blendwire-e2e", "--features", "blendwire/fixtures"];

/// With the same.
pub(crate) const LINT: [&str; 8] =
    ["clippy", "--workspace", "--all-targets", "--features", "blendwire/fixtures", "--", "-D", "warnings"];

/// The executable that those tests run, for the conformance suite: it is there when they have run, which is why it is built
/// in the same way.
pub(crate) fn with_fixtures(workspace: &Workspace) -> Result<PathBuf> {
    let mut command = process::cargo(workspace);
    command.args(UNIT_TESTS).arg("--no-run");
    let files = process::build_artifact(&mut command, "blendwire")?;
    // Its own unit tests are an executable too, with more in its name.
    let executable = files.into_iter().find(|file| file.file_stem().is_some_and(|stem| stem == "blendwire"));
    executable.context("building the tests of blendwire made no executable")
}
