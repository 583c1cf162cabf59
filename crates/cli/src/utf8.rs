// SPDX-License-Identifier: GPL-3.0-or-later
//! Text that people bring, as editors and shells write it.

use std::io::{Error, ErrorKind, Result};
use std::path::Path;

/// What is said of a file in another encoding.
pub(crate) const NOT_UTF8: &str = "it is not UTF-8 (Windows PowerShell writes UTF-16): save it as UTF-8";

/// The text of a file.
///
/// # Errors
/// The system's, or [`NOT_UTF8`].
pub(crate) fn read(path: &Path) -> Result<String> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(without_mark(text)),
        Err(error) if error.kind() == ErrorKind::InvalidData => Err(Error::new(ErrorKind::InvalidData, NOT_UTF8)),
        Err(error) => Err(error),
    }
}

/// Without the byte order mark that some editors, and PowerShell, begin with.
pub(crate) fn without_mark(text: String) -> String {
    text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text)
}
