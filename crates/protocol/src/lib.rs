// SPDX-License-Identifier: GPL-3.0-or-later
//! The wire: how bytes become requests and replies become bytes, as `docs/protocol.md` defines it.
//!
//! Both ends use this crate: the server inside Blender (`blendwire-bridge`) and every client of ours
//! (`blendwire-client`). It knows bytes and JSON only: no sockets, threads, clock or Python, so that every rule
//! in it can be tested with plain values.
//!
//! **Architecture invariant:** no other crate builds or takes apart a message of the wire.

mod bad_request;
mod bare;
mod client_request;
mod consent;
mod error;
mod event;
mod feature;
mod frame;
mod instance;
mod reply;
mod request;
mod status;
mod token;

pub use bad_request::BadRequest;
pub use bare::{BARE_PROTOCOL_VERSION, BadBareRequest, BareRequest, BareResult, BareScreenshot, is_bare};
pub use client_request::{ClientExecute, ClientRequest, SentBy};
pub use consent::{ConsentAnswer, wants_in_words};
pub use error::ErrorCode;
pub use event::{Event, Progress};
pub use feature::Feature;
pub use frame::{Decoder, Frame, FrameTooLarge, Look, Terminator};
pub use instance::Instance;
pub use reply::{ClientError, ClientReply, Effects, EncodedReply, Exception, Extras, Reply};
pub use request::{Body, Execute, Id, Refusal, Request, Sender};
pub use status::{
    Access, ConsentRequest, Counters, Hello, JournalStatus, LastRequest, QueueStatus, RunningRequest, State, Status,
    Versions, first_line, platform,
};
pub use token::Token;

/// Version of the protocol in `docs/protocol.md`. It changes only when a message changes its meaning.
pub const PROTOCOL_VERSION: u32 = 1;

/// The port that the server listens on and clients connect to by default, shared with Blender's official connector.
pub const DEFAULT_PORT: u16 = 9876;

/// Longest request in bytes without its terminator: 64 MiB holds a script with a large mesh in it as text.
pub const DEFAULT_MAX_REQUEST_BYTES: usize = 64 * 1024 * 1024;
