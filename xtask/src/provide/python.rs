// SPDX-License-Identifier: GPL-3.0-or-later
//! Finding a CPython of a wanted minor version, or one in a Debian root.
//!
//! A candidate counts only when it runs, reports the version and can make virtual environments: the
//! shims of pyenv exist for versions that are not selected, and Debian's Python comes without `venv`. `venv` calls
//! it. It installs nothing on the host.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::cache::Cache;
use super::debian::{self, Root};

/// The minor version of a Python 3.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Minor(pub(crate) u8);

/// A Python that can make virtual environments.
pub(crate) struct Python {
    pub(crate) minor: Minor,
    program: PathBuf,
    /// Set when the program lives in a Debian root and runs only through its `enter` script.
    pub(crate) enter: Option<PathBuf>,
}

impl Python {
    pub(crate) fn command(&self) -> Command {
        self.command_for(&self.program)
    }

    /// A command that runs `program`, itself or through the root that it belongs to.
    pub(crate) fn command_for(&self, program: &Path) -> Command {
        match &self.enter {
            Some(enter) => {
                let mut command = Command::new(enter);
                command.arg(program);
                command
            }
            None => Command::new(program),
        }
    }
}

/// The first Python of this version that works.
pub(crate) fn find(cache: &Cache, minor: Minor) -> Result<Python> {
    let variable = format!("BLENDWIRE_PYTHON3{}", minor.0);
    if let Some(given) = super::given(&variable)? {
        let python = probe(&given, Some(minor));
        return python.with_context(|| {
            let (path, minor) = (given.display(), minor.0);
            format!("{variable} names {path}, which is no working CPython 3.{minor} with venv: correct or unset it")
        });
    }
    match candidates(minor).iter().find_map(|path| probe(path, Some(minor))) {
        Some(python) => Ok(python),
        None => from_debian(cache, minor),
    }
}

/// Any Python of version 3.10 or later, the wanted ones first since they are needed anyway.
pub(crate) fn find_any(cache: &Cache) -> Result<Python> {
    let python3 = on_path("python3").iter().find_map(|path| probe(path, None));
    match python3.filter(|python| python.minor.0 >= 10) {
        Some(python) => Ok(python),
        None => find(cache, Minor(11)),
    }
}

/// Every file of this name in the folders of PATH.
pub(crate) fn on_path(name: &str) -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let name = format!("{name}{}", env::consts::EXE_SUFFIX);
    env::split_paths(&path).map(|dir| dir.join(&name)).filter(|file| file.is_file()).collect()
}

fn candidates(minor: Minor) -> Vec<PathBuf> {
    let name = format!("python3.{}", minor.0);
    let mut found = on_path(&name);
    found.extend(on_path("python3"));
    found.extend(on_path("python"));
    found.extend(of_pyenv(minor, &name));
    found.extend(["/usr/bin", "/usr/local/bin"].map(|dir| Path::new(dir).join(&name)));
    found
}

fn of_pyenv(minor: Minor, name: &str) -> Vec<PathBuf> {
    let home = env::var_os("PYENV_ROOT").map(PathBuf::from);
    let Some(root) = home.or_else(|| Some(env::home_dir()?.join(".pyenv"))) else {
        return Vec::new();
    };
    let prefix = format!("3.{}.", minor.0);
    let versions = std::fs::read_dir(root.join("versions")).into_iter().flatten().flatten();
    let wanted = versions.filter(|version| version.file_name().to_string_lossy().starts_with(&prefix));
    wanted.map(|version| version.path().join("bin").join(name)).collect()
}

/// Runs the candidate; `None` when it is not what is wanted. Returns the real program behind a shim.
fn probe(path: &Path, wanted: Option<Minor>) -> Option<Python> {
    const SCRIPT: &str = "import sys, venv, ensurepip\n\
        assert sys.implementation.name == 'cpython' and sys.version_info.major == 3\n\
        print(sys.version_info.minor); print(sys.executable)";
    let output = Command::new(path).args(["-I", "-c", SCRIPT]).stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let (minor, program) = text.trim_end().split_once('\n')?;
    let minor = Minor(minor.trim().parse().ok()?);
    (output.status.success() && wanted.is_none_or(|wanted| wanted == minor)).then(|| Python {
        minor,
        program: program.into(),
        enter: None,
    })
}

fn from_debian(cache: &Cache, minor: Minor) -> Result<Python> {
    let root = match minor.0 {
        11 => Root::Bookworm,
        13 => Root::Trixie,
        other => bail!("no CPython 3.{other} found: install it, with its venv module"),
    };
    let dir = debian::ensure(cache, root).with_context(|| {
        let minor = minor.0;
        format!("no CPython 3.{minor} found: install it with venv, or name it in BLENDWIRE_PYTHON3{minor}")
    })?;
    let program = format!("/usr/bin/python3.{}", minor.0).into();
    Ok(Python { minor, program, enter: Some(debian::enter(&dir)) })
}
