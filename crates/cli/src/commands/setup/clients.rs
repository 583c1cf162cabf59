// SPDX-License-Identifier: GPL-3.0-or-later
//! What is to be known of each client. Sources: docs/setup.md.

use clap::ValueEnum as _;

use super::document::Format;
use super::places::{Place, Places};
use crate::args::ClientName;

/// One MCP client.
pub(super) struct Client {
    /// What it is called on the command line.
    pub(super) name: ClientName,
    /// What people call it.
    pub(super) label: &'static str,
    /// Commands that start it.
    commands: &'static [&'static str],
    /// The syntax of its file.
    pub(super) format: Format,
    /// The key that its servers are under.
    pub(super) key: &'static str,
    /// Whether an entry says `"type": "stdio"`: VS Code wants that, Claude Code writes it itself.
    pub(super) has_type: bool,
    /// Whether it is started from a desktop, which has its own idea of `PATH`, and not in a terminal.
    pub(super) is_on_desktop: bool,
    /// What makes it take the change.
    pub(super) next: &'static str,
    /// Where its file is.
    pub(super) place: Place,
}

impl Client {
    /// The facts of one.
    fn new(name: ClientName, places: &Places) -> Self {
        let place = places.of(name);
        let base = Self {
            name,
            label: "",
            commands: &[],
            format: Format::Json,
            key: "mcpServers",
            has_type: false,
            is_on_desktop: true,
            next: "",
            place,
        };
        match name {
            ClientName::ClaudeDesktop => Self {
                label: "Claude Desktop",
                next: "quit it (menu or tray icon, Quit: closing the window is not enough) and start it again",
                ..base
            },
            ClientName::ClaudeCode => Self {
                label: "Claude Code",
                commands: &["claude"],
                is_on_desktop: false,
                has_type: true,
                next: "start a new session; /mcp shows the server",
                ..base
            },
            ClientName::Cursor => Self {
                label: "Cursor",
                commands: &["cursor", "cursor-agent"],
                next: "restart it, and see in its settings (MCP, or Customize > MCPs) that the server is switched on",
                ..base
            },
            ClientName::Vscode => Self {
                label: "VS Code",
                commands: &["code"],
                key: "servers",
                has_type: true,
                next: "run MCP: List Servers from the Command Palette, start the server there and trust it",
                ..base
            },
            ClientName::Windsurf => Self {
                label: "Windsurf",
                commands: &["windsurf"],
                next: "press refresh above the list of MCP servers in Cascade, or restart it",
                ..base
            },
            ClientName::Devin => Self { label: "Devin Desktop", commands: &["devin"], next: "restart it", ..base },
            ClientName::Zed => Self {
                label: "Zed",
                commands: &["zed", "zeditor"],
                key: "context_servers",
                next: "nothing to restart: it reads its settings at once; the Agent Panel's settings show the server",
                ..base
            },
            ClientName::Codex => Self {
                label: "Codex",
                commands: &["codex"],
                is_on_desktop: false,
                format: Format::Toml,
                key: "mcp_servers",
                next: "start a new session; /mcp shows the server",
                ..base
            },
            ClientName::Gemini => Self {
                label: "Gemini CLI",
                commands: &["gemini"],
                is_on_desktop: false,
                next: "start a new session; /mcp shows the server",
                ..base
            },
        }
    }

    /// All that are known.
    pub(super) fn all(places: &Places) -> impl Iterator<Item = Self> {
        ClientName::value_variants().iter().map(|name| Self::new(*name, places))
    }

    /// What it is called on the command line, as text.
    pub(super) fn name(&self) -> String {
        self.name.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// Whether it seems to be on this machine: its file or folder is there, or its command on PATH.
    pub(super) fn is_found(&self) -> bool {
        let Place { file, sign } = &self.place;
        file.symlink_metadata().is_ok() || sign.is_dir() || self.commands.iter().any(|name| which::which(name).is_ok())
    }
}
