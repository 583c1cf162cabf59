// SPDX-License-Identifier: GPL-3.0-or-later
//! MCP over streamable HTTP. Whoever calls this has made sure that the request may come in: that it brings the token, and
//! that no web page made it.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::fmt::{self, Debug, Display, Formatter};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use rmcp::model::ProtocolVersion;
use rmcp::transport::common::http_header::{HEADER_MCP_PROTOCOL_VERSION, HEADER_SESSION_ID};
use rmcp::transport::streamable_http_server::session::SessionManager as _;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};

use crate::Server;
use crate::server::{Served, served};

/// Longest request in bytes: the 64 MiB that the wire allows a script, written as JSON.
const LONGEST_REQUEST_BYTES: usize = 128 * 1024 * 1024;

/// How long a session is kept that nothing is heard of: people come back to a conversation after hours, and few clients begin
/// again by themselves.
const SESSION_KEPT: Duration = Duration::from_hours(12);

/// Sessions that are kept. Programs begin one every few seconds to see whether the server is there, and never end it: those in
/// which little was asked go first, and of them the one that was used longest ago.
const MOST_SESSIONS: usize = 256;

/// From this many requests on a session is somebody's: it began, said that it had, listed what there is, and called.
const CONVERSATION: usize = 5;

/// Where a page may come from that asks: this machine, as tools in a browser do. Any port, since they choose one.
const ORIGINS: [&str; 6] = [
    "http://localhost:*",
    "http://127.0.0.1:*",
    "http://[::1]:*",
    "https://localhost:*",
    "https://127.0.0.1:*",
    "https://[::1]:*",
];

/// What the `Host` of a request may name, lest a page have its own name lead here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hosts {
    /// `localhost` and loopback addresses.
    Loopback,
    /// Whatever it is: the caller has looked.
    Checked,
}

/// A refusal in words: `{"error": why}`.
pub fn refusal(status: StatusCode, why: &'static str) -> Response<UnsyncBoxBody<Bytes, Infallible>> {
    let text = serde_json::json!({"error": why}).to_string();
    let mut response = Response::new(Full::new(Bytes::from(text)).boxed_unsync());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Whether a request has no session, so that its client takes it back by going away. With a session, going away says nothing.
pub fn stands_alone(headers: &HeaderMap) -> bool {
    let revision = headers.get(HEADER_MCP_PROTOCOL_VERSION);
    revision.and_then(|revision| revision.to_str().ok()).is_some_and(is_without_sessions)
}

/// The same of the beginning of a request, as far as it is there.
pub fn begins_alone(request: &[u8]) -> bool {
    let mut headers =
        request.split(|byte| *byte == b'\n').filter_map(|line| str::from_utf8(line).ok()?.split_once(':'));
    let revision = headers.find(|(name, _)| name.eq_ignore_ascii_case(HEADER_MCP_PROTOCOL_VERSION));
    revision.is_some_and(|(_, revision)| is_without_sessions(revision.trim()))
}

/// Revisions are dates.
fn is_without_sessions(revision: &str) -> bool {
    revision >= ProtocolVersion::NO_INITIALIZE.as_str()
}

/// One MCP server for any number of clients over HTTP.
pub struct HttpServer {
    service: StreamableHttpService<Served, LocalSessionManager>,
    sessions: Arc<LocalSessionManager>,
    /// Those that there are and how many requests they had, last used last.
    used: Mutex<VecDeque<(Arc<str>, usize)>>,
}

impl Debug for HttpServer {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str("HttpServer")
    }
}

impl HttpServer {
    /// Serves `server` to whoever asks by a name of this machine alone, or by any of the names that the caller has let pass.
    pub fn new(server: Server, hosts: Hosts) -> Self {
        let mut sessions = LocalSessionManager::default();
        sessions.session_config.keep_alive = Some(SESSION_KEPT);
        let config = match hosts {
            Hosts::Loopback => StreamableHttpServerConfig::default(),
            Hosts::Checked => StreamableHttpServerConfig::default().disable_allowed_hosts(),
        };
        let config = config
            .with_allowed_origins(ORIGINS)
            .enforce_origin_validation()
            .with_max_request_body_bytes(LONGEST_REQUEST_BYTES);
        let sessions = Arc::new(sessions);
        let service =
            StreamableHttpService::new(move || Ok(served(server.another_session())), sessions.clone(), config);
        Self { service, sessions, used: Mutex::default() }
    }

    /// Ends all sessions and the streams of events in them.
    pub fn stop(&self) {
        self.service.config.cancellation_token.cancel();
    }

