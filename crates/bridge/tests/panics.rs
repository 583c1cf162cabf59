// SPDX-License-Identifier: GPL-3.0-or-later
//! A defect in a network task, injected through the host's callback, in real sockets: it ends that task alone, and shows.
//!
//! A test binary of its own, because the count is the process's.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use blendwire_bridge::{Config, Server};

fn ask(server: &Server, text: &str) -> BufReader<TcpStream> {
    let address = server.shared().endpoint_names()[0].clone();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream.write_all(text.as_bytes()).unwrap();
    stream.write_all(b"\0").unwrap();
    BufReader::new(stream)
}

fn reply(reader: &mut BufReader<TcpStream>) -> String {
    let mut text = Vec::new();
    reader.read_until(0, &mut text).unwrap();
    String::from_utf8(text).unwrap()
}

#[test]
fn a_panic_in_a_task_leaves_server_and_other_connections_alone_and_is_counted() {
    let config = Config { port: 0, interrupt: |_, _| panic!("injected"), ..Config::default() };
    let mut server = Server::start(config).unwrap();
    let mut other = ask(&server, r#"{"type": "ping"}"#);
    assert!(reply(&mut other).contains("pong"));
    let mut running = ask(&server, r#"{"type": "execute", "id": "a", "code": "x", "timeout_secs": 600}"#);
    let mut job = server.shared().queue().pop(Duration::from_secs(30)).unwrap();
    server.shared().job_begins(&mut job);
    // The task that cancels asks the host to interrupt, and panics there.
    let mut cancelling = ask(&server, r#"{"type": "cancel", "id": "a"}"#);
    let told = reply(&mut cancelling);
    assert!(told.contains("\"status\":\"error\"") || told.contains("\"status\": \"error\""), "{told}");
    assert_eq!(server.shared().status().counters.panics, 1);
    // The request that was to be cancelled still gets its one reply, and others are served on old and new connections.
    drop(job);
    assert!(reply(&mut running).contains("error"));
    other.get_mut().write_all(b"{\"type\": \"status\"}\0").unwrap();
    let status = reply(&mut other);
    assert!(status.contains("\"panics\":1"), "{status}");
    assert!(reply(&mut ask(&server, r#"{"type": "ping"}"#)).contains("pong"));
    server.stop();
}
