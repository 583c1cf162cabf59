// SPDX-License-Identifier: GPL-3.0-or-later
//! What the tests run against: Blenders, and the clients of other people.
//!
//! `provide` makes sure that everything is there and says where; `test`, `bench` and `cargo xtask provide` call
//! it. Whatever the environment already names is taken as it is, the rest comes from the registries and is
//! kept in a cache outside the checkout. It never changes the host, except for packages of a Debian host
//! that runs it as root, and it says so when it does.

mod cache;
mod debian;
mod npm;
mod outside;
mod python;
mod task;
mod venv;
mod window;

use std::cell::OnceCell;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use fs_err as fs;

pub(crate) use self::cache::Cache;
use self::python::on_path;
pub(crate) use self::venv::{python_tools, release_tools};
use crate::build::Built;
use crate::process::once;
use crate::workspace::Workspace;

const BPY_4_2: &str = "BLENDWIRE_TEST_BPY_4_2";
const BPY_5_0: &str = "BLENDWIRE_TEST_BPY_5_0";
const BPY_5_2: &str = "BLENDWIRE_TEST_BPY_5_2";
const CONNECTOR: &str = "BLENDWIRE_TEST_CONNECTOR";
const MCP_FOR_BLENDER: &str = "BLENDWIRE_TEST_MCP_FOR_BLENDER";
const MCP_2_3: &str = "BLENDWIRE_TEST_MCP_2_3";
const NODE: &str = "BLENDWIRE_TEST_NODE";
const CONFORMANCE: &str = "BLENDWIRE_TEST_CONFORMANCE";
const INSPECTOR: &str = "BLENDWIRE_TEST_INSPECTOR";
const MCPB: &str = "BLENDWIRE_TEST_MCPB";
const BLENDER: &str = "BLENDWIRE_TEST_BLENDER";
const BLENDER_4_0: &str = "BLENDWIRE_TEST_BLENDER_4_0";
const BLENDER_NEWEST: &str = "BLENDWIRE_TEST_BLENDER_NEWEST";
const XVFB: &str = "BLENDWIRE_TEST_XVFB";
const BROWSER: &str = "BLENDWIRE_TEST_BROWSER";
const IP: &str = "BLENDWIRE_TEST_IP";
const SSHD: &str = "BLENDWIRE_TEST_SSHD";
const NFT: &str = "BLENDWIRE_TEST_NFT";

/// Environment variable → the program it names.
pub(crate) struct Provided(Vec<(&'static str, PathBuf)>);

impl Provided {
    /// The windowed Blender.
    pub(crate) fn blender(&self) -> &Path {
        let found = self.0.iter().find(|(name, _)| *name == BLENDER);
        found.map_or(Path::new("blender"), |(_, path)| path)
    }

    /// The tool for bundles for Claude Desktop, by its maker.
    pub(crate) fn mcpb(&self) -> Result<Command> {
        let path = |wanted| self.0.iter().find(|(name, _)| *name == wanted).map(|(_, path)| path);
        let mut command = Command::new(path(NODE).context("no Node.js was provided")?);
        command.arg(path(MCPB).context("no mcpb was provided")?);
        Ok(command)
    }
}

impl fmt::Display for Provided {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(name, path)| writeln!(f, "{name}={}", path.display()))
    }
}

pub(crate) fn run() -> Result<()> {
    print!("{}", provide()?);
    Ok(())
}

/// Makes sure that everything is there; quick when it already is.
pub(crate) fn provide() -> Result<Provided> {
    let cache = Cache::open()?;
    let mut provided = vec![
        (BPY_4_2, given_or(BPY_4_2, || venv::bpy(&cache, "4.2.23", python::Minor(11)))?),
        (BPY_5_0, given_or(BPY_5_0, || venv::bpy(&cache, "5.0.1", python::Minor(11)))?),
        (BPY_5_2, given_or(BPY_5_2, || venv::bpy(&cache, "5.2.3", python::Minor(13)))?),
        (CONNECTOR, given_or(CONNECTOR, || venv::connector(&cache))?),
        (MCP_FOR_BLENDER, given_or(MCP_FOR_BLENDER, || venv::mcp_for_blender(&cache))?),
        (MCP_2_3, given_or(MCP_2_3, || venv::mcp_2_3(&cache))?),
    ];
    provided.extend(npm(&cache)?);
    provided.push((MCPB, given_or(MCPB, || npm::mcpb(&cache))?));
    let window = window::provide(&cache)?;
    provided.push((BLENDER, window.blender));
    provided.extend(window.xvfb.map(|xvfb| (XVFB, xvfb)));
    if cfg!(target_os = "linux") {
        provided.extend(window::others(&cache)?);
        programs(&cache)?;
        provided.push((BROWSER, given_or(BROWSER, || outside::browser(&cache))?));
        provided.push((IP, given_or(IP, || outside::ip(&cache))?));
        provided.push((SSHD, given_or(SSHD, || outside::sshd(&cache))?));
        provided.push((NFT, given_or(NFT, || outside::nft(&cache))?));
    }
    Ok(Provided(provided))
}

