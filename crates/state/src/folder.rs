// SPDX-License-Identifier: GPL-3.0-or-later
//! Where the state folder is.

use std::path::{Path, PathBuf};

use etcetera::BaseStrategy as _;

/// The environment variable that names another folder for what Blendwire keeps between starts. Read by the add-on and by
/// the command, not here.
pub const STATE_DIR: &str = "BLENDWIRE_STATE_DIR";

/// `named`, else `blendwire` in the place that the system has for a user's state: `$XDG_STATE_HOME` or `~/.local/state`; on
/// Windows `%LOCALAPPDATA%`. `None` where the user has no home folder.
pub fn folder(named: Option<&Path>) -> Option<PathBuf> {
    if let Some(named) = named {
        return std::path::absolute(named).ok();
    }
    let system = etcetera::choose_base_strategy().ok()?;
    Some(system.state_dir().unwrap_or_else(|| system.cache_dir()).join("blendwire"))
}
