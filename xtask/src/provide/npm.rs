// SPDX-License-Identifier: GPL-3.0-or-later
//! What others have written in JavaScript to test MCP servers with: the conformance suite and the inspector.
//!
//! One folder of the cache, made by the host's npm. They want a newer Node.js than most systems have, and npm has that as
//! a package.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use fs_err as fs;

use super::cache::Cache;
use super::debian;
use super::python::on_path;
use super::task::Task;

/// Exact versions: each brings its own verdicts.
const PACKAGE: &str = include_str!("package.json");
const MCPB: &str = include_str!("package_mcpb.json");

/// What is started of them.
pub(crate) struct Npm {
    /// Node.js itself.
    pub(crate) node: PathBuf,
    /// The conformance suite's entry point.
    pub(crate) conformance: PathBuf,
    /// The inspector's entry point.
    pub(crate) inspector: PathBuf,
}

/// All of them.
pub(crate) fn provide(cache: &Cache) -> Result<Npm> {
    let dir = cache.ensure("npm", PACKAGE, |dir| runs(&packages(dir).node), install)?;
    Ok(packages(&dir))
}

/// The entry point of the tool that makes and checks bundles for Claude Desktop. In a folder of its own, so that checkouts
/// without it keep what they have.
pub(crate) fn mcpb(cache: &Cache) -> Result<PathBuf> {
    let entry = |dir: &Path| dir.join("node_modules/@anthropic-ai/mcpb/dist/cli/cli.js");
    let is_there = |dir: &Path| entry(dir).is_file();
    let dir = cache.ensure("npm-mcpb", MCPB, is_there, |dir, task| install_from(dir, MCPB, task))?;
    ensure!(is_there(&dir), "npm has installed mcpb, but there is no {}", entry(&dir).display());
    Ok(entry(&dir))
}

fn packages(dir: &Path) -> Npm {
    let modules = dir.join("node_modules");
    let tools = modules.join("@modelcontextprotocol");
    Npm {
        node: modules.join("node/bin").join(if cfg!(windows) { "node.exe" } else { "node" }),
        conformance: tools.join("conformance/dist/index.js"),
        inspector: tools.join("inspector/clients/launcher/build/index.js"),
    }
}

fn install(dir: &Path, task: &Task) -> Result<()> {
    install_from(dir, PACKAGE, task)?;
    let Npm { node, conformance, inspector } = packages(dir);
    for file in [&node, &conformance, &inspector] {
        ensure!(file.is_file(), "npm has installed everything, but there is no {}", file.display());
    }
    ensure!(runs(&node), "{} does not start: npm may have been told not to run install scripts", node.display());
    Ok(())
}

fn install_from(dir: &Path, package: &str, task: &Task) -> Result<()> {
    // On Windows it is a script, which PATH is searched for by that name.
    let program = if cfg!(windows) { "npm.cmd" } else { "npm" };
    let is_missing = on_path("node").is_empty() || (!cfg!(windows) && on_path(program).is_empty());
    if is_missing {
        debian::install_on_host(task, &["npm"])
            .context("npm is needed, which comes with Node.js (https://nodejs.org): install it")?;
    }
    fs::write(dir.join("package.json"), package)?;
    let mut command = Command::new(program);
    // The host's own Node.js only installs them, so its age is not of interest.
    command.args(["install", "--no-audit", "--no-fund", "--no-progress", "--no-package-lock", "--engine-strict=false"]);
    task.run(command.current_dir(dir))
}

fn runs(node: &Path) -> bool {
    let mut command = Command::new(node);
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
