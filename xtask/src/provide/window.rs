// SPDX-License-Identifier: GPL-3.0-or-later
//! A Blender with its window, and the virtual display that it opens on.
//!
//! In order: the one that `BLENDWIRE_TEST_BLENDER` names, one on PATH that is recent enough, and one in a
//! Debian root. It only finds and checks; starting Blender and the display is the tests' business.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::cache::Cache;
use super::debian::{self, Root};
use super::python::on_path;
use super::{BLENDER, BLENDER_4_0, BLENDER_NEWEST, XVFB, given};

/// The first version that knows extensions.
const OLDEST: (u32, u32) = (4, 2);

/// What was found.
pub(crate) struct Window {
    pub(crate) blender: PathBuf,
    /// None where windows open without it: elsewhere than on Linux.
    pub(crate) xvfb: Option<PathBuf>,
}

pub(crate) fn provide(cache: &Cache) -> Result<Window> {
    if let Some(blender) = of_host()? {
        let xvfb = if cfg!(target_os = "linux") { Some(xvfb(cache)?) } else { None };
        return Ok(Window { blender, xvfb });
    }
    let dir = debian::ensure(cache, Root::Trixie).with_context(|| {
        format!("no Blender of version {}.{} or later on PATH, so one in a Debian root is needed", OLDEST.0, OLDEST.1)
    })?;
    debian::extend(cache, &dir, "bundled-python", debian::BUNDLED, &[])?;
    let blender = dir.join("bin/blender");
    check(&blender)?;
    Ok(Window { blender, xvfb: Some(dir.join("bin/Xvfb")) })
}

/// Blenders of other versions with their windows: the oldest that there is an add-on for, where its variable names one,
/// and Debian's newest. One that is not to be had is left out, and that is said: they are tested besides.
pub(crate) fn others(cache: &Cache) -> Result<Vec<(&'static str, PathBuf)>> {
    let oldest = given(BLENDER_4_0)?.map(|blender| of_version(blender, |found| found == (4, 0))).transpose()?;
    if oldest.is_none() {
        eprintln!("NOT TESTED: a windowed Blender 4.0, which no registry has. Name one in {BLENDER_4_0}");
    }
    let newest = match given(BLENDER_NEWEST)? {
        // One that is named and is not there is a mistake.
        Some(blender) => Some(of_version(blender, is_newest)?),
        None => debian::ensure(cache, Root::Sid)
            .and_then(|dir| of_version(dir.join("bin/blender"), is_newest))
            .inspect_err(|error| {
                eprintln!(
                    "NOT TESTED: the newest Blender with its window, which cannot be had here: {error:#}. Name one in \
                     {BLENDER_NEWEST}"
                );
            })
            .ok(),
    };
    Ok([(BLENDER_4_0, oldest), (BLENDER_NEWEST, newest)]
        .into_iter()
        .filter_map(|(variable, blender)| Some((variable, blender?)))
        .collect())
}

/// Newer than the one that most tests run in.
fn is_newest(version: (u32, u32)) -> bool {
    version >= (5, 0)
}

fn of_version(blender: PathBuf, is_wanted: fn((u32, u32)) -> bool) -> Result<PathBuf> {
    let found = version(&blender);
    ensure!(found.is_some_and(is_wanted), "{} is of version {found:?}", blender.display());
    Ok(blender)
}

/// The Blender given, or the first on PATH that is recent enough.
fn of_host() -> Result<Option<PathBuf>> {
    if let Some(blender) = given(BLENDER)? {
        let version = version(&blender);
        ensure!(
            version.is_some_and(|version| version >= OLDEST),
            "{BLENDER} names {}, which does not run as Blender {}.{} or later: correct or unset it",
            blender.display(),
            OLDEST.0,
            OLDEST.1
        );
        return Ok(Some(blender));
    }
    let mut installed = on_path("blender").into_iter();
    Ok(installed.find(|blender| version(blender).is_some_and(|version| version >= OLDEST)))
}

fn xvfb(cache: &Cache) -> Result<PathBuf> {
    if let Some(xvfb) = given(XVFB)? {
        return Ok(xvfb);
    }
    if on_path("Xvfb").is_empty() {
        let task = cache.task("xvfb")?;
        debian::install_on_host(&task, &["xvfb", "xauth", "libgl1-mesa-dri"])
            .context("windowed tests open Blender on a virtual display: Xvfb is needed on PATH")?;
        task.finish();
    }
    on_path("Xvfb").into_iter().next().context("Xvfb was installed, but is not on PATH")
}

fn check(blender: &Path) -> Result<()> {
    let found = version(blender);
    ensure!(
        found.is_some_and(|version| version >= OLDEST),
        "{} does not run as Blender {}.{} or later (version: {found:?}): delete that root and try again, or set {BLENDER}",
        blender.display(),
        OLDEST.0,
        OLDEST.1
    );
    Ok(())
}

/// What `blender --version` says; `None` when it does not run.
fn version(blender: &Path) -> Option<(u32, u32)> {
    let output = Command::new(blender).arg("--version").stdin(Stdio::null()).output().ok()?;
    parse_version(&String::from_utf8_lossy(&output.stdout))
}

fn parse_version(text: &str) -> Option<(u32, u32)> {
    let version = text.lines().find_map(|line| line.strip_prefix("Blender "))?;
    let mut numbers = version.split(['.', ' ']).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_version_after_noise() {
        assert_eq!(parse_version("warning: x\nBlender 4.3.2\n\tbuild date"), Some((4, 3)));
        assert_eq!(parse_version("Blender 5.2 LTS"), Some((5, 2)));
        assert_eq!(parse_version("command not found"), None);
    }
}
