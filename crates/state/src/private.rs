// SPDX-License-Identifier: GPL-3.0-or-later
//! Folders and files for their owner alone. On Windows a user's own folder is closed to other users already.

use std::fs::{DirBuilder, File, Metadata};
use std::io::{self, Write as _};
use std::path::Path;

use tempfile::NamedTempFile;

/// The folder, and what is above it, for its owner alone where it is not there yet.
///
/// # Errors
/// The system's.
pub fn make_folder(folder: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Puts `text` at `path`, whole or not at all, for its owner alone, in a folder that is there. `finish` gets the file when it
/// is written and before anybody finds it at its place. Gives the open file.
///
/// # Errors
/// The system's, or that of `finish`; nothing is left behind then.
pub fn put(path: &Path, text: &str, finish: impl FnOnce(&File) -> io::Result<()>) -> io::Result<File> {
    let file = beside(path, text)?;
    finish(file.as_file())?;
    Ok(file.persist(path)?)
}

/// A new file with `text` in the folder of `path`, removed with what this gives.
pub(crate) fn beside(path: &Path, text: &str) -> io::Result<NamedTempFile> {
    // Made by the system with mode 600: there is no moment in which others could open it.
    let mut file = NamedTempFile::new_in(path.parent().unwrap_or(Path::new(".")))?;
    file.write_all(text.as_bytes())?;
    Ok(file)
}

/// The permissions of a file or folder that others than its owner can use in any way; `None` when they cannot.
#[cfg(unix)]
pub fn open_to_others(metadata: &Metadata) -> Option<u32> {
    let mode = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o777;
    // Nothing for group and others.
    (mode.trailing_zeros() < 6).then_some(mode)
}

/// Not told by this system.
#[cfg(not(unix))]
pub fn open_to_others(_metadata: &Metadata) -> Option<u32> {
    None
}
