// SPDX-License-Identifier: GPL-3.0-or-later
//! Nothing at the port, or something that is not Blendwire.

use super::{held, lend_main_thread, read_to, say, server, server_at, stranger, with_a_port_that_stays};
use crate::free_port;
use crate::setup::User;

#[test]
fn nothing_listens_until_a_server_does() {
    with_a_port_that_stays(|| {
        let (user, nobody) = (User::new(), held(0)?);
        let port = nobody.local_addr().unwrap().as_socket().unwrap().port().to_string();
        let found = user.found(&["--port", &port]);
        found.expect("listens", "failure", "nothing listens", &format!("blendwire launch --port {port}"));
        assert_eq!(found.state("protocol"), "not_looked_at");
        assert_eq!(found.of_id("round-trip")["because"], serde_json::json!(["listens"]));
        assert_eq!(found.code, Some(1));
        drop(nobody);
        let server = server_at(&user, &port)?;
        lend_main_thread(&server);
        let found = user.found(&["--port", &port, "round-trip"]);
        assert_eq!((found.state("listens"), found.state("round-trip"), found.code), ("ok", "ok", Some(0)));
        Some(())
    });
}

#[test]
fn a_name_that_leads_nowhere_is_told_and_an_address_needs_none() {
    let user = User::new();
    let (_server, port) = server(&user, |_| {});
    // No name server is asked for a name with nothing between two dots.
    let found = user.found(&["--host", "no-such..host", "--port", &port, "protocol"]);
    found.expect("name", "failure", "no-such..host", "typing error");
    found.expect("name", "failure", "no-such..host", "--host ADDRESS");
    assert_eq!(found.of_id("protocol")["because"], serde_json::json!(["name"]));
    let found = user.found(&["--host", "127.0.0.1", "--port", &port, "protocol"]);
    found.expect("name", "ok", "127.0.0.1 is an address", "");
    found.expect("protocol", "ok", "Blendwire", "");
}

#[test]
fn a_server_at_another_port_is_pointed_to() {
    let user = User::new();
    let (_server, port) = server(&user, |_| {});
    let found = user.found(&["--port", &free_port(), "listens"]);
    found.expect("listens", "failure", "nothing listens", &format!("--port {port}"));
    let found = user.found(&["--port", &port, "listens"]);
    found.expect("listens", "ok", &port, "");
}

#[test]
fn one_that_says_nothing_is_told_within_the_deadline() {
    let silent = stranger(|mut stream| drop(read_to(&mut stream, b"never")));
    let user = User::new();
    let found = user.found(&["--port", &silent.port, "protocol"]);
    found.expect("protocol", "failure", "says nothing", "--port or BLENDWIRE_PORT");
    is_gone_with_blenders_port(&user);
}

/// The remedy: the port that Blender shows.
fn is_gone_with_blenders_port(user: &User) {
    let (_server, port) = server(user, |_| {});
    user.found(&["--port", &port, "protocol"]).expect("protocol", "ok", "Blendwire", "");
}

/// Each is given the time of its own, and both together are not given more than the check has.
#[test]
fn one_that_says_nothing_on_both_loopbacks_is_told_within_the_deadline() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let Ok(other) = std::net::TcpListener::bind(("::1", port)) else {
        println!("this machine has no IPv6 loopback: not tried");
        return;
    };
    let found = User::new().found(&["--host", "localhost", "--port", &port.to_string(), "protocol"]);
    found.expect("protocol", "failure", "says nothing", "--port or BLENDWIRE_PORT");
    drop((listener, other));
}

#[test]
fn a_web_server_is_one_until_it_is_quit() {
    with_a_port_that_stays(web_server_until_it_is_quit);
}

