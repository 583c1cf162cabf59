// SPDX-License-Identifier: GPL-3.0-or-later
//! The `python` step of the suite: formatting and lints of all Python in the tree, types of what users run in Blender,
//! and the protocol's test vectors read by Python.
//!
//! Tools come in pinned versions from a private environment, so that everyone gets the same verdict; what
//! they demand is in `pyproject.toml`.

use std::process::Command;

use anyhow::Result;

use crate::process;
use crate::provide::{self, Cache};
use crate::workspace::Workspace;

/// Raise on purpose, not by accident: each version brings its own verdicts.
const TOOLS: [&str; 2] = ["ruff==0.17.6", "mypy==2.4.1"];

/// The add-on, and the snippets beside the Rust that has them run. The scripts of demo and benchmarks are too short-lived
/// for types.
const TYPED: [&str; 5] = [
    "addon",
    "crates/bridge/src/bare",
    "crates/mcp/src/tools",
    "crates/cli/src/commands/addon",
    "crates/cli/src/commands/repl",
];

pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let tools = provide::python_tools(&Cache::open()?, &TOOLS)?;
    let run = |args: &[&str]| {
        let mut command = Command::new(&tools);
        command.current_dir(&workspace.root).arg("-m").args(args);
        // A shared target directory keeps the tools' own caches out of the tree.
        command.env("RUFF_CACHE_DIR", workspace.target.join("ruff"));
        command.env("MYPY_CACHE_DIR", workspace.target.join("mypy"));
        process::run(&mut command)
    };
    // Everything but what git ignores, `target` among it.
    run(&["ruff", "check", "."])?;
    run(&["ruff", "format", "--check", "."])?;
    run(&[&["mypy"][..], &TYPED].concat())?;
    let mut vectors = Command::new(&tools);
    process::run(vectors.current_dir(&workspace.root).arg("crates/protocol/vectors/check.py"))
}
