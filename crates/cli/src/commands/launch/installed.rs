// SPDX-License-Identifier: GPL-3.0-or-later
//! Finds an installed Blender: the one that was named, else the one on PATH, else the newest in the usual places.
//!
//! Every candidate is run with `--version`, because a name says nothing about what is behind it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, anyhow, bail};

use crate::env_vars;

/// The oldest Blender that the add-on runs in.
const OLDEST: Version = Version(4, 0, 0);

/// A version of Blender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version(u32, u32, u32);

/// A Blender that runs and is new enough.
pub(crate) struct Installed {
    /// Its executable.
    pub(crate) path: PathBuf,
    /// What it says it is.
    pub(crate) version: Version,
}

/// The Blender to start.
///
/// # Errors
/// When the named one cannot be used, or when there is none at all.
pub(crate) fn find(named: Option<&Path>) -> Result<Installed> {
    if let Some(path) = named {
        return check(path).context("--blender cannot be used");
    }
    if let Some(path) = env_vars::read(env_vars::BLENDER) {
        return check(Path::new(&path)).with_context(|| format!("{} cannot be used", env_vars::BLENDER));
    }
    let on_path = on_path().into_iter().find_map(|path| check(&path).ok());
    on_path.or_else(newest_in_usual_places).ok_or_else(|| {
        let hint = anyhow!(
            "name one with --blender PATH or {}, install one from https://www.blender.org/download/, or use `blendwire \
             launch --embedded`, which fetches Blender's own Python module (about 400 MB) and needs no installation",
            env_vars::BLENDER
        );
        hint.context(format!("no Blender {OLDEST} or newer found on PATH or in the usual places"))
    })
}

fn newest_in_usual_places() -> Option<Installed> {
    let checked = usual_places().into_iter().filter_map(|path| check(&path).ok());
    checked.max_by_key(|installed| installed.version)
}

/// Runs it and looks at its version.
fn check(path: &Path) -> Result<Installed> {
    let path = executable(path)?;
    let output = Command::new(&path).arg("--version").stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("cannot run {}", path.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let Some(version) = text.lines().find_map(Version::parse) else {
        bail!("{} does not say which Blender it is when run with --version; is it one?", path.display());
    };
    if version < OLDEST {
        bail!("{} is Blender {version}; Blender {OLDEST} or newer is needed", path.display());
    }
    Ok(Installed { path, version })
}

/// The executable of a folder or a macOS application, else the path itself.
fn executable(path: &Path) -> Result<PathBuf> {
    if path.extension().is_some_and(|extension| extension == "app") {
        return Ok(path.join("Contents/MacOS/Blender"));
    }
    if path.is_dir() {
        return Ok(path.join(NAME));
    }
    if !path.exists() {
        bail!("{} is not there", path.display());
    }
    Ok(std::path::absolute(path)?)
}

const NAME: &str = if cfg!(windows) { "blender.exe" } else { "blender" };

fn on_path() -> Vec<PathBuf> {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&folders).map(|folder| folder.join(NAME)).filter(|path| path.is_file()).collect()
}

fn usual_places() -> Vec<PathBuf> {
    let home = etcetera::home_dir().unwrap_or_default();
    if cfg!(target_os = "macos") {
        return [PathBuf::from("/Applications"), home.join("Applications")]
            .iter()
            .flat_map(|folder| entries(folder, "blender"))
            .collect();
    }
    if cfg!(windows) {
        let programs = std::env::var_os("ProgramFiles").unwrap_or_default();
        return entries(&Path::new(&programs).join("Blender Foundation"), "blender");
    }
    let mut places: Vec<_> =
        ["/usr/bin", "/usr/local/bin", "/snap/bin"].iter().map(|at| Path::new(at).join(NAME)).collect();
    for folder in [PathBuf::from("/opt"), home.join("Applications"), home.join(".local/opt"), home] {
        places.extend(entries(&folder, "blender"));
    }
    places
}

/// What is in `folder` with a name that begins with `prefix`, in any case of letters.
fn entries(folder: &Path, prefix: &str) -> Vec<PathBuf> {
    let entries = fs_err::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_name().to_string_lossy().to_lowercase().starts_with(prefix))
        .map(|entry| entry.path())
        .collect()
}

impl Version {
    /// From a line such as `Blender 4.3.2` or `Blender 4.5.1 LTS`.
    fn parse(line: &str) -> Option<Self> {
        let numbers = line.strip_prefix("Blender ")?.split_whitespace().next()?;
        let mut numbers = numbers.split('.').map(|number| number.parse().ok());
        let (major, minor) = (numbers.next()??, numbers.next()??);
        Some(Self(major, minor, numbers.next().flatten().unwrap_or(0)))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}.{}", self.0, self.1, self.2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_and_compared_by_number() {
        assert_eq!(Version::parse("Blender 4.3.2"), Some(Version(4, 3, 2)));
        assert_eq!(Version::parse("Blender 4.5.1 LTS"), Some(Version(4, 5, 1)));
        assert_eq!(Version::parse("Blender 2.79 (sub 7)"), Some(Version(2, 79, 0)));
        assert_eq!(Version::parse("Read prefs: …"), None);
        assert!(Version(4, 10, 0) > Version(4, 9, 9));
    }

    #[test]
    fn what_is_no_blender_is_said_so() {
        let folder = tempfile::tempdir().unwrap();
        let error = check(&folder.path().join("missing")).err().unwrap().to_string();
        assert!(error.contains("is not there"), "{error}");
    }
}