fn web_server_until_it_is_quit() -> Option<()> {
    let web = stranger(|mut stream| {
        if read_to(&mut stream, b"\r\n\r\n").is_some() {
            say(&mut stream, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
        }
    });
    let (user, port) = (User::new(), web.port.clone());
    let look = || user.found(&["--port", &port, "protocol", "owner"]);
    let found = look();
    found.expect("protocol", "failure", "a web server", "BLENDWIRE_PORT");
    // As Blender's panel has it, by the same name.
    #[cfg(target_os = "linux")]
    found.expect("owner", "warning", "the port is taken by ", "Next Free Port When Taken");
    #[cfg(target_os = "linux")]
    found.expect("owner", "warning", &std::process::id().to_string(), "quit it");
    drop(web);
    let _server = server_at(&user, &port)?;
    let found = look();
    found.expect("protocol", "ok", "Blendwire", "");
    assert_eq!(found.state("owner"), "ok", "{}", found.of_id("owner"));
    Some(())
}

#[test]
fn another_program_is_told_with_what_it_says() {
    let other = stranger(|mut stream| say(&mut stream, b"SSH-2.0-OpenSSH_9.9\r\n"));
    let user = User::new();
    let found = user.found(&["--port", &other.port, "protocol"]);
    found.expect("protocol", "failure", "SSH-2.0-OpenSSH_9.9", "BLENDWIRE_PORT");
    is_gone_with_blenders_port(&user);
}

/// One request per connection, ended by NUL; every type but `execute` is an error.
#[test]
fn the_official_add_on_is_named_and_what_it_does_not_have_is_not_looked_for() {
    let other = stranger(|mut stream| {
        if read_to(&mut stream, b"\0").is_some() {
            say(&mut stream, b"{\"status\": \"error\", \"message\": \"Unknown command type: status\"}\0");
        }
    });
    let found = User::new().found(&["--port", &other.port, "round-trip"]);
    found.expect("protocol", "warning", "official MCP add-on", "blendwire launch");
    assert_eq!(found.of_id("round-trip")["because"], serde_json::json!(["protocol"]));
    assert_eq!(found.code, Some(0));
}

/// JSON without an end, and silence before it is whole: a NUL behind it makes it never whole.
#[test]
fn the_add_on_of_mcp_for_blender_is_named() {
    let other = stranger(|mut stream| {
        if read_to(&mut stream, b"{}}").is_some_and(|request| request.ends_with(b"\"params\":{}}")) {
            say(&mut stream, b"{\"status\": \"success\", \"result\": {\"version\": [1, 2]}}");
            let _ = read_to(&mut stream, b"never");
        }
    });
    let found = User::new().found(&["--port", &other.port, "round-trip"]);
    found.expect("protocol", "warning", "mcp-for-blender", "--retire");
    assert_eq!(found.of_id("round-trip")["because"], serde_json::json!(["protocol"]));
}

/// The address that this machine would send from; nothing is sent.
fn own_address() -> Option<String> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    Some(socket.local_addr().ok()?.ip().to_string())
}

#[test]
fn a_server_on_loopback_alone_is_told_when_another_address_is_asked() {
    let Some(address) = own_address() else {
        println!("this machine has no address beside loopback: not tried");
        return;
    };
    let user = User::new();
    let (_server, port) = server(&user, |_| {});
    let found = user.found(&["listens", "--host", &address, "--port", &port]);
    found.expect("listens", "failure", "bound to loopback only", &format!("--host localhost --port {port}"));
    user.found(&["listens", "--host", "localhost", "--port", &port]).expect("listens", "ok", &port, "");
}

/// What ssh does whose network has gone: it takes connections, and nothing comes back. What it says is nobody's business, so
/// any program can stand in for it that has a port and this name.
#[cfg(target_os = "linux")]
#[test]
fn a_tunnel_through_which_nothing_comes_back_is_told_until_another_leads_there() {
    with_a_port_that_stays(tunnel_until_another_leads_there);
}

#[cfg(target_os = "linux")]
fn tunnel_until_another_leads_there() -> Option<()> {
    use std::os::unix::process::CommandExt as _;
    let user = User::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let name = user.home.path().join("ssh");
    std::os::unix::fs::symlink("/bin/sleep", &name).unwrap();
    let held = std::os::fd::OwnedFd::from(listener);
    let mut ssh = std::process::Command::new(name).arg0("sleep").arg("600").stdin(held).spawn().unwrap();
    let look = || user.found(&["--port", &port, "protocol"]);
    look().expect("tunnel", "warning", "nothing came back", "blendwire tunnel USER@HOST");
    ssh.kill().unwrap();
    ssh.wait().unwrap();
    let _server = server_at(&user, &port)?;
    let found = look();
    assert_eq!((found.state("tunnel"), found.state("protocol")), ("ok", "ok"), "{}", found.of_id("tunnel"));
    Some(())
}
