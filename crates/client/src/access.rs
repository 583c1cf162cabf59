// SPDX-License-Identifier: GPL-3.0-or-later
//! What a client brings to get in: a token, and how it makes sure that it talks to the right server.

use std::path::PathBuf;

use blendwire_credentials::{CurrentFingerprint, Fingerprint, TokenFile};
use blendwire_protocol::Token;

/// See the module. The default brings nothing, which is enough on one's own machine.
#[derive(Clone, Debug)]
pub struct Access {
    /// What to answer a server that wants a token. Others are sent none.
    pub token: TokenSource,
    /// Whether the connection is inside TLS.
    pub tls: Tls,
}

/// Where the token is.
#[derive(Clone, Debug)]
pub enum TokenSource {
    /// There is none, for this reason.
    Nowhere(String),
    /// This is it.
    Given(Token),
    /// In a file, which is read whenever a server wants it: it may have been replaced.
    File(TokenFile),
}

impl TokenSource {
    pub(crate) fn read(&self) -> Result<Token, String> {
        match self {
            Self::Nowhere(why) => Err(why.clone()),
            Self::Given(token) => Ok(token.clone()),
            Self::File(file) => file.read().map_err(|error| error.to_string()),
        }
    }
}

/// How the server proves who it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Tls {
    /// Not at all: no TLS.
    #[default]
    Off,
    /// By a certificate with this fingerprint, whoever signed it and for whatever name.
    Pinned(Fingerprint),
    /// The same by one that is asked for at each handshake, as a part of the server itself can: it may have been renewed.
    Current(CurrentFingerprint),
    /// By a certificate for the endpoint's name, signed by an authority that the system trusts or that is in `ca`.
    Verified {
        /// PEM of more authorities.
        ca: Option<PathBuf>,
    },
}

impl Default for Access {
    fn default() -> Self {
        Self { token: TokenSource::Nowhere("this client was given none".to_owned()), tls: Tls::Off }
    }
}
