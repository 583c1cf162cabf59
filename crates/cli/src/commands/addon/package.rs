// SPDX-License-Identifier: GPL-3.0-or-later
//! The add-on's zip: the carried one or a file, what its manifest says, and how it is unpacked.

use std::fmt;
use std::io::{Cursor, Read as _};
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use fs_err as fs;
use tempfile::NamedTempFile;
use toml_edit::DocumentMut;
use zip::ZipArchive;

use crate::{carried, data};

/// The one folder in the zip.
const NAME: &str = "blendwire";

/// An add-on that can be installed.
pub(super) struct Package {
    bytes: Vec<u8>,
    pub(super) version: AddonVersion,
    /// `linux-x64` and the like.
    platform: Option<String>,
}

/// A version of the add-on, compared by its numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AddonVersion(pub(super) String);

impl AddonVersion {
    /// The numbers; of what follows them (`-beta`) nothing.
    fn numbers(&self) -> Vec<u64> {
        let numbers = self.0.split(['.', '-', '+']).map_while(|number| number.parse().ok());
        numbers.collect()
    }

    pub(super) fn is_newer_than(&self, other: &Self) -> bool {
        self.numbers() > other.numbers()
    }
}

impl fmt::Display for AddonVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl Package {
    /// The given file, else what this executable carries.
    ///
    /// # Errors
    /// When there is none, or it is no zip of this add-on.
    pub(super) fn open(file: Option<&Path>) -> Result<Self> {
        match file {
            None => Self::read(carried::zip()?.to_vec()),
            Some(file) => Self::read(fs::read(file)?).with_context(|| format!("{} cannot be used", file.display())),
        }
    }

    fn read(bytes: Vec<u8>) -> Result<Self> {
        let mut manifest = String::new();
        let mut archive = ZipArchive::new(Cursor::new(&bytes)).context("it is no zip")?;
        let entry = archive.by_name("blendwire/blender_manifest.toml");
        entry.context("it is not Blendwire's add-on")?.read_to_string(&mut manifest)?;
        let manifest: DocumentMut = manifest.parse().context("its blender_manifest.toml cannot be read")?;
        let version = manifest.get("version").and_then(|version| version.as_str());
        let version = AddonVersion(version.context("its blender_manifest.toml has no version")?.to_owned());
        let platform = manifest.get("platforms").and_then(|platforms| platforms.get(0)?.as_str().map(str::to_owned));
        Ok(Self { bytes, version, platform })
    }

    /// The name of its file.
    pub(super) fn file_name(&self) -> String {
        let platform = self.platform.as_ref().map_or_else(String::new, |platform| format!("-{platform}"));
        format!("{NAME}-{}{platform}.zip", self.version)
    }

    /// Writes the zip.
    pub(super) fn write(&self, path: &Path) -> Result<()> {
        Ok(fs::write(path, &self.bytes)?)
    }

    /// A file of it that goes when dropped. In this user's data folder: a Blender of Flatpak sees no other's temporary files.
    pub(super) fn temporary_file(&self) -> Result<NamedTempFile> {
        let file = tempfile::Builder::new().prefix(".addon-").suffix(".zip").tempfile_in(data::folder()?)?;
        self.write(file.path())?;
        Ok(file)
    }

