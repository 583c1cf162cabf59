// SPDX-License-Identifier: GPL-3.0-or-later
//! Requests that carry one of another dialect, old and new versions of HTTP, and names that mean somebody else.

use anyhow::{Result, ensure};
use blendwire_e2e::{Blender, Wire, http};

use super::{all_of, ensure_one_answer, ensure_unharmed, intrusions};
use crate::http::bearer;
use crate::suite::{EVERYWHERE, Suite};

pub(crate) fn add(suite: &mut Suite) {
    suite.shared(&EVERYWHERE, "attacks::a_request_inside_a_post_stays_a_body", cross_site);
    suite.shared(&EVERYWHERE, "attacks::a_request_split_over_chunks_stays_a_body", chunked);
    suite.shared(&EVERYWHERE, "attacks::other_versions_of_http_reach_nothing", versions);
    suite.shared(&EVERYWHERE, "attacks::a_connection_does_not_change_its_dialect", mixed);
    suite.shared(&EVERYWHERE, "attacks::names_that_were_made_to_mean_this_machine_are_refused", rebinding);
}

/// What a form or a script of any page can send without asking the server first, and what it would have to ask for.
const KINDS: [&str; 5] = [
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/json",
    "application/octet-stream",
];

fn cross_site(blender: &mut Blender) -> Result<()> {
    let before = refused(blender)?;
    let mut sent = 0;
    for kind in KINDS {
        for request in intrusions() {
            for body in [
                request.to_string(),
                format!("{request}\0"),
                format!("\0{request}\0"),
                format!("\n{request}\n"),
                format!("\r\n\r\n{request}\r\n"),
                format!("--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n{request}\0\r\n--x--\r\n"),
            ] {
                for path in ["/execute", "/mcp", "/"] {
                    let head = format!(
                        "POST {path} HTTP/1.1\r\nHost: localhost:{}\r\nOrigin: https://evil.example\r\n\
                         Content-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
                        blender.port,
                        body.len()
                    );
                    let answer = all_of(blender, format!("{head}{body}").as_bytes())?;
                    ensure_one_answer(&answer, &["403 "], &body)?;
                    // Without what gives a page away it is refused for the want of the token.
                    let head = head.replace("Origin: https://evil.example\r\n", "");
                    let answer = all_of(blender, format!("{head}{body}").as_bytes())?;
                    let classes = if path == "/" { ["404 "] } else { ["401 "] };
                    ensure_one_answer(&answer, &classes, &body)?;
                    sent += 1;
                }
            }
        }
        ensure_unharmed(blender, kind)?;
    }
    let counted = refused(blender)?;
    ensure!(counted == before + sent, "{sent} pages were refused, {} counted", counted - before);
    Ok(())
}

fn refused(blender: &Blender) -> Result<u64> {
    let (_, status) = http(blender.port, "GET /status", "")?;
    let status: serde_json::Value = serde_json::from_str(&status)?;
    status["counters"]["refused"].as_u64().ok_or_else(|| anyhow::anyhow!("no counter in {status}"))
}

fn chunked(blender: &mut Blender) -> Result<()> {
    for request in intrusions() {
        let request = format!("{request}\0").into_bytes();
        for size in [1, 2, 7, request.len()] {
            let mut body = Vec::new();
            for piece in request.chunks(size) {
                body.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
                body.extend_from_slice(piece);
                body.extend_from_slice(b"\r\n");
            }
            body.extend_from_slice(b"0\r\n\r\n");
            // What comes behind the end is not read as anything.
            body.extend_from_slice(&request);
            for (path, class) in [("/execute", "401 "), ("/nothing", "404 "), ("/health", "405 ")] {
                let head = format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n");
                let answer = all_of(blender, &[head.as_bytes(), &body].concat())?;
                ensure_one_answer(&answer, &[class], path)?;
            }
        }
        // One byte at a time: no read of the server's begins where a dialect could.
        let mut wire = Wire::connect(blender.port)?;
        let head = b"POST /execute HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n";
        for byte in head.iter().chain(&request) {
            if wire.send(&[*byte]).is_err() {
                break;
            }
        }
        let _ = wire.finish_sending();
        ensure_one_answer(&String::from_utf8_lossy(&wire.read_to_end()?), &["401 "], "single bytes")?;
    }
    ensure_unharmed(blender, "chunks")
}

