// SPDX-License-Identifier: GPL-3.0-or-later
//! What the compiler is told for files that are given away: nothing of the machine that builds may get into them.
//!
//! Paths end up in messages of panics, so that two checkouts would make two different files. Cargo's own way
//! (`trim-paths`) is not stable yet. Everyday builds go without, since other flags would build everything again.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use fs_err as fs;

use crate::process;
use crate::workspace::Workspace;

/// Flags for rustc; none by default.
#[derive(Default)]
pub(crate) struct Flags(Vec<OsString>);

impl Flags {
    /// Those that keep this machine's paths and the time out.
    pub(crate) fn reproducible(workspace: &Workspace) -> Result<Self> {
        // The folders of downloaded crates are named by where they came from, a mirror for instance; they have to be there.
        process::run(process::cargo(workspace).args(["fetch", "--locked"]))?;
        let mut flags: Vec<OsString> = given().collect();
        // Of several that fit, the compiler takes the last one.
        flags.push(remap(&workspace.root, "/blendwire"));
        flags.push(remap(&workspace.target, "/target"));
        let home = cargo_home()?;
        flags.push(remap(&home, "/cargo"));
        for folder in registries(&home)? {
            flags.push(remap(&folder, "/crates"));
        }
        flags.push(standard_library()?);
        if cfg!(all(windows, target_env = "msvc")) {
            // Otherwise the linker writes the time into the file.
            flags.push("-Clink-arg=/Brepro".into());
            // Not every Windows has Visual C++'s library.
            flags.push("-Ctarget-feature=+crt-static".into());
        }
        Ok(Self(flags))
    }

    /// Tells cargo.
    pub(crate) fn apply(&self, command: &mut Command) {
        if !self.0.is_empty() {
            command.env("CARGO_ENCODED_RUSTFLAGS", self.0.join(OsStr::new("\u{1f}")));
        }
    }
}

/// Those that whoever builds has set, which ours would hide.
fn given() -> impl Iterator<Item = OsString> {
    let own = |name, separator: fn(char) -> bool| {
        let given = std::env::var(name).ok().filter(|given| !given.is_empty())?;
        Some(given.split(separator).filter(|flag| !flag.is_empty()).map(OsString::from).collect::<Vec<_>>())
    };
    // As cargo takes them: the first of these that is set.
    let encoded = own("CARGO_ENCODED_RUSTFLAGS", |c| c == '\u{1f}');
    encoded.or_else(|| own("RUSTFLAGS", char::is_whitespace)).unwrap_or_default().into_iter()
}

fn remap(from: &Path, to: &str) -> OsString {
    let mut flag = OsString::from("--remap-path-prefix=");
    flag.push(from);
    flag.push("=");
    flag.push(to);
    flag
}

fn cargo_home() -> Result<PathBuf> {
    if let Some(home) = std::env::var_os("CARGO_HOME").filter(|home| !home.is_empty()) {
        return Ok(std::path::absolute(home)?);
    }
    let home = std::env::home_dir().context("there is no home folder: set CARGO_HOME to cargo's")?;
    Ok(home.join(".cargo"))
}

fn registries(home: &Path) -> Result<Vec<PathBuf>> {
    let folder = home.join("registry/src");
    let folders = fs::read_dir(folder).context("set CARGO_HOME to the folder that cargo keeps its downloads in")?;
    let mut paths = folders.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

/// Where rustup has the standard library's sources, its paths are those; elsewhere they are what this makes of them.
fn standard_library() -> Result<OsString> {
    let ask = |argument: &[&str]| process::capture(Command::new("rustc").args(argument));
    let sysroot = PathBuf::from(ask(&["--print", "sysroot"])?.trim());
    let told = ask(&["--version", "--verbose"])?;
    let commit = told.lines().find_map(|line| line.strip_prefix("commit-hash: ")).unwrap_or("unknown");
    Ok(remap(&sysroot.join("lib/rustlib/src/rust"), &format!("/rustc/{commit}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everyday_builds_are_told_nothing() {
        let mut command = Command::new("cargo");
        Flags::default().apply(&mut command);
        assert_eq!(command.get_envs().count(), 0);
        Flags(vec!["-a".into(), remap(Path::new("/x y"), "/z")]).apply(&mut command);
        let value = command.get_envs().next().and_then(|(_, value)| value).unwrap();
        assert_eq!(value, "-a\u{1f}--remap-path-prefix=/x y=/z");
    }
}
