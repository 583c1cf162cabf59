// SPDX-License-Identifier: GPL-3.0-or-later
//! The Blenders that are installed on this machine: the one way to find them, for `launch`, `addon` and `doctor`.
//!
//! `places` names candidates, `process` runs them. Every candidate is run with `--version`, because a name says nothing
//! about what is behind it. `on_disk` looks for the add-on in a Blender's folders, without starting it.

mod on_disk;
mod places;
mod process;
#[cfg(windows)]
mod registry;
mod steam;
mod version;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};

pub(crate) use self::on_disk::{OnDisk, on_disk};
pub(crate) use self::process::output_within;
pub(crate) use self::version::Version;
use crate::{env_vars, printer};

/// The oldest Blender that the add-on runs in.
pub(crate) const OLDEST: Version = Version(4, 0, 0);

/// It takes a second from a cold disk; a Flatpak or Snap prepares its surroundings first.
pub(crate) const VERSION_WITHIN: Duration = Duration::from_secs(8);

/// One that a person names is waited for, also on a machine that is busy.
pub(crate) const NAMED_WITHIN: Duration = Duration::from_mins(1);

/// A Blender that runs and is new enough.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Installed {
    /// Its executable.
    pub(crate) path: PathBuf,
    /// What it says it is.
    pub(crate) version: Version,
}

/// The Blender to start, of those that were found where none is named. A named one has to say its version `within` this.
///
/// # Errors
/// When the named one cannot be used, or when there is none at all.
pub(crate) fn to_start(
    named: Option<&Path>,
    within: Duration,
    found: impl FnOnce() -> Vec<Installed>,
) -> Result<Installed> {
    if let Some(path) = named {
        return check(path, within).context("--blender cannot be used");
    }
    if let Some(path) = env_vars::read(env_vars::BLENDER) {
        return check(Path::new(&path), within).with_context(|| format!("{} cannot be used", env_vars::BLENDER));
    }
    found().into_iter().next().ok_or_else(|| {
        let hint = anyhow!(
            "name one with --blender PATH or {}, install one from https://www.blender.org/download/, or use `blendwire \
             launch --embedded`, which fetches Blender's own Python module (about 400 MB) and needs no installation",
            env_vars::BLENDER
        );
        hint.context(format!("no Blender {OLDEST} or newer found on PATH or in the usual places"))
    })
}

/// What `launch` chooses from: it need not wait for every Blender of this machine where PATH leads to one.
pub(crate) fn nearest() -> Vec<Installed> {
    let on_path = places::on_path().into_iter().find_map(|path| check(&path, VERSION_WITHIN).ok());
    on_path.map_or_else(all, |installed| vec![installed])
}

/// Every Blender that is found: the one that the environment names, those on PATH, then the others, newest first.
pub(crate) fn all() -> Vec<Installed> {
    let named = env_vars::read(env_vars::BLENDER).map(PathBuf::from).and_then(|path| places::executable(&path).ok());
    let first: Vec<_> = named.into_iter().chain(places::on_path()).collect();
    let first_count = distinct(first.clone()).len();
    let candidates = distinct(first.into_iter().chain(places::usual()).collect());
    // Side by side, one that hangs costs its own time only.
    let asked: Vec<_> =
        candidates.into_iter().map(|path| thread::spawn(move || check(&path, VERSION_WITHIN).ok())).collect();
    let mut answered: Vec<_> = asked.into_iter().map(|asked| asked.join().ok().flatten()).collect();
    let mut others: Vec<_> = answered.split_off(first_count).into_iter().flatten().collect();
    others.sort_by_key(|installed: &Installed| std::cmp::Reverse(installed.version));
    answered.into_iter().flatten().chain(others).collect()
}

/// Those of one path that a person gives: an executable, a macOS application, the folder of one Blender or of several.
///
/// # Errors
/// When there is none, or it cannot be used.
pub(crate) fn named(path: &Path) -> Result<Vec<Installed>> {
    let several = if path.is_dir() { places::in_folder(path) } else { Vec::new() };
    if several.is_empty() {
        return Ok(vec![check(path, NAMED_WITHIN)?]);
    }
    // One that is too old is no reason to leave out the others.
    let (mut found, mut refused) = (Vec::new(), Vec::new());
    for path in &several {
        match check(path, NAMED_WITHIN) {
            Ok(blender) => found.push(blender),
            Err(error) => refused.push(error),
        }
    }
    if found.is_empty() {
        return Err(refused.swap_remove(0));
    }
    for error in refused {
        printer::talk(&format!("left out: {error:#}"));
    }
    Ok(found)
}

/// Each executable once, at its first place: two names may lead to the same file.
fn distinct(candidates: Vec<PathBuf>) -> Vec<PathBuf> {
    let mut known = HashSet::new();
    let is_new = |path: &PathBuf| known.insert(path.canonicalize().unwrap_or_else(|_| path.clone()));
    candidates.into_iter().filter(is_new).collect()
}

/// Runs it and looks at its version.
fn check(path: &Path, within: Duration) -> Result<Installed> {
    let path = places::executable(path)?;
    let output = output_within(Command::new(&path).arg("--version"), within);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_blender_is_said_so() {
        let folder = tempfile::tempdir().unwrap();
        let error = check(&folder.path().join("missing"), VERSION_WITHIN).err().unwrap().to_string();
        assert!(error.contains("is not there"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn a_file_of_two_names_is_one_blender() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("blender"), folder.path().join("link"));
        std::fs::write(&file, "").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert_eq!(distinct(vec![link.clone(), file, link.clone()]), [link]);
    }
}
