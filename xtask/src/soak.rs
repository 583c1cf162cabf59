// SPDX-License-Identifier: GPL-3.0-or-later
//! `cargo xtask soak`: the soak of the end-to-end tests, for as long as wanted.
//!
//! What it does is in `tests/e2e/soak.rs`; the suite runs the same for a minute.

use anyhow::Result;
use clap::Args;

use crate::workspace::Workspace;
use crate::{build, process, provide};

#[derive(Args)]
pub(crate) struct Options {
    /// How long
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    minutes: u32,
}

pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let built = build::build(workspace)?;
    let provided = provide::provide()?;
    let mut command = process::cargo(workspace);
    command.arg("test").args(build::QUICK).args(["--package", "blendwire-e2e", "--test", "e2e", "--", "soak::"]);
    command.envs(provide::test_environment(workspace, &built, &provided)?);
    command.env("BLENDWIRE_SOAK_SECS", (options.minutes * 60).to_string());
    process::run(&mut command)
}
