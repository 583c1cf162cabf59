// SPDX-License-Identifier: GPL-3.0-or-later
//! Where each client keeps its configuration, per system. Sources: docs/setup.md.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::args::ClientName;
use crate::env_vars;

/// What the clients look at to find their files: the system, the user's home folder and environment variables.
pub(super) struct Places {
    system: System,
    home: PathBuf,
    variable: fn(&str) -> Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum System {
    Linux,
    Mac,
    Windows,
}

/// Where one client is.
#[derive(Debug, PartialEq)]
pub(super) struct Place {
    /// The file that its MCP servers are in.
    pub(super) file: PathBuf,
    /// A folder that is there when the client has run once.
    pub(super) sign: PathBuf,
}

impl Places {
    /// Those of this machine and user.
    ///
    /// # Errors
    /// When the user has no home folder.
    pub(super) fn here() -> Result<Self> {
        let system = if cfg!(windows) {
            System::Windows
        } else if cfg!(target_os = "macos") {
            System::Mac
        } else {
            System::Linux
        };
        let home = etcetera::home_dir().context("no home folder, in which clients keep their configuration")?;
        Ok(Self { system, home, variable: env_vars::read })
    }

    /// Where `client` is, or would be.
    pub(super) fn of(&self, client: ClientName) -> Place {
        match client {
            ClientName::ClaudeDesktop => in_folder(self.claude_desktop(), "claude_desktop_config.json"),
            ClientName::ClaudeCode => self.claude_code(),
            ClientName::Cursor => in_folder(self.home.join(".cursor"), "mcp.json"),
            ClientName::Vscode => self.vscode(),
            ClientName::Windsurf => in_folder(self.home.join(".codeium/windsurf"), "mcp_config.json"),
            ClientName::Devin => in_folder(self.dot_config("devin", "devin"), "mcp_config.json"),
            ClientName::Zed => in_folder(self.zed(), "settings.json"),
            ClientName::Codex => {
                in_folder(self.folder("CODEX_HOME").unwrap_or_else(|| self.home.join(".codex")), "config.toml")
            }
            ClientName::Gemini => {
                let home = self.folder("GEMINI_CLI_HOME").unwrap_or_else(|| self.home.clone());
                in_folder(home.join(".gemini"), "settings.json")
            }
        }
    }

    /// Claude's packaged edition for Windows sees a private copy of `%APPDATA%`, which only it writes to.
    fn claude_desktop(&self) -> PathBuf {
        self.packaged_claude().unwrap_or_else(|| self.app_data().join("Claude"))
    }

    fn packaged_claude(&self) -> Option<PathBuf> {
        if self.system != System::Windows {
            return None;
        }
        let local = self.folder("LOCALAPPDATA").unwrap_or_else(|| self.home.join("AppData/Local"));
        let packages = fs_err::read_dir(local.join("Packages")).ok()?.flatten();
        let claude = packages.map(|package| package.path()).find(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            name.starts_with("Claude_") && path.join("LocalCache/Roaming").is_dir()
        })?;
        Some(claude.join("LocalCache/Roaming/Claude"))
    }

    fn claude_code(&self) -> Place {
        match self.folder("CLAUDE_CONFIG_DIR") {
            Some(folder) => in_folder(folder, ".claude.json"),
            None => Place { file: self.home.join(".claude.json"), sign: self.home.join(".claude") },
        }
    }

    fn vscode(&self) -> Place {
        let data = match (self.folder("VSCODE_PORTABLE"), self.folder("VSCODE_APPDATA")) {
            (Some(portable), _) => portable.join("user-data"),
            (None, Some(data)) => data.join("Code"),
            (None, None) => self.app_data().join("Code"),
        };
        Place { file: data.join("User/mcp.json"), sign: data }
    }

    fn zed(&self) -> PathBuf {
        match self.system {
            System::Linux => self.app_data().join("zed"),
            System::Mac | System::Windows => self.dot_config("zed", "Zed"),
        }
    }

    /// A folder in `~/.config`, on Windows in `%APPDATA%`.
    fn dot_config(&self, name: &str, on_windows: &str) -> PathBuf {
        match self.system {
            System::Windows => self.app_data().join(on_windows),
            System::Linux | System::Mac => self.home.join(".config").join(name),
        }
    }

