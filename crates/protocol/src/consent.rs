// SPDX-License-Identifier: GPL-3.0-or-later
//! What the user of Blender answers to a request that waits for consent.

use serde::{Deserialize, Serialize};

/// The answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Consent {
    /// The request may do what it wants.
    Once,
    /// All requests may, until the server is stopped.
    Session,
    /// It is refused, and nothing of it is run.
    Never,
}

impl Consent {
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
