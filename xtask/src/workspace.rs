// SPDX-License-Identifier: GPL-3.0-or-later
//! Where this checkout lives, where cargo builds to, and which version it has.
//!
//! Loaded once from `cargo metadata` by `main` and handed to every command, so that a changed target
//! directory is honoured everywhere. It holds facts only and starts nothing else.

use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::process;

/// The facts of this checkout.
pub(crate) struct Workspace {
    /// The folder of the workspace's `Cargo.toml`, absolute.
    pub(crate) root: PathBuf,
    /// Where cargo builds to, absolute.
    pub(crate) target: PathBuf,
    /// The version that every package of the workspace carries.
    pub(crate) version: String,
}

impl Workspace {
    pub(crate) fn load() -> Result<Self> {
        let mut command = process::cargo_anywhere();
        command.args(["metadata", "--no-deps", "--format-version=1"]);
        let text = process::capture(&mut command)?;
        let metadata: Value = serde_json::from_str(&text).context("reading `cargo metadata`")?;
        Ok(Self {
            root: path_of(&metadata, "workspace_root")?,
            target: path_of(&metadata, "target_directory")?,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        })
    }

    /// Where packed results go unless told otherwise.
    pub(crate) fn dist(&self) -> PathBuf {
        self.target.join("dist")
    }

    /// Where end-to-end tests leave pictures and logs.
    pub(crate) fn artefacts(&self) -> PathBuf {
        self.target.join("artefacts")
    }
}

fn path_of(metadata: &Value, key: &str) -> Result<PathBuf> {
    let text = metadata[key].as_str().with_context(|| format!("`cargo metadata` names no {key}"))?;
    Ok(PathBuf::from(text))
}
