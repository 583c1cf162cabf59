// SPDX-License-Identifier: GPL-3.0-or-later
//! Which servers run: each has one file, its descriptor, in one folder of its user.
//!
//! A server holds its file for as long as it lives (see `held`). The system releases it however the process ends, so a
//! descriptor that is not held is stale, whatever its process id says: numbers are given out again. A file appears at its
//! place when it is written and held, so no reader meets half of one, or takes a new one for stale.
//!
//! A home folder may be shared by machines. Descriptors of another machine are left alone and not listed: their addresses
//! mean something else here.

use std::cmp::Reverse;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use blendwire_protocol::Instance;

use crate::held::{is_held, put_held};
use crate::private::{make_folder, open_to_others};

/// What names of descriptors end with.
const EXTENSION: &str = "json";

/// A descriptor has some hundred bytes; whatever else lies there is not read to its end.
const LONGEST_BYTES: u64 = 64 * 1024;

/// The folder of descriptors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instances(PathBuf);

/// A server that can be found. Taken back when dropped.
#[derive(Debug)]
pub struct Announced {
    path: PathBuf,
    /// For as long as it is open.
    _held: File,
}

/// What the folder holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Servers of this machine that run, newest first.
    pub running: Vec<Instance>,
    /// Descriptors of servers that ended without taking them back: killed, or crashed.
    pub stale: usize,
    /// Descriptors of servers on other machines, running or not.
    pub elsewhere: usize,
    /// Files that are no descriptor that this version understands, or that others than their owner could have written.
    pub unreadable: usize,
}

/// What one file turned out to be.
enum Seen {
    Running(Instance),
    Stale,
    Elsewhere,
    Unreadable,
}

impl Instances {
    /// `instances` in this state folder.
    pub fn in_state(state: &Path) -> Self {
        Self(state.join("instances"))
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Makes a running server known until the guard is dropped, or the process ends.
    ///
    /// # Errors
    /// The system's, when the file cannot be written or held.
    pub fn announce(&self, instance: &Instance) -> io::Result<Announced> {
        make_folder(&self.0)?;
        let path = self.0.join(format!("{}.{EXTENSION}", instance.instance));
        let held = put_held(&path, &(serde_json::to_string(instance)? + "\n"))?;
        Ok(Announced { path, _held: held })
    }

    /// What is there now. A folder that is not there holds nothing.
    ///
    /// # Errors
    /// The system's, when the folder cannot be read.
    pub fn look(&self) -> io::Result<Found> {
        let mut found = Found::default();
        for (_, seen) in self.files()? {
            match seen {
                Seen::Running(instance) => found.running.push(instance),
                Seen::Stale => found.stale += 1,
                Seen::Elsewhere => found.elsewhere += 1,
                Seen::Unreadable => found.unreadable += 1,
            }
        }
        found.running.sort_by_key(|instance| Reverse(instance.started));
        Ok(found)
    }

    /// Removes what is stale. Gives how many went; what cannot be removed stays.
    pub fn sweep(&self) -> usize {
        let stale = self.files().unwrap_or_default().into_iter().filter(|(_, seen)| matches!(seen, Seen::Stale));
        stale.filter(|(path, _)| fs::remove_file(path).is_ok()).count()
    }

    fn files(&self) -> io::Result<Vec<(PathBuf, Seen)>> {
        let entries = match fs::read_dir(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut files = Vec::new();
        for entry in entries {
            let path = entry?.path();
            // A pipe or a device would keep whoever opens it waiting.
            let is_file = fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_file());
            if is_file && path.extension().is_some_and(|extension| extension == EXTENSION) {
                // One that has just gone is none.
                files.extend(look_at(&path).map(|seen| (path, seen)));
            }
        }
        Ok(files)
    }
}

impl Drop for Announced {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// The name of this machine, as descriptors carry it.
pub fn machine() -> String {
    gethostname::gethostname().to_string_lossy().into_owned()
}

/// `None` when the file is gone.
fn look_at(path: &Path) -> Option<Seen> {
    match File::open(path).and_then(|file| read(path, &file)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        seen => Some(seen.unwrap_or(Seen::Unreadable)),
    }
}

fn read(path: &Path, file: &File) -> io::Result<Seen> {
    if open_to_others(&file.metadata()?).is_some() {
        return Ok(Seen::Unreadable);
    }
    let is_held = is_held(path, file)?;
    let mut text = String::new();
    file.take(LONGEST_BYTES).read_to_string(&mut text)?;
    let Ok(instance) = serde_json::from_str::<Instance>(&text) else {
        return Ok(if is_held { Seen::Unreadable } else { Seen::Stale });
    };
    // A Mac has its name from the network that it is in just now, and a lock only on its own disks.
    let is_here = instance.machine == machine() || cfg!(target_os = "macos") && is_held;
    Ok(match (is_here, is_held) {
        (false, _) => Seen::Elsewhere,
        (true, true) => Seen::Running(instance),
        (true, false) => Seen::Stale,
    })
}

#[cfg(test)]
mod tests;
