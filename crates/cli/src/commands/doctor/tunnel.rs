// SPDX-License-Identifier: GPL-3.0-or-later
//! Where ssh forwards the port: whether something is at the other end.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use super::context::Context;
use super::finding::Finding;
use super::network;

/// There and back, over a slow network.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Asks for nothing that changes something; every server of the framed protocol answers.
const PING: &[u8] = b"{\"type\": \"ping\"}\0";

pub(super) fn tunnel(context: &Context) -> Finding {
    let ssh = network::listener(context).filter(|listener| is_ssh(&listener.process.name));
    let Some(ssh) = ssh else { return Finding::ok("the port is not forwarded by an ssh of this user") };
    let seen = format!("ssh (process {}) forwards this port to another machine", ssh.process.pid);
    let mut addresses = context.addresses.get().into_iter().flatten();
    let Some(stream) = addresses.find_map(|address| TcpStream::connect_timeout(address, ANSWER_WITHIN).ok()) else {
        return Finding::ok(seen);
    };
    match passes(stream) {
        Some(true) => Finding::ok(format!("{seen}, and something answers there")),
        Some(false) => mended(Finding::failure(
            format!("{seen}, where nothing takes the connection"),
            "a tunnel lets in whoever connects, and only then finds out that nobody is at its other end",
        )),
        None => mended(Finding::warning(
            format!("{seen}, and nothing came back within {} s", ANSWER_WITHIN.as_secs()),
            "its connection may be dead without ssh having noticed",
        )),
    }
}

fn mended(finding: Finding) -> Finding {
    finding
        .remedy("start Blender on that machine: blendwire launch --background, or in its 3D View press N, tab MCP, Start")
        .remedy("blendwire tunnel USER@HOST --port PORT, instead of that ssh: it says what is wrong, and comes back when it is cut")
}

pub(super) fn is_ssh(name: &str) -> bool {
    name.trim_end_matches(".exe").eq_ignore_ascii_case("ssh")
}

/// Whether an answer comes; `None` when nothing happens at all.
fn passes(mut stream: TcpStream) -> Option<bool> {
    let asked = stream.set_read_timeout(Some(ANSWER_WITHIN)).and_then(|()| stream.write_all(PING));
    match asked.and_then(|()| stream.read(&mut [0])) {
        Ok(count) => Some(count > 0),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => None,
        // Closed before or after what was sent: reset.
        Err(_) => Some(false),
    }
}
