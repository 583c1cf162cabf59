// SPDX-License-Identifier: GPL-3.0-or-later
//! `cargo xtask demo`: builds, then hands over to the demo in `demo/`.
//!
//! The demo itself finds or installs a Blender through the executable, as a user would; nothing of the
//! test machinery is provided for it.

use anyhow::Result;

use crate::workspace::Workspace;
use crate::{build, process};

pub(crate) fn run(workspace: &Workspace, args: &[String]) -> Result<()> {
    let built = build::build(workspace)?;
    let mut command = process::cargo(workspace);
    command.arg("run").args(build::QUICK).args(["--package", "blendwire-demo", "--"]).args(args);
    command.env("BLENDWIRE_TEST_BIN", &built.executable);
    command.env("BLENDWIRE_WORKSPACE", &workspace.root);
    process::run(&mut command)
}
