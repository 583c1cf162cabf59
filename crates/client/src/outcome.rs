// SPDX-License-Identifier: GPL-3.0-or-later
//! How a request ended: the final reply, taken apart.

use blendwire_protocol::ClientReply;
use serde_json::value::RawValue;

/// The final reply to one `execute`.
#[derive(Debug)]
pub enum Outcome {
    /// The script ran to its end.
    Finished {
        /// `result`, as the JSON text that came: large numbers and long texts stay exact.
        result: Box<RawValue>,
        /// What it printed.
        stdout: String,
        /// What became of the file.
        effects: Effects,
    },
    /// The script raised, or was refused before it ran.
    Failed {
        /// The traceback, or the reason of the refusal.
        message: String,
        /// The kind of error, one of `docs/protocol.md`; `None` from servers of other kinds.
        code: Option<String>,
        /// It is in a call that cannot be interrupted: it goes on although the answer has come.
        is_still_running: bool,
        /// What it printed before; `None` when it never ran, or when a server of another kind left it out.
        stdout: Option<String>,
        /// What became of the file.
        effects: Effects,
    },
}

/// What a script did to the file, as far as it was asked for.
#[derive(Debug, Default)]
pub struct Effects {
    /// What was added, removed, renamed and modified, as the JSON text that came.
    pub changes: Option<Box<RawValue>>,
    /// Whether everything was taken back, after a failure.
    pub rolled_back: Option<bool>,
    /// Why it could not be.
    pub not_rolled_back_because: Option<String>,
}

impl Outcome {
    /// `None` when the reply's `status` is neither `ok` nor `error`: then it is of another protocol.
    pub(crate) fn from_reply(reply: ClientReply) -> Option<Self> {
        let ClientReply { changes, rolled_back, not_rolled_back_because, .. } = reply;
        let effects = Effects { changes, rolled_back, not_rolled_back_because };
        match reply.status.as_str() {
            "ok" => {
                let result = reply.result.unwrap_or_else(|| RawValue::NULL.to_owned());
                Some(Self::Finished { result, stdout: reply.stdout.unwrap_or_default(), effects })
            }
            "error" => {
                let message = reply.message.unwrap_or_else(|| "the server gave no reason".to_owned());
                let code = reply.error.map(|error| error.code);
                let is_still_running = reply.state.as_deref() == Some("still_running");
                Some(Self::Failed { message, code, is_still_running, stdout: reply.stdout, effects })
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(text: &str) -> Option<Outcome> {
        Outcome::from_reply(ClientReply::parse(text.as_bytes()).unwrap())
    }

    #[test]
    fn a_missing_result_is_null_and_missing_stdout_is_empty() {
        let Some(Outcome::Finished { result, stdout, .. }) = outcome(r#"{"status": "ok"}"#) else { panic!() };
        assert_eq!((result.get(), stdout.as_str()), ("null", ""));
    }

    #[test]
    fn an_unknown_status_is_another_protocol() {
        assert!(outcome(r#"{"status": "success"}"#).is_none());
    }
}
