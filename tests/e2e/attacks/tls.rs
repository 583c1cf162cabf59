// SPDX-License-Identifier: GPL-3.0-or-later
//! TLS that is broken off, cut, put inside itself, or used to get past what holds outside it.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use blendwire_e2e::{Blender, Flavour, Wire};

use super::{ensure_one_answer, ensure_unharmed, intrusions};
use crate::suite::Suite;

pub(crate) fn add(suite: &mut Suite) {
    let flavours = [Flavour::Bpy52, Flavour::Windowed];
    suite.shared(&flavours, "attacks::cut_and_broken_tls_hurts_nobody", cut);
    suite.shared(&flavours, "attacks::tls_inside_tls_is_not_served", twice);
    suite.shared(&flavours, "attacks::pages_reach_nothing_inside_tls", pages);
}

/// What stands before a hello: the type of the record, its version, its length.
const RECORD_HEAD_BYTES: usize = 5;

/// Whatever the server says to `request` inside TLS, in `layers` of it.
pub(crate) fn inside_tls(
    client: Command,
    workspace: &Path,
    host: &str,
    port: u16,
    arguments: &[&str],
    request: &[u8],
) -> Result<String> {
    let mut command = client;
    command.arg(workspace.join("tests/e2e/attacks/tls_client.py")).args([host, &port.to_string()]).args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().context("the tests need python3")?;
    child.stdin.take().context("no stdin")?.write_all(request)?;
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn here(blender: &Blender, arguments: &[&str], request: &[u8]) -> Result<String> {
    let workspace = std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let workspace = workspace.parent().context("no workspace")?;
    inside_tls(Command::new("python3"), workspace, "127.0.0.1", blender.port, arguments, request)
}

/// What a real client begins with.
fn client_hello() -> Result<Vec<u8>> {
    let script = "import ssl, sys\nincoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()\n\
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)\n\
        client = context.wrap_bio(incoming, outgoing, server_hostname='localhost')\n\
        try: client.do_handshake()\nexcept ssl.SSLWantReadError: sys.stdout.buffer.write(outgoing.read())";
    let output = Command::new("python3").args(["-c", script]).output()?;
    ensure!(output.status.success() && output.stdout.starts_with(b"\x16\x03\x01"), "{output:?}");
    Ok(output.stdout)
}

fn cut(blender: &mut Blender) -> Result<()> {
    let hello = client_hello()?;
    let [framed, _] = intrusions().map(|request| format!("{request}\0").into_bytes());
    let mut attacks = Vec::new();
    for length in
        [1, 2, RECORD_HEAD_BYTES - 1, RECORD_HEAD_BYTES, RECORD_HEAD_BYTES + 1, 40, hello.len() / 2, hello.len() - 1]
    {
        attacks.push(hello[..length].to_vec());
        // What comes after the cut is no JSON either.
        attacks.push([&hello[..length], &framed].concat());
    }
    attacks.push([&hello[..], &framed].concat());
    attacks.push([&hello[..], &hello].concat());
    for at in (0..hello.len()).step_by(7) {
        let mut flipped = hello.clone();
        flipped[at] ^= 0xff;
        attacks.push(flipped);
    }
    // A record that says to be as long as can be, an empty one, an alert, one of no known version.
    for head in [b"\x16\x03\x01\xff\xff", b"\x16\x03\x01\x00\x00", b"\x16\xff\xff\x00\x05", b"\x16{\"ty"] {
        attacks.push([&head[..], &framed].concat());
    }
    for attack in &attacks {
        let mut wire = Wire::connect(blender.port)?;
        let _ = wire.send(attack);
        let _ = wire.finish_sending();
        let said = wire.read_to_end()?;
        // Nothing, TLS's own words, or an alert: never a reply.
        ensure!(!String::from_utf8_lossy(&said).contains("\"status\": \"ok\""), "{attack:?}: {said:?}");
    }
    println!("{} broken beginnings", attacks.len());
    ensure_unharmed(blender, "broken TLS")
}

fn twice(blender: &mut Blender) -> Result<()> {
    // The control: once is served.
    let pong = here(blender, &["1"], b"{\"type\": \"ping\"}\0")?;
    ensure!(pong.contains("pong"), "{pong:?}");
    let said = here(blender, &["2"], b"")?;
    ensure!(said.contains("GET /health") && said.contains("\"status\": \"error\""), "{said:?}");
    ensure_unharmed(blender, "TLS inside TLS")
}

/// A page may ask for `https://localhost:PORT` too, and its browser may have been told to believe the certificate.
fn pages(blender: &mut Blender) -> Result<()> {
    let [framed, _] = intrusions().map(|request| request.to_string());
    let length = framed.len();
    for (headers, class) in [
        ("Host: localhost\r\nOrigin: https://evil.example\r\n", "403 "),
        ("Host: localhost\r\nSec-Fetch-Site: cross-site\r\n", "403 "),
        ("Host: evil.example\r\n", "403 "),
        ("Host: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n", "400 "),
        ("Host: localhost\r\n", "401 "),
    ] {
        let request = format!("POST /execute HTTP/1.1\r\n{headers}Content-Length: {length}\r\n\r\n{framed}\0");
        for alpn in ["http/1.1", ""] {
            let arguments = if alpn.is_empty() { vec!["1"] } else { vec!["1", alpn] };
            ensure_one_answer(&here(blender, &arguments, request.as_bytes())?, &[class], headers)?;
        }
    }
    // No HTTP/2, where the guards would have to be written again.
    ensure!(here(blender, &["1", "h2"], b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").is_err(), "HTTP/2 was agreed on");
    ensure_unharmed(blender, "pages inside TLS")
}
