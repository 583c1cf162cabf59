// SPDX-License-Identifier: GPL-3.0-or-later
//! The text of a configuration file: its servers read, one put in or taken out, everything else left byte for byte.
//!
//! A table of servers is named by the keys that lead to it. Functions give a new text; they read and write no file.

use anyhow::Result;
use serde_json::Value;

use super::{json, toml};

/// The syntax of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// JSON, with comments and trailing commas where somebody has written such.
    Json,
    /// TOML.
    Toml,
}

/// The keys that lead to a table of servers.
pub(super) type Path = Vec<String>;

/// What an entry holds, in the order in which it is written.
pub(super) type Fields = Vec<(&'static str, Value)>;

/// Windows' editors begin files with it; no parser takes it for a part of the text.
const BYTE_ORDER_MARK: char = '\u{feff}';

impl Format {
    /// The names in the table at `path`, with what is under them; none where the table is not there.
    ///
    /// # Errors
    /// What is wrong with the text, or of another shape than a table.
    pub(super) fn entries(self, text: &str, path: &[String]) -> Result<Vec<(String, Value)>> {
        let text = text.trim_start_matches(BYTE_ORDER_MARK);
        match self {
            Self::Json => json::entries(text, path),
            Self::Toml => toml::entries(text, path),
        }
    }

    /// The text with these fields of this entry, which is made where it is not there. Other fields stay.
    ///
    /// # Errors
    /// Like [`Self::entries`].
    pub(super) fn put(self, text: &str, path: &[String], name: &str, fields: &Fields) -> Result<String> {
        edited(text, |text| match self {
            Self::Json => json::put(text, path, name, fields),
            Self::Toml => toml::put(text, path, name, fields),
        })
    }

    /// The text without this entry.
    ///
    /// # Errors
    /// Like [`Self::entries`].
    pub(super) fn take(self, text: &str, path: &[String], name: &str) -> Result<String> {
        edited(text, |text| match self {
            Self::Json => json::take(text, path, name),
            Self::Toml => toml::take(text, path, name),
        })
    }
}

fn edited(text: &str, edit: impl FnOnce(&str) -> Result<String>) -> Result<String> {
    let Some(rest) = text.strip_prefix(BYTE_ORDER_MARK) else { return edit(text) };
    Ok(format!("{BYTE_ORDER_MARK}{}", edit(rest)?))
}
