// SPDX-License-Identifier: GPL-3.0-or-later
//! `cargo xtask addon`: the native core, optimised, packed with the add-on into one zip for this platform.
//!
//! The zip has one top folder, `blendwire/`, and installs both as an extension (Blender 4.2 and later) and as
//! a legacy add-on. Equal input gives an equal file: entries are sorted and carry a fixed time. `build`
//! calls `pack`. Whether versions agree is checked by `tidy`, not here.

use std::env::consts::{ARCH, DLL_EXTENSION, OS};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use fs_err as fs;
use toml_edit::{Array, DocumentMut, value};

use crate::build::{QUICK, RELEASE, TOGETHER, WORKSPACE};
use crate::dist::archive::{self, Entries, Entry};
use crate::dist::flags::Flags;
use crate::process;
use crate::workspace::Workspace;

const MANIFEST: &str = "blender_manifest.toml";

/// The one folder in the zip, by whose name Blender knows a legacy add-on.
const TOP: &str = "blendwire";

pub(crate) fn run(workspace: &Workspace, out: Option<PathBuf>) -> Result<()> {
    let zip = pack(workspace, &out.unwrap_or_else(|| workspace.dist()))?;
    println!("{}", zip.display());
    Ok(())
}

/// Builds the core, packs the add-on into `out`, and returns the zip's absolute path.
pub(crate) fn pack(workspace: &Workspace, out: &Path) -> Result<PathBuf> {
    let core = build_core(workspace, &[&QUICK[..], &TOGETHER].concat(), &Flags::default())?;
    pack_with(workspace, &core, out)
}

/// Packs the one that is given away, whose core is built with `flags`.
pub(crate) fn pack_to_give_away(workspace: &Workspace, flags: &Flags, out: &Path) -> Result<PathBuf> {
    let core = build_core(workspace, &[&RELEASE[..], &["--package", "blendwire-native"]].concat(), flags)?;
    pack_with(workspace, &core, out)
}

/// Packs one whose core panics where the end-to-end tests want that. Not optimised: nobody measures it, and it takes minutes less.
pub(crate) fn pack_faulty(workspace: &Workspace) -> Result<PathBuf> {
    // There are no examples, but where some are asked for, cargo chooses the dependencies' features as it does for tests, and
    // has them compiled already.
    let core = build_core(workspace, &[&WORKSPACE[..], &["--examples"]].concat(), &Flags::default())?;
    pack_with(workspace, &core, &workspace.target.join("faulty"))
}

fn pack_with(workspace: &Workspace, core: &Path, out: &Path) -> Result<PathBuf> {
    let platform = this_platform()?;
    let files = collect(workspace, core, &platform)?;
    fs::create_dir_all(out)?;
    let path = fs::canonicalize(out)?.join(format!("blendwire-{}-{platform}.zip", workspace.version));
    write_if_changed(&path, &archive::zip(&files)?)?;
    Ok(path)
}

/// Leaves an equal file alone: the executable that carries the zip is compiled anew whenever it is written.
fn write_if_changed(path: &Path, content: &[u8]) -> Result<()> {
    let is_there = fs::read(path).is_ok_and(|found| found == content);
    if !is_there {
        fs::write(path, content)?;
    }
    Ok(())
}

/// The platform that this was built on, in Blender's words.
pub(crate) fn this_platform() -> Result<String> {
    platform(OS, ARCH)
}

fn platform(os: &str, arch: &str) -> Result<String> {
    let arch = match arch {
        "x86_64" => "x64",
        "aarch64" => "arm64",
        other => bail!("Blender has no platform name for processor {other}: build on x86_64 or aarch64"),
    };
    match os {
        "linux" | "windows" | "macos" => Ok(format!("{os}-{arch}")),
        other => bail!("Blender has no platform name for {other}: build on Linux, Windows or macOS"),
    }
}

