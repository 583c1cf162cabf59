// SPDX-License-Identifier: GPL-3.0-or-later
//! Virtual environments: Blender as the `bpy` module, MCP servers of other people, and the Python tools.
//!
//! Each is one folder of the cache, made by pip from the package index that the host is set up for. All
//! functions return a program to start, which behaves as that environment's Python.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use super::cache::Cache;
use super::debian;
use super::python::{self, Minor, Python};
use super::task::Task;

/// Blender without a window, as a module.
pub(crate) fn bpy(cache: &Cache, version: &str, minor: Minor) -> Result<PathBuf> {
    let name = format!("bpy-{version}");
    let package = format!("bpy=={version}");
    ensure(
        cache,
        &name,
        &[&package],
        || python::find(cache, minor),
        |python, program, task| {
            let mut import = python.command_for(program);
            import.args(["-c", "import bpy; print(bpy.app.version_string)"]);
            if task.run(&mut import).is_ok() {
                return Ok(());
            }
            // A bare machine lacks libraries of X11 that even a Blender without a window is linked to.
            debian::install_on_host(task, debian::BPY_LIBRARIES)
                .context("the bpy module needs the libraries of X11 and xkbcommon: install them")?;
            task.run(&mut import)
        },
    )
}

/// The official connector's server. It is written for the first major version of the MCP SDK.
pub(crate) fn connector(cache: &Cache) -> Result<PathBuf> {
    let packages = ["blender-mcp-connect==0.1.0", "mcp==1.30.0", "docutils", "pyyaml"];
    ensure(
        cache,
        "connector-0.1.0",
        &packages,
        || python::find_any(cache),
        |python, program, task| task.run(python.command_for(program).args(["-c", "import blmcp"])),
    )
}

/// The MCP server of mcp-for-blender. Its protocol has a version that the server is compared with: raise both together.
pub(crate) fn mcp_for_blender(cache: &Cache) -> Result<PathBuf> {
    ensure(
        cache,
        "mcp-for-blender-2.2.4",
        &["mcp-for-blender==2.2.4", "mcp==1.30.0"],
        || python::find_any(cache),
        |python, program, task| {
            // Importing the server itself would have it look for a place to keep its own data.
            task.run(python.command_for(program).args(["-c", "import blender_mcp.blender_scripts"]))
        },
    )
}

/// The second major version of MCP's SDK. The first is the connector's.
pub(crate) fn mcp_2_3(cache: &Cache) -> Result<PathBuf> {
    ensure(
        cache,
        "mcp-2.3.0",
        &["mcp==2.3.0"],
        || python::find_any(cache),
        |python, program, task| task.run(python.command_for(program).args(["-c", "import mcp"])),
    )
}

/// Linters and type checkers.
pub(crate) fn python_tools(cache: &Cache, packages: &[&str]) -> Result<PathBuf> {
    ensure(cache, "python-tools", packages, || python::find_any(cache), |_, _, _| Ok(()))
}

/// What reads the files of a release as their users' tools do.
pub(crate) fn release_tools(cache: &Cache, packages: &[&str]) -> Result<PathBuf> {
    ensure(cache, "release-tools", packages, || python::find_any(cache), |_, _, _| Ok(()))
}

fn ensure(
    cache: &Cache,
    name: &str,
    packages: &[&str],
    find: impl FnOnce() -> Result<Python>,
    check: impl FnOnce(&Python, &Path, &Task) -> Result<()>,
) -> Result<PathBuf> {
    let dir = cache.ensure(
        name,
        &packages.join(" "),
        |dir| runs(&entry(dir)),
        |dir, task| {
            let python = find()?;
            install(&python, dir, packages, task)?;
            if let Some(enter) = &python.enter {
                debian::write_launcher(&dir.join("python-in-root"), enter, &program(dir))?;
            }
            check(&python, &program(dir), task)
        },
    )?;
    Ok(entry(&dir))
}

fn install(python: &Python, dir: &Path, packages: &[&str], task: &Task) -> Result<()> {
    task.run(python.command().args(["-m", "venv"]).arg(dir))?;
    let mut pip = python.command_for(&program(dir));
    pip.args(["-m", "pip", "install", "--disable-pip-version-check", "--progress-bar=off"]);
    task.run(pip.args(packages))
}

/// The environment's own Python.
fn program(dir: &Path) -> PathBuf {
    if cfg!(windows) { dir.join("Scripts/python.exe") } else { dir.join("bin/python") }
}

/// What the host starts: the launcher where the Python lives in a Debian root.
fn entry(dir: &Path) -> PathBuf {
    let launcher = dir.join("python-in-root");
    if launcher.exists() { launcher } else { program(dir) }
}

/// A Python that was removed or updated since leaves an environment that no longer starts.
fn runs(python: &Path) -> bool {
    let mut command = Command::new(python);
    command.args(["-c", "import pip"]).stdin(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
