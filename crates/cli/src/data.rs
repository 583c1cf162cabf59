// SPDX-License-Identifier: GPL-3.0-or-later
//! The folder for what `launch` unpacks, installs and logs, and for the history of `repl`.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use etcetera::BaseStrategy as _;

use crate::env_vars;

/// `BLENDWIRE_DATA_DIR`, else `blendwire` in the place that the system has for data. Made when it is not there, for its user
/// alone: logs hold what scripts print.
pub(crate) fn folder() -> Result<PathBuf> {
    let folder = place().with_context(|| {
        format!("no home folder; name one for add-on, logs and history with {}", env_vars::DATA_DIR)
    })?;
    blendwire_state::make_folder(&folder).with_context(|| {
        format!(
            "cannot make the folder {} for add-on, logs and history; name another with {}",
            folder.display(),
            env_vars::DATA_DIR
        )
    })?;
    Ok(folder)
}

/// Where that folder is, whether it is there or not; `None` where the user has no home folder.
pub(crate) fn place() -> Option<PathBuf> {
    match env_vars::read(env_vars::DATA_DIR) {
        Some(folder) => std::path::absolute(folder).ok(),
        None => Some(etcetera::choose_base_strategy().ok()?.data_dir().join("blendwire")),
    }
}