/// Node.js and what it runs.
fn npm(cache: &Cache) -> Result<[(&'static str, PathBuf); 3]> {
    let provided = OnceCell::new();
    let one = |variable, path: fn(&npm::Npm) -> &PathBuf| {
        let provide = || once(&provided, || npm::provide(cache)).map(|npm| path(npm).clone());
        Ok::<_, anyhow::Error>((variable, given_or(variable, provide)?))
    };
    Ok([one(NODE, |npm| &npm.node)?, one(CONFORMANCE, |npm| &npm.conformance)?, one(INSPECTOR, |npm| &npm.inspector)?])
}

/// Makes sure that the programs are there which the tests call by name.
fn programs(cache: &Cache) -> Result<()> {
    /// And the packages that Debian has them in.
    const PROGRAMS: [(&str, &str); 9] = [
        ("bash", "bash"),
        ("curl", "curl"),
        ("fish", "fish"),
        ("man", "man-db"),
        ("openssl", "openssl"),
        ("python3", "python3"),
        ("setpriv", "util-linux"),
        ("ssh", "openssh-client"),
        ("zsh", "zsh"),
    ];
    let missing = PROGRAMS.iter().filter(|(program, _)| on_path(program).is_empty());
    let packages: Vec<&str> = missing.map(|(_, package)| *package).collect();
    if packages.is_empty() {
        return Ok(());
    }
    let task = cache.task("programs")?;
    debian::install_on_host(&task, &packages).context("the tests call them by name")?;
    task.finish();
    Ok(())
}

/// The same command again, to be given other arguments behind its own.
pub(crate) fn again(command: &Command) -> Command {
    let mut again = Command::new(command.get_program());
    again.args(command.get_args());
    again
}

/// Makes sure that there is a C++ compiler: the one that `CXX` names, or the system's.
pub(crate) fn cpp_compiler() -> Result<()> {
    let is_there = || {
        let compiler = std::env::var_os("CXX").unwrap_or_else(|| "c++".into());
        Command::new(compiler).arg("--version").output().is_ok_and(|output| output.status.success())
    };
    // Build scripts find Microsoft's compiler by other ways than PATH.
    if cfg!(windows) || is_there() {
        return Ok(());
    }
    let task = Cache::open()?.task("c++")?;
    debian::install_on_host(&task, &["g++"]).context("a C++ compiler is needed on PATH as `c++`, or named in CXX")?;
    task.finish();
    ensure!(is_there(), "g++ was installed, but there is still no `c++` on PATH");
    Ok(())
}

/// What the end-to-end tests and the bench find in their environment.
pub(crate) fn test_environment(
    workspace: &Workspace,
    built: &Built,
    provided: &Provided,
) -> Result<Vec<(&'static str, OsString)>> {
    let artefacts = workspace.artefacts();
    fs::create_dir_all(&artefacts)?;
    let own = [
        ("BLENDWIRE_TEST_BIN", &built.executable),
        ("BLENDWIRE_TEST_ADDON_ZIP", &built.zip),
        ("BLENDWIRE_TEST_ARTEFACTS", &artefacts),
        ("BLENDWIRE_WORKSPACE", &workspace.root),
    ];
    let given = provided.0.iter().map(|(name, path)| (*name, path));
    Ok(own.into_iter().chain(given).map(|(name, path)| (name, path.into())).collect())
}

/// What the variable names, if it is set; else what `make` makes.
fn given_or(variable: &str, make: impl FnOnce() -> Result<PathBuf>) -> Result<PathBuf> {
    given(variable)?.map_or_else(make, Ok)
}

/// The program that the variable names. One that is set but names nothing is a mistake, never ignored.
fn given(variable: &str) -> Result<Option<PathBuf>> {
    let Some(value) = std::env::var_os(variable).filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    let path = std::path::absolute(&value).with_context(|| format!("reading {variable}"))?;
    ensure!(
        path.is_file(),
        "{variable} names {}, which is not a file: correct it, or unset it to have one provided",
        path.display()
    );
    Ok(Some(path))
}
