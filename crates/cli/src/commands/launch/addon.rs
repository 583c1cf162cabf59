// SPDX-License-Identifier: GPL-3.0-or-later
//! The add-on that this executable carries, unpacked once per version beside the user's other data.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::data;

/// The add-on as the zip that Blender installs; empty in a build that carries none.
pub(crate) const ZIP: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/addon.zip"));

/// What Blender runs to have the server on.
const LAUNCHER: &str = include_str!("launcher.py");

/// An unpacked add-on.
pub(super) struct Addon {
    /// The folder that holds the package `blendwire`.
    pub(super) folder: PathBuf,
    /// The script for an installed Blender.
    pub(super) launcher: PathBuf,
}

/// Unpacks the add-on unless that was done before. Another process may do the same at the same time.
pub(super) fn unpack() -> Result<Addon> {
    let data = data::folder()?;
    let folder = data.join(concat!("addon-", env!("CARGO_PKG_VERSION"), "-", env!("BLENDWIRE_ADDON_HASH")));
    if !folder.is_dir() {
        if ZIP.is_empty() {
            bail!("this build carries no add-on; build with `cargo xtask build`");
        }
        unpack_to(&data, &folder).with_context(|| format!("cannot unpack the add-on to {}", folder.display()))?;
    }
    Ok(Addon { launcher: folder.join("launcher.py"), folder })
}

/// Unpacks beside the target and renames: there is never half an add-on.
fn unpack_to(data: &Path, folder: &Path) -> Result<()> {
    let temporary = tempfile::Builder::new().prefix(".addon-").tempdir_in(data)?;
    zip::ZipArchive::new(Cursor::new(ZIP))?.extract(temporary.path())?;
    if !temporary.path().join("blendwire/__init__.py").is_file() {
        bail!("the add-on in this build has no folder `blendwire`; build again with `cargo xtask build`");
    }
    fs_err::write(temporary.path().join("launcher.py"), LAUNCHER)?;
    make_readable(temporary.path())?;
    match fs_err::rename(temporary.path(), folder) {
        Err(_) if folder.is_dir() => Ok(()),
        renamed => Ok(renamed?),
    }
}

/// A temporary folder is its user's alone; another user's Blender on this machine may read the add-on.
#[cfg(unix)]
fn make_readable(folder: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    Ok(fs_err::set_permissions(folder, std::fs::Permissions::from_mode(0o755))?)
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "as on Unix, where it can fail")]
fn make_readable(_folder: &Path) -> Result<()> {
    Ok(())
}