fn build_core(workspace: &Workspace, arguments: &[&str], flags: &Flags) -> Result<PathBuf> {
    let mut command = process::cargo(workspace);
    command.args(["build", "--lib"]).args(arguments);
    flags.apply(&mut command);
    process::build_artifact(&mut command, "_core")?
        .into_iter()
        .find(|file| file.extension().is_some_and(|extension| extension == DLL_EXTENSION))
        .context("building blendwire-native made no loadable library: is its crate-type still cdylib?")
}

/// The core's name beside the Python files; it says which Pythons may load it.
fn core_name() -> &'static str {
    if cfg!(windows) { "_core.pyd" } else { "_core.abi3.so" }
}

/// Its name in the zip.
pub(crate) fn core_path() -> String {
    format!("{TOP}/{}", core_name())
}

fn collect(workspace: &Workspace, core: &Path, platform: &str) -> Result<Entries> {
    let mut files = Entries::new();
    let source = workspace.root.join("addon/blendwire");
    read_folder(&source, &format!("{TOP}/"), &mut files)?;
    let manifest = files
        .remove(&format!("{TOP}/{MANIFEST}"))
        .with_context(|| format!("{} has no {MANIFEST}", source.display()))?;
    let mut add = |name: &str, content: Vec<u8>| files.insert(format!("{TOP}/{name}"), Entry::file(content));
    add(MANIFEST, for_platform(&manifest.content, platform)?);
    add("LICENSE", fs::read(workspace.root.join("LICENSE"))?);
    add(core_name(), fs::read(core)?);
    Ok(files)
}

/// Reads a folder of Python files, without what Python, type checkers or a developer left there.
fn read_folder(folder: &Path, prefix: &str, files: &mut Entries) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if is_left_out(&name) {
            continue;
        }
        if path.is_dir() {
            read_folder(&path, &format!("{prefix}{name}/"), files)?;
        } else {
            files.insert(format!("{prefix}{name}"), Entry::file(fs::read(&path)?));
        }
    }
    Ok(())
}

fn is_left_out(name: &str) -> bool {
    let extension = Path::new(name).extension().unwrap_or_default();
    name.starts_with('.') || name == "__pycache__" || ["pyc", "pyi", "so", "pyd"].iter().any(|left| extension == *left)
}

/// A zip with loose binaries must say which platform it is for.
fn for_platform(manifest: &[u8], platform: &str) -> Result<Vec<u8>> {
    let text = std::str::from_utf8(manifest).context(MANIFEST)?;
    let mut document: DocumentMut = text.parse().context(MANIFEST)?;
    document["platforms"] = value(Array::from_iter([platform]));
    Ok(document.to_string().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_platforms_as_blender_does() {
        assert_eq!(platform("linux", "x86_64").unwrap(), "linux-x64");
        assert_eq!(platform("macos", "aarch64").unwrap(), "macos-arm64");
        assert!(platform("freebsd", "x86_64").is_err());
    }

    #[test]
    fn manifest_gains_platform_and_keeps_comments() {
        let text = for_platform(b"# why\nid = \"blendwire\"\n\n[permissions]\nnetwork = \"x\"\n", "linux-x64").unwrap();
        let text = String::from_utf8(text).unwrap();
        assert!(text.contains("# why"), "{text}");
        let table = text.find("[permissions]").unwrap();
        assert!(text.find("platforms = [\"linux-x64\"]").unwrap() < table, "{text}");
    }

    #[test]
    fn an_equal_file_is_not_written_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.zip");
        let written = || fs::metadata(&path).unwrap().modified().unwrap();
        write_if_changed(&path, b"1").unwrap();
        let long_ago = std::time::SystemTime::UNIX_EPOCH;
        std::fs::File::options().write(true).open(&path).unwrap().set_modified(long_ago).unwrap();
        write_if_changed(&path, b"1").unwrap();
        assert_eq!(written(), long_ago);
        write_if_changed(&path, b"2").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"2");
    }

    #[test]
    fn leaves_out_what_python_leaves_behind() {
        assert!(is_left_out("__pycache__") && is_left_out("_core.abi3.so") && is_left_out("_core.pyi"));
        assert!(!is_left_out("__init__.py") && !is_left_out(MANIFEST));
    }
}
