// SPDX-License-Identifier: GPL-3.0-or-later
//! What keeps web pages out, and whoever does not bring the token.
//!
//! A browser makes requests to this port for any page that its user visits. Such a request carries `Origin` or
//! `Sec-Fetch-Site`, and a page whose name was made to resolve to this machine (DNS rebinding) carries that name as
//! `Host`. None of them has business here.

use std::net::IpAddr;

use blendwire_protocol::Token;
use hyper::header::{AUTHORIZATION, HOST, HeaderValue, ORIGIN, UPGRADE};
use hyper::{HeaderMap, Request, StatusCode, Uri};

use crate::access::NoToken;
use crate::server::Shared;

/// Why a request is not answered: the status and words for whoever made it.
pub(crate) type Refusal = (StatusCode, &'static str);

/// A browser says with it who makes the request; nothing but a browser sends it.
const SEC_FETCH_SITE: &str = "sec-fetch-site";

/// What is wrong about the request itself, whoever sends it. With `for_own_pages`, pages of this machine may ask.
pub(crate) fn refusal<B>(request: &Request<B>, is_tls: bool, for_own_pages: bool, shared: &Shared) -> Option<Refusal> {
    let headers = request.headers();
    // A person who types the address gets an answer; whatever another page asks for does not.
    let is_from_page = headers.get(SEC_FETCH_SITE).is_some_and(|site| site != "none");
    let is_own_page =
        for_own_pages && headers.contains_key(ORIGIN) && headers.get_all(ORIGIN).iter().all(is_this_machines);
    if (headers.contains_key(ORIGIN) || is_from_page) && !is_own_page {
        return Some((StatusCode::FORBIDDEN, "web pages may not ask this server"));
    }
    if headers.contains_key(UPGRADE) {
        return Some((StatusCode::BAD_REQUEST, "this server has no WebSocket and no other protocol to upgrade to"));
    }
    if headers.get_all(HOST).iter().count() > 1 {
        return Some((StatusCode::BAD_REQUEST, "two Host headers contradict each other"));
    }
    let from_uri = request.uri().host();
    let from_header = match headers.get(HOST).map(|host| host.to_str()) {
        Some(Err(_)) => return Some((StatusCode::BAD_REQUEST, "a Host header that is no text")),
        Some(Ok(host)) => Some(without_port(host)),
        // HTTP/1.0: no browser speaks that.
        None => None,
    };
    let is_named = |name: &str| is_this_endpoint(name, is_tls, shared);
    (!from_uri.into_iter().chain(from_header).all(is_named)).then_some((
        StatusCode::FORBIDDEN,
        "the Host header names something else: ask this server as localhost, by its address, or by the name of this \
         machine or of its certificate",
    ))
}

/// Whether a page comes from this machine: then it still needs the token, which no page of another can read.
fn is_this_machines(origin: &HeaderValue) -> bool {
    let uri = origin.to_str().ok().and_then(|origin| origin.parse::<Uri>().ok());
    uri.as_ref().and_then(Uri::host).is_some_and(|host| {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        host.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    })
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, _)) if !name.is_empty() && !host.ends_with(']') => name,
        _ => host,
    }
}

/// An address cannot be made to point elsewhere; a name can, so it has to be known to be ours.
fn is_this_endpoint(name: &str, is_tls: bool, shared: &Shared) -> bool {
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok()
        || gethostname::gethostname().to_str().is_some_and(|ours| ours.eq_ignore_ascii_case(name))
        || is_tls && shared.access.tls.is_for(name)
}

/// Whether the request carries the token.
pub(crate) fn check_token(headers: &HeaderMap, shared: &Shared) -> Result<(), NoToken> {
    let Some(value) = headers.get(AUTHORIZATION) else { return Err(NoToken::Missing) };
    let presented = value.to_str().ok().and_then(Token::in_authorization).ok_or(NoToken::Wrong)?;
    shared.access.tokens.check(Some(&presented)).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_taken_off_a_host() {
        for (host, name) in [
            ("localhost:9876", "localhost"),
            ("localhost", "localhost"),
            ("[::1]:9876", "[::1]"),
            ("[::1]", "[::1]"),
            ("127.0.0.1:1", "127.0.0.1"),
            (":9876", ":9876"),
        ] {
            assert_eq!(without_port(host), name);
        }
    }
}
