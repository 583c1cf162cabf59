// SPDX-License-Identifier: GPL-3.0-or-later
//! What the protocol offers beyond the plain request, by name: clients ask for it in `hello`, users can forbid it.

use serde::{Deserialize, Serialize};

/// One offer. All but [`Feature::ImmediateControl`] are used by a key or a type of their own in a request, and need no
/// `hello`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Feature {
    /// `"stream": true`: events before the final reply.
    Stream,
    /// `"session"`: one namespace for many requests.
    Session,
    /// `undo` and `redo`.
    Undo,
    /// `"on_error": "rollback"`.
    Rollback,
    /// `"changes": true`: what the request did to the file.
    Changes,
    /// `consent`: the client answers for the user, whom it has asked.
    Consent,
    /// Answers to `ping`, `status`, `cancel`, `outcome` and `hello` overtake those of requests that have not ended. Changes the
    /// order of replies, so only a client that asked for it in `hello` gets it.
    ImmediateControl,
}

impl Feature {
    /// All of them, in the order of the document.
    pub const ALL: [Self; 7] =
        [Self::Stream, Self::Session, Self::Undo, Self::Rollback, Self::Changes, Self::Consent, Self::ImmediateControl];

    /// As it stands on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stream => "stream",
            Self::Session => "session",
            Self::Undo => "undo",
            Self::Rollback => "rollback",
            Self::Changes => "changes",
            Self::Consent => "consent",
            Self::ImmediateControl => "immediate_control",
        }
    }

    /// The feature of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|feature| feature.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_serde() {
        for feature in Feature::ALL {
            assert_eq!(serde_json::to_value(feature).unwrap(), feature.name());
            assert_eq!(Feature::named(feature.name()), Some(feature));
        }
        assert_eq!(Feature::named("telepathy"), None);
    }
}