    /// Answers one request.
    pub async fn handle<B>(&self, request: Request<B>) -> Response<UnsyncBoxBody<Bytes, Infallible>>
    where
        B: Body + Send + 'static,
        B::Error: Display,
    {
        let ends_session = request.method() == Method::DELETE;
        let session = request.headers().get(HEADER_SESSION_ID).cloned();
        let mut response = self.service.handle(request).await.map(BodyExt::boxed_unsync);
        if ends_session && response.status() == StatusCode::ACCEPTED {
            // MCP names no status for this. Clients take any other for a failure, and warn their user.
            *response.status_mut() = StatusCode::NO_CONTENT;
        }
        let named = response.headers().get(HEADER_SESSION_ID).or(session.as_ref());
        if let Some(id) = named.and_then(|id| id.to_str().ok())
            && response.status().is_success()
        {
            self.is_used(id.into(), ends_session).await;
        }
        response
    }

    /// Makes this session the last one to go, unless it ends.
    async fn is_used(&self, id: Arc<str>, ends: bool) {
        let oldest = {
            let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
            let known = used.iter().position(|(other, _)| *other == id).and_then(|at| used.remove(at));
            if !ends {
                used.push_back((id, known.map_or(1, |(_, requests)| requests + 1)));
            }
            // The newest is not looked at.
            let is_passing = |(_, requests): &(Arc<str>, usize)| *requests < CONVERSATION;
            let first = used.iter().take(MOST_SESSIONS).position(is_passing).unwrap_or(0);
            if used.len() > MOST_SESSIONS { used.remove(first) } else { None }
        };
        if let Some((oldest, _)) = oldest {
            // It may have ended by itself.
            let _ = self.sessions.close_session(&oldest).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INITIALIZE: &str = r#"{"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}}"#;

    /// Sends a message; its status and the session that the answer names.
    async fn tell(server: &HttpServer, message: &'static str, session: Option<&str>) -> (StatusCode, Option<String>) {
        let mut request = Request::post("http://localhost/mcp")
            .header("host", "localhost")
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream");
        if let Some(session) = session {
            request = request.header(HEADER_SESSION_ID, session);
        }
        let response = server.handle(request.body(Full::new(Bytes::from(message))).unwrap()).await;
        let named = response.headers().get(HEADER_SESSION_ID).map(|id| id.to_str().unwrap().to_owned());
        (response.status(), named)
    }

    #[test]
    fn the_revision_tells_whether_a_request_stands_alone() {
        let alone = |revision: &'static str| {
            let headers = [(HEADER_MCP_PROTOCOL_VERSION.to_lowercase(), revision)];
            let parsed = headers.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)));
            let written = format!("POST /mcp HTTP/1.1\r\nHost: a:1\r\nmcp-protocol-VERSION:{revision}\r\n\r\n{{");
            assert_eq!(stands_alone(&parsed.collect()), begins_alone(written.as_bytes()), "{revision}");
            begins_alone(written.as_bytes())
        };
        assert!(alone("2026-07-28") && alone("2027-01-01"));
        assert!(!alone("2025-11-25") && !alone(""));
        assert!(!begins_alone(b"POST /mcp HTTP/1.1\r\nMCP-Prot") && !stands_alone(&HeaderMap::new()));
    }

    #[tokio::test]
    async fn of_too_many_sessions_those_go_first_in_which_little_was_asked() {
        let blender = blendwire_client::Blender::connect_lazily(blendwire_client::Endpoint::default());
        let server = HttpServer::new(Server::new(Arc::new(blender)), Hosts::Loopback);
        let ready = r#"{"jsonrpc": "2.0", "method": "notifications/initialized"}"#;
        let mut sessions = Vec::new();
        for _ in 0..MOST_SESSIONS {
            sessions.push(tell(&server, INITIALIZE, None).await.1.unwrap());
        }
        // A conversation that rests, and one that was used again.
        for _ in 1..CONVERSATION {
            assert_eq!(tell(&server, ready, Some(&sessions[0])).await.0, StatusCode::ACCEPTED);
        }
        assert_eq!(tell(&server, ready, Some(&sessions[1])).await.0, StatusCode::ACCEPTED);
        for _ in 0..MOST_SESSIONS - 2 {
            tell(&server, INITIALIZE, None).await.1.unwrap();
        }
        assert_eq!(tell(&server, ready, Some(&sessions[0])).await.0, StatusCode::ACCEPTED);
        assert_eq!(tell(&server, ready, Some(&sessions[1])).await.0, StatusCode::ACCEPTED);
        assert_eq!(tell(&server, ready, Some(&sessions[2])).await.0, StatusCode::NOT_FOUND);
    }
}
