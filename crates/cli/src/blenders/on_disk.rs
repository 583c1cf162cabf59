// SPDX-License-Identifier: GPL-3.0-or-later
//! The add-on in the folders of a Blender, as far as that shows without starting it: whether it is enabled, and
//! repositories in other places, only Blender itself can tell.

use std::path::{Path, PathBuf};

use etcetera::BaseStrategy as _;

use super::Installed;
use crate::env_vars;

/// The add-on's folder, wherever it is installed.
const NAME: &str = "blendwire";

/// The add-on as it lies in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OnDisk {
    /// Its folder.
    pub(crate) folder: PathBuf,
    /// What its manifest says; extension and legacy add-on both have it.
    pub(crate) version: String,
}

/// Every copy in the folders of the user that `blender` reads.
pub(crate) fn on_disk(blender: &Installed) -> Vec<OnDisk> {
    let mut found = Vec::new();
    for Folders { extensions, scripts } in folders(blender) {
        let repositories = fs_err::read_dir(extensions).into_iter().flatten().flatten().map(|entry| entry.path());
        found.extend(repositories.filter_map(|repository| copy(repository.join(NAME))));
        found.extend(copy(scripts.join("addons").join(NAME)));
    }
    found
}

fn copy(folder: PathBuf) -> Option<OnDisk> {
    let manifest = std::fs::read_to_string(folder.join("blender_manifest.toml")).ok()?;
    Some(OnDisk { version: version(&manifest)?, folder })
}

/// The version in a manifest's text.
pub(crate) fn version(manifest: &str) -> Option<String> {
    let manifest = manifest.parse::<toml_edit::DocumentMut>().ok()?;
    Some(manifest.get("version")?.as_str()?.to_owned())
}

struct Folders {
    extensions: PathBuf,
    scripts: PathBuf,
}

/// As Blender chooses them: what the environment names, else what lies beside a portable one, else the system's place; of
/// Flatpak, the one in its own home.
fn folders(blender: &Installed) -> Vec<Folders> {
    let named = |name: &str| env_vars::read(name).map(PathBuf::from);
    let resources = match named(env_vars::USER_RESOURCES).or_else(|| portable(blender)) {
        Some(folder) => vec![folder],
        None => of_system(blender),
    };
    let folders = |resources: PathBuf| Folders {
        extensions: named(env_vars::USER_EXTENSIONS).unwrap_or_else(|| resources.join("extensions")),
        scripts: named(env_vars::USER_SCRIPTS).unwrap_or_else(|| resources.join("scripts")),
    };
    resources.into_iter().map(folders).collect()
}

/// Made by a person, beside the executable: `portable` since 4.2, before that `config` in the folder of its version.
fn portable(blender: &Installed) -> Option<PathBuf> {
    let real = blender.path.canonicalize().ok()?;
    let program = real.parent()?;
    // In an application of macOS: beside its executable there is nothing of the user's.
    let beside = if cfg!(target_os = "macos") { program.parent()?.join("Resources") } else { program.to_owned() };
    let older = beside.join(blender.version.series());
    let of_older = older.join("config").is_dir().then_some(older);
    Some(beside.join("portable")).filter(|folder| folder.is_dir()).or(of_older)
}

fn of_system(blender: &Installed) -> Vec<PathBuf> {
    let series = blender.version.series();
    let home = etcetera::home_dir().unwrap_or_default();
    if cfg!(target_os = "macos") {
        return vec![home.join("Library/Application Support/Blender").join(series)];
    }
    let config = etcetera::choose_base_strategy().map(|strategy| strategy.config_dir()).unwrap_or_default();
    if cfg!(windows) {
        return vec![config.join("Blender Foundation/Blender").join(series)];
    }
    let is_flatpak = blender.path.file_name().is_some_and(|name| name == "org.blender.Blender");
    let config = if is_flatpak { home.join(".var/app/org.blender.Blender/config") } else { config };
    vec![config.join(Path::new("blender")).join(series)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blenders::Version;

    #[test]
    fn a_portable_blender_has_its_settings_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let beside = if cfg!(target_os = "macos") { root.join("Resources") } else { root.join("MacOS") };
        let program = root.join("MacOS/blender");
        std::fs::create_dir_all(&beside).unwrap();
        std::fs::create_dir_all(program.parent().unwrap()).unwrap();
        std::fs::write(&program, "").unwrap();
        let blender = Installed { path: program, version: Version(4, 3, 2) };
        assert_eq!(portable(&blender), None);
        std::fs::create_dir_all(beside.join("4.3/config")).unwrap();
        assert_eq!(portable(&blender), Some(beside.join("4.3")));
        std::fs::create_dir(beside.join("portable")).unwrap();
        assert_eq!(portable(&blender), Some(beside.join("portable")));
    }

    #[test]
    fn the_version_stands_in_the_manifest() {
        let manifest = include_str!("../../../../addon/blendwire/blender_manifest.toml");
        assert_eq!(version(manifest).as_deref(), Some(env!("CARGO_PKG_VERSION")));
        assert_eq!(version("no manifest"), None);
    }
}
