// SPDX-License-Identifier: GPL-3.0-or-later
//! Blendwire as Claude Desktop's own extension (`.mcpb`): installed by a click, and in no configuration file.

use std::path::Path;

use serde_json::Value;

use super::clients::Client;
use super::kind;
use crate::args::ClientName;

/// The folder of installed extensions beside the client's file, and that of their settings.
const FOLDER: &str = "Claude Extensions";
const SETTINGS: &str = "Claude Extensions Settings";

/// The name in the manifest of `cargo xtask dist`.
const NAME: &str = "blendwire";

/// The extension, where it is installed and switched on.
pub(super) struct Extension {
    /// The name of its folder.
    pub(super) name: String,
    /// What the client starts.
    pub(super) words: Vec<String>,
    /// The environment variables that it sets, with its user's settings not yet filled in.
    pub(super) variables: Vec<(String, String)>,
}

/// Looks for it. What cannot be read is another's.
pub(super) fn find(client: &Client) -> Option<Extension> {
    if client.name != ClientName::ClaudeDesktop {
        return None;
    }
    let beside = client.place.file.parent()?;
    let folders = fs_err::read_dir(beside.join(FOLDER)).ok()?.flatten();
    folders.map(|folder| folder.path()).find_map(|folder| of_folder(&folder, &beside.join(SETTINGS)))
}

fn of_folder(folder: &Path, settings: &Path) -> Option<Extension> {
    let name = folder.file_name()?.to_str()?.to_owned();
    let manifest = read(&folder.join("manifest.json"))?;
    let is_off = read(&settings.join(format!("{name}.json"))).is_some_and(|settings| settings["isEnabled"] == false);
    if manifest["name"] != NAME || is_off {
        return None;
    }
    let start = &manifest["server"]["mcp_config"];
    let folder = folder.to_str()?;
    let words = kind::words(start).iter().map(|word| word.replace("${__dirname}", folder)).collect();
    Some(Extension { name, words, variables: kind::variables(start) })
}

fn read(file: &Path) -> Option<Value> {
    serde_json::from_str(&fs_err::read_to_string(file).ok()?).ok()
}