fn versions(blender: &mut Blender) -> Result<()> {
    let [framed, bare] = intrusions().map(|request| request.to_string());
    let length = framed.len();
    for (request, classes) in [
        ("GET /execute\r\n".to_owned(), &["400 "][..]),
        (format!("GET /execute\r\n{framed}\0"), &["400 "]),
        (format!("POST /execute\r\n\r\n{framed}\0"), &["400 "]),
        ("GET /status HTTP/0.9\r\n\r\n".to_owned(), &["400 "]),
        (format!("POST /execute HTTP/1.0\r\nContent-Length: {length}\r\n\r\n{framed}"), &["401 "]),
        (format!("POST /execute HTTP/1.0\r\n\r\n{framed}\0"), &["401 "]),
        (format!("POST /execute HTTP/1.2\r\nHost: localhost\r\n\r\n{framed}\0"), &["400 "]),
        (format!("POST /execute HTTP/3.0\r\nHost: localhost\r\n\r\n{framed}\0"), &["400 "]),
        (
            format!(
                "GET /execute HTTP/1.1\r\nHost: localhost\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABk\r\n\r\n{framed}\0"
            ),
            &["400 "],
        ),
        (
            format!(
                "GET /execute HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n{framed}\0{bare}"
            ),
            &["400 "],
        ),
        (format!("CONNECT localhost:{} HTTP/1.1\r\nHost: localhost\r\n\r\n{framed}\0", blender.port), &["4"]),
        (format!("TRACE / HTTP/1.1\r\nHost: localhost\r\n\r\n{framed}\0"), &["4"]),
        (format!("OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n{framed}\0"), &["4"]),
        (
            format!(
                "OPTIONS /execute HTTP/1.1\r\nHost: localhost\r\nAccess-Control-Request-Method: POST\r\nAccess-Control-Request-Private-Network: true\r\n\r\n{framed}\0"
            ),
            &["4"],
        ),
    ] {
        let answer = all_of(blender, request.as_bytes())?;
        ensure_one_answer(&answer, classes, &request)?;
        ensure!(!answer.to_lowercase().contains("access-control-allow"), "{answer}");
    }
    // HTTP/2 by prior knowledge, with a request in what would be its frames: no dialect of this port.
    let preface = format!("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0{framed}\0");
    let answer = all_of(blender, preface.as_bytes())?;
    ensure!(answer.starts_with("{\"status\": \"error\"") && answer.matches("\"status\"").count() == 1, "{answer}");
    ensure_unharmed(blender, "other versions of HTTP")
}

fn mixed(blender: &mut Blender) -> Result<()> {
    let health = "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for request in intrusions() {
        for behind in
            [format!("{request}\0"), format!("{request}\n"), format!("\r\n{request}\0"), format!("\0{request}\0")]
        {
            let answer = all_of(blender, format!("{health}{behind}").as_bytes())?;
            ensure!(answer.starts_with("HTTP/1.1 200 ") && !answer.contains("\"status\": "), "{behind:?}: {answer:?}");
            // In its own time: the first request has been answered when the other comes.
            let mut wire = Wire::connect(blender.port)?;
            wire.send(health.as_bytes())?;
            wire.read_to(b'}')?;
            wire.send(behind.as_bytes())?;
            let answer = String::from_utf8_lossy(&wire.read_to_end()?).into_owned();
            ensure!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{behind:?}: {answer:?}");
        }
    }
    // And the other way: JSON stays JSON, so that what is HTTP there is an error each.
    let token = bearer(blender)?;
    let [framed, _] = intrusions().map(|request| request.to_string());
    let post = format!(
        "POST /execute HTTP/1.1\r\nHost: localhost\r\n{token}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        framed.len()
    );
    let mut wire = Wire::connect(blender.port)?;
    wire.send(format!("{{\"type\": \"ping\"}}\0{post}\0").as_bytes())?;
    ensure!(wire.reply()?["result"] == "pong");
    let refused = wire.reply()?;
    ensure!(refused["status"] == "error" && refused.get("stdout").is_none(), "{refused}");
    ensure_unharmed(blender, "a change of dialect")
}

/// A page whose own name resolves to this machine is of the same origin as this port: only the name gives it away.
fn rebinding(blender: &mut Blender) -> Result<()> {
    let port = blender.port;
    let [framed, _] = intrusions().map(|request| request.to_string());
    for host in [
        "evil.example",
        "localhost.",
        "localhost.evil.example",
        "evil.example:9876",
        "127.0.0.1.nip.example",
        "127.0.0.1@evil.example",
        "evil.example#localhost",
        "evil.example/localhost",
        "localhost,evil.example",
        "localhost evil.example",
        "[evil.example]",
        "[::1].evil.example",
        "0x7f000001.evil.example",
        "xn--lclhost-3ya",
        "localhost\tevil",
    ] {
        for origin in
            ["", "Origin: http://evil.example\r\n", "Origin: http://localhost\r\n", "Referer: http://evil.example/\r\n"]
        {
            for (line, body) in [
                ("GET /status", ""),
                ("GET /metrics", ""),
                ("POST /execute", framed.as_str()),
                ("POST /mcp", framed.as_str()),
            ] {
                let request = format!(
                    "{line} HTTP/1.1\r\nHost: {host}\r\n{origin}Connection: close\r\n\
                     Content-Length: {}\r\n\r\n{body}",
                    body.len()
                );
                let answer = all_of(blender, request.as_bytes())?;
                ensure_one_answer(&answer, &["403 ", "400 "], &request)?;
                ensure!(!answer.contains("endpoints") && !answer.contains("blendwire_"), "{host}: {answer}");
            }
        }
    }
    for target in
        ["http://evil.example/status", "http://evil.example:80/status", "http://localhost@evil.example/status"]
    {
        for host in ["localhost", "evil.example"] {
            let request = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
            ensure_one_answer(&all_of(blender, request.as_bytes())?, &["403 ", "400 "], &request)?;
        }
    }
    // Bytes that are no text.
    let strange = [
        b"GET /status HTTP/1.1\r\nHost: loc\xe4lhost\r\n\r\n".as_slice(),
        b"GET /status HTTP/1.1\r\nHost: \xff\r\n\r\n",
    ];
    for request in strange {
        ensure_one_answer(&all_of(blender, request)?, &["400 "], "a Host that is no text")?;
    }
    // The control: by its right names it is served.
    for host in [format!("localhost:{port}"), format!("127.0.0.1:{port}"), format!("[::1]:{port}")] {
        let request = format!("GET /status HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        ensure!(all_of(blender, request.as_bytes())?.contains("endpoints"), "{host} was refused");
    }
    ensure_unharmed(blender, "names that mean somebody else")
}
