// SPDX-License-Identifier: GPL-3.0-or-later
//! 0 done, 1 the work failed, 2 wrong use or could not start; and whatever happens, stdout holds data only.

use std::net::TcpListener;
use std::process::Output;

use crate::{blendwire, free_port, run, server, text};

fn assert_ended(output: &Output, status: i32, told: &str) {
    let talk = text(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{talk}");
    assert!(talk.contains(told), "expected {told:?} in: {talk}");
    assert_eq!(text(&output.stdout), "");
}

#[test]
fn nothing_listening_fails_and_says_what_to_do() {
    let port = free_port();
    assert_ended(&run(&["exec", "-c", "1", "--port", &port]), 1, "blendwire launch");
    assert_ended(&run(&["status", "--port", &port]), 1, "blendwire launch");
    assert_ended(&run(&["status", "--json", "--port", &port]), 1, "nothing listens at localhost:");
}

#[test]
fn wrong_use_could_not_start() {
    assert_ended(&run(&["exec", "missing.py"]), 2, "missing.py");
    assert_ended(&run(&["exec", "print(1)"]), 2, "goes after -c");
    assert_ended(&run(&["exec", "-c", "1", "file.py"]), 2, "cannot be used with");
    assert_ended(&run(&["status", "--port", "0"]), 2, "a port is a whole number from 1 to 65535");
    assert_ended(&run(&["status", "--host", "localhost:9876"]), 2, "the port goes to --port");
    assert_ended(&run(&["launch", "--host", "0.0.0.0"]), 2, "listens on this machine only");
    assert_ended(&run(&["launch", "missing.blend"]), 2, "missing.blend");
    assert_ended(&run(&["render", "missing.blend"]), 2, "missing.blend");
    assert_ended(&run(&["render", "a.blend", "--frames", "9-1"]), 2, "the first comes first");
    assert_ended(&run(&["render", "a.blend", "--resolution", "640"]), 2, "as 1920x1080");
    assert_ended(&run(&["render", "a.blend", "--resume", "--overwrite"]), 2, "cannot be used with");
    assert_ended(&run(&["tunnel"]), 2, "USER@HOST");
    assert_ended(&run(&["tunnel", "--", "-p", "22"]), 2, "USER@HOST");
    assert_ended(&run(&[]), 2, "Usage:");
    let output = blendwire(&["status"]).env("BLENDER_MCP_PORT", "abc").output().unwrap();
    assert_ended(&output, 2, "BLENDER_MCP_PORT");
}

#[test]
fn a_taken_port_is_not_launched_on() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    assert_ended(&run(&["launch", "--port", &port]), 2, &format!("port {port} is taken"));
}

#[test]
fn the_result_is_data_and_the_prints_are_talk() {
    let port = server(r#"{"status": "ok", "result": {"x": 1e400}, "stdout": "hello\n"}"#);
    let output = run(&["exec", "-c", "…", "--port", &port]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(text(&output.stdout), "{\"x\": 1e400}\n");
    assert_eq!(text(&output.stderr), "hello\n");
}

#[test]
fn no_result_is_no_data() {
    let port = server(r#"{"status": "ok", "result": null, "stdout": ""}"#);
    let output = run(&["exec", "-c", "…", "--port", &port]);
    assert_eq!((output.status.code(), text(&output.stdout), text(&output.stderr)), (Some(0), "", ""));
}

#[test]
fn a_script_that_raised_fails_with_its_traceback() {
    let port = server(r#"{"status": "error", "message": "Traceback…\nValueError: 5\n", "stdout": "so far\n"}"#);
    assert_ended(&run(&["exec", "-c", "…", "--port", &port]), 1, "so far\nTraceback…\nValueError: 5\n");
}

#[test]
fn json_is_the_whole_reply_also_when_it_raised() {
    let port = server(r#"{"status": "error", "message": "ValueError", "stdout": ""}"#);
    let output = run(&["exec", "--json", "-c", "…", "--port", &port]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output.stdout), "{\"status\":\"error\",\"message\":\"ValueError\",\"stdout\":\"\"}\n");
    let port = server(r#"{"status": "ok", "result": [1, 2], "stdout": "a\"b"}"#);
    let output = run(&["exec", "--json", "-c", "…", "--port", &port]);
    assert_eq!(text(&output.stdout), "{\"status\":\"ok\",\"result\":[1, 2],\"stdout\":\"a\\\"b\"}\n");
}
