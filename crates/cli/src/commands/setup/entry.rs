// SPDX-License-Identifier: GPL-3.0-or-later
//! The entry that starts this executable.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::document::Fields;
use super::kind;
use crate::args::{AccessArgs, EndpointArgs};
use crate::config::Config;
use crate::endpoint::parse_host;

/// What clients are to start.
pub(super) struct Entry {
    /// The absolute path of the executable.
    pub(super) command: String,
    /// What it is started with, where nothing was there before.
    pub(super) args: Vec<String>,
}

/// What starts the server.
const MCP: &str = "mcp";

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

    /// Whether options say which Blender is meant.
    pub(super) fn has_options(&self) -> bool {
        self.args != [MCP]
    }

    /// The arguments in place of those of an entry of ours. Its options stay unless there are others now: whoever has set up
    /// a client for another port or machine, and runs setup after an update, means that Blender still.
    pub(super) fn args_over(&self, found: &Value) -> Vec<String> {
        if self.has_options() { self.args.clone() } else { kind::words(found).into_iter().skip(1).collect() }
    }

    /// What is written.
    pub(super) fn fields(&self, args: &[String], has_type: bool) -> Fields {
        let mut fields = Vec::new();
        if has_type {
            fields.push(("type", json!("stdio")));
        }
        fields.extend([("command", json!(self.command)), ("args", json!(args))]);
        fields
    }

    /// Why this path may soon lead to nothing, if so.
    pub(super) fn warning(&self) -> Option<String> {
        let path = Path::new(&self.command);
        // A link may stay where what it leads to does not.
        let paths = [Some(path.to_owned()), path.canonicalize().ok()];
        let is_any = |is_so: &dyn Fn(&Path) -> bool| paths.iter().flatten().any(|path| is_so(path));
        let is_built = is_any(&|path| {
            let folders: Vec<_> = path.iter().collect();
            folders.windows(2).any(|pair| pair[0] == "target" && (pair[1] == "debug" || pair[1] == "release"))
        });
        let temporary = std::env::temp_dir();
        let temporary = temporary.canonicalize().unwrap_or(temporary);
        let is_temporary = is_any(&|path| path.starts_with(&temporary));
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

/// A link on `PATH` goes before what it leads to: updates change where it leads, and take the folder of a version away.
/// Else, on Windows, the path as it is: there the canonical form begins with `\\?\`, which not every program can start.
fn executable() -> Result<PathBuf> {
    let path = std::env::current_exe().context("the system does not tell where this executable is")?;
    let real = path.canonicalize().with_context(|| format!("{} is gone", path.display()))?;
    let leads_here = |link: &PathBuf| link.is_absolute() && link.canonicalize().is_ok_and(|leads_to| leads_to == real);
    if let Some(link) = which::which_all(env!("CARGO_PKG_NAME")).ok().and_then(|mut found| found.find(leads_here)) {
        return Ok(link);
    }
    Ok(if cfg!(windows) { path } else { real })
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
    let mut args = vec![MCP.to_owned()];
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
    fs_err::File::open(path).with_context(|| format!("--ca {} cannot be read", path.display()))?;
    // Links are left alone, and on Windows the form that not every program understands is not made of it.
    let path = std::path::absolute(path)?;
    Ok(path.to_str().with_context(|| format!("--ca {} is no Unicode", path.display()))?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_will_not_stay_is_warned_of() {
        let warning = |command: &str| Entry { command: command.to_owned(), args: Vec::new() }.warning();
        assert!(warning("/src/blendwire/target/release/blendwire").unwrap().contains("build folder"));
        let temporary = std::env::temp_dir().canonicalize().unwrap().join("blendwire");
        assert!(warning(temporary.to_str().unwrap()).unwrap().contains("temporary folder"));
        assert_eq!(warning("/opt/target/blendwire"), None);
    }
}
