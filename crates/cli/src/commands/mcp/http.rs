// SPDX-License-Identifier: GPL-3.0-or-later
//! MCP over HTTP, on this machine alone and for whoever brings the token. Other machines come through ssh, or to the `/mcp`
//! of a Blender, which has TLS.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use blendwire_credentials::TokenFile;
use blendwire_mcp::{Hosts, HttpServer, Server, refusal};
use blendwire_protocol::Token;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::{Bytes, Incoming};
use hyper::header::{AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};

use crate::access;
use crate::exit::{Ended, Failure};
use crate::followed::Followed;
use crate::printer;

/// Where it is.
const PATH: &str = "/mcp";

/// A client that does not finish its headers within this time is cut off; also how long an idle one is kept.
const HEADERS_WITHIN: Duration = Duration::from_secs(30);

/// Pause after the system refused to accept (too many open files, mostly): accepting at once would spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

struct Service {
    mcp: HttpServer,
    token: TokenFile,
}

/// Serves until Ctrl-C.
pub(super) async fn serve(address: &str, blender: Arc<Followed>) -> Ended {
    let (listener, token) = prepare(address).await.map_err(Failure::could_not_start)?;
    let at = listener.local_addr().map_err(Failure::could_not_start)?;
    printer::data(&format!("http://{at}{PATH}"))?;
    printer::talk(
        "clients bring the header Authorization: Bearer TOKEN (`blendwire token` shows it); Ctrl-C ends this",
    );
    let service = Arc::new(Service { mcp: HttpServer::new(Server::new(blender), Hosts::Loopback), token });
    let ended = tokio::signal::ctrl_c();
    tokio::select! {
        ended = ended => ended.map_err(Failure::failed),
        never = accept(listener, service) => match never {},
    }
}

async fn prepare(address: &str) -> Result<(TcpListener, TokenFile)> {
    let address: SocketAddr = address
        .parse()
        .with_context(|| format!("--http {address}: write an address of this machine and a port, as 127.0.0.1:9880"))?;
    if !address.ip().is_loopback() {
        bail!(
            "--http {address} would be reached from other machines, without TLS: use 127.0.0.1 and a tunnel of ssh, or the /mcp \
             of a Blender that listens there"
        );
    }
    let token = access::folder()?.token();
    token.read_or_make().context("clients have to bring a token, and there is none")?;
    let listener = TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
    Ok((listener, token))
}

async fn accept(listener: TcpListener, service: Arc<Service>) -> Infallible {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(talk(stream, service.clone()))),
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

async fn talk(stream: TcpStream, service: Arc<Service>) {
    // Neither is worth ending a conversation over.
    let _ = stream.set_nodelay(true);
    let answer = service_fn(|request| {
        let service = service.clone();
        async move { Ok::<_, Infallible>(service.answer(request).await) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_WITHIN)
        .serve_connection(TokioIo::new(stream), answer);
    // A client that breaks off has said all that it wanted.
    let _ = connection.await;
}

impl Service {
    async fn answer(&self, request: Request<Incoming>) -> Response<UnsyncBoxBody<Bytes, Infallible>> {
        if request.uri().path() != PATH {
            return refusal(StatusCode::NOT_FOUND, "this server has /mcp and nothing else");
        }
        let brought = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        // Read each time, because it may have been replaced.
        let is_right = match (brought.and_then(Token::in_authorization), self.token.read()) {
            (Some(brought), Ok(right)) => brought == right,
            _ => false,
        };
        if !is_right {
            let why = "this needs the token: send the header Authorization: Bearer TOKEN; `blendwire token` shows it";
            let mut response = refusal(StatusCode::UNAUTHORIZED, why);
            let scheme = HeaderValue::from_static("Bearer realm=\"blendwire\"");
            response.headers_mut().insert(WWW_AUTHENTICATE, scheme);
            return response;
        }
        self.mcp.handle(request).await
    }
}
