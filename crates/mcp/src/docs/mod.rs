// SPDX-License-Identifier: GPL-3.0-or-later
//! API documentation of the Blender that runs: what was read of it, searched by words.
//!
//! Nothing here talks to Blender: `tools/api_docs` reads, and keeps what it has read in [`Library`].

mod index;
mod notes;
mod search;
mod standing;
mod words;

use std::fmt::{self, Debug, Formatter};
use std::sync::{Arc, MutexGuard, PoisonError};

pub(crate) use index::{Index, Row};
pub use notes::api_changes;
pub(crate) use notes::notes_on;

/// What was read so far; one for the whole server, since sessions with the same Blender read the same.
#[derive(Debug, Default)]
pub(crate) struct Library {
    finished: std::sync::Mutex<Shelf>,
    /// What is read already: who asks meanwhile waits for the same, and goes on from there where reading was broken off.
    pub(crate) begun: tokio::sync::Mutex<Option<Begun>>,
}

/// How many Blenders' documentation is kept: those that a user goes back and forth between.
const MOST: usize = 3;

/// Documentation and the fingerprints of the Blenders that it is of, newest last.
#[derive(Default)]
struct Shelf(Vec<(String, Arc<Index>)>);

impl Debug for Shelf {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        write!(formatter, "Shelf of {}", self.0.len())
    }
}

/// A part of one Blender's documentation.
#[derive(Debug)]
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

impl Library {
    /// What was read of a Blender with this fingerprint. Waits for nobody who reads.
    pub(crate) fn finished(&self, fingerprint: &str) -> Option<Arc<Index>> {
        self.shelf().0.iter().find(|(known, _)| known == fingerprint).map(|(_, index)| index.clone())
    }

    /// Keeps what was read.
    pub(crate) fn keep(&self, fingerprint: String, index: Index) -> Arc<Index> {
        let index = Arc::new(index);
        let mut kept = self.shelf();
        if kept.0.len() >= MOST {
            kept.0.remove(0);
        }
        kept.0.push((fingerprint, index.clone()));
        index
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.finished.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
