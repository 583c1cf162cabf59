// SPDX-License-Identifier: GPL-3.0-or-later
//! One configuration file on the disk: read, kept a copy of, replaced as a whole. Nothing here knows what is in it.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use fs_err as fs;
use tempfile::{NamedTempFile, PersistError};

use crate::utf8::NOT_UTF8;

/// What comes after the file's name, before a number.
const BACKUP: &str = ".blendwire-backup-";

/// A file as it was when it was looked at.
pub(super) struct File {
    /// Where it really is: links are followed, so that they stay.
    path: PathBuf,
    /// What is in it, where it is there.
    pub(super) text: Option<String>,
}

impl File {
    /// Looks at it. No file is no error.
    ///
    /// # Errors
    /// When it is a folder, a link to nothing, not UTF-8, or cannot be read.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let found = match fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Self { path: path.to_owned(), text: None });
            }
            found => found?,
        };
        let path = match path.canonicalize() {
            Ok(leads_to) if found.is_symlink() => leads_to,
            // As the person knows it: the canonical form on Windows begins with `\\?\`.
            Ok(_) => path.to_owned(),
            Err(_) => bail!("it is a link to what is not there: make that file, or remove the link"),
        };
        if path.is_dir() {
            bail!("it is a folder, and has to be a file: move the folder away");
        }
        let Ok(text) = String::from_utf8(fs::read(&path)?) else {
            bail!(NOT_UTF8);
        };
        Ok(Self { path, text: Some(text) })
    }

    /// Whether it may be changed.
    ///
    /// # Errors
    /// When it is marked read-only: replacing it would work all the same, but somebody does not want that.
    pub(super) fn check_writable(&self) -> Result<()> {
        if self.text.is_some() && fs::metadata(&self.path)?.permissions().readonly() {
            bail!("it is read-only: allow writing to it, or change it where it is made from");
        }
        Ok(())
    }

    /// Puts `text` in its place, or takes it away. Gives the copy that holds what was there: a new one, or an earlier one
    /// with the same in it.
    ///
    /// # Errors
    /// When the folder cannot be written to, or another program has changed the file meanwhile. Then it is as it was.
    pub(super) fn replace(&self, text: Option<&str>) -> Result<Option<PathBuf>> {
        if Self::read(&self.path)?.text != self.text {
            bail!("another program has changed it just now: run setup again");
        }
        let backup = self.text.as_deref().map(|old| self.back_up(old)).transpose()?;
        match text {
            Some(text) => {
                let written = self.written(text)?.persist(&self.path).map(drop);
                written
                    .map_err(|error| error.error)
                    .with_context(|| format!("cannot replace {}", self.path.display()))?;
            }
            None => fs::remove_file(&self.path)?,
        }
        Ok(backup)
    }

    /// What the copies hold, the latest first.
    pub(super) fn backups(&self) -> Vec<String> {
        let mut backups = self.numbered_backups();
        backups.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
        backups.into_iter().filter_map(|(_, path)| fs::read_to_string(path).ok()).collect()
    }

    fn back_up(&self, text: &str) -> Result<PathBuf> {
        let backups = self.numbered_backups();
        let same = backups.iter().find(|(_, path)| fs::read(path).is_ok_and(|kept| kept == text.as_bytes()));
        if let Some((_, path)) = same {
            return Ok(path.clone());
        }
        let last = backups.iter().map(|(number, _)| *number).max().unwrap_or(0);
        let path = self.beside(&format!("{}{}", self.backup_prefix(), last + 1));
        let kept = self.written(text)?.persist_noclobber(&path).map(drop);
        kept.map_err(|PersistError { error, .. }| error).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(path)
    }

    fn numbered_backups(&self) -> Vec<(u32, PathBuf)> {
        let prefix = self.backup_prefix();
        let entries = fs::read_dir(self.folder()).into_iter().flatten().flatten();
        let numbered = entries.filter_map(|entry| {
            let number = entry.file_name().to_str()?.strip_prefix(&prefix)?.parse().ok()?;
            Some((number, entry.path()))
        });
        numbered.collect()
    }

    /// A new file in the same folder, with what is to be there under another name: complete, or not at all. It may be
    /// read by whoever might read the old one; where there was none, by its owner alone, since such files hold keys.
    fn written(&self, text: &str) -> Result<NamedTempFile> {
        fs::create_dir_all(self.folder())?;
        let in_folder = || format!("cannot write to the folder {}", self.folder().display());
        let mut file = NamedTempFile::new_in(self.folder()).with_context(in_folder)?;
        file.write_all(text.as_bytes()).with_context(in_folder)?;
        if self.text.is_some() {
            self.give_its_owner_and_permissions(&file).with_context(in_folder)?;
        }
        file.as_file().sync_all().with_context(in_folder)?;
        Ok(file)
    }

    fn give_its_owner_and_permissions(&self, file: &NamedTempFile) -> io::Result<()> {
        let metadata = fs::metadata(&self.path)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::{MetadataExt as _, fchown};
            let own = file.as_file().metadata()?;
            // With sudo it is another's file.
            if (own.uid(), own.gid()) != (metadata.uid(), metadata.gid()) {
                fchown(file.as_file(), Some(metadata.uid()), Some(metadata.gid()))?;
            }
        }
        file.as_file().set_permissions(metadata.permissions())
    }

    fn backup_prefix(&self) -> String {
        format!("{}{BACKUP}", self.path.file_name().unwrap_or_default().to_string_lossy())
    }

    fn beside(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }

    fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("."))
    }
}
