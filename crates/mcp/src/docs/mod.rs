// SPDX-License-Identifier: GPL-3.0-or-later
//! API documentation of the Blender that runs: what was read of it, searched by words.
//!
//! Nothing here talks to Blender: `tools/api_docs` reads, and keeps what it has read in [`Library`].

mod index;
mod notes;
mod search;
mod standing;
mod words;

pub(crate) use index::{Index, Row};
pub use notes::api_changes;
pub(crate) use notes::notes_on;

/// What was read so far; one for the whole server, since sessions with the same Blender read the same.
pub(crate) type Library = tokio::sync::Mutex<Shelf>;

/// How many Blenders' documentation is kept: those that a user goes back and forth between.
const MOST: usize = 3;

/// See [`Library`].
#[derive(Default)]
pub(crate) struct Shelf {
    /// Newest last.
    finished: Vec<(String, std::sync::Arc<Index>)>,
    /// What is read already where reading was broken off: whoever asks next goes on from there.
    pub(crate) begun: Option<Begun>,
}

impl std::fmt::Debug for Shelf {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Shelf of {}", self.finished.len())
    }
}

/// A part of one Blender's documentation.
pub(crate) struct Begun {
    pub(crate) fingerprint: String,
    pub(crate) rows: Vec<Row>,
    /// Where to go on, as Blender told it.
    pub(crate) at: serde_json::Value,
}

impl Begun {
    /// Nothing yet.
    pub(crate) fn new(fingerprint: &str) -> Self {
        Self { fingerprint: fingerprint.to_owned(), rows: Vec::new(), at: serde_json::Value::Null }
    }
}

impl Shelf {
    /// What was read of a Blender with this fingerprint.
    pub(crate) fn finished(&self, fingerprint: &str) -> Option<std::sync::Arc<Index>> {
        self.finished.iter().find(|(known, _)| known == fingerprint).map(|(_, index)| index.clone())
    }

    /// Keeps what was read.
    pub(crate) fn keep(&mut self, fingerprint: String, index: Index) -> std::sync::Arc<Index> {
        let index = std::sync::Arc::new(index);
        if self.finished.len() >= MOST {
            self.finished.remove(0);
        }
        self.finished.push((fingerprint, index.clone()));
        index
    }
}
