// SPDX-License-Identifier: GPL-3.0-or-later
//! What the user of Blender answers to a request that waits for consent.

use serde::{Deserialize, Serialize};

/// The answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConsentAnswer {
    /// The request may do what it wants.
    Once,
    /// All requests may, until the server is stopped.
    Session,
    /// It is refused, and nothing of it is run.
    Never,
}

impl ConsentAnswer {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Once, Self::Session, Self::Never];

    /// As it stands on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Once => "once",
            Self::Session => "session",
            Self::Never => "never",
        }
    }

    /// The answer of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|answer| answer.name() == name)
    }
}

/// What a request wants that waits for consent, for people: `write files and use the network`. Of a kind that this version
/// does not know, the name.
pub fn wants_in_words(kinds: &[String]) -> String {
    let in_words = |kind: &String| match kind.as_str() {
        "files" => "write files".to_owned(),
        "processes" => "start processes".to_owned(),
        "network" => "use the network".to_owned(),
        _ => kind.clone(),
    };
    kinds.iter().map(in_words).collect::<Vec<_>>().join(" and ")
}
