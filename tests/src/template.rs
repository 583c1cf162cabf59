// SPDX-License-Identifier: GPL-3.0-or-later
//! Folders that many Blenders start from. Each is made once, as a user would make it, and copied from then on: installing takes a
//! Blender of its own.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use tempfile::TempDir;

/// See the module. Clones share what was made, which goes with the last of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Templates(Arc<Mutex<HashMap<Kind, TempDir>>>);

/// What a template is of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// The settings of a Blender that has this zip as an extension.
    Extension { blender: PathBuf, zip: PathBuf },
    /// The same, as a legacy add-on.
    Legacy { blender: PathBuf, zip: PathBuf },
    /// This zip, unpacked.
    Unpacked { zip: PathBuf },
}

impl Templates {
    /// Copies a template into the folder `to`, which is not there yet. The first who wants it has it made, by `make`.
    pub(crate) fn copy(&self, kind: &Kind, to: &Path, make: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        let from = {
            let mut folders = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if !folders.contains_key(kind) {
                let folder = tempfile::Builder::new().prefix("blendwire-template-").tempdir()?;
                make(&folder.path().join("it"))?;
                folders.insert(kind.clone(), folder);
            }
            folders[kind].path().join("it")
        };
        copy_folder(&from, to)
    }
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    fs_err::create_dir_all(to)?;
    for entry in fs_err::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs_err::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
