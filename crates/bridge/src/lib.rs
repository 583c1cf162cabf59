// SPDX-License-Identifier: GPL-3.0-or-later
//! The server inside a host program: it listens, finds out what a client speaks, answers what needs no host, and
//! queues what does.
//!
//! One thread of its own runs a tokio runtime with everything that touches a socket. The host's main thread *pulls*
//! jobs from the [`Queue`] when it has time, and answers each through its [`Job`]. The two meet in [`Shared`] only.
//!
//! **Architecture invariants:** no Python runs here, and no MCP; the network thread never waits for the host; every
//! accepted request gets exactly one final reply, because dropping an unanswered [`Job`] sends one; everything that
//! grows has a limit in [`Config`].

mod access;
mod activity;
mod announce;
mod audit;
mod bare;
mod bind;
mod config;
mod connection;
mod consent;
mod control;
mod feed;
mod framed;
mod http;
mod intake;
mod job;
mod metrics;
mod panics;
mod queue;
mod replies;
mod seldom;
mod server;
mod sniff;
mod stream;
mod turn_away;
mod unfinished;

pub use access::{AccessError, AccessRules};
pub use bind::StartError;
pub use config::Config;
pub use feed::Feed;
pub use http::mount::{Answering, At, Behalf, HttpService, Mount};
pub use hyper::body::Incoming;
pub use hyper::{Request, StatusCode};
pub use job::{Job, Task};
pub use queue::Queue;
pub use server::{Server, Shared};
