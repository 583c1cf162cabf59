// SPDX-License-Identifier: GPL-3.0-or-later
//! HTTP/1.1 on the same port: `GET /health` and `GET /status`, answered without the main thread. Parsing is hyper's.
//!
//! **Architecture invariant:** nothing that comes over HTTP runs code. A web page in the user's browser can make
//! requests to this port, whatever the bytes in their bodies.

use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::Full;
use hyper::header::{ALLOW, CONNECTION, CONTENT_TYPE, HOST, HeaderValue, ORIGIN};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::activity::add;
use crate::server::{Shared, stopped};

/// A client that does not finish its headers within this time is cut off; also how long an idle one is kept.
const HEADERS_WITHIN: Duration = Duration::from_secs(30);

/// Serves one connection whose first bytes are in `first`. One that is `turned_away` is told so and closed.
pub(crate) async fn serve(
    shared: &Shared,
    stream: TcpStream,
    first: BytesMut,
    mut shutdown: watch::Receiver<bool>,
    turned_away: Option<&str>,
) -> io::Result<()> {
    let (read, write) = stream.into_split();
    let stream = tokio::io::join(io::Cursor::new(first).chain(read), write);
    let service = service_fn(|request| {
        let response = if let Some(why) = turned_away {
            parting(why)
        } else {
            add(&shared.activity.totals.requests, 1);
            answer(shared, &request)
        };
        std::future::ready(Ok::<_, Infallible>(response))
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_WITHIN)
        // `printf … | nc -N` ends its side before the answer.
        .half_close(true)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let served = tokio::select! {
        served = connection.as_mut() => served,
        () = stopped(&mut shutdown) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    served.map_err(io::Error::other)
}

fn answer<B>(shared: &Shared, request: &Request<B>) -> Response<Full<Bytes>> {
    if let Some(why) = refusal(request) {
        return body(StatusCode::FORBIDDEN, &json!({"error": why}));
    }
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    match request.uri().path() {
        "/health" | "/status" if !is_read => {
            let mut response =
                body(StatusCode::METHOD_NOT_ALLOWED, &json!({"error": format!("use GET, not {}", request.method())}));
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            response
        }
        "/health" => health(shared),
        "/status" => body(StatusCode::OK, &shared.status()),
        path => body(
            StatusCode::NOT_FOUND,
            &json!({"error": format!("there is nothing at {path}; this server has GET /health and GET /status, and \
                runs code only for clients that speak its JSON protocol on this same port")}),
        ),
    }
}

/// The only answer on its connection.
fn parting(why: &str) -> Response<Full<Bytes>> {
    let mut response = body(StatusCode::FORBIDDEN, &json!({"error": why}));
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

fn health(shared: &Shared) -> Response<Full<Bytes>> {
    let status = shared.status();
    let code = if status.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    body(code, &json!({"ready": status.ready, "state": status.state, "reason": status.reason}))
}

/// A page whose name was made to resolve to this machine (DNS rebinding) sends that name as `Host`; a page that
/// reaches across origins sends `Origin`. Neither has business here, and status names files.
fn refusal<B>(request: &Request<B>) -> Option<&'static str> {
    if request.headers().contains_key(ORIGIN) {
        return Some("web pages may not ask this server");
    }
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    let name = host.rsplit_once(':').map_or(host, |(name, port)| if port.ends_with(']') { host } else { name });
    let is_local = ["localhost", "127.0.0.1", "[::1]"].iter().any(|local| name.eq_ignore_ascii_case(local));
    (!is_local).then_some("ask this server as localhost, 127.0.0.1 or [::1]: the Host header names something else")
}

fn body(status: StatusCode, value: &impl serde::Serialize) -> Response<Full<Bytes>> {
    let text = serde_json::to_vec(value).unwrap_or_default();
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_refused(host: &str, origin: Option<&str>) -> bool {
        let mut request = Request::builder().uri("/status").header(HOST, host);
        if let Some(origin) = origin {
            request = request.header(ORIGIN, origin);
        }
        refusal(&request.body(()).unwrap()).is_some()
    }

    #[test]
    fn only_local_names_and_no_web_pages() {
        for host in ["localhost:9876", "127.0.0.1", "[::1]:9876", "[::1]", "LOCALHOST"] {
            assert!(!is_refused(host, None), "{host}");
        }
        assert!(is_refused("evil.example:9876", None));
        assert!(is_refused("localhost:9876", Some("https://evil.example")));
    }
}
