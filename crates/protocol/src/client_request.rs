// SPDX-License-Identifier: GPL-3.0-or-later
//! A request as our own clients write it. The server's side of the same is [`crate::Request`].

use std::fmt;

use serde::Serialize;

/// What to ask.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum ClientRequest<'a> {
    /// See [`crate::Body::Hello`].
    Hello {
        /// The version that this client speaks.
        protocol_version: u32,
        /// Names of the features that it wants.
        features: &'a [&'a str],
        /// See [`crate::Token`].
        #[serde(skip_serializing_if = "Option::is_none")]
        token: Option<&'a str>,
    },
    /// See [`crate::Execute`].
    Execute(ClientExecute<'a>),
    /// See [`crate::Body::Cancel`].
    Cancel {
        /// The `id` of the request to end.
        id: &'a str,
    },
    /// See [`crate::Body::Outcome`].
    Outcome {
        /// The `id` of the request whose reply is wanted.
        id: &'a str,
    },
    /// See [`crate::Body::Consent`].
    Consent {
        /// The `id` of the request that waits.
        id: &'a str,
        /// What the user has said.
        answer: crate::ConsentAnswer,
    },
    /// See [`crate::Body::Undo`].
    Undo {
        /// See [`crate::Request::id`].
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a str>,
        /// How many.
        steps: u32,
        /// Who wants it.
        #[serde(flatten)]
        sent_by: SentBy<'a>,
    },
    /// See [`crate::Body::Redo`].
    Redo {
        /// See [`crate::Request::id`].
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a str>,
        /// How many.
        steps: u32,
        /// Who wants it.
        #[serde(flatten)]
        sent_by: SentBy<'a>,
    },
    /// See [`crate::Body::Status`].
    Status,
    /// See [`crate::Body::Ping`].
    Ping,
}

/// An `execute` with whatever it uses; what is not used is not sent, so that servers of other kinds understand it.
#[expect(clippy::struct_excessive_bools, reason = "each is a key of the message")]
#[derive(Clone, Debug, Default, Serialize)]
pub struct ClientExecute<'a> {
    /// The source text.
    pub code: &'a str,
    /// Sent for servers of the origin's design, which want it; this server ignores it.
    pub strict_json: bool,
    /// See [`crate::Request::id`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<&'a str>,
    /// See [`crate::Execute::timeout`], in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_secs: Option<f64>,
    /// See [`crate::Execute::stream`].
    #[serde(skip_serializing_if = "is_false")]
    pub stream: bool,
    /// See [`crate::Execute::title`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<&'a str>,
    /// See [`crate::Execute::session`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<&'a str>,
    /// See [`crate::Execute::echo`].
    #[serde(skip_serializing_if = "is_false")]
    pub echo: bool,
    /// See [`crate::Execute::rollback`]: `rollback`, or nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_error: Option<&'a str>,
    /// See [`crate::Execute::changes`].
    #[serde(skip_serializing_if = "is_false")]
    pub changes: bool,
    /// `false`, or nothing; see [`crate::Execute::no_undo_step`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undo_step: Option<bool>,
    /// Who wants it.
    #[serde(flatten)]
    pub sent_by: SentBy<'a>,
}

/// See [`crate::Sender`].
#[derive(Clone, Copy, Default, Serialize)]
pub struct SentBy<'a> {
    /// See [`crate::Sender::client`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<&'a str>,
    /// See [`crate::Sender::behalf`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub behalf: Option<&'a str>,
}

impl<'a> SentBy<'a> {
    /// A client that calls itself so.
    pub const fn named(client: &'a str) -> Self {
        Self { client: Some(client), behalf: None }
    }
}

impl fmt::Debug for SentBy<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SentBy").field("client", &self.client).finish_non_exhaustive()
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde wants")]
fn is_false(value: &bool) -> bool {
    !value
}

impl ClientRequest<'_> {
    /// The framed JSON of this request, NUL included.
    pub fn encode(&self) -> Vec<u8> {
        // A derived `Serialize` without maps of other keys than strings cannot fail.
        let mut bytes = serde_json::to_vec(self).unwrap_or_default();
        bytes.push(0);
        bytes
    }
}
