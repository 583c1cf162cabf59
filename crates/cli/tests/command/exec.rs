// SPDX-License-Identifier: GPL-3.0-or-later
//! What `exec` asks for and what it makes of the answer. Live output from a real Blender is tested in `tests/`.

use serde_json::Value;

use crate::{recording_server, run, server, text};

const WITH_EVENTS: &str = "{\"event\":\"started\"}\0{\"event\":\"output\",\"text\":\"one\\r\"}\0{\"event\":\"progress\",\
    \"value\":0.5,\"message\":\"half\"}\0{\"status\": \"ok\", \"result\": 1, \"stdout\": \"one\\rtwo\\n\"}";

const WITH_CHANGES: &str =
    r#"{"status": "ok", "result": null, "stdout": "", "changes": {"added": {"objects": ["A"]}}}"#;

const NOT_ROLLED_BACK: &str = r#"{"status": "error", "message": "ValueError", "stdout": "", "rolled_back": false,
    "not_rolled_back_because": "Global Undo is off"}"#;

fn asked(arguments: &[&str]) -> Value {
    let (port, served) = recording_server(WITH_CHANGES);
    run(&[&["exec", "--port", &port], arguments].concat());
    serde_json::from_str(&served.join().unwrap()).unwrap()
}

#[test]
fn what_is_wished_for_goes_over_the_wire_and_nothing_else() {
    let plain = asked(&["-c", "1"]);
    assert_eq!(plain["stream"], true);
    for key in ["title", "on_error", "changes", "session", "echo", "timeout_secs"] {
        assert!(plain[key].is_null(), "{plain}");
    }
    let full = asked(&["-c", "1", "--title", "Build", "--rollback", "--changes"]);
    assert_eq!(
        (&full["title"], &full["on_error"], &full["changes"]),
        (&"Build".into(), &"rollback".into(), &true.into())
    );
}

#[test]
fn a_file_gives_the_step_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("build_scene.py");
    std::fs::write(&file, "pass").unwrap();
    assert_eq!(asked(&[&file.display().to_string()])["title"], "build_scene.py");
}

#[test]
fn live_output_is_neither_lost_nor_doubled_and_a_pipe_gets_no_bar() {
    let output = run(&["exec", "-c", "…", "--port", &server(WITH_EVENTS)]);
    assert_eq!((text(&output.stdout), text(&output.stderr)), ("1\n", "one\rtwo\n"));
    let output = run(&["exec", "--json", "-c", "…", "--port", &server(WITH_EVENTS)]);
    let reply = "{\"status\":\"ok\",\"result\":1,\"stdout\":\"one\\rtwo\\n\"}\n";
    assert_eq!((text(&output.stdout), text(&output.stderr)), (reply, ""));
}

#[test]
fn changes_are_told_to_people_and_to_programs() {
    let output = run(&["exec", "--changes", "-c", "…", "--port", &server(WITH_CHANGES)]);
    assert_eq!((text(&output.stdout), text(&output.stderr)), ("", "added     objects: A\n"));
    let output = run(&["exec", "--json", "--changes", "-c", "…", "--port", &server(WITH_CHANGES)]);
    let reply: Value = serde_json::from_str(text(&output.stdout)).unwrap();
    assert_eq!(reply["changes"], serde_json::json!({"added": {"objects": ["A"]}}));
}

#[test]
fn a_rollback_that_did_not_happen_is_told_with_its_reason() {
    let output = run(&["exec", "--rollback", "-c", "…", "--port", &server(NOT_ROLLED_BACK)]);
    assert_eq!(text(&output.stderr), "ValueError\nNOT rolled back: Global Undo is off\n");
    let output = run(&["exec", "--json", "--rollback", "-c", "…", "--port", &server(NOT_ROLLED_BACK)]);
    let reply: Value = serde_json::from_str(text(&output.stdout)).unwrap();
    assert_eq!(
        (&reply["rolled_back"], &reply["not_rolled_back_because"]),
        (&false.into(), &"Global Undo is off".into())
    );
    let silent = server(r#"{"status": "error", "message": "ValueError", "stdout": ""}"#);
    let output = run(&["exec", "--rollback", "-c", "…", "--port", &silent]);
    assert!(text(&output.stderr).contains("did not say that anything was rolled back"), "{}", text(&output.stderr));
}

#[test]
fn that_nothing_answers_is_said_while_it_is_waited_for() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let mut child = crate::blendwire(&["exec", "--port", &port, "--timeout", "60", "-c", "1"])
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    // Without a word it ends with its time limit, and so does this.
    std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stderr.take().unwrap()), &mut said).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(said.starts_with("still waiting: ") && said.contains("blendwire doctor"), "{said}");
}
