// SPDX-License-Identifier: GPL-3.0-or-later
//! HTTP/1.1 on the same port. Parsing is hyper's.
//!
//! | Route | Token |
//! |---|---|
//! | `GET /health` | no |
//! | `GET /status`, `GET /metrics` | where the connection needs one |
//! | `POST /execute`, `/mcp` (what the host has mounted) | always |
//!
//! **Architecture invariant:** nothing runs code without the token. A web page in the user's browser can make requests to
//! this port, whatever the bytes in their bodies; it does not have the token.

mod body;
mod execute;
mod guard;
pub(crate) mod mount;

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use blendwire_journal::Dialect;
use blendwire_protocol::ErrorCode;
use blendwire_state::fault;
use bytes::{Bytes, BytesMut};
use hyper::body::Incoming;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue, TRANSFER_ENCODING, WWW_AUTHENTICATE,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::sync::watch;
use tokio_io_timeout::TimeoutStream;
use tokio_util::io::{InspectReader, InspectWriter};

use self::body::AnyBody;
use crate::access::NoToken;
use crate::activity::add;
use crate::connection::{Guest, close};
use crate::intake::Intake;
use crate::replies::PATIENCE;
use crate::server::{Shared, stopped};
use crate::stream::Stream;

/// A client that does not finish its headers within this time is cut off; also how long an idle one is kept.
const HEADERS_WITHIN: Duration = Duration::from_secs(30);

/// Longest head of a request, in bytes: many times what a client sends.
const LONGEST_HEAD_BYTES: usize = 32 * 1024;

/// Serves one connection whose first bytes are in `first`.
pub(crate) async fn serve(
    shared: &Arc<Shared>,
    stream: Stream,
    first: BytesMut,
    guest: Guest,
    shutdown: watch::Receiver<bool>,
) -> io::Result<()> {
    let is_tls = stream.is_tls();
    let intake = Intake::new(shared, guest.id, Dialect::Http);
    let intake = &intake;
    let proved = &AtomicBool::new(false);
    let answer = |request: Request<Incoming>| async move {
        // Where a length is given as well, not everybody agrees where such a body ends: what follows it is not read as
        // another request.
        fault("http");
        let is_last = request.headers().contains_key(TRANSFER_ENCODING);
        let mut response = answer(shared, intake, guest, is_tls, proved, request).await;
        if is_last {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    };
    tokio::select! {
        talked = talk(shared, stream, first, shutdown, answer) => talked,
        () = guest.put_out_unless(proved) => Ok(()),
    }
}

/// Says `why` to a client that is turned away, and no more.
pub(crate) async fn part(
    shared: &Shared,
    stream: Stream,
    first: BytesMut,
    shutdown: watch::Receiver<bool>,
    code: ErrorCode,
    why: &str,
) -> io::Result<()> {
    let status = if code == ErrorCode::Busy { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::FORBIDDEN };
    talk(shared, stream, first, shutdown, |_| std::future::ready(closing(status, why))).await
}

async fn talk<F>(
    shared: &Shared,
    stream: Stream,
    first: BytesMut,
    mut shutdown: watch::Receiver<bool>,
    answer: impl Fn(Request<Incoming>) -> F,
) -> io::Result<()>
where
    F: Future<Output = Response<AnyBody>>,
{
    let totals = &shared.activity.totals;
    let ends_with_its_client = ends_with_its_client(&first, shared);
    // A client that takes nothing of its answer is given up, as over JSON.
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(PATIENCE));
    let (read, write) = tokio::io::split(Box::pin(stream));
    let read = InspectReader::new(io::Cursor::new(first).chain(read), |bytes| add(&totals.received_bytes, bytes.len()));
    let write = InspectWriter::new(write, |bytes| add(&totals.sent_bytes, bytes.len()));
    let service = service_fn(|request| {
        let answered = answer(request);
        Box::pin(async { Ok::<_, Infallible>(for_no_page(answered.await)) })
    });
    let mut connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_WITHIN)
        .max_buf_size(LONGEST_HEAD_BYTES)
        // `printf … | nc -N` ends its side before the answer.
        .half_close(!ends_with_its_client)
        .serve_connection(TokioIo::new(tokio::io::join(read, write)), service);
    let served = tokio::select! {
        served = poll_fn(|context| connection.poll_without_shutdown(context)) => served,
        () = stopped(&mut shutdown) => {
            Pin::new(&mut connection).graceful_shutdown();
            poll_fn(|context| connection.poll_without_shutdown(context)).await
        }
    };
    // A client may still be sending what was refused, by its headers or as no HTTP at all.
    let closed = close(connection.into_parts().io.into_inner()).await;
    served.map_err(io::Error::other).and(closed)
}

