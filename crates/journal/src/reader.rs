// SPDX-License-Identifier: GPL-3.0-or-later
//! Reads the journal of all writers in the order of time, and goes on where it was: also while they write.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use crate::record::Record;
use crate::store::{self, EXTENSION, Listed, list};

/// One line, as it stands and as it is meant.
#[derive(Clone, Debug)]
pub struct Line {
    /// The JSON text.
    pub text: String,
    /// What it says.
    pub record: Record,
    /// The file that it stands in.
    pub path: PathBuf,
}

/// A journal that is being read.
#[derive(Debug)]
pub struct Reader {
    folder: PathBuf,
    /// How much of each file has been read.
    read_bytes: HashMap<PathBuf, u64>,
    /// Lines that are none: of a Blender that was killed while it wrote, or whose disk was full.
    pub unreadable: usize,
}

impl Reader {
    /// Reads nothing yet.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder, read_bytes: HashMap::new(), unreadable: 0 }
    }

    /// The lines that have come since the last call, by time. A line without its line break is not there yet.
    ///
    /// # Errors
    /// The system's, when there is no such folder or a file cannot be read.
    pub fn poll(&mut self) -> io::Result<Vec<Line>> {
        let mut lines = Vec::new();
        for file in store::list(&self.folder)? {
            let from = self.read_bytes.get(&file.path).copied().unwrap_or(0);
            if file.length <= from {
                continue;
            }
            match self.read(&file.path, from) {
                Ok(more) => lines.extend(more),
                // It had become too old meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(io::Error::new(error.kind(), format!("{}: {error}", file.path.display()))),
            }
        }
        lines.sort_by_key(|line| line.record.time());
        Ok(lines)
    }

    fn read(&mut self, path: &Path, from: u64) -> io::Result<Vec<Line>> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        self.read_bytes.insert(path.to_owned(), from + whole as u64);
        let mut lines = Vec::new();
        for text in bytes[..whole].split(|byte| *byte == b'\n').filter(|text| !text.is_empty()) {
            match parse(text) {
                Some((text, record)) => lines.push(Line { text: text.to_owned(), record, path: path.to_owned() }),
                None => self.unreadable += 1,
            }
        }
        Ok(lines)
    }

    /// Whether the process that wrote this file, one of `instance`, still lives; `None` where the system does not tell.
    pub fn is_being_written(path: &Path, instance: &str) -> Option<bool> {
        if cfg!(not(unix)) {
            return None;
        }
        // It may be writing another by now.
        let end = format!("-{instance}.{EXTENSION}");
        let is_its = |file: &Listed| file.path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(&end));
        let files = list(path.parent()?).ok()?;
        files.iter().filter(|file| is_its(file)).try_fold(false, |is_any, file| Some(is_any || is_locked(&file.path)?))
    }
}

fn is_locked(path: &Path) -> Option<bool> {
    match File::open(path).ok()?.try_lock_shared() {
        Ok(()) => Some(false),
        Err(std::fs::TryLockError::WouldBlock) => Some(true),
        Err(std::fs::TryLockError::Error(_)) => None,
    }
}

/// The record in a line; where a torn one stands before it, the rest.
fn parse(text: &[u8]) -> Option<(&str, Record)> {
    /// What every record begins with, and what no text inside one can hold: its quotes would be escaped.
    const BEGINNING: &str = "{\"event\":\"";
    let text = std::str::from_utf8(text).ok()?;
    let whole = &text[text.rfind(BEGINNING)?..];
    Some((whole, serde_json::from_str(whole).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Lost;
    use jiff::Timestamp;
    use std::io::Write as _;

    fn lost(count: u64) -> String {
        let time = Timestamp::from_second(i64::try_from(count).unwrap()).unwrap();
        let lost = Lost { time, instance: "a".to_owned(), count, since: time, why: "{\"event\":\"".to_owned() };
        serde_json::to_string(&Record::Lost(lost)).unwrap()
    }

    fn counts(lines: &[Line]) -> Vec<u64> {
        let count = |line: &Line| if let Record::Lost(lost) = &line.record { lost.count } else { 0 };
        lines.iter().map(count).collect()
    }

    #[test]
    fn lines_of_all_files_come_by_time_and_each_once() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("b.jsonl"), lost(1) + "\n" + &lost(4) + "\n").unwrap();
        std::fs::write(folder.path().join("a.jsonl"), lost(2) + "\n").unwrap();
        std::fs::write(folder.path().join("notes.txt"), "nothing of ours\n").unwrap();
        let mut reader = Reader::new(folder.path().to_owned());
        assert_eq!(counts(&reader.poll().unwrap()), [1, 2, 4]);
        assert!(reader.poll().unwrap().is_empty());
        let mut file = std::fs::OpenOptions::new().append(true).open(folder.path().join("a.jsonl")).unwrap();
        let (first, rest) = (&lost(3)[..20], &lost(3)[20..]);
        file.write_all(first.as_bytes()).unwrap();
        assert!(reader.poll().unwrap().is_empty());
        file.write_all(format!("{rest}\n").as_bytes()).unwrap();
        assert_eq!(counts(&reader.poll().unwrap()), [3]);
    }

    #[test]
    fn a_torn_line_costs_itself_alone() {
        let folder = tempfile::tempdir().unwrap();
        let torn = &lost(1)[..30];
        let text = [&lost(2), "\n", torn, "\n", torn, &lost(3), "\n\n\0\0\n", &lost(4), "\n", torn].concat();
        std::fs::write(folder.path().join("a.jsonl"), text).unwrap();
        let mut reader = Reader::new(folder.path().to_owned());
        assert_eq!(counts(&reader.poll().unwrap()), [2, 3, 4]);
        assert_eq!(reader.unreadable, 2);
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let error = Reader::new(folder.path().join("none")).poll().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
