// SPDX-License-Identifier: GPL-3.0-or-later
//! The file `blendwire.lock`: what all systems have in common, and the checksums of each. The same facts always make the
//! same text.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};

use super::read;

/// Grows when an older version of this command could misread the file.
pub(super) const FORMAT: u32 = 1;

const HEAD: &str = "# Written by `blendwire lock`; `blendwire lock --check` says whether it holds.\n";

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Locked {
    /// [`FORMAT`].
    pub(super) format: u32,
    /// Of command, add-on and core: they are released together.
    pub(super) version: String,
    /// Of the wire.
    pub(super) protocol: u32,
    /// The revisions of MCP that are spoken, oldest first.
    pub(super) mcp: Vec<String>,
    /// By system and processor.
    #[serde(default)]
    pub(super) platform: BTreeMap<String, Sums>,
}

/// SHA-256 of what one system runs; none for what a build does not carry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sums {
    /// The executable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) command: Option<String>,
    /// The add-on's zip in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) addon: Option<String>,
    /// The core in that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) core: Option<String>,
}

impl Locked {
    /// `None` where there is no file.
    pub(super) fn read(file: &Path) -> Result<Option<Self>> {
        let Some(text) = read(file)? else { return Ok(None) };
        let name = file.display();
        let locked: Self = toml::from_str(&text).with_context(|| {
            format!("{name} is no lock file: take it out of the way, then `blendwire lock` writes one")
        })?;
        let format = locked.format;
        ensure!(
            format == FORMAT,
            "{name} has the format {format}, and this version reads {FORMAT}: bring the one that wrote it"
        );
        Ok(Some(locked))
    }

    /// The file's text.
    pub(super) fn text(&self) -> Result<String> {
        Ok(format!("{HEAD}{}", toml::to_string(self)?))
    }
}