    /// Where the system wants applications to keep what belongs to a user.
    fn app_data(&self) -> PathBuf {
        match self.system {
            System::Linux => self.folder("XDG_CONFIG_HOME").unwrap_or_else(|| self.home.join(".config")),
            System::Mac => self.home.join("Library/Application Support"),
            System::Windows => self.folder("APPDATA").unwrap_or_else(|| self.home.join("AppData/Roaming")),
        }
    }

    /// A folder that a variable names. A relative one means another folder for every program that reads it: not taken.
    fn folder(&self, variable: &str) -> Option<PathBuf> {
        (self.variable)(variable).map(PathBuf::from).filter(|path| path.is_absolute())
    }
}

fn in_folder(folder: impl AsRef<Path>, file: &str) -> Place {
    Place { file: folder.as_ref().join(file), sign: folder.as_ref().to_owned() }
}

#[cfg(test)]
mod tests {
    #[cfg(unix)]
    use clap::ValueEnum as _;

    use super::*;

    #[cfg(unix)]
    fn files(system: System, variable: fn(&str) -> Option<String>) -> Vec<String> {
        let places = Places { system, home: "/~".into(), variable };
        ClientName::value_variants().iter().map(|client| places.of(*client).file.display().to_string()).collect()
    }

    #[test]
    #[cfg(unix)]
    fn each_system_has_its_places() {
        insta::assert_snapshot!(files(System::Linux, |_| None).join("\n"), @r"
        /~/.config/Claude/claude_desktop_config.json
        /~/.claude.json
        /~/.cursor/mcp.json
        /~/.config/Code/User/mcp.json
        /~/.codeium/windsurf/mcp_config.json
        /~/.config/devin/mcp_config.json
        /~/.config/zed/settings.json
        /~/.codex/config.toml
        /~/.gemini/settings.json
        ");
        insta::assert_snapshot!(files(System::Mac, |_| None).join("\n"), @r"
        /~/Library/Application Support/Claude/claude_desktop_config.json
        /~/.claude.json
        /~/.cursor/mcp.json
        /~/Library/Application Support/Code/User/mcp.json
        /~/.codeium/windsurf/mcp_config.json
        /~/.config/devin/mcp_config.json
        /~/.config/zed/settings.json
        /~/.codex/config.toml
        /~/.gemini/settings.json
        ");
        insta::assert_snapshot!(files(System::Windows, |_| None).join("\n"), @r"
        /~/AppData/Roaming/Claude/claude_desktop_config.json
        /~/.claude.json
        /~/.cursor/mcp.json
        /~/AppData/Roaming/Code/User/mcp.json
        /~/.codeium/windsurf/mcp_config.json
        /~/AppData/Roaming/devin/mcp_config.json
        /~/AppData/Roaming/Zed/settings.json
        /~/.codex/config.toml
        /~/.gemini/settings.json
        ");
    }

    #[test]
    #[cfg(unix)]
    fn the_variables_of_clients_are_followed() {
        let set = |name: &str| (name != "VSCODE_PORTABLE").then(|| format!("/{name}"));
        insta::assert_snapshot!(files(System::Linux, set).join("\n"), @r"
        /XDG_CONFIG_HOME/Claude/claude_desktop_config.json
        /CLAUDE_CONFIG_DIR/.claude.json
        /~/.cursor/mcp.json
        /VSCODE_APPDATA/Code/User/mcp.json
        /~/.codeium/windsurf/mcp_config.json
        /~/.config/devin/mcp_config.json
        /XDG_CONFIG_HOME/zed/settings.json
        /CODEX_HOME/config.toml
        /GEMINI_CLI_HOME/.gemini/settings.json
        ");
        let relative = |name: &str| (name == "CODEX_HOME").then(|| "here".to_owned());
        assert!(files(System::Linux, relative).contains(&"/~/.codex/config.toml".to_owned()));
    }

    #[test]
    fn packaged_claude_for_windows_has_a_place_of_its_own() {
        let home = tempfile::tempdir().unwrap();
        let packaged = home.path().join("AppData/Local/Packages/Claude_pzs8sxrjxfjjc/LocalCache/Roaming");
        std::fs::create_dir_all(&packaged).unwrap();
        let places = Places { system: System::Windows, home: home.path().into(), variable: |_| None };
        assert_eq!(places.of(ClientName::ClaudeDesktop).sign, packaged.join("Claude"));
    }
}
