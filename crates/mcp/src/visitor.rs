// SPDX-License-Identifier: GPL-3.0-or-later
//! Who calls, for Blender's journal: what the client calls itself, and for whom a server inside Blender asks.

use std::any::Any;
use std::sync::Arc;

use blendwire_client::SentBy;
use blendwire_protocol::Token;
use http::request::Parts;
use rmcp::model::Implementation;
use rmcp::service::{RequestContext, RoleServer};

/// As long as the wire lets the name of a client be.
const LONGEST_NAME_CHARS: usize = 200;

/// By which requests to Blender say for whom they are made: given out by the server that the call came in at, as an
/// extension of its HTTP request, and good for as long as a clone of this lives.
#[derive(Clone, Debug)]
pub struct OnBehalf {
    /// What is sent along.
    pub key: Token,
    /// What ends when nobody is left to ask for.
    pub kept: Arc<dyn Any + Send + Sync>,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct Visitor {
    name: Option<String>,
    behalf: Option<OnBehalf>,
}

impl Visitor {
    /// Whoever made the request of `context`.
    pub(crate) fn of(context: &RequestContext<RoleServer>) -> Self {
        let parts = context.extensions.get::<Parts>();
        Self {
            name: context.client_info().and_then(|client| name(&client)),
            behalf: parts.and_then(|parts| parts.extensions.get::<OnBehalf>()).cloned(),
        }
    }

    /// The same for the wire.
    pub(crate) fn sent_by(&self) -> SentBy<'_> {
        SentBy { client: self.name.as_deref(), behalf: self.behalf.as_ref().map(|behalf| behalf.key.expose()) }
    }
}

fn name(client: &Implementation) -> Option<String> {
    let name: String = format!("{} {}", client.name, client.version).trim().chars().take(LONGEST_NAME_CHARS).collect();
    (!name.is_empty()).then_some(name)
}
