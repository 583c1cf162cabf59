// SPDX-License-Identifier: GPL-3.0-or-later
//! `cargo xtask bench NAME …`: provides Blenders, builds what would be given away, then hands over to the bench in `benches/`.
//!
//! The bench gets the same environment as the end-to-end tests. What is measured, and where results are
//! kept, is the bench's own business.

use anyhow::Result;

use crate::dist::flags::Flags;
use crate::workspace::Workspace;
use crate::{build, process, provide};

pub(crate) fn run(workspace: &Workspace, args: &[String]) -> Result<()> {
    let built = build::to_give_away(workspace, &Flags::default(), &workspace.dist())?;
    let provided = provide::provide()?;
    let mut command = process::cargo(workspace);
    command.arg("run").args(build::QUICK).args(["--package", "blendwire-benches", "--"]).args(args);
    command.envs(provide::test_environment(workspace, &built, &provided)?);
    process::run(&mut command)
}
