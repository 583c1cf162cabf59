// SPDX-License-Identifier: GPL-3.0-or-later
//! Where pictures go: a pattern becomes a path for each frame.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::ValueEnum as _;

use crate::args::Format;

/// Digits where the pattern does not say how many.
const DIGITS: usize = 4;

/// A pattern of the user's, with its folder made out.
#[derive(Debug, PartialEq)]
pub(super) struct Pattern {
    folder: PathBuf,
    name: String,
}

impl Pattern {
    /// Reads it. `//` at its beginning is the folder of `file`, other relative paths are those of the current folder.
    pub(super) fn read(text: &str, file: &Path) -> Result<Self> {
        if text.is_empty() {
            bail!("--output is empty: give a path as //frames/####.png");
        }
        let (folder, name) = text.rsplit_once(std::path::is_separator).map_or(("", text), |(folder, name)| {
            // The separator belongs to a folder that is the root.
            (&text[..=folder.len()], name)
        });
        let folder = match folder.strip_prefix("//") {
            Some(below) => file.parent().context("the .blend file is in no folder")?.join(below),
            None => std::path::absolute(if folder.is_empty() { "." } else { folder })?,
        };
        Ok(Self { folder, name: name.to_owned() })
    }

    /// The format that its ending asks for.
    pub(super) fn format(&self) -> Option<Format> {
        let ending = Path::new(&self.name).extension()?.to_str()?;
        Format::from_str(ending, true).ok()
    }

    /// The path of a frame's picture; `extension` with its dot is what the format's files end with. One of several always has its
    /// number.
    pub(super) fn path(&self, frame: i32, extension: &str, is_one_of_several: bool) -> PathBuf {
        let (stem, ending) = match self.format() {
            Some(_) => self.name.rsplit_once('.').map_or((self.name.as_str(), ""), |(stem, ending)| (stem, ending)),
            None => (self.name.as_str(), extension.trim_start_matches('.')),
        };
        let stem = match hashes(stem) {
            Some((start, end)) => format!("{}{}{}", &stem[..start], digits(frame, end - start), &stem[end..]),
            None if is_one_of_several || stem.is_empty() => format!("{stem}{}", digits(frame, DIGITS)),
            None => stem.to_owned(),
        };
        self.folder.join(if ending.is_empty() { stem } else { format!("{stem}.{ending}") })
    }
}

/// The last run of `#`, as Blender takes it.
fn hashes(text: &str) -> Option<(usize, usize)> {
    let end = text.rfind('#')? + 1;
    let start = text[..end].trim_end_matches('#').len();
    Some((start, end))
}

/// The number with at least so many digits; a minus comes before them.
fn digits(frame: i32, count: usize) -> String {
    let minus = if frame < 0 { "-" } else { "" };
    format!("{minus}{:0count$}", frame.unsigned_abs())
}

/// The same path for one of several views: what tells them apart stands before the ending.
pub(super) fn of_view(path: &Path, suffix: &str) -> PathBuf {
    if suffix.is_empty() {
        return path.to_owned();
    }
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let ending = path.extension().map(|ending| format!(".{}", ending.to_string_lossy())).unwrap_or_default();
    path.with_file_name(format!("{stem}{suffix}{ending}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(pattern: &str, frame: i32, is_one_of_several: bool) -> String {
        let pattern = Pattern::read(pattern, Path::new("/files/scene.blend")).unwrap();
        pattern.path(frame, ".png", is_one_of_several).display().to_string()
    }

    #[cfg(unix)]
    #[test]
    fn hashes_become_the_number_and_slashes_the_folder_of_the_file() {
        assert_eq!(path("/out/shot_####.exr", 7, true), "/out/shot_0007.exr");
        assert_eq!(path("/out/a##b#.jpg", 123, true), "/out/a##b123.jpg");
        assert_eq!(path("//frames/####", -5, true), "/files/frames/-0005.png");
        assert_eq!(path("//####.png", 12, true), "/files/0012.png");
        assert_eq!(path("//still.png", 12, false), "/files/still.png");
        assert_eq!(path("/out/shot.v2", 3, true), "/out/shot.v20003.png");
        assert_eq!(path("/out/", 3, false), "/out/0003.png");
        assert_eq!(path("/still.PNG", 3, false), "/still.PNG");
        let here = std::env::current_dir().unwrap();
        assert_eq!(path("x/still", 3, false), here.join("x/still.png").display().to_string());
    }

    #[test]
    fn one_of_several_has_its_number_though_nobody_asked_for_it() {
        assert!(path("still.png", 3, true).ends_with("still0003.png"));
    }

    #[test]
    fn endings_ask_for_formats() {
        let format = |text| Pattern::read(text, Path::new("/f/s.blend")).unwrap().format();
        assert_eq!(format("a.jpg"), Some(Format::Jpeg));
        assert_eq!(format("a.TIF"), Some(Format::Tiff));
        assert_eq!(format("a.v2"), None);
        assert_eq!(format("a"), None);
    }

    #[test]
    fn views_are_told_apart_before_the_ending() {
        assert_eq!(of_view(Path::new("a.b.png"), "_L"), Path::new("a.b_L.png"));
        assert_eq!(of_view(Path::new("a"), "_R"), Path::new("a_R"));
    }
}
