// SPDX-License-Identifier: GPL-3.0-or-later
//! Finds a CPython of one version that can make environments.
//!
//! Every candidate is run: a shim of pyenv may stand on PATH and fail, and Debian's Python may lack `ensurepip`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::env_vars;

/// Prints the version, and only if an environment with pip can be made.
const PROBE: &str = "import ensurepip, venv, sys; print('%d.%d' % sys.version_info[:2])";

/// The Python that the environment names, if it does, and its version (`3.13`).
///
/// # Errors
/// When the one that is named cannot make environments: taking another one in its place would surprise.
pub(super) fn named() -> Result<Option<(PathBuf, String)>> {
    let Some(path) = env_vars::read(env_vars::PYTHON).map(PathBuf::from) else { return Ok(None) };
    let output = Command::new(&path).args(["-c", PROBE]).stdin(Stdio::null()).output();
    let output =
        output.with_context(|| format!("{} cannot be used: cannot run {}", env_vars::PYTHON, path.display()))?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr).trim().lines().last().unwrap_or_default().to_owned();
        let (name, path, status) = (env_vars::PYTHON, path.display(), output.status);
        bail!("{name} cannot be used: {path} is no Python with its modules venv and ensurepip ({status}: {why})");
    }
    let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    Ok(Some((path, version)))
}

/// The first Python of `version` (`3.13`) that works: on PATH, of pyenv, of uv, in the usual folders.
pub(super) fn find(version: &str) -> Option<PathBuf> {
    candidates(version).into_iter().find(|path| is_usable(path, version))
}

fn is_usable(path: &Path, version: &str) -> bool {
    let output = Command::new(path).args(["-c", PROBE]).stdin(Stdio::null()).stderr(Stdio::null()).output();
    output.is_ok_and(|output| output.status.success() && output.stdout.trim_ascii() == version.as_bytes())
}

fn candidates(version: &str) -> Vec<PathBuf> {
    let names = [format!("python{version}"), "python3".to_owned(), "python".to_owned()];
    let mut found = Vec::new();
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<_> = std::env::split_paths(&on_path).collect();
    folders.extend(["/usr/bin", "/usr/local/bin", "/opt/homebrew/bin"].map(PathBuf::from));
    for name in &names {
        found.extend(folders.iter().map(|folder| folder.join(executable(name))).filter(|path| path.is_file()));
    }
    found.extend(managed(version));
    found
}

/// Pythons that pyenv, uv and the Windows installer keep in folders of their own.
fn managed(version: &str) -> Vec<PathBuf> {
    let home = etcetera::home_dir().unwrap_or_default();
    let local = std::env::var_os("LOCALAPPDATA").map(PathBuf::from).unwrap_or_default();
    let pyenv = env_vars::read(env_vars::PYENV_ROOT).map(PathBuf::from);
    let roots = [
        (pyenv.unwrap_or_else(|| home.join(".pyenv")).join("versions"), version.to_owned()),
        (home.join(".pyenv/versions"), version.to_owned()),
        (home.join(".local/share/uv/python"), format!("cpython-{version}")),
        (local.join("Programs/Python"), format!("Python{}", version.replace('.', ""))),
    ];
    let mut found = Vec::new();
    for (root, prefix) in roots {
        let entries = fs_err::read_dir(root).into_iter().flatten().flatten();
        let fitting = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix));
        found.extend(fitting.map(|entry| interpreter(&entry.path())));
    }
    found
}

/// The interpreter of an installation or of an environment made by it.
fn interpreter(folder: &Path) -> PathBuf {
    if cfg!(windows) { folder.join("python.exe") } else { folder.join("bin/python3") }
}

fn executable(name: &str) -> String {
    if cfg!(windows) { format!("{name}.exe") } else { name.to_owned() }
}
