// SPDX-License-Identifier: GPL-3.0-or-later
//! Who may: what each connection must bring, by where it comes from, and whether it brings it.
//!
//! | From | TLS | Token | Same user |
//! |---|---|---|---|
//! | this machine | may | only with *Require a Token* | yes, where the system tells |
//! | an open network, named by the user | may | no | – |
//! | an allowed network | must | must | – |
//! | anywhere else | turned away | | |
//!
//! Over HTTP code runs only with the token, wherever it comes from: a web page can make requests to this machine.

use std::sync::Arc;

mod peer;
mod rules;
mod tls;
mod tokens;

pub(crate) use peer::{Doorkeeper, Verdict};
pub(crate) use rules::Terms;
pub use rules::{AccessError, AccessRules};
pub(crate) use tls::{Tls, handshake_words};
pub(crate) use tokens::{LOOKED_EVERY, NoToken, Tokens};

/// Everything that decides about connections, of one server.
#[derive(Debug)]
pub(crate) struct Access {
    pub(crate) rules: AccessRules,
    pub(crate) doorkeeper: Doorkeeper,
    pub(crate) tokens: Tokens,
    pub(crate) tls: Arc<Tls>,
}
