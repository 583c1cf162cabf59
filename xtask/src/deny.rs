// SPDX-License-Identifier: GPL-3.0-or-later
//! The `deny` step of the suite: licences, bans and sources of all dependencies, and their known holes.
//!
//! What is allowed, with the reasons, is in `deny.toml`. The tool is built from its source where it is missing, once,
//! into the cache: the builds that package indexes carry are too old to read what today's cargo tells. The database
//! of known holes is asked for at each run; a machine that cannot reach it is told that they were not looked for.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use fs_err as fs;

use crate::process;
use crate::provide::Cache;
use crate::workspace::Workspace;

/// Raise on purpose, not by accident: each version brings its own verdicts.
const VERSION: &str = "0.20.2";

/// The product's workspace, and that of the fuzzing targets, which has a lock file of its own.
const WORKSPACES: [&str; 3] = ["Cargo.toml", "crates/protocol/fuzz/Cargo.toml", "crates/bridge/fuzz/Cargo.toml"];

pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let tool = tool(workspace)?;
    for manifest in WORKSPACES {
        println!("{manifest}: licences, bans, sources");
        let mut command = command(&tool, workspace, manifest);
        process::run(command.args(["check", "--hide-inclusion-graph", "licenses", "bans", "sources"]))?;
    }
    let mut fetch = command(&tool, workspace, WORKSPACES[0]);
    if let Err(why) = process::capture(fetch.args(["fetch", "db"])) {
        println!("advisories: NOT CHECKED, because their database cannot be reached from here:\n{why:#}");
        return Ok(());
    }
    WORKSPACES.iter().try_for_each(|manifest| {
        println!("{manifest}: advisories");
        process::run(command(&tool, workspace, manifest).args(["check", "--hide-inclusion-graph", "advisories"]))
    })
}

fn command(tool: &Path, workspace: &Workspace, manifest: &str) -> Command {
    let mut command = Command::new(tool);
    command.current_dir(&workspace.root).args(["--config", "deny.toml", "--manifest-path", manifest]);
    // A question for a password would wait for ever.
    command.env("GIT_TERMINAL_PROMPT", "0");
    command
}

/// The one on PATH when it is this version, else one in the cache.
fn tool(workspace: &Workspace) -> Result<PathBuf> {
    let installed = PathBuf::from("cargo-deny");
    if is_wanted(&installed) {
        return Ok(installed);
    }
    let program = |dir: &Path| dir.join("bin").join(format!("cargo-deny{}", std::env::consts::EXE_SUFFIX));
    let dir = Cache::open()?
        .ensure(
            "cargo-deny",
            VERSION,
            |dir| is_wanted(&program(dir)),
            |dir, task| {
                let build = dir.join("build");
                let mut install = process::cargo(workspace);
                // Unoptimised: built in half the time, and quick enough for a few hundred packages.
                install.args([
                    "install",
                    "--locked",
                    "--profile",
                    "dev",
                    "--no-default-features",
                    "--version",
                    VERSION,
                ]);
                install.args(["cargo-deny", "--root"]).arg(dir);
                install.env("CARGO_TARGET_DIR", &build).env("CARGO_PROFILE_DEV_DEBUG", "0");
                task.run(&mut install)?;
                Ok(fs::remove_dir_all(build)?)
            },
        )
        .with_context(|| format!("cargo-deny is needed: cargo install --locked cargo-deny --version {VERSION}"))?;
    Ok(program(&dir))
}

fn is_wanted(program: &Path) -> bool {
    let output = Command::new(program).arg("--version").stdin(Stdio::null()).output();
    output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).trim() == format!("cargo-deny {VERSION}"))
}
