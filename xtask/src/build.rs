// SPDX-License-Identifier: GPL-3.0-or-later
//! `cargo xtask build`: the add-on's zip, and the one executable that carries it.
//!
//! `crates/cli` embeds the zip named by `BLENDWIRE_ADDON_ZIP` at compile time, which is why the order matters
//! and why users of the executable need nothing else. `test` and `demo` call `build`, `dist` and `bench` what is optimised
//! as what is given away.

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

/// The core and the executable, chosen together whichever of them is built: crates that both use have one set of features
/// then, and are compiled once.
pub(crate) const TOGETHER: [&str; 4] = ["--package", "blendwire-native", "--package", "blendwire"];

/// How that is built, and what drives it.
pub(crate) const QUICK: [&str; 2] = ["--profile", "quick"];

/// How what is given away is built.
pub(crate) const RELEASE: [&str; 2] = ["--release", "--locked"];

pub(crate) fn build(workspace: &Workspace) -> Result<Built> {
    let zip = addon::pack(workspace, &workspace.dist())?;
    let mut command = process::cargo(workspace);
    command.arg("build").args(QUICK).args(["--bin", "blendwire"]).args(TOGETHER).env("BLENDWIRE_ADDON_ZIP", &zip);
    let executable =
        process::build_artifact(&mut command, "blendwire")?.pop().context("building blendwire made no executable")?;
    Ok(Built { zip, executable })
}

/// What is given away: the zip, in `out`, and the executable with it inside.
pub(crate) fn to_give_away(workspace: &Workspace, flags: &Flags, out: &Path) -> Result<Built> {
    let zip = addon::pack_to_give_away(workspace, flags, out)?;
    let mut command = process::cargo(workspace);
    command.arg("build").args(RELEASE).args(["--package", "blendwire", "--bin", "blendwire"]);
    command.env("BLENDWIRE_ADDON_ZIP", &zip);
    flags.apply(&mut command);
    let executable =
        process::build_artifact(&mut command, "blendwire")?.pop().context("building blendwire made no executable")?;
    Ok(Built { zip, executable })
}

/// What is not optimised: the whole workspace, whichever of it is built, so that crates that several use are compiled once. The
/// executable has what MCP's conformance suite calls by name, the core panics where the end-to-end tests want that.
pub(crate) const WORKSPACE: [&str; 3] = ["--workspace", "--features", "blendwire/fixtures,blendwire-native/faults"];

/// The executable that those tests run, for the conformance suite: it is there when they have run, which is why it is built
/// in the same way.
pub(crate) fn with_fixtures(workspace: &Workspace) -> Result<PathBuf> {
    let mut command = process::cargo(workspace);
    command.arg("test").args(WORKSPACE).arg("--no-run");
    let files = process::build_artifact(&mut command, "blendwire")?;
    // Its own unit tests are an executable too, with more in its name.
    let executable = files.into_iter().find(|file| file.file_stem().is_some_and(|stem| stem == "blendwire"));
    executable.context("building the tests of blendwire made no executable")
}
