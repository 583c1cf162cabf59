// SPDX-License-Identifier: GPL-3.0-or-later
//! The `python` step of the suite: formatting, lints and types of what runs inside Blender.
//!
//! Tools come in pinned versions from a private environment, so that everyone gets the same verdict; what
//! they demand is in `pyproject.toml`. It looks at the add-on and at the snippets of tool code, nothing else.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use fs_err as fs;

use crate::process;
use crate::provide::{self, Cache};
use crate::workspace::Workspace;

/// Raise on purpose, not by accident: each version brings its own verdicts.
const TOOLS: [&str; 2] = ["ruff==0.17.6", "mypy==2.4.1"];
const SNIPPETS: &str = "crates/mcp/src/tools";

pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let tools = provide::python_tools(&Cache::open()?, &TOOLS)?;
    let snippets = snippets(&workspace.root)?;
    let run = |args: &[&str], files: &[PathBuf]| {
        let mut command = Command::new(&tools);
        command.current_dir(&workspace.root).arg("-m").args(args).arg("addon").args(files);
        // A shared target directory keeps the tools' own caches out of the tree.
        command.env("RUFF_CACHE_DIR", workspace.target.join("ruff"));
        command.env("MYPY_CACHE_DIR", workspace.target.join("mypy"));
        process::run(&mut command)
    };
    run(&["ruff", "check"], &snippets)?;
    run(&["ruff", "format", "--check"], &snippets)?;
    run(&["mypy"], &snippets)
}

/// The snippets of Python beside the MCP tools, relative to the root.
fn snippets(root: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(root.join(SNIPPETS))? {
        let name = entry?.file_name();
        if Path::new(&name).extension().is_some_and(|extension| extension == "py") {
            files.push(Path::new(SNIPPETS).join(name));
        }
    }
    files.sort();
    Ok(files)
}
