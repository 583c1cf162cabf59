// SPDX-License-Identifier: GPL-3.0-or-later
//! The entry that starts this executable, and what other entries are: ours, another server for Blender, or neither.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::document::Fields;
use crate::args::{AccessArgs, EndpointArgs};
use crate::config::Config;
use crate::endpoint::parse_host;

/// What clients are to start.
pub(super) struct Entry {
    /// The absolute path of the executable.
    pub(super) command: String,
    /// What it is started with.
    pub(super) args: Vec<String>,
}

/// What an entry in a client's file starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `blendwire mcp`, of this version or another.
    Ours,
    /// Another server for Blender: the assistant would find the same tools twice, and choose one or the other.
    Rival,
    /// Something else.
    Other,
}

impl Entry {
    /// For this executable, and the Blender that the options name.
    ///
    /// # Errors
    /// When an option is wrong, or the executable's path is unknown or no Unicode.
    pub(super) fn new(endpoint: &EndpointArgs) -> Result<Self> {
        let command = executable()?;
        let command = command.to_str().with_context(|| {
            format!("{} is no Unicode, which configuration files hold: move it elsewhere", command.display())
        })?;
        Ok(Self { command: command.to_owned(), args: args(endpoint)? })
    }

    /// What is written.
    pub(super) fn fields(&self, has_type: bool) -> Fields {
        let mut fields = Vec::new();
        if has_type {
            fields.push(("type", json!("stdio")));
        }
        fields.extend([("command", json!(self.command)), ("args", json!(self.args))]);
        fields
    }

    /// Why this path may soon lead to nothing, if so.
    pub(super) fn warning(&self) -> Option<String> {
        let path = Path::new(&self.command);
        let folders: Vec<_> = path.iter().collect();
        let is_built =
            folders.windows(2).any(|pair| pair[0] == "target" && (pair[1] == "debug" || pair[1] == "release"));
        let temporary = std::env::temp_dir();
        let is_temporary = path.starts_with(temporary.canonicalize().unwrap_or(temporary));
        let what = if is_built {
            "a build folder, which the next clean empties"
        } else if is_temporary {
            "a temporary folder, which the system empties"
        } else {
            return None;
        };
        let command = &self.command;
        Some(format!("{command} is in {what}: move it to where it can stay, and run setup again from there"))
    }
}

/// On Windows as it is: there the canonical form begins with `\\?\`, which not every program can start.
fn executable() -> Result<PathBuf> {
    let path = std::env::current_exe().context("the system does not tell where this executable is")?;
    if cfg!(windows) { Ok(path) } else { path.canonicalize().with_context(|| format!("{} is gone", path.display())) }
}

/// Every option of the endpoint is here, so that a new one cannot be forgotten.
fn args(endpoint: &EndpointArgs) -> Result<Vec<String>> {
    let EndpointArgs { profile, host, port, instance, access } = endpoint;
    let AccessArgs { fingerprint, ca, tls, plain } = access;
    ensure!(
        instance.is_none(),
        "--instance names a Blender that runs now, and the entry stays: leave it out, and the assistant chooses among those \
         that run, or give --port"
    );
    if let Some(name) = profile {
        // The entry names it, and the server looks it up whenever it starts: better said now that there is none.
        Config::load()?.chosen(Some(name), None)?;
    }
    let host = host.as_deref().map(|host| parse_host("--host", host)).transpose()?;
    let ca = ca.as_deref().map(absolute).transpose()?;
    let mut args = vec!["mcp".to_owned()];
    let mut push = |option: &str, value: Option<String>| {
        args.extend(value.map(|value| [option.to_owned(), value]).into_iter().flatten());
    };
    push("--profile", profile.clone());
    push("--host", host);
    push("--port", port.map(|port| port.to_string()));
    push("--fingerprint", fingerprint.as_ref().map(ToString::to_string));
    push("--ca", ca);
    args.extend(tls.then(|| "--tls".to_owned()));
    args.extend(plain.then(|| "--plain".to_owned()));
    Ok(args)
}

/// Clients start their servers in folders of their own.
fn absolute(path: &Path) -> Result<String> {
    let path = path.canonicalize().with_context(|| format!("--ca {} cannot be read", path.display()))?;
    Ok(path.to_str().with_context(|| format!("--ca {} is no Unicode", path.display()))?.to_owned())
}

