// SPDX-License-Identifier: GPL-3.0-or-later
//! Where the journal is, for those who write it and those who read it.

use std::path::{Path, PathBuf};

use etcetera::BaseStrategy as _;

/// The environment variable that names another folder for what Blendwire keeps between starts. Read by the add-on and by
/// the command, not here.
pub const STATE_DIR: &str = "BLENDWIRE_STATE_DIR";

/// `journal` in `state`, else in `blendwire` in the place that the system has for a user's state: `$XDG_STATE_HOME` or
/// `~/.local/state`; on Windows `%LOCALAPPDATA%`. `None` where the user has no home folder.
pub fn default_folder(state: Option<&Path>) -> Option<PathBuf> {
    let state = if let Some(state) = state {
        std::path::absolute(state).ok()?
    } else {
        let system = etcetera::choose_base_strategy().ok()?;
        system.state_dir().unwrap_or_else(|| system.cache_dir()).join("blendwire")
    };
    Some(state.join("journal"))
}
