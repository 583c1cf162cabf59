// SPDX-License-Identifier: GPL-3.0-or-later
//! A remote Blender, over the wire of `docs/protocol.md`.
//!
//! Owns the endpoint, the connections to it and what a call may end with; `blendwire-mcp` and the command line are its
//! callers. It never prints, never reads the environment and never chooses an endpoint.
//!
//! **Architecture invariant:** a request is never sent twice. Once one of its bytes may have left this process, a
//! failure says that the outcome is unknown, because running a script a second time may destroy work. Only where the server has
//! said that it did not run it is it sent again: it wanted the token first, or it speaks mcp-for-blender's language.

mod access;
mod bare;
mod blender;
mod connection;
mod endpoint;
mod error;
mod lane;
mod outcome;
mod script;
mod server_kind;
mod tls;

pub use access::{Access, Tls, TokenSource};
pub use blender::Blender;
pub use blendwire_credentials::Fingerprint;
pub use blendwire_protocol::{Event, Progress, SentBy};
pub use endpoint::Endpoint;
pub use error::{ClientError, Refusal};
pub use outcome::{Effects, Outcome};
pub use script::{Options, Script, unique_id};
pub use server_kind::ServerKind;
