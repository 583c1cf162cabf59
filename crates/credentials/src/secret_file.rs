// SPDX-License-Identifier: GPL-3.0-or-later
//! Files that only their owner may read: written whole and never readable by others in between, refused when they are.

use std::fs::{self, File, Metadata};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use blendwire_state::{make_folder, open_to_others, put};

/// No secret of ours is longer; a device or a film in its place is not read to its end.
const LONGEST_BYTES: u64 = 64 * 1024;

/// Why a secret could not be had.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The system refuses.
    #[error("cannot {what} {}: {source}", .path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Others could have read it.
    #[error(
        "{} can be read by other users (mode {mode:03o}); run `chmod 600 {}`, and make a new one if somebody may have \
         seen it", .path.display(), .path.display()
    )]
    NotPrivate {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// What it holds is none.
    #[error("{} holds no token; make a new one with `blendwire token --rotate`", .path.display())]
    NotAToken {
        /// The file.
        path: PathBuf,
    },
    /// The system gives no random numbers.
    #[error("the system gives no random numbers: {0}")]
    NoRandomness(String),
}

impl SecretError {
    pub(crate) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { what, path, source }
    }

    /// Whether the file is simply not there.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

/// Tells one writing of a file from the next without reading it, and one setting of its rights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    inode: u64,
    rights: Rights,
}

/// Mode, owner, and when anything about the file was changed last, in seconds and nanoseconds: two changes within one tick of
/// the system's clock have the same time.
#[cfg(unix)]
type Rights = (u32, u32, i64, i64);
/// Elsewhere a file's rights are not looked at.
#[cfg(not(unix))]
type Rights = ();

impl Stamp {
    /// That of the file at `path` as it is now; `None` when it is not there.
    pub fn of(path: &Path) -> Option<Self> {
        fs::metadata(path).ok().map(|metadata| Self::of_metadata(&metadata))
    }

    fn of_metadata(metadata: &Metadata) -> Self {
        #[cfg(unix)]
        let inode = std::os::unix::fs::MetadataExt::ino(metadata);
        #[cfg(not(unix))]
        let inode = 0;
        Self { modified: metadata.modified().ok(), length: metadata.len(), inode, rights: rights(metadata) }
    }
}

#[cfg(unix)]
fn rights(metadata: &Metadata) -> Rights {
    use std::os::unix::fs::MetadataExt as _;
    (metadata.mode(), metadata.uid(), metadata.ctime(), metadata.ctime_nsec())
}

#[cfg(not(unix))]
fn rights(_metadata: &Metadata) -> Rights {}

/// The text of a file that nobody else may read.
pub(crate) fn read(path: &Path) -> Result<String, SecretError> {
    let file = File::open(path).map_err(SecretError::io("read", path))?;
    let metadata = file.metadata().map_err(SecretError::io("read", path))?;
    if let Some(mode) = open_to_others(&metadata) {
        return Err(SecretError::NotPrivate { path: path.to_owned(), mode });
    }
    let mut text = String::new();
    file.take(LONGEST_BYTES).read_to_string(&mut text).map_err(SecretError::io("read", path))?;
    // As PowerShell writes it.
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

/// Puts `text` there, whole or not at all, in a folder that is made for the owner alone when it is missing.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), SecretError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    make_folder(folder).map_err(SecretError::io("make the folder", folder))?;
    put(path, text, File::sync_all).map_err(SecretError::io("write", path))?;
    Ok(())
}
