// SPDX-License-Identifier: GPL-3.0-or-later
//! The files of one writer: made for their owner alone, followed by others when they become too long, and the least
//! recently written of all when the folder takes too much.
//!
//! A line goes out in one `write` on a file opened for appending. It is with the system then and outlives Blender,
//! however that ends. It is not forced onto the disk, which would cost milliseconds for each request: a power cut may
//! take the last seconds. A file that is closed is forced.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use blendwire_state::make_folder;
use jiff::Timestamp;

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// A file longer than this is followed by another.
    pub file_bytes: u64,
    /// All files together, those of other writers included.
    pub total_bytes: u64,
    /// How many there may be: each start of Blender that ran something has one.
    pub files: usize,
}

impl Default for Limits {
    /// Eight files of 8 MiB hold some hundred thousand small requests; a folder of 500 files is still quick to read.
    fn default() -> Self {
        const MIB: u64 = 1024 * 1024;
        Self { file_bytes: 8 * MIB, total_bytes: 64 * MIB, files: 500 }
    }
}

/// What names of journal files end with.
pub(crate) const EXTENSION: &str = "jsonl";

/// See the module.
#[derive(Debug)]
pub(crate) struct Store {
    folder: PathBuf,
    instance: String,
    limits: Limits,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    file: File,
    path: PathBuf,
    length: u64,
}

impl Store {
    /// Touches nothing yet: a Blender that runs no request leaves no file.
    pub(crate) fn new(folder: PathBuf, instance: String, limits: Limits) -> Self {
        Self { folder, instance, limits, open: None }
    }

    /// Appends one line, which ends with its line break.
    ///
    /// # Errors
    /// The system's. Nothing of the line is in the file then, or it is a line of its own that no reader takes for one.
    pub(crate) fn append(&mut self, line: &[u8]) -> io::Result<()> {
        let length = line.len() as u64;
        let is_full = |open: &Open| open.length > 0 && open.length + length > self.limits.file_bytes;
        // Somebody may have emptied the folder.
        if self.open.as_ref().is_some_and(|open| is_full(open) || !open.path.exists()) {
            self.close();
        }
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.create()?,
        };
        if let Err(error) = open.append(line) {
            // One for each line that is lost would push those out that hold something.
            if open.length == 0 {
                let _ = fs::remove_file(&open.path);
            }
            return Err(error);
        }
        // Only what could be written to is written to again; after a failure the next line gets a file of its own.
        self.open = Some(open);
        Ok(())
    }

    /// Closes the file, and has the system force it onto the disk.
    pub(crate) fn close(&mut self) {
        if let Some(open) = self.open.take() {
            let _ = open.file.sync_data();
        }
    }

    fn create(&self) -> io::Result<Open> {
        make_folder(&self.folder)?;
        self.prune();
        let mut options = OpenOptions::new();
        // Only a new file: whatever stands there under that name, a link of somebody else's for instance, is left alone.
        options.append(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let time = Timestamp::now().strftime("%Y%m%dT%H%M%S%.6fZ");
        let path = self.folder.join(format!("{time}-{}.{EXTENSION}", self.instance));
        let file = options.open(&path)?;
        // Held for as long as this process lives: readers tell by it whether a request without an end still runs.
        #[cfg(unix)]
        let _ = file.try_lock();
        Ok(Open { file, path, length: 0 })
    }

    /// Makes room for another file. What cannot be removed stays; another writer may have been quicker.
    fn prune(&self) {
        let Ok(mut files) = list(&self.folder) else { return };
        files.sort_by_key(|file| file.modified);
        let mut total: u64 = files.iter().map(|file| file.length).sum();
        let mut count = files.len();
        for file in files {
            let has_room = total + self.limits.file_bytes <= self.limits.total_bytes && count < self.limits.files;
            if has_room {
                break;
            }
            let _ = fs::remove_file(&file.path);
            total -= file.length;
            count -= 1;
        }
    }
}

impl Open {
    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        let written = self.file.write_all(line);
        if written.is_ok() {
            self.length += line.len() as u64;
        } else if self.file.set_len(self.length).is_err() {
            // A piece of the line stays. It has no line break, or what follows is no line.
            let _ = self.file.write_all(b"\n");
        }
        written
    }
}

/// A file of the journal.
pub(crate) struct Listed {
    pub(crate) path: PathBuf,
    pub(crate) length: u64,
    modified: SystemTime,
}

/// The files of the journal in `folder`.
pub(crate) fn list(folder: &Path) -> io::Result<Vec<Listed>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        // One that has just gone is none.
        let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
        if metadata.is_file() && path.extension().is_some_and(|extension| extension == EXTENSION) {
            let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            files.push(Listed { path, length: metadata.len(), modified });
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { file_bytes: 100, total_bytes: 300, files: 500 };

    fn store(folder: &Path, limits: Limits) -> Store {
        Store::new(folder.to_owned(), "a1".to_owned(), limits)
    }

    fn texts(folder: &Path) -> Vec<String> {
        let mut files = list(folder).unwrap();
        files.sort_by(|one, other| one.path.cmp(&other.path));
        files.iter().map(|file| fs::read_to_string(&file.path).unwrap()).collect()
    }

    #[test]
    fn a_full_file_is_followed_by_another_and_the_oldest_go() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = store(folder.path(), LIMITS);
        for number in 0..20 {
            store.append(format!("{number:039}\n").as_bytes()).unwrap();
        }
        let texts = texts(folder.path());
        assert!(texts.iter().all(|text| text.len() == 80), "{texts:?}");
        assert_eq!(texts.len(), 3);
        assert!(texts[2].contains("19"), "{texts:?}");
    }

    #[test]
    fn a_line_longer_than_a_file_has_one_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = store(folder.path(), LIMITS);
        let long = "x".repeat(250) + "\n";
        for line in ["short\n", &long, "short\n"] {
            store.append(line.as_bytes()).unwrap();
        }
        assert_eq!(texts(folder.path()).last().map(String::as_str), Some("short\n"));
    }

    #[test]
    fn there_are_never_too_many_files() {
        let folder = tempfile::tempdir().unwrap();
        for _ in 0..20 {
            store(folder.path(), Limits { files: 5, ..Limits::default() }).append(b"line\n").unwrap();
        }
        assert_eq!(texts(folder.path()).len(), 5);
    }

    // On Windows a folder with an open file in it cannot be removed.
    #[cfg(unix)]
    #[test]
    fn an_emptied_folder_is_made_again() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("state/journal");
        let mut store = store(&folder, LIMITS);
        store.append(b"one\n").unwrap();
        fs::remove_dir_all(&folder).unwrap();
        store.append(b"two\n").unwrap();
        assert_eq!(texts(&folder), ["two\n"]);
    }

    #[cfg(unix)]
    #[test]
    fn folder_and_files_are_their_owners_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("state/journal");
        store(&folder, LIMITS).append(b"line\n").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&folder), mode(&parent.path().join("state"))), (0o700, 0o700));
        assert_eq!(mode(&list(&folder).unwrap()[0].path), 0o600);
    }

    /// As after a full disk: whatever is left of a line, the next one is whole.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_line_that_did_not_fit_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let full = OpenOptions::new().append(true).open("/dev/full").unwrap();
        let mut store = store(folder.path(), LIMITS);
        store.append(b"one\n").unwrap();
        let path = store.open.as_ref().unwrap().path.clone();
        store.open = Some(Open { file: full, path, length: 4 });
        assert!(store.append(b"two\n").is_err());
        store.append(b"three\n").unwrap();
        assert_eq!(texts(folder.path()).concat(), "one\nthree\n");
    }
}
