// SPDX-License-Identifier: GPL-3.0-or-later
//! A file that is held by the process that has put it there, and how others see that. However many look at the same time,
//! none takes another for the holder.

use std::fs::File;
use std::io;
use std::path::Path;

/// Puts `text` at `path` as `put` does; held before anybody finds it there, and until the file that is given is closed.
///
/// # Errors
/// The system's; nothing is left behind then.
#[cfg(unix)]
pub(crate) fn put_held(path: &Path, text: &str) -> io::Result<File> {
    crate::private::put(path, text, |file| file.try_lock().map_err(io::Error::from))
}

/// Whether a process holds `file`, which is open from `path`. Those who look share a lock.
///
/// # Errors
/// The system's.
#[cfg(unix)]
pub(crate) fn is_held(_path: &Path, file: &File) -> io::Result<bool> {
    match file.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(std::fs::TryLockError::WouldBlock) => Ok(true),
        Err(std::fs::TryLockError::Error(error)) => Err(error),
    }
}

/// On Windows what is locked cannot be read. There the holder lets nobody write, which whoever looks tries to begin.
#[cfg(windows)]
pub(crate) fn put_held(path: &Path, text: &str) -> io::Result<File> {
    use std::os::windows::fs::OpenOptionsExt as _;

    /// To read, and to rename or delete.
    const SHARED: u32 = 0x1 | 0x4;
    // Open for writing it could not be held.
    let file = crate::private::beside(path, text)?.into_temp_path();
    let held = File::options().read(true).share_mode(SHARED).open(&file)?;
    file.persist(path)?;
    Ok(held)
}

#[cfg(windows)]
pub(crate) fn is_held(path: &Path, _file: &File) -> io::Result<bool> {
    /// `ERROR_SHARING_VIOLATION`.
    const SHARING_VIOLATION: i32 = 32;
    match File::options().write(true).open(path) {
        Ok(_) => Ok(false),
        Err(error) if error.raw_os_error() == Some(SHARING_VIOLATION) => Ok(true),
        Err(error) => Err(error),
    }
}
