// SPDX-License-Identifier: GPL-3.0-or-later
//! The closed list of error codes, each with what a client's author or user can do about it.

use serde::{Deserialize, Serialize};

/// Kinds of errors, for programs. Replies carry them once a client has used more than the plain protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The bytes are no JSON object.
    BadFrame,
    /// The message is no request.
    BadRequest,
    /// The message, or what came of it, is longer than the limit.
    TooLarge,
    /// A token is missing or wrong.
    Unauthorized,
    /// The user's settings do not allow this.
    Forbidden,
    /// The client wants a version of the protocol that this server does not speak.
    VersionMismatch,
    /// Too much waits already, too many are connected, or what is asked about has not ended.
    Busy,
    /// The time limit of the request has passed.
    Timeout,
    /// Somebody cancelled the request.
    Cancelled,
    /// The script raised.
    PythonException,
    /// There is no such request, or nothing to undo.
    NotFound,
    /// The server is being stopped.
    ShuttingDown,
    /// The server lost the request.
    Dropped,
}

impl ErrorCode {
    /// All of them, in the order of the document.
    pub const ALL: [Self; 13] = [
        Self::BadFrame,
        Self::BadRequest,
        Self::TooLarge,
        Self::Unauthorized,
        Self::Forbidden,
        Self::VersionMismatch,
        Self::Busy,
        Self::Timeout,
        Self::Cancelled,
        Self::PythonException,
        Self::NotFound,
        Self::ShuttingDown,
        Self::Dropped,
    ];

    /// Its name on the wire.
    pub fn name(self) -> String {
        let text = serde_json::to_string(&self).unwrap_or_default();
        text.trim_matches('"').to_owned()
    }

    /// What to do, in general; the message says what happened.
    pub fn hint(self) -> &'static str {
        match self {
            Self::BadFrame => "send one JSON object in UTF-8, then a NUL byte",
            Self::BadRequest => "correct the request; docs/protocol.md has an example of each",
            Self::TooLarge => "split it, or pass the data through a file",
            Self::Unauthorized => {
                "send the token in `hello`, or `Authorization: Bearer` over HTTP; `blendwire token` shows it on Blender's machine"
            }
            Self::Forbidden => "leave it out, or allow it in the add-on's preferences",
            Self::VersionMismatch => "update the older of the two, client or add-on",
            Self::Busy => "try again in a moment",
            Self::Timeout => "give it more time with \"timeout_secs\", or less to do",
            Self::Cancelled => "send it again if it is still wanted",
            Self::PythonException => "correct the script",
            Self::NotFound => "check what is asked for",
            Self::ShuttingDown => "send it again when the server is back, unless it had begun",
            Self::Dropped => "a defect: please report it with the log",
        }
    }
}