impl Kind {
    /// Looks at the command and its arguments, in whichever form the client has them.
    pub(super) fn of(entry: &Value) -> Self {
        let words = words(entry);
        let is_ours = words.first().is_some_and(|program| name(program).starts_with("blendwire"));
        if is_ours && words.iter().any(|word| word == "mcp") {
            return Self::Ours;
        }
        if words.iter().any(|word| names_a_rival(word)) { Self::Rival } else { Self::Other }
    }
}

/// The server's name, or that of its folder.
fn names_a_rival(word: &str) -> bool {
    let word = word.to_lowercase();
    word.contains("blender") && word.contains("mcp")
}

/// The command and the argument that tells what it is, for people. The other arguments may be keys and passwords.
pub(super) fn line(entry: &Value) -> String {
    let words = words(entry);
    let (program, args) = words.split_first().map_or(("", &[][..]), |(program, args)| (program.as_str(), args));
    let telling = args.iter().find(|word| names_a_rival(word)).map(|word| format!(" {word}"));
    format!("{program}{}", telling.unwrap_or_default())
}

/// All text under `command` and `args`: Zed once had `{"command": {"path": …, "args": […]}}`.
pub(super) fn words(entry: &Value) -> Vec<String> {
    fn gather(value: &Value, words: &mut Vec<String>) {
        match value {
            Value::String(text) => words.push(text.clone()),
            Value::Array(values) => values.iter().for_each(|value| gather(value, words)),
            Value::Object(map) => ["path", "command", "args"]
                .iter()
                .filter_map(|key| map.get(*key))
                .for_each(|value| gather(value, words)),
            _ => {}
        }
    }
    let mut words = Vec::new();
    gather(entry, &mut words);
    words
}

/// The name of a program, of whichever system.
fn name(command: &str) -> String {
    command.rsplit(['/', '\\']).next().unwrap_or(command).to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_for_blender_are_known_by_what_is_started() {
        let rivals = [
            json!({"command": "uvx", "args": ["blender-mcp"]}),
            json!({"command": "cmd", "args": ["/c", "uvx", "mcp-for-blender@2.2.4"]}),
            json!({"command": "C:\\Tools\\blender-mcp.exe", "args": []}),
            json!({"command": "python", "args": ["C:\\BlenderMCP\\server.py"]}),
            json!({"command": "uv", "args": ["--directory", "~/src/blender_mcp", "run", "main.py"]}),
            json!({"command": "sh", "args": ["-c", "exec uvx blender-mcp-connect"]}),
            json!({"source": "custom", "command": {"path": "uvx", "args": ["blender-mcp"]}}),
        ];
        for rival in rivals {
            assert_eq!(Kind::of(&rival), Kind::Rival, "{rival}");
        }
        for ours in [
            "blendwire",
            "/opt/blendwire-0.1.0",
            "/opt/blender-mcp/blendwire",
            "C:\\Program Files\\blendwire\\blendwire.exe",
        ] {
            assert_eq!(Kind::of(&json!({"command": ours, "args": ["mcp", "--port", "1"]})), Kind::Ours, "{ours}");
        }
        let others = [
            json!({"command": "npx", "args": ["-y", "@playwright/mcp"]}),
            json!({"command": "blender", "args": ["--background"]}),
            json!({"url": "https://example.com/mcp"}),
            json!({"command": "blendwire", "args": ["exec"]}),
            json!([]),
        ];
        for other in others {
            assert_eq!(Kind::of(&other), Kind::Other, "{other}");
        }
    }

    #[test]
    fn no_argument_is_shown_that_may_be_a_secret() {
        let entry = json!({"command": "uvx", "args": ["--token", "s3cret", "blender-mcp", "--key=s3cret"]});
        assert_eq!(line(&entry), "uvx blender-mcp");
        assert_eq!(line(&json!({"command": "npx", "args": ["s3cret"]})), "npx");
        assert_eq!(line(&json!(1)), "");
    }

    #[test]
    fn a_path_that_will_not_stay_is_warned_of() {
        let warning = |command: &str| Entry { command: command.to_owned(), args: Vec::new() }.warning();
        assert!(warning("/src/blendwire/target/release/blendwire").unwrap().contains("build folder"));
        let temporary = std::env::temp_dir().canonicalize().unwrap().join("blendwire");
        assert!(warning(temporary.to_str().unwrap()).unwrap().contains("temporary folder"));
        assert_eq!(warning("/opt/target/blendwire"), None);
    }
}
