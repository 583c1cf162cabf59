// SPDX-License-Identifier: GPL-3.0-or-later
//! A server of ours that answers nothing but why: it is not taken for another's, nor its reason for another one.

use std::io::{Read, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread;

use super::{lend_main_thread, read_to, say, server, stranger};
use crate::setup::User;

/// What is said on the way to and from a server.
type Change = fn(&str) -> String;

/// A way to `port` on which what is said is changed. Gives its own port.
fn changed(port: &str, change: Change) -> String {
    let (listener, to) = (TcpListener::bind("127.0.0.1:0").unwrap(), format!("127.0.0.1:{port}"));
    let own = listener.local_addr().unwrap().port().to_string();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let server = TcpStream::connect(&to).unwrap();
            let back = (server.try_clone().unwrap(), client.try_clone().unwrap());
            thread::spawn(move || pass(back.0, back.1, change));
            thread::spawn(move || pass(client, server, change));
        }
    });
    own
}

fn pass(mut from: TcpStream, mut to: TcpStream, change: Change) {
    let mut bytes = [0; 4096];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        if to.write_all(change(&String::from_utf8_lossy(&bytes[..count])).as_bytes()).is_err() {
            break;
        }
    }
    let _ = to.shutdown(std::net::Shutdown::Both);
}

#[test]
fn another_version_of_the_protocol_is_no_matter_of_the_token() {
    let user = User::new();
    let (server, port) = server(&user, |config| config.access.require_token = true);
    lend_main_thread(&server);
    // What a later version's client says in its place.
    let later = changed(&port, |said| said.replace("\"protocol_version\":1", "\"protocol_version\":2"));
    let found = user.found(&["--port", &later, "round-trip"]);
    found.expect("protocol", "failure", "speaks protocol version 1, the client wants 2", "blendwire addon install");
    assert_eq!(found.of_id("token")["because"], serde_json::json!(["protocol"]));
    assert_eq!(user.found(&["--port", &port, "round-trip"]).state("round-trip"), "ok");
}

#[test]
fn a_status_of_another_protocol_version_is_told() {
    let user = User::new();
    let (other, _) = server(&user, |config| config.versions.protocol = 2);
    lend_main_thread(&other);
    user.found(&["version"]).expect("version", "failure", "protocol 2", "of one release");
    drop(other);
    let (_server, _) = server(&user, |_| {});
    user.found(&["version"]).expect("version", "ok", "protocol 1", "");
}

/// It takes no connections then: only who was connected before is told.
#[test]
fn a_server_that_is_being_stopped_is_told_until_it_is_started() {
    let user = User::new();
    let (server, port) = server(&user, |_| {});
    lend_main_thread(&server);
    let stopping = changed(&port, |said| said.replace("\"state\":\"idle\"", "\"state\":\"stopping\""));
    let found = user.found(&["--port", &stopping, "round-trip"]);
    found.expect("main-thread", "failure", "being stopped", "tab MCP, Start");
    assert_eq!(found.of_id("round-trip")["because"], serde_json::json!(["main-thread"]));
    assert_eq!(user.found(&["--port", &port, "round-trip"]).state("round-trip"), "ok");
}

#[test]
fn a_status_of_another_shape_is_blendwires_all_the_same() {
    let other = stranger(|mut stream| {
        if read_to(&mut stream, b"\0").is_some() {
            say(
                &mut stream,
                b"{\"status\": \"ok\", \"result\": {\"versions\": {\"core\": \"9.8.7\"}}, \"stdout\": \"\"}\0",
            );
        }
    });
    let found = User::new().found(&["--port", &other.port, "round-trip"]);
    found.expect("protocol", "failure", "Blendwire 9.8.7, whose status", "then restart Blender");
    assert!(!found.of_id("protocol").to_string().contains("official"), "{}", found.of_id("protocol"));
}

#[test]
fn a_server_at_its_connection_limit_is_told_and_let_off_again() {
    let user = User::new();
    let (server, port) = server(&user, |config| config.max_connections = 4);
    lend_main_thread(&server);
    let held: Vec<_> = (0..4).map(|_| TcpStream::connect(format!("127.0.0.1:{port}")).unwrap()).collect();
    let found = user.found(&["--port", &port, "round-trip"]);
    found.expect(
        "protocol",
        "failure",
        "at its connection limit: 4 connections are open",
        "clients that are not in use",
    );
    assert_eq!(found.of_id("token")["because"], serde_json::json!(["protocol"]));
    assert!(!found.of_id("protocol").to_string().contains("official"), "{}", found.of_id("protocol"));
    let inside = ["--host", "127.0.0.1", "--port", &port, "--tls", "round-trip"];
    user.found(&inside).expect("tls", "failure", "at its connection limit", "clients that are not in use");
    drop(held);
    assert_eq!(user.found(&["--port", &port, "round-trip"]).state("round-trip"), "ok");
}
