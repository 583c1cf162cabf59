// SPDX-License-Identifier: GPL-3.0-or-later
//! Why a message is no request, in words for the person who wrote the client.

use crate::{ErrorCode, Id, PROTOCOL_VERSION, Token};

/// For messages: what may be asked.
const KNOWN: &str = "\"execute\", \"hello\", \"cancel\", \"outcome\", \"undo\", \"redo\", \"status\" or \"ping\"";

/// What was wrong with a message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRequest {
    /// The bytes are not UTF-8.
    #[error("the request is not valid UTF-8 (byte {at} of {length}); send JSON as UTF-8")]
    NotUtf8 {
        /// Index of the first wrong byte.
        at: usize,
        /// Length of the message in bytes.
        length: usize,
    },
    /// The text is not JSON.
    #[error("the request is not valid JSON: {says}{hint}; send one JSON object, then a NUL byte", says = .0, hint = hint_for(.0))]
    NotJson(String),
    /// The JSON is not an object.
    #[error("a request is a JSON object such as {{\"type\": \"execute\", \"code\": \"result = 1\"}}, not {0}")]
    NotAnObject(&'static str),
    /// The connection ended before its last message did.
    #[error(
        "the connection ended in the middle of a request; nothing of it was run. \
         End a request with a NUL byte or, after its closing brace, a line break"
    )]
    CutOff,
    /// `type` is missing.
    #[error("the request has no \"type\"; send {KNOWN}")]
    NoType,
    /// `type` is not one of ours.
    #[error("unknown request type {0}; this server knows {KNOWN}")]
    UnknownType(String),
    /// `code` is missing.
    #[error("an \"execute\" request needs \"code\": the Python source to run, as a string")]
    NoCode,
    /// `id` is missing where it says which request is meant.
    #[error("this request needs \"id\": the id of the \"execute\" request that it is about")]
    NoTarget,
    /// The version is missing.
    #[error("a \"hello\" needs \"protocol_version\": the version that the client speaks, such as {PROTOCOL_VERSION}")]
    NoVersion,
    /// The version is not ours.
    #[error(
        "this server speaks protocol version {PROTOCOL_VERSION}, the client wants {0}; update the {older}",
        older = if *.0 > PROTOCOL_VERSION { "add-on in Blender" } else { "client" }
    )]
    OtherVersion(u32),
    /// `token` cannot be one. What came is not said: it may be a secret.
    #[error(
        "\"token\" is no token: those are {} to {} visible ASCII characters; `blendwire token` shows the one of this \
         machine's user", Token::LENGTH.start(), Token::LENGTH.end()
    )]
    BadToken,
    /// `id` is neither a string nor an integer, or too long.
    #[error("\"id\" must be a string or an integer of at most {limit} bytes, not {0}", limit = Id::LONGEST_BYTES)]
    BadId(&'static str),
    /// A key has a value that does not fit.
    #[error("\"{key}\" must be {wanted}, not {found}")]
    BadValue {
        /// The key.
        key: &'static str,
        /// What it has to be.
        wanted: &'static str,
        /// What came instead.
        found: String,
    },
}

impl BadRequest {
    /// The kind of refusal.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::NotUtf8 { .. } | Self::NotJson(_) | Self::NotAnObject(_) | Self::CutOff => ErrorCode::BadFrame,
            Self::BadToken => ErrorCode::Unauthorized,
            Self::OtherVersion(_) => ErrorCode::VersionMismatch,
            _ => ErrorCode::BadRequest,
        }
    }
}

fn hint_for(parser_says: &str) -> &'static str {
    if parser_says.contains("control character") { " (write a line break inside a string as \\n)" } else { "" }
}
