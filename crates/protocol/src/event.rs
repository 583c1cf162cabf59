// SPDX-License-Identifier: GPL-3.0-or-later
//! What a client is told while its request waits and runs: messages with the key `event`, before the final reply, which
//! has `status` instead.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{Id, Terminator};

/// One event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The request has its place in the queue.
    Queued {
        /// How many requests were waiting before it.
        position: usize,
    },
    /// It waits for the consent of Blender's user.
    Consent {
        /// To what: of `files`, `processes`, `network`.
        wants: Vec<String>,
    },
    /// Its script has been started.
    Started,
    /// The script has printed.
    Output {
        /// What, since the last event of this kind. All of them together are the `stdout` of the final reply.
        text: String,
    },
    /// The script, or a render that it started, says how far it is.
    Progress(Progress),
}

/// How far a script is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// From 0 to 1.
    pub value: f64,
    /// What is being done; empty when nothing was said.
    pub message: String,
}

#[derive(Serialize)]
struct Wire<'a> {
    #[serde(flatten)]
    event: &'a Event,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a serde_json::value::RawValue>,
}

impl Event {
    /// The bytes of this event about the request of this id.
    pub fn encode(&self, terminator: Terminator, id: Option<&Id>) -> Bytes {
        // An id is JSON text already, and an event has string keys and finite numbers.
        let id = id.and_then(|id| serde_json::from_str(id.json()).ok());
        let mut bytes = serde_json::to_vec(&Wire { event: self, id }).unwrap_or_default();
        bytes.push(terminator.byte());
        bytes.into()
    }

    /// Its name on the wire.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Queued { .. } => "queued",
            Self::Consent { .. } => "consent",
            Self::Started => "started",
            Self::Output { .. } => "output",
            Self::Progress(_) => "progress",
        }
    }

    /// Whether the text of a frame is an event and not a final reply.
    pub fn is_event(text: &[u8]) -> bool {
        // The key comes first: a reply of a hundred megabytes need not be parsed to be told apart.
        text.starts_with(b"{\"event\"")
    }

    /// The event in the text of a frame; `None` when it is something else, or of a kind that this version does not know.
    pub fn parse(text: &[u8]) -> Option<Self> {
        if Self::is_event(text) { serde_json::from_slice(text).ok() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_written_and_read() {
        let Ok(request) = crate::Request::parse(br#"{"type": "ping", "id": "x"}"#) else { panic!("no request") };
        let event = Event::Output { text: "a\n".to_owned() };
        let bytes = event.encode(Terminator::Nul, request.id.as_ref());
        assert_eq!(&bytes[..], b"{\"event\":\"output\",\"text\":\"a\\n\",\"id\":\"x\"}\0");
        assert_eq!(Event::parse(&bytes[..bytes.len() - 1]), Some(event));
        assert_eq!(&Event::Started.encode(Terminator::Newline, None)[..], b"{\"event\":\"started\"}\n");
        let progress = Event::Progress(Progress { value: 0.5, message: "b".to_owned() });
        let bytes = progress.encode(Terminator::Nul, None);
        assert_eq!(&bytes[..], b"{\"event\":\"progress\",\"value\":0.5,\"message\":\"b\"}\0");
        assert_eq!(Event::parse(b"{\"status\": \"ok\"}"), None);
        let unknown = b"{\"event\": \"thought\", \"text\": 1}";
        assert!(Event::is_event(unknown) && Event::parse(unknown).is_none());
    }
}
