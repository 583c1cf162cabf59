// SPDX-License-Identifier: GPL-3.0-or-later
//! Starting other programs, and saying clearly which one failed.
//!
//! Every command of this package goes through here, so that none of them ever reads standard input and all
//! of cargo's runs share one environment (a changed environment would build everything again). Long
//! installations, which need a log and a progress line, are in `provide::task`.

use std::cell::OnceCell;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::workspace::Workspace;

/// Cargo, in the root of the workspace.
pub(crate) fn cargo(workspace: &Workspace) -> Command {
    let mut command = cargo_anywhere();
    command.current_dir(&workspace.root);
    command
}

/// Cargo, in the current directory: only for finding the workspace.
pub(crate) fn cargo_anywhere() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // The core is loaded by whatever Python the host has: it must neither look for one at build time nor
    // link one.
    command.env("PYO3_NO_PYTHON", "1");
    command.env("PYO3_BUILD_EXTENSION_MODULE", "1");
    command
}

/// Runs to the end with the output shown.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.stdin(Stdio::null()).status().with_context(|| cannot_start(command))?;
    ensure!(status.success(), "`{}` failed ({status})", shown(command));
    Ok(())
}

/// Runs to the end and returns what it printed on standard output; standard error is shown on failure.
pub(crate) fn capture(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().with_context(|| cannot_start(command))?;
    if !output.status.success() {
        let talk = String::from_utf8_lossy(&output.stderr);
        bail!("`{}` failed ({}):\n{}", shown(command), output.status, talk.trim_end());
    }
    String::from_utf8(output.stdout).with_context(|| format!("`{}` printed text that is not UTF-8", shown(command)))
}

/// Builds with cargo and returns the files that it made for the target `name`, an executable last.
pub(crate) fn build_artifact(command: &mut Command, name: &str) -> Result<Vec<PathBuf>> {
    command.arg("--message-format=json-render-diagnostics").stdin(Stdio::null()).stderr(Stdio::inherit());
    let output = command.output().with_context(|| cannot_start(command))?;
    ensure!(output.status.success(), "`{}` failed ({})", shown(command), output.status);
    let files: Vec<PathBuf> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["reason"] == "compiler-artifact" && message["target"]["name"] == name)
        .flat_map(|message| files_of(&message))
        .collect();
    ensure!(!files.is_empty(), "`{}` made nothing named {name}", shown(command));
    Ok(files)
}

fn files_of(message: &Value) -> Vec<PathBuf> {
    let listed = message["filenames"].as_array().cloned().unwrap_or_default();
    let executable = &message["executable"];
    listed.iter().chain([executable]).filter_map(Value::as_str).map(PathBuf::from).collect()
}

/// The command as a person would type it.
pub(crate) fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str());
    std::iter::once(name).chain(command.get_args()).map(quoted).collect::<Vec<_>>().join(" ")
}

/// What to say when a program does not even start.
pub(crate) fn cannot_start(command: &Command) -> String {
    let program = command.get_program().to_string_lossy();
    format!("cannot start `{program}`: is it installed, and on PATH?")
}

fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let is_plain = !word.is_empty() && !word.contains(|c: char| c.is_whitespace() || "'\"$;&|<>()*".contains(c));
    if is_plain { word.into_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

/// `OnceCell::get_or_try_init`, which is not stable yet.
pub(crate) fn once<T>(cell: &OnceCell<T>, make: impl FnOnce() -> Result<T>) -> Result<&T> {
    if cell.get().is_none() {
        let value = make()?;
        if cell.set(value).is_err() {
            bail!("what is made once was made inside itself");
        }
    }
    cell.get().context("a value just made is missing")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_command_as_typed() {
        let mut command = Command::new("cargo");
        command.args(["test", "it's here", ""]);
        assert_eq!(shown(&command), r"cargo test 'it'\''s here' ''");
    }
}
