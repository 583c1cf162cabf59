// SPDX-License-Identifier: GPL-3.0-or-later
//! Archives that are equal whenever their content is: sorted names, one time, no owner.
//!
//! The time is that of `SOURCE_DATE_EPOCH`, which a release sets to its commit's; without it, the earliest that a zip can
//! hold.

use std::collections::BTreeMap;
use std::io::{Cursor, Write};

use anyhow::{Context, Result};
use flate2::{Compression, GzBuilder};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

/// 1980-01-01, the first day of the zip format's calendar.
const EARLIEST_SECS: u64 = 315_532_800;

/// A file of an archive.
pub(crate) struct Entry {
    pub(crate) content: Vec<u8>,
    /// Whether it is a program.
    pub(crate) is_executable: bool,
}

/// Name inside the archive → file.
pub(crate) type Entries = BTreeMap<String, Entry>;

impl Entry {
    pub(crate) fn file(content: impl Into<Vec<u8>>) -> Self {
        Self { content: content.into(), is_executable: false }
    }

    pub(crate) fn program(content: impl Into<Vec<u8>>) -> Self {
        Self { content: content.into(), is_executable: true }
    }

    fn mode(&self) -> u32 {
        if self.is_executable { 0o755 } else { 0o644 }
    }
}

/// Seconds since 1970 that `SOURCE_DATE_EPOCH` names, if it is set.
pub(crate) fn source_date() -> Result<Option<u64>> {
    let Some(value) = std::env::var_os("SOURCE_DATE_EPOCH").filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    let seconds = value.to_str().and_then(|text| text.trim().parse().ok());
    let seconds = seconds.with_context(|| {
        format!(
            "SOURCE_DATE_EPOCH is {}: it has to be whole seconds since 1970, as `git log -1 --format=%ct` gives",
            value.display()
        )
    })?;
    Ok(Some(seconds))
}

pub(crate) fn zip(files: &Entries) -> Result<Vec<u8>> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, entry) in files {
        // Two seconds are the finest that a zip can tell, and it has no time zone: none of what its readers show would
        // be true. The first day says so.
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            // The executable carries it, and its size has a limit.
            .compression_level(Some(9))
            .last_modified_time(DateTime::default())
            .unix_permissions(entry.mode());
        writer.start_file(name, options)?;
        writer.write_all(&entry.content)?;
    }
    Ok(writer.finish()?.into_inner())
}

pub(crate) fn tar_gz(files: &Entries, source_date: Option<u64>) -> Result<Vec<u8>> {
    // Without a name and a time of its own.
    let mut archive = tar::Builder::new(GzBuilder::new().mtime(0).write(Vec::new(), Compression::best()));
    for (name, entry) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(u64::try_from(entry.content.len())?);
        header.set_mode(entry.mode());
        header.set_mtime(source_date.unwrap_or(EARLIEST_SECS));
        // Owned by root wherever it was made, so that whoever unpacks as root gets no stranger's files.
        header.set_uid(0);
        header.set_gid(0);
        archive.append_data(&mut header, name, entry.content.as_slice())?;
    }
    Ok(archive.into_inner()?.finish()?)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn files() -> Entries {
        Entries::from([("x/tool".to_owned(), Entry::program(b"1")), ("x/README.md".to_owned(), Entry::file(b"2"))])
    }

    #[test]
    fn equal_files_make_equal_archives() {
        assert_eq!(zip(&files()).unwrap(), zip(&files()).unwrap());
        assert_eq!(tar_gz(&files(), None).unwrap(), tar_gz(&files(), None).unwrap());
        assert_ne!(tar_gz(&files(), None).unwrap(), tar_gz(&files(), Some(EARLIEST_SECS + 1)).unwrap());
    }

    #[test]
    fn programs_stay_programs() {
        let mut zip = zip::ZipArchive::new(Cursor::new(zip(&files()).unwrap())).unwrap();
        assert_eq!(zip.by_name("x/tool").unwrap().unix_mode().unwrap() & 0o777, 0o755);
        let bytes = tar_gz(&files(), Some(7)).unwrap();
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(bytes.as_slice()).read_to_end(&mut plain).unwrap();
        let mut archive = tar::Archive::new(plain.as_slice());
        let found: Vec<_> = archive.entries().unwrap().map(Result::unwrap).collect();
        let told: Vec<_> = found
            .iter()
            .map(|entry| (entry.path().unwrap().display().to_string(), entry.header().mode().unwrap()))
            .collect();
        assert_eq!(told, [("x/README.md".to_owned(), 0o644), ("x/tool".to_owned(), 0o755)]);
        assert!(found.iter().all(|entry| entry.header().mtime().unwrap() == 7));
    }
}
