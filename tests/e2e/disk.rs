// SPDX-License-Identifier: GPL-3.0-or-later
//! Small disks of the tests' own, to be filled. They need root, as the windowed tests do.

use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};
use tempfile::TempDir;

/// A disk in memory, taken away when dropped.
pub(crate) struct Disk(TempDir);

impl Disk {
    /// `size` as `mount` takes it.
    pub(crate) fn mount(size: &str) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("blendwire-disk-").tempdir()?;
        let options = format!("size={size}");
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(folder.path()).status()?;
        ensure!(mount.success(), "cannot mount a tmpfs: the tests run as root on Linux");
        Ok(Self(folder))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Takes all room but about `left` bytes; gives the file that has to be removed to get it back.
    pub(crate) fn fill(&self, left: u64) -> Result<PathBuf> {
        let path = self.path().join("filler");
        let mut file = fs_err::File::create(&path)?;
        let error = loop {
            if let Err(error) = file.write_all(&[1; 4096]) {
                break error;
            }
        };
        ensure!(error.kind() == ErrorKind::StorageFull, "{error}");
        let length = file.metadata()?.len();
        ensure!(left < length, "there is no more room than {length} bytes");
        file.set_len(length - left)?;
        Ok(path)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.path()).status();
    }
}