    /// Whether this folder holds every file of it, byte for byte. What Python and Blender add there does not count.
    pub(super) fn is_unpacked_at(&self, folder: &Path) -> Result<bool> {
        let mut archive = ZipArchive::new(Cursor::new(&self.bytes))?;
        let mut content = Vec::new();
        for index in 0..archive.len() {
            let mut entry = archive.by_index(index)?;
            let Some(path) = entry.enclosed_name().filter(|_| entry.is_file()) else { continue };
            let Ok(path) = path.strip_prefix(NAME) else { continue };
            let Ok(found) = fs::read(folder.join(path)) else { return Ok(false) };
            content.clear();
            entry.read_to_end(&mut content)?;
            if found != content {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Puts its folder in the place of `folder`. Made beside it and renamed, so there is never half an add-on.
    ///
    /// # Errors
    /// When the folder is a link, or the system lets nobody replace it.
    pub(super) fn unpack_as(&self, folder: &Path) -> Result<()> {
        refuse_other(folder)?;
        let parent = folder.parent().context("an add-on has a folder above it")?;
        fs::create_dir_all(parent)?;
        // Blender passes over names that begin with a full stop.
        let temporary = tempfile::Builder::new().prefix(".blendwire-").tempdir_in(parent)?;
        ZipArchive::new(Cursor::new(&self.bytes))?.extract(temporary.path())?;
        let old = temporary.path().join("old");
        if folder.exists() {
            fs::rename(folder, &old).map_err(in_use)?;
        }
        let Err(error) = fs::rename(temporary.path().join(NAME), folder) else { return Ok(()) };
        if old.exists() && fs::rename(&old, folder).is_err() {
            let kept = temporary.keep().join("old");
            return Err(in_use(error)).with_context(|| format!("the earlier add-on is now at {}", kept.display()));
        }
        Err(in_use(error))
    }
}

/// Removes the folder of a legacy add-on.
///
/// # Errors
/// As [`Package::unpack_as`].
pub(super) fn remove(folder: &Path) -> Result<()> {
    refuse_other(folder)?;
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(in_use)?;
    }
    Ok(())
}

/// Leaves alone what is not this add-on's own folder: one of another's, or the one above a single file of that name, where all
/// add-ons are. Developers link to their sources, which are not to be overwritten either.
fn refuse_other(folder: &Path) -> Result<()> {
    if folder.is_symlink() {
        let target = fs::read_link(folder).unwrap_or_default();
        bail!("{} is a link to {}: remove it first", folder.display(), target.display());
    }
    if folder.file_name().is_none_or(|name| name != NAME) {
        bail!("{} holds an add-on named {NAME} that is not this one: remove that first", folder.display());
    }
    let manifest = || fs::read_to_string(folder.join("blender_manifest.toml")).ok()?.parse::<DocumentMut>().ok();
    let is_ours = || manifest().is_some_and(|manifest| manifest.get("id").and_then(|id| id.as_str()) == Some(NAME));
    if folder.exists() && !is_ours() {
        bail!("{} is not this add-on, though it has its name: move it away first", folder.display());
    }
    Ok(())
}

fn in_use(error: std::io::Error) -> anyhow::Error {
    let hint = if cfg!(windows) {
        "a running Blender keeps the files of an add-on that it has loaded: quit it and run this again"
    } else {
        "see that the folder above it is yours to write to"
    };
    anyhow::Error::new(error).context(hint)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn package(version: &str, files: &[(&str, &str)]) -> Package {
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        let manifest = format!("id = \"{NAME}\"\nversion = \"{version}\"\nplatforms = [\"linux-x64\"]\n");
        for (name, content) in [("blender_manifest.toml", manifest.as_str())].iter().chain(files) {
            writer.start_file(format!("blendwire/{name}"), zip::write::SimpleFileOptions::default()).unwrap();
            writer.write_all(content.as_bytes()).unwrap();
        }
        Package::read(writer.finish().unwrap().into_inner()).unwrap()
    }

    #[test]
    fn an_older_folder_is_replaced_as_a_whole() {
        let scripts = tempfile::tempdir().unwrap();
        let folder = scripts.path().join("addons/blendwire");
        let (old, new) = (package("0.9.0", &[("gone.py", "1")]), package("0.10.0", &[("a/b.py", "2")]));
        old.unpack_as(&folder).unwrap();
        assert!(old.is_unpacked_at(&folder).unwrap() && !new.is_unpacked_at(&folder).unwrap());
        new.unpack_as(&folder).unwrap();
        assert!(new.is_unpacked_at(&folder).unwrap() && !folder.join("gone.py").exists());
        // Nothing else is left beside it.
        assert_eq!(std::fs::read_dir(folder.parent().unwrap()).unwrap().count(), 1);
        std::fs::write(folder.join("a/b.py"), "3").unwrap();
        assert!(!new.is_unpacked_at(&folder).unwrap());
        remove(&folder).unwrap();
        assert!(!folder.exists());
    }

    #[test]
    fn versions_are_compared_by_number() {
        let version = |text: &str| AddonVersion(text.to_owned());
        assert!(version("0.10.0").is_newer_than(&version("0.9.9")));
        assert!(!version("0.9.9").is_newer_than(&version("0.10.0")) && !version("1.0").is_newer_than(&version("1.0")));
        assert_eq!(package("0.10.0", &[]).file_name(), "blendwire-0.10.0-linux-x64.zip");
    }

    #[test]
    fn what_is_no_addon_is_refused() {
        let error = |bytes: &[u8]| format!("{:#}", Package::read(bytes.to_vec()).err().unwrap());
        assert!(error(b"text").contains("it is no zip"));
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        writer.start_file("other/__init__.py", zip::write::SimpleFileOptions::default()).unwrap();
        assert!(error(&writer.finish().unwrap().into_inner()).contains("not Blendwire's add-on"));
    }

    #[test]
    fn what_is_another_s_is_left_alone() {
        let scripts = tempfile::tempdir().unwrap();
        let addons = scripts.path().join("addons");
        let other = addons.join("blendwire");
        std::fs::create_dir_all(&other).unwrap();
        std::fs::write(other.join("__init__.py"), "").unwrap();
        // A single file `blendwire.py` lies in the folder of all add-ons.
        for folder in [&addons, &other] {
            assert!(package("1.0.0", &[]).unpack_as(folder).is_err() && remove(folder).is_err());
        }
        assert!(other.join("__init__.py").is_file());
    }

    #[cfg(unix)]
    #[test]
    fn a_link_to_sources_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (sources, link) = (folder.path().join("sources"), folder.path().join("blendwire"));
        std::fs::create_dir(&sources).unwrap();
        std::os::unix::fs::symlink(&sources, &link).unwrap();
        assert!(package("1.0.0", &[]).unpack_as(&link).unwrap_err().to_string().contains("is a link to"));
        assert!(remove(&link).is_err() && sources.is_dir());
    }
}