/// Whether the first request is one that its client takes back by ending the connection. Where the first packet does not
/// tell, that is noticed when the client is written to.
fn ends_with_its_client(first: &[u8], shared: &Shared) -> bool {
    let Some((mount, _)) = &shared.mounted else { return false };
    first.split(|byte| *byte == b' ').nth(1) == Some(mount.path.as_bytes()) && (mount.ends_with_client)(first)
}

/// Has browsers keep every answer from pages, also what they asked for without saying so: as a picture or a script, by
/// a name of this machine that no browser takes for this machine.
fn for_no_page(mut response: Response<AnyBody>) -> Response<AnyBody> {
    let headers = response.headers_mut();
    headers.insert(HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    response
}

async fn answer(
    shared: &Arc<Shared>,
    intake: &Intake<'_>,
    guest: Guest,
    is_tls: bool,
    proved: &AtomicBool,
    request: Request<Incoming>,
) -> Response<AnyBody> {
    let totals = &shared.activity.totals;
    let mounted = shared.mounted.as_ref().filter(|(mount, _)| mount.path == request.uri().path());
    if let Some((status, why)) = guard::refusal(&request, is_tls, mounted.is_some(), shared) {
        add(&totals.refused, 1);
        log::debug!("connection {}: HTTP refused: {why}", guest.id);
        return closing(status, why);
    }
    let path = request.uri().path();
    let needs_token = mounted.is_some() || path == "/execute" || guest.terms.needs_token && path != "/health";
    let checked = guard::check_token(request.headers(), shared);
    proved.fetch_or(checked.is_ok(), Ordering::Relaxed);
    if needs_token && let Err(why) = checked {
        add(&totals.unauthorized, 1);
        log::debug!("connection {}: HTTP without the right token", guest.id);
        return unauthorized(why);
    }
    if let Some((mount, service)) = mounted {
        add(&totals.requests, 1);
        return service.answer(request, shared.origins.vouch(guest.id, mount.dialect)).await;
    }
    let (head, body) = request.into_parts();
    let is_read = matches!(head.method, Method::GET | Method::HEAD);
    match head.uri.path() {
        "/execute" if head.method == Method::POST => {
            // Requests are counted where they are taken.
            return execute::answer(shared, intake, &head.headers, body).await;
        }
        "/execute" => wrong_method(&head.method, "POST"),
        "/health" | "/status" | "/metrics" if !is_read => wrong_method(&head.method, "GET, HEAD"),
        "/health" => {
            add(&totals.requests, 1);
            // A stranger learns whether, and not what runs.
            health(shared, !guest.terms.needs_token || checked.is_ok())
        }
        "/status" => {
            add(&totals.requests, 1);
            json(StatusCode::OK, &shared.status())
        }
        "/metrics" => {
            add(&totals.requests, 1);
            metrics(shared)
        }
        path => {
            let why = format!(
                "there is nothing at {path}; this server has GET /health, /status and /metrics, POST /execute and /mcp"
            );
            closing(StatusCode::NOT_FOUND, &why)
        }
    }
}

fn wrong_method(method: &Method, right: &'static str) -> Response<AnyBody> {
    let mut response = closing(StatusCode::METHOD_NOT_ALLOWED, &format!("use {right}, not {method}"));
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(right));
    response
}

fn unauthorized(why: NoToken) -> Response<AnyBody> {
    let words = match why {
        NoToken::Missing => {
            "this needs the token: send the header Authorization: Bearer TOKEN; `blendwire token` shows it on Blender's \
             machine"
        }
        NoToken::Wrong | NoToken::Rotated | NoToken::Unreadable => why.words(),
    };
    let mut response = closing(StatusCode::UNAUTHORIZED, words);
    response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"blendwire\""));
    response
}

/// What ends the connection: nothing behind a refused request is read as another one.
fn closing(status: StatusCode, why: &str) -> Response<AnyBody> {
    let mut response = json(status, &json!({"error": why}));
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

fn health(shared: &Shared, says_why: bool) -> Response<AnyBody> {
    let status = shared.status();
    let code = if status.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    json(code, &json!({"ready": status.ready, "state": status.state, "reason": status.reason.filter(|_| says_why)}))
}

fn metrics(shared: &Shared) -> Response<AnyBody> {
    let text = shared.control.metrics.text(shared.status());
    let mut response = Response::new(body::text(text));
    let kind = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

fn json(status: StatusCode, value: &impl serde::Serialize) -> Response<AnyBody> {
    let text = serde_json::to_vec(value).unwrap_or_default();
    let mut response = Response::new(body::text(Bytes::from(text)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    // What is so now is not so later.
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
