// SPDX-License-Identifier: GPL-3.0-or-later
//! Where the journal is, for those who write it and those who read it.

use std::path::{Path, PathBuf};

/// `journal` in this state folder.
pub fn folder_in(state: &Path) -> PathBuf {
    state.join("journal")
}
