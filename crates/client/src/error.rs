// SPDX-License-Identifier: GPL-3.0-or-later
//! What may keep a call from being answered, each with what to do about it.
//!
//! The texts go to people and to language models as they are: what happened, then what to do. A Python error in the
//! script is no error here but an [`crate::Outcome`].

use std::io;
use std::time::Duration;

use crate::Endpoint;

/// Why a call brought no reply.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No process listens there.
    #[error("nothing listens at {endpoint}: {}", start_or_forward(.endpoint))]
    Refused {
        /// Where.
        endpoint: Endpoint,
    },
    /// The address did not answer at all.
    #[error(
        "no answer from {endpoint} within {} s while connecting: check the host name and the network, or whether a \
         firewall drops the port; {}", .timeout.as_secs(), start_or_forward(.endpoint)
    )]
    ConnectTimeout {
        /// Where.
        endpoint: Endpoint,
        /// How long was waited.
        timeout: Duration,
    },
    /// The system could not connect for another reason, an unknown host name among them.
    #[error(
        "cannot connect to {endpoint}: {reason}; check host and port (--host, --port, BLENDWIRE_HOST, BLENDWIRE_PORT)"
    )]
    Connect {
        /// Where.
        endpoint: Endpoint,
        /// The system's reason.
        reason: io::Error,
    },
    /// The connection ended after the request was, or may have been, sent.
    #[error(
        "the connection to Blender at {endpoint} ended before the answer came ({reason}): it is unknown whether the \
         request ran; look at what is there now (`blendwire status`, or ask for the objects) before sending it again; \
         if no Blender has ever answered at this port, another program may hold it: check --port or BLENDWIRE_PORT"
    )]
    OutcomeUnknown {
        /// Where.
        endpoint: Endpoint,
        /// How it ended.
        reason: String,
    },
    /// Connected and asked, but no answer in time. Only for questions that any server answers at once.
    #[error(
        "{endpoint} took the connection but did not answer {asked} within {} s: another program may hold the port, \
         or another add-on whose Blender is busy; `blendwire doctor` says which; stop it, start \
         Blendwire's MCP Server in Blender's N-panel, and give its port with --port or BLENDWIRE_PORT", .timeout.as_secs()
    )]
    AnswerTimeout {
        /// Where.
        endpoint: Endpoint,
        /// What was asked.
        asked: &'static str,
        /// How long was waited.
        timeout: Duration,
    },
    /// Something answered that does not speak the protocol.
    #[error(
        "what listens at {endpoint} does not speak this protocol ({why}): it is another program; Blender shows its \
         own port in the 3D View (press N, tab MCP), give that with --port or BLENDWIRE_PORT; the answer began with \
         {began:?}"
    )]
    NotOurProtocol {
        /// Where.
        endpoint: Endpoint,
        /// What is wrong about the answer.
        why: &'static str,
        /// The first characters of the answer.
        began: String,
    },
    /// The answer is longer than this client holds.
    #[error(
        "the answer from {endpoint} is longer than {limit_bytes} bytes: the script ran; have it write such data to a \
         file and assign the path to `result`"
    )]
    AnswerTooLong {
        /// Where.
        endpoint: Endpoint,
        /// The limit in bytes.
        limit_bytes: usize,
    },
    /// A server of ours lets this client in to nothing.
    #[error("the server at {endpoint} refused: {message}")]
    TurnedAway {
        /// Where.
        endpoint: Endpoint,
        /// For programs.
        refusal: Refusal,
        /// Why, and what to do.
        message: String,
    },
    /// TLS was wanted, and what answered was none.
    #[error(
        "no TLS with {endpoint}: what listens there does not speak TLS: if that is a Blender on a network that you trust, \
         connect without TLS (--plain); else check host and port"
    )]
    NotInTls {
        /// Where.
        endpoint: Endpoint,
    },
    /// TLS could not be set up.
    #[error("no TLS with {endpoint}: {why}")]
    Tls {
        /// Where.
        endpoint: Endpoint,
        /// What is wrong, and what to do.
        why: String,
    },
    /// The server wants a token, and there is none to send.
    #[error(
        "the server at {endpoint} wants a token ({why}): run `blendwire token` on Blender's machine, as the user whom \
         Blender runs as, and give it to this client with BLENDWIRE_TOKEN"
    )]
    NoToken {
        /// Where.
        endpoint: Endpoint,
        /// Why there is none.
        why: String,
    },
    /// The add-on of mcp-for-blender, which does nothing but run scripts.
    #[error(
        "at {endpoint} is the add-on of mcp-for-blender (formerly blender-mcp), which runs scripts but has no {asked}; for \
         that, stop it in Blender (3D View, press N, its tab) and start Blendwire's add-on (tab MCP, Start)"
    )]
    ScriptsOnly {
        /// Where.
        endpoint: Endpoint,
        /// What was asked.
        asked: &'static str,
    },
    /// A server of ours whose answer this version does not understand.
    #[error(
        "the server at {endpoint} is Blendwire {core}, whose {asked} this version of it does not understand: bring add-on and \
         command to one version (`blendwire addon install`, then restart Blender)"
    )]
    OtherVersion {
        /// Where.
        endpoint: Endpoint,
        /// What was asked.
        asked: &'static str,
        /// The version of its core.
        core: String,
    },
    /// A server of the same framed protocol that does not know this question: the official connector's add-on.
    #[error(
        "the add-on at {endpoint} runs scripts but cannot say its {asked} (another server of the same protocol, such \
         as Blender's official connector); enable Blendwire's add-on for that; its answer was: {message}"
    )]
    Unsupported {
        /// Where.
        endpoint: Endpoint,
        /// What was asked.
        asked: &'static str,
        /// What it said.
        message: String,
    },
}

/// Why a server of ours lets a client in to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It wants a token, and this one is not it.
    Token,
    /// Its user's settings do not let in who asks, or not the way that they ask: another user, another network, no TLS.
    NotAllowed,
    /// It speaks another version of the protocol.
    Version,
    /// As many are connected already as it takes.
    TooMany,
}

impl Refusal {
    /// What the protocol's code for it says.
    pub(crate) fn of_code(code: &str) -> Option<Self> {
        match code {
            "unauthorized" => Some(Self::Token),
            "forbidden" => Some(Self::NotAllowed),
            "version_mismatch" => Some(Self::Version),
            "busy" => Some(Self::TooMany),
            _ => None,
        }
    }
}

/// What to do when nobody is there. Blendwire's server listens on its own machine only.
fn start_or_forward(endpoint: &Endpoint) -> String {
    let Endpoint { host, port } = endpoint;
    if endpoint.is_this_machine() {
        return "start Blender and enable the add-on (in the 3D View press N, tab MCP, Start), or run `blendwire \
                launch`; if Blender listens elsewhere, give --host and --port or set BLENDWIRE_PORT"
            .to_owned();
    }
    format!(
        "Blendwire in Blender takes connections of its own machine only, unless its user allows others: run `ssh -N -L \
         {port}:localhost:{port} USER@{host}`, leave it open, and connect to localhost; or have its user listen on an \
         address of that machine and allow yours (docs/security.md)"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_to_do_depends_on_where_blender_is() {
        let told = |host| ClientError::Refused { endpoint: Endpoint::new(host, 5) }.to_string();
        for host in ["localhost", "127.0.0.1", "::1"] {
            assert!(told(host).contains("blendwire launch") && !told(host).contains("ssh"), "{}", told(host));
        }
        assert!(told("render7").contains("`ssh -N -L 5:localhost:5 USER@render7`"), "{}", told("render7"));
    }
}
