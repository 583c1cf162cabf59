// SPDX-License-Identifier: GPL-3.0-or-later
//! The bundle for Claude Desktop (`.mcpb`): the executable, and a manifest that says how it is started and what its user
//! can set.
//!
//! All settings arrive as text. What is not set arrives empty by its default, or, from clients that leave it out, as the
//! literal `${user_config.NAME}`: `crates/cli/src/env_vars.rs` takes both for not set.

use anyhow::Result;
use serde_json::{Value, json};

use super::archive::{self, Entries, Entry};
use super::{Product, program};

/// Name, environment variable, title, description, and whether it is a secret.
const SETTINGS: [(&str, &str, &str, &str, bool); 4] = [
    ("host", "BLENDWIRE_HOST", "Host", "Name or address of the machine that Blender runs on. Empty: this one.", false),
    (
        "port",
        "BLENDWIRE_PORT",
        "Port",
        "Port of the MCP Server add-on in Blender, as its panel shows it. Empty: that of the Blender that runs, else 9876.",
        false,
    ),
    (
        "token",
        "BLENDWIRE_TOKEN",
        "Token",
        "What `blendwire token` shows on the machine that Blender runs on. Empty: this user's own, on this machine.",
        true,
    ),
    (
        "fingerprint",
        "BLENDWIRE_FINGERPRINT",
        "Certificate fingerprint",
        "What `blendwire tls` shows on another machine whose certificate nobody else signed. Empty: not needed.",
        false,
    ),
];

/// Settings as the registry's description of the server names them: variable, description, and whether it is a secret.
pub(super) fn variables() -> impl Iterator<Item = (&'static str, &'static str, bool)> {
    SETTINGS.into_iter().map(|(_, variable, _, description, is_secret)| (variable, description, is_secret))
}

/// Packs it.
pub(super) fn pack(product: &Product, executable: &[u8]) -> Result<Vec<u8>> {
    let files = Entries::from([
        ("manifest.json".to_owned(), Entry::file(serde_json::to_string_pretty(&manifest(product))? + "\n")),
        ("LICENSE".to_owned(), Entry::file(product.licence.as_slice())),
        (entry_point(), Entry::program(executable)),
    ]);
    archive::zip(&files)
}

fn entry_point() -> String {
    format!("server/{}", program())
}

/// Its manifest, by version 0.3 of the format.
fn manifest(product: &Product) -> Value {
    let setting = |(name, _, title, description, is_secret): (&str, &str, &str, &str, bool)| {
        let setting = json!({
            "type": "string",
            "title": title,
            "description": description,
            "required": false,
            "default": "",
            "sensitive": is_secret,
        });
        (name.to_owned(), setting)
    };
    let variable = |(name, variable, ..): (&str, &str, &str, &str, bool)| {
        (variable.to_owned(), json!(format!("${{user_config.{name}}}")))
    };
    let settings: serde_json::Map<String, Value> = SETTINGS.into_iter().map(setting).collect();
    let variables: serde_json::Map<String, Value> = SETTINGS.into_iter().map(variable).collect();
    let website = &product.website;
    json!({
        "manifest_version": "0.3",
        "name": "blendwire",
        "display_name": "Blendwire for Blender",
        "version": product.version,
        "description": product.description,
        "long_description": "Drives a running Blender: Claude runs Python in it, sees the viewport, renders, and takes back what \
            it did. Blender needs the add-on *MCP Server*, which comes with Blendwire; without Blender running, Claude can start it.",
        "author": {"name": "Blendwire contributors", "url": website},
        "repository": {"type": "git", "url": website},
        "homepage": website,
        "documentation": format!("{website}#readme"),
        "support": format!("{website}/issues"),
        "license": "GPL-3.0-or-later",
        "keywords": ["blender", "3d", "render", "python"],
        "server": {
            "type": "binary",
            "entry_point": entry_point(),
            "mcp_config": {
                "command": format!("${{__dirname}}/{}", entry_point()),
                "args": ["mcp"],
                "env": variables,
            },
        },
        "tools_generated": true,
        "prompts_generated": true,
        "user_config": settings,
        // In the words of Node.js.
        "compatibility": {"platforms": [match std::env::consts::OS {
            "macos" => "darwin",
            "windows" => "win32",
            other => other,
        }]},
    })
}
