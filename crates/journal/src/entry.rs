// SPDX-License-Identifier: GPL-3.0-or-later
//! Requests, put together from their lines.

use std::collections::HashMap;
use std::path::PathBuf;

use crate::reader::Line;
use crate::record::{Begin, End, Record};

/// One request.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What it was.
    pub begin: Box<Begin>,
    /// How it ended, if that is known.
    pub end: Option<Box<End>>,
    /// The file that its begin stands in.
    pub path: PathBuf,
}

/// How a request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It went well.
    Ok,
    /// It did not.
    Failed,
    /// No end is known: it runs, or Blender was killed meanwhile.
    Open,
}

impl Entry {
    /// How it stands.
    pub fn state(&self) -> State {
        match &self.end {
            None => State::Open,
            Some(end) if end.outcome == "ok" => State::Ok,
            Some(_) => State::Failed,
        }
    }
}

/// The requests in `lines`, in the order in which they began. The clock may have gone back between begin and end. An end without a begin, whose file has gone, is left out.
pub fn entries<'a>(lines: impl IntoIterator<Item = &'a Line>) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    let (mut places, mut ends) = (HashMap::new(), Vec::new());
    for line in lines {
        match &line.record {
            Record::Begin(begin) => {
                places.insert((begin.instance.clone(), begin.number), entries.len());
                entries.push(Entry { begin: begin.clone(), end: None, path: line.path.clone() });
            }
            Record::End(end) => ends.push(end),
            Record::Lost(_) => {}
        }
    }
    for end in ends {
        if let Some(place) = places.get(&(end.instance.clone(), end.number)) {
            entries[*place].end = Some(end.clone());
        }
    }
    entries
}
