// SPDX-License-Identifier: GPL-3.0-or-later
//! A second request hidden behind a first one of which not everybody agrees where it ends.
//!
//! The hidden one carries the right token, as one would that a proxy adds: it must not be read all the same. Where the
//! end is clear it is a request like any other, which the control shows.

use anyhow::{Result, ensure};
use blendwire_e2e::Blender;
use serde_json::json;

use super::{INTRUSION, all_of, ensure_one_answer, ensure_unharmed};
use crate::http::bearer;
use crate::suite::{EVERYWHERE, Suite};

pub(crate) fn add(suite: &mut Suite) {
    suite.shared(&EVERYWHERE, "attacks::nothing_is_read_behind_a_request_without_a_clear_end", unclear_end);
    suite.shared(&EVERYWHERE, "attacks::nothing_is_read_behind_a_refused_request", behind_refused);
    suite.shared(&EVERYWHERE, "attacks::malformed_heads_are_refused", malformed);
}

/// A complete request that would run.
fn hidden(blender: &Blender) -> Result<String> {
    let body = json!({"code": INTRUSION}).to_string();
    let token = bearer(blender)?;
    let length = body.len();
    Ok(format!(
        "POST /execute HTTP/1.1\r\nHost: localhost\r\n{token}Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    ))
}

fn unclear_end(blender: &mut Blender) -> Result<()> {
    let hidden = hidden(blender)?;
    for (headers, body) in [
        // One of the two says that the body ends early.
        ("Content-Length: 5\r\nTransfer-Encoding: chunked", "0\r\n\r\n"),
        ("Transfer-Encoding: chunked\r\nContent-Length: 5", "0\r\n\r\n"),
        ("Content-Length: 0\r\nTransfer-Encoding: chunked", "0\r\n\r\n"),
        ("Transfer-Encoding: chunked\r\nContent-Length: 0", ""),
        ("Transfer-Encoding: chunked", "0\r\n\r\n"),
        // Two that contradict each other, or none that is a number.
        ("Content-Length: 0\r\nContent-Length: 5", ""),
        ("Content-Length: 5\r\nContent-Length: 0", ""),
        ("Content-Length: 0, 5", ""),
        ("Content-Length: +0", ""),
        ("Content-Length: -1", ""),
        ("Content-Length: 0x0", ""),
        ("Content-Length: ", ""),
        ("Content-Length: 18446744073709551616", ""),
        ("Content-Length: 0\r\n Content-Length: 5", ""),
        // Codings that one side may not know, or may not see.
        ("Transfer-Encoding: xchunked", "0\r\n\r\n"),
        ("Transfer-Encoding: chunked, identity", "0\r\n\r\n"),
        ("Transfer-Encoding: identity", ""),
        ("Transfer-Encoding: gzip, chunked", "0\r\n\r\n"),
        ("Transfer-Encoding: \tchunked", "0\r\n\r\n"),
        ("Transfer-Encoding:\r\n chunked", "0\r\n\r\n"),
        ("Transfer-Encoding : chunked", "0\r\n\r\n"),
        ("X: y\r\n Transfer-Encoding: chunked", ""),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", "0\r\n\r\n"),
        ("transfer-encoding: CHUNKED", "0\r\n\r\n"),
        // Chunks whose length can be read in two ways.
        ("Transfer-Encoding: chunked", "0;\r\n\r\n"),
        ("Transfer-Encoding: chunked", "0\n\n"),
        ("Transfer-Encoding: chunked", "0\n\r\n"),
        ("Transfer-Encoding: chunked", "0x0\r\n\r\n"),
        ("Transfer-Encoding: chunked", "-1\r\n\r\n"),
        ("Transfer-Encoding: chunked", "10000000000000000\r\n\r\n"),
        ("Transfer-Encoding: chunked", "0\r\nTransfer-Encoding: chunked\r\n\r\n"),
    ] {
        for line in ["GET /health", "GET /nothing", "POST /execute"] {
            let attack = format!("{line} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n\r\n{body}{hidden}");
            let answer = all_of(blender, attack.as_bytes())?;
            ensure_one_answer(&answer, &["2", "4"], &format!("{line} {headers} {body}"))?;
        }
        ensure_unharmed(blender, &format!("{headers:?} {body:?}"))?;
    }
    // The control: behind a clear end the same bytes are a request that runs.
    let clear = format!("GET /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n{hidden}");
    let answer = all_of(blender, clear.as_bytes())?;
    ensure!(answer.matches("HTTP/1.1 200 ").count() == 2, "{answer}");
    ensure!(blender.result("result = bpy.app.driver_namespace.pop('intruder', False)")? == true, "{answer}");
    Ok(())
}

fn behind_refused(blender: &mut Blender) -> Result<()> {
    let hidden = hidden(blender)?;
    for (first, class) in [
        ("GET /health HTTP/1.1\r\nHost: localhost\r\nOrigin: https://evil.example\r\n\r\n", "403 "),
        ("GET /health HTTP/1.1\r\nHost: evil.example\r\n\r\n", "403 "),
        ("GET /health HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: cross-site\r\n\r\n", "403 "),
        ("GET /health HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n", "400 "),
        ("GET /health HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", "400 "),
        ("GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n", "404 "),
        ("DELETE /health HTTP/1.1\r\nHost: localhost\r\n\r\n", "405 "),
        ("POST /execute HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n", "401 "),
        (
            "POST /execute HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\nContent-Length: 0\r\n\r\n",
            "401 ",
        ),
    ] {
        let answer = all_of(blender, format!("{first}{hidden}").as_bytes())?;
        ensure_one_answer(&answer, &[class], first)?;
        ensure!(answer.to_lowercase().contains("connection: close"), "{answer}");
        // Hidden in the body of the refused one, whose length is right, or too short by all of it.
        for length in [hidden.len(), 0] {
            let with_body = first.replacen("\r\n", &format!("\r\nContent-Length: {length}\r\n"), 1);
            let answer = all_of(blender, format!("{with_body}{hidden}").as_bytes())?;
            ensure_one_answer(&answer, &["4"], &with_body)?;
        }
        ensure_unharmed(blender, first)?;
    }
    Ok(())
}

/// Line ends, folded lines and bytes that other parsers read otherwise. Without the token nothing of it runs anyway;
/// what is asked here is that each costs one answer.
fn malformed(blender: &mut Blender) -> Result<()> {
    for (request, classes) in [
        ("GET /health HTTP/1.1\r\nHost: localhost\r\nX: a\r\n b\r\n\r\n", &["400 "][..]),
        ("GET /health HTTP/1.1\r\nHost:\r\n localhost\r\n\r\n", &["400 "]),
        ("GET /health HTTP/1.1\r\n Host: localhost\r\n\r\n", &["400 "]),
        ("GET /health HTTP/1.1\r\nHost : localhost\r\n\r\n", &["400 "]),
        ("GET /health HTTP/1.1\rHost: localhost\r\r", &["400 "]),
        ("GET /health HTTP/1.1\r\nHost: localhost\r\nX\0Y: 1\r\n\r\n", &["400 "]),
        ("GET /health HTTP/1.1\r\nHost: localhost\r\nX: a\0b\r\n\r\n", &["400 "]),
        ("GET /health HTTP/1.1\r\nHost: localhost\r\nX: a\rOrigin: b\r\n\r\n", &["400 "]),
        ("GET /health HTTP/1.1\r\nHost: localhost\r\n: novalue\r\n\r\n", &["400 "]),
        ("GET /health HTTP/1.1\r\nHost: localhost\r\nnocolon\r\n\r\n", &["400 "]),
        ("GET /he\x07alth HTTP/1.1\r\nHost: localhost\r\n\r\n", &["400 "]),
        ("GET /health\0 HTTP/1.1\r\nHost: localhost\r\n\r\n", &["400 "]),
        ("GET  /health  HTTP/1.1\r\nHost: localhost\r\n\r\n", &["400 "]),
        ("GET /%2e%2e/execute HTTP/1.1\r\nHost: localhost\r\n\r\n", &["404 "]),
        ("GET //execute HTTP/1.1\r\nHost: localhost\r\n\r\n", &["4"]),
        ("POST /health/../execute HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n", &["404 "]),
        ("POST /EXECUTE HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n", &["404 "]),
        // A bare line feed ends a line, as the standard allows: all of it is one request.
        ("GET /health HTTP/1.1\nHost: localhost\n\n", &["200 "]),
        ("GET /status HTTP/1.1\nHost: localhost\nOrigin: https://evil.example\n\n", &["403 "]),
        ("GET /status HTTP/1.1\nHost: evil.example\n\n", &["403 "]),
        ("POST /execute HTTP/1.1\nHost: localhost\nContent-Type: application/json\n\n{\"code\": \"x\"}", &["401 "]),
    ] {
        ensure_one_answer(&all_of(blender, request.as_bytes())?, classes, request)?;
    }
    let many = "X: y\r\n".repeat(300);
    let answer = all_of(blender, format!("GET /health HTTP/1.1\r\nHost: localhost\r\n{many}\r\n").as_bytes())?;
    ensure_one_answer(&answer, &["431 "], "300 headers")?;
    let long = format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "x".repeat(100_000));
    ensure_one_answer(&all_of(blender, long.as_bytes())?, &["414 ", "431 "], "a long path")?;
    ensure_unharmed(blender, "malformed heads")
}
