// SPDX-License-Identifier: GPL-3.0-or-later
//! A service of the host program at a path of its own. It is called once the request has passed everything that is asked of
//! one, the token included.

use std::convert::Infallible;
use std::fmt::Debug;
use std::net::SocketAddr;
use std::pin::Pin;

use blendwire_credentials::{CurrentFingerprint, Folder};
use blendwire_journal::Dialect;
use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;
use hyper::{Request, Response};

pub use crate::audit::Behalf;

/// An answer under way.
pub type Answering<'a> = Pin<Box<dyn Future<Output = Response<UnsyncBoxBody<Bytes, Infallible>>> + Send + 'a>>;

/// Answers requests over HTTP.
pub trait HttpService: Send + Sync + Debug {
    /// Answers one. What it asks of this server meanwhile it asks on `behalf` of whoever sent the request. Runs on the
    /// network thread and must not keep it.
    fn answer(&self, request: Request<Incoming>, behalf: Behalf) -> Answering<'_>;

    /// Ends what would otherwise go on for as long as its clients want: the server stops.
    fn stop(&self);
}

/// What is mounted where.
#[derive(Clone, Copy, Debug)]
pub struct Mount {
    /// The path, exactly; also pages of this machine may ask there, if they have the token.
    pub path: &'static str,
    /// What its clients speak, for the journal.
    pub dialect: Dialect,
    /// Whether a request whose head begins so is taken back when its client ends the connection, which for others may be no more
    /// than the end of what it sends.
    pub ends_with_client: fn(&[u8]) -> bool,
    /// Makes the service, when the server listens.
    pub make: fn(At) -> Box<dyn HttpService>,
}

/// How the server is reached that the service is mounted in.
#[derive(Clone, Debug)]
pub struct At {
    /// Where it listens.
    pub endpoints: Vec<SocketAddr>,
    /// Where its token is.
    pub credentials: Option<Folder>,
    /// Of its certificate, where it has one.
    pub fingerprint: CurrentFingerprint,
}
