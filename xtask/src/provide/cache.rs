// SPDX-License-Identifier: GPL-3.0-or-later
//! The cache directory: one folder per provided thing, complete or absent.
//!
//! A folder counts only when its marker file holds the recipe it was made by; the marker is written last, so
//! an interrupted run leaves nothing that looks finished, and a changed recipe makes the folder anew. One
//! lock lets one run at a time change the cache. It does not know what it holds.

use std::env;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use fs_err as fs;

use super::task::Task;
use crate::process;

/// Written last into a finished folder; holds the recipe.
const MARKER: &str = ".complete";

/// The cache, locked for as long as this lives.
pub(crate) struct Cache {
    dir: PathBuf,
    lock: File,
}

impl Cache {
    /// Opens the cache, and waits while another run changes it.
    pub(crate) fn open() -> Result<Self> {
        let dir = directory()?;
        fs::create_dir_all(dir.join("log"))
            .context("the cache cannot be made: set BLENDWIRE_CACHE to a folder that can be written")?;
        let dir = fs::canonicalize(dir)?;
        let lock = lock(&dir.join("lock"))?;
        Ok(Self { dir, lock })
    }

    /// The folder `name`, made by `make` unless it is there, finished by the same recipe and still working.
    pub(crate) fn ensure(
        &self,
        name: &str,
        recipe: &str,
        is_working: impl FnOnce(&Path) -> bool,
        make: impl FnOnce(&Path, &Task) -> Result<()>,
    ) -> Result<PathBuf> {
        let dir = self.dir.join(name);
        let is_complete = std::fs::read_to_string(dir.join(MARKER)).is_ok_and(|made_by| made_by == recipe);
        if is_complete && is_working(&dir) {
            return Ok(dir);
        }
        let task = self.task(name)?;
        remove(&dir)?;
        fs::create_dir_all(&dir)?;
        make(&dir, &task)?;
        fs::write(dir.join(MARKER), recipe)?;
        task.finish();
        Ok(dir)
    }

    /// What is added to a finished folder by `make`, unless the same recipe has added it already.
    ///
    /// Its marker lies in the folder: what is made anew is added to anew. A change of this recipe does not have the
    /// folder made anew, so that earlier runs' caches, and other checkouts that share them, keep what they have.
    pub(crate) fn extend(
        &self,
        dir: &Path,
        name: &str,
        recipe: &str,
        is_working: impl FnOnce(&Path) -> bool,
        make: impl FnOnce(&Task) -> Result<()>,
    ) -> Result<()> {
        let marker = dir.join(format!("{MARKER}-{name}"));
        let is_complete = std::fs::read_to_string(&marker).is_ok_and(|made_by| made_by == recipe);
        if is_complete && is_working(dir) {
            return Ok(());
        }
        let task = self.task(name)?;
        make(&task)?;
        fs::write(marker, recipe)?;
        task.finish();
        Ok(())
    }

    /// A task that keeps its log here.
    pub(crate) fn task(&self, name: &str) -> Result<Task> {
        let log = self.dir.join("log").join(format!("{name}.log"));
        Task::start(name, log, self.lock.try_clone()?)
    }
}

fn directory() -> Result<PathBuf> {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let dir = set("BLENDWIRE_CACHE")
        .or_else(|| Some(set("XDG_CACHE_HOME")?.join("blendwire/test")))
        .or_else(|| Some(env::home_dir()?.join(".cache/blendwire/test")))
        .context("no place for the cache: set BLENDWIRE_CACHE to a folder with 10 GB free")?;
    Ok(std::path::absolute(dir)?)
}

fn lock(path: &Path) -> Result<File> {
    let file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .with_context(|| format!("cannot write {}", path.display()))?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => {
            eprintln!("another run is changing the cache ({}): waiting for it", path.display());
            file.lock()?;
        }
        verdict => verdict.with_context(|| format!("cannot lock {}", path.display()))?,
    }
    Ok(file)
}

/// Deletes a folder, but nothing that is mounted into it.
fn remove(dir: &Path) -> Result<()> {
    for mounted in mounts_under(dir) {
        process::run(Command::new("umount").arg(&mounted))?;
    }
    let left = mounts_under(dir);
    ensure!(
        left.is_empty(),
        "{} is half made, but {} is mounted in it and stays so: unmount it, then run this again",
        dir.display(),
        left[0].display()
    );
    if dir.exists() {
        fs::remove_dir_all(dir)?;
    }
    Ok(())
}

/// The mount points in a folder, innermost first. Only Linux tells, and only there are any.
fn mounts_under(dir: &Path) -> Vec<PathBuf> {
    let table = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let mut found: Vec<PathBuf> = table
        .lines()
        .filter_map(|line| line.split(' ').nth(1))
        .map(|path| PathBuf::from(path.replace(r"\040", " ")))
        .filter(|path| path.starts_with(dir) && path != dir)
        .collect();
    found.reverse();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache_in(dir: &Path) -> Cache {
        fs::create_dir_all(dir.join("log")).unwrap();
        Cache { dir: dir.to_owned(), lock: lock(&dir.join("lock")).unwrap() }
    }

    #[test]
    fn makes_once_and_again_when_recipe_changes() {
        let dir = tempfile::tempdir().unwrap();
        let cache = cache_in(dir.path());
        let count = std::cell::Cell::new(0);
        let ensure = |recipe| {
            let make = |_: &Path, _: &Task| {
                count.set(count.get() + 1);
                Ok(())
            };
            cache.ensure("thing", recipe, |_| true, make).unwrap();
        };
        ensure("1");
        ensure("1");
        assert_eq!(count.get(), 1);
        ensure("2");
        assert_eq!(count.get(), 2);
    }

    #[test]
    fn is_extended_once_and_again_when_recipe_changes_or_folder_is_made_anew() {
        let dir = tempfile::tempdir().unwrap();
        let cache = cache_in(dir.path());
        let count = std::cell::Cell::new(0);
        let ensure = |recipe, more| {
            let made = cache.ensure("thing", recipe, |_| true, |_, _| Ok(())).unwrap();
            let produce = |_: &Task| {
                count.set(count.get() + 1);
                Ok(())
            };
            cache.extend(&made, "more", more, |_| true, produce).unwrap();
        };
        for (recipe, more, expected) in [("1", "1", 1), ("1", "1", 1), ("1", "2", 2), ("2", "2", 3)] {
            ensure(recipe, more);
            assert_eq!(count.get(), expected, "{recipe} {more}");
        }
    }

    #[test]
    fn half_made_folder_is_made_anew() {
        let dir = tempfile::tempdir().unwrap();
        let cache = cache_in(dir.path());
        let interrupted = cache.ensure(
            "thing",
            "1",
            |_| true,
            |dir, _| {
                fs::write(dir.join("half"), "")?;
                anyhow::bail!("interrupted")
            },
        );
        assert!(interrupted.is_err());
        let made = cache.ensure("thing", "1", |_| true, |_, _| Ok(())).unwrap();
        assert!(!made.join("half").exists());
    }
}
