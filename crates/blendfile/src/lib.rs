// SPDX-License-Identifier: GPL-3.0-or-later
//! Compares two .blend files held in memory: which data-blocks are in both and differ.
//!
//! The files are copies that one Blender saved shortly after each other, so they are written alike: an unchanged
//! data-block has the same blocks with the same bytes, up to addresses and the runtime state that [`rules`] names. So it
//! is enough to read a file as far as its own description (DNA) goes, and no version of Blender has to be known.
//!
//! `blendwire-native` calls it. It knows no Python and no `bpy`, opens no files, and leaves out what was added, removed
//! and renamed: inside Blender that is known better, since data-blocks keep their identity there.
//!
//! | Module | |
//! |---|---|
//! | [`file`] | blocks and data-blocks |
//! | [`dna`] | how structs are laid out |
//! | [`rules`] | what is no content |
//! | [`plan`] | both together, per struct |
//! | [`reach`], [`layers`] | blocks that are read in a way of their own |
//! | [`digest`] | a number per data-block |
//! | [`kinds`] | names of collections |

mod bytes;
mod digest;
mod dna;
mod file;
mod kinds;
mod layers;
mod plan;
mod reach;
mod rules;

use std::collections::HashMap;

use crate::digest::{Key, digests};
use crate::file::File;

/// Why a file cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is something else, or of a kind that no Blender of today writes.
    #[error("this is {0}")]
    Unsupported(&'static str),
    /// It is cut off or damaged.
    #[error("the .blend file is damaged: {0}")]
    Malformed(&'static str),
}

/// A data-block that was renamed: the collection of `bpy.data`, the name in the first file, that in the second. An empty
/// name in the second: it was removed, and one that has its name there is another.
pub type Renamed = (String, String, String);

/// The data-blocks that are in both files and differ, as collection of `bpy.data` and name in the second file, sorted.
///
/// Two are the same where type and name are, after those in `renamed` have been renamed. The name itself, selection,
/// what is active, modes, and the user interface do not count; pointers count as the names that they lead to. What is
/// embedded (the node tree of a material, the master collection of a scene) belongs to its owner.
pub fn modified(before: &[u8], after: &[u8], renamed: &[Renamed]) -> Result<Vec<(&'static str, String)>, Error> {
    let renamed: HashMap<(&str, &str), &str> =
        renamed.iter().map(|(kind, from, to)| ((kind.as_str(), from.as_str()), to.as_str())).collect();
    // Two threads halve the time that Blender is held up.
    let (earlier, later) = std::thread::scope(|scope| {
        let earlier = scope.spawn(|| {
            let file = File::parse(before)?;
            let rename =
                |key: Key| kinds::collection(key.0, file.version).and_then(|kind| renamed.get(&(kind, key.1)).copied());
            digests(&file, |key| rename(key).unwrap_or(key.1)).map(HashMap::<Key, u64>::from_iter)
        });
        let later = File::parse(after).and_then(|file| Ok((digests(&file, |key| key.1)?, file.version)));
        (earlier.join(), later)
    });
    let earlier = earlier.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
    let (later, version) = later?;
    let mut modified: Vec<(&'static str, String)> = later
        .iter()
        .filter(|(key, digest)| earlier.get(key).is_some_and(|other| other != digest))
        .filter_map(|((code, name), _)| Some((kinds::collection(*code, version)?, (*name).to_owned())))
        .collect();
    modified.sort_unstable();
    Ok(modified)
}

#[cfg(test)]
mod tests;
