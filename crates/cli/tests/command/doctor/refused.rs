// SPDX-License-Identifier: GPL-3.0-or-later
//! A server of ours that answers nothing but why: it is not taken for another's, nor its reason for another one.

use std::io::{Read, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread;

use super::{lend_main_thread, read_to, say, server, stranger};
use crate::setup::User;

/// What a later version's client says in its place: a way to `port` on which its greeting is of protocol version 2.
fn of_a_later_version(port: &str) -> String {
    let (listener, to) = (TcpListener::bind("127.0.0.1:0").unwrap(), format!("127.0.0.1:{port}"));
    let own = listener.local_addr().unwrap().port().to_string();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let server = TcpStream::connect(&to).unwrap();
            let back = (server.try_clone().unwrap(), client.try_clone().unwrap());
            thread::spawn(move || pass(back.0, back.1));
            thread::spawn(move || pass(client, server));
        }
    });
    own
}

fn pass(mut from: TcpStream, mut to: TcpStream) {
    let mut bytes = [0; 4096];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        let text = String::from_utf8_lossy(&bytes[..count]).replace("\"protocol_version\":1", "\"protocol_version\":2");
        if to.write_all(text.as_bytes()).is_err() {
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
    let later = of_a_later_version(&port);
    let found = user.found(&["--port", &later, "round-trip"]);
    found.expect("protocol", "failure", "speaks protocol version 1, the client wants 2", "blendwire addon install");
    assert_eq!(found.of_id("token")["because"], serde_json::json!(["protocol"]));
    assert_eq!(user.found(&["--port", &port, "round-trip"]).state("round-trip"), "ok");
}

#[test]
fn a_status_of_another_protocol_version_is_told() {
    let user = User::new();
    let (server, _) = server(&user, |config| config.versions.protocol = 2);
    lend_main_thread(&server);
    user.found(&["version"]).expect("version", "failure", "protocol 2", "of one release");
}

#[test]
fn a_status_of_another_shape_is_blendwires_all_the_same() {
    let port = stranger(|mut stream| {
        if read_to(&mut stream, b"\0").is_some() {
            say(
                &mut stream,
                b"{\"status\": \"ok\", \"result\": {\"versions\": {\"core\": \"9.8.7\"}}, \"stdout\": \"\"}\0",
            );
        }
    });
    let found = User::new().found(&["--port", &port, "round-trip"]);
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
