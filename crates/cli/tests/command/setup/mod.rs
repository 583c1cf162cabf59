// SPDX-License-Identifier: GPL-3.0-or-later
//! `blendwire setup` on real files, in a home folder of each test's own.

#[cfg(unix)]
pub(crate) mod asked;
mod files;
mod kept;
mod rivals;
mod started;
mod written;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use crate::{blendwire, text};

/// Every client, by the name that it has on the command line.
const CLIENTS: [&str; 9] =
    ["claude-desktop", "claude-code", "cursor", "vscode", "windsurf", "devin", "zed", "codex", "gemini"];

/// A user with a home folder, and with no client on PATH.
pub(crate) struct User {
    pub(crate) home: TempDir,
}

impl User {
    pub(crate) fn new() -> Self {
        Self { home: tempfile::tempdir().unwrap() }
    }

    fn command(&self, args: &[&str]) -> Command {
        self.blendwire(&[&["setup"], args].concat())
    }

    /// Any command, as this user runs it.
    pub(crate) fn blendwire(&self, args: &[&str]) -> Command {
        let mut command = blendwire(args);
        let own = ["CLAUDE_CONFIG_DIR", "CODEX_HOME", "GEMINI_CLI_HOME", "VSCODE_APPDATA", "VSCODE_PORTABLE"];
        for name in
            own.into_iter().chain(["XDG_CONFIG_HOME", "APPDATA", "LOCALAPPDATA", "PATH", "BLENDWIRE_CONFIG_DIR"])
        {
            command.env_remove(name);
        }
        command.env("HOME", self.home.path()).env("USERPROFILE", self.home.path());
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Runs it, which has to go well; gives what was said, data first.
    pub(crate) fn setup(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        format!("{}{}", text(&output.stdout), text(&output.stderr))
    }

    /// Runs it, which has to fail; gives what was said.
    fn fail(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert_eq!(output.status.code(), Some(1), "{}", text(&output.stdout));
        text(&output.stderr).to_owned()
    }

    fn json(&self, args: &[&str]) -> Value {
        serde_json::from_slice(&self.run(&[args, &["--json"]].concat()).stdout).unwrap()
    }

    /// The file of a client, as the command itself tells.
    fn file(&self, client: &str) -> PathBuf {
        self.json(&[client, "--dry-run"])["clients"][0]["file"].as_str().unwrap().into()
    }

    /// A file of a client with this in it.
    pub(crate) fn with_file(&self, client: &str, content: &str) -> PathBuf {
        let file = self.file(client);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, content).unwrap();
        file
    }

    /// Every file below the home folder, with what is in it.
    fn all_files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut files = Vec::new();
        gather(self.home.path(), &mut files);
        files.sort();
        files
    }
}

fn gather(folder: &Path, files: &mut Vec<(PathBuf, Vec<u8>)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            gather(&path, files);
        } else {
            let content = std::fs::read(&path).unwrap();
            files.push((path, content));
        }
    }
}

fn read(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap()
}

/// The copies beside a file, the first one first.
fn backups(file: &Path) -> Vec<String> {
    let path = |number: u8| PathBuf::from(format!("{}.blendwire-backup-{number}", file.display()));
    (1..=u8::MAX).map(path).take_while(|path| path.exists()).map(|path| read(&path)).collect()
}

/// The executable as it stands in a configuration file.
fn executable() -> String {
    Path::new(env!("CARGO_BIN_EXE_blendwire")).canonicalize().unwrap().display().to_string()
}
