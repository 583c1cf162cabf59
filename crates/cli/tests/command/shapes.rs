// SPDX-License-Identifier: GPL-3.0-or-later
//! The shape of what `--json` prints, which programs rely on: a key that goes, or holds something else, is a reviewed diff.

use std::fmt::Write as _;
use std::process::Output;

use serde_json::Value;

use crate::doctor::{lend_main_thread, server};
use crate::setup::User;
use crate::text;

/// A line for each place in `value`, with the kind of what stands there. Of a list the first.
fn shape(value: &Value) -> String {
    let mut lines = String::new();
    walk(value, "", &mut lines);
    lines
}

fn walk(value: &Value, at: &str, lines: &mut String) {
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "number",
        Value::String(_) => "text",
        Value::Array(_) => "list",
        Value::Object(_) => "object",
    };
    writeln!(lines, "{} {kind}", if at.is_empty() { "." } else { at }).unwrap();
    match value {
        Value::Array(all) => all.iter().take(1).for_each(|first| walk(first, &format!("{at}[]"), lines)),
        Value::Object(all) => all.iter().for_each(|(key, value)| walk(value, &format!("{at}.{key}"), lines)),
        _ => {}
    }
}

/// What a command prints as JSON while a server runs.
fn printed(command: &str) -> Value {
    let user = User::new();
    let (server, port) = server(&user, |_| {});
    lend_main_thread(&server);
    let port = ["--port", &port];
    let more: &[&str] = if command == "instances" { &[] } else { &port };
    told(&user.own(&[&[command, "--json"], more].concat()).output().unwrap())
}

fn told(output: &Output) -> Value {
    serde_json::from_str(text(&output.stdout)).unwrap_or_else(|_| panic!("{output:?}"))
}

#[test]
fn a_status_has_the_shape_that_was_reviewed() {
    insta::assert_snapshot!(shape(&printed("status")));
}

#[test]
fn instances_have_the_shape_that_was_reviewed() {
    insta::assert_snapshot!(shape(&printed("instances")));
}

#[test]
fn findings_have_the_shape_that_was_reviewed() {
    let found = printed("doctor");
    for finding in found.as_array().unwrap() {
        assert_eq!(keys(finding), keys(&found[0]), "{finding}");
    }
    insta::assert_snapshot!(shape(&found));
}

fn keys(finding: &Value) -> Vec<&String> {
    finding.as_object().unwrap().keys().collect()
}

#[test]
fn a_reply_has_the_shape_that_was_reviewed() {
    let user = User::new();
    let (server, port) = server(&user, |_| {});
    lend_main_thread(&server);
    let output = user.own(&["exec", "--json", "--port", &port, "-c", "result = 1"]).output().unwrap();
    insta::assert_snapshot!(shape(&told(&output)));
}

/// On Linux each has the number of the user who asked.
#[cfg(target_os = "linux")]
#[test]
fn lines_of_the_journal_have_the_shape_that_was_reviewed() {
    use blendwire_journal::{Journal, Limits};
    let user = User::new();
    let folder = blendwire_journal::folder_in(&user.home.path().join("state"));
    let (server, port) = server(&user, |config| {
        config.journal = Some(Journal::start(folder, &config.instance, Limits::default()).unwrap());
    });
    lend_main_thread(&server);
    user.own(&["exec", "--port", &port, "--title", "one", "-c", "result = 1"]).output().unwrap();
    // With it the journal's thread ends, and has written everything.
    drop(server);
    let output = user.own(&["logs", "--json"]).output().unwrap();
    let lines = text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>();
    assert_eq!(lines.len(), 2, "a begin and an end: {output:?}");
    insta::assert_snapshot!(lines.iter().map(shape).collect::<Vec<_>>().join("\n"));
}

#[test]
fn a_lock_and_its_differences_have_the_shape_that_was_reviewed() {
    let user = User::new();
    let lock = |args: &[&str]| {
        let mut command = user.own(&[&["lock", "--json"], args].concat());
        told(&command.current_dir(user.home.path()).output().unwrap())
    };
    let written = lock(&[]);
    let file = user.home.path().join("blendwire.lock");
    let locked = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, locked.replace("protocol = 1", "protocol = 7")).unwrap();
    insta::assert_snapshot!(format!("{}\n{}", shape(&written), shape(&lock(&["--check"]))));
}

#[test]
fn what_setup_does_has_the_shape_that_was_reviewed() {
    let user = User::new();
    let rival = serde_json::json!({"mcpServers": {"blendermcp": {"command": "uvx", "args": ["blender-mcp"]}}});
    user.with_file("cursor", &rival.to_string());
    insta::assert_snapshot!(shape(&told(&user.own(&["setup", "cursor", "--json"]).output().unwrap())));
}

#[test]
fn certificate_and_settings_have_the_shape_that_was_reviewed() {
    let user = User::new();
    let settings = "default_profile = 'farm'\n[profiles.farm]\nhost = '192.0.2.7'\nport = 9877\n";
    std::fs::create_dir_all(user.home.path().join("config")).unwrap();
    std::fs::write(user.home.path().join("config/config.toml"), settings).unwrap();
    insta::assert_snapshot!("certificate", shape(&told(&user.own(&["tls", "--make", "--json"]).output().unwrap())));
    insta::assert_snapshot!("settings", shape(&told(&user.own(&["config", "--json"]).output().unwrap())));
}

/// As the script says it that runs in a real one.
#[cfg(unix)]
#[test]
fn an_addons_status_and_changes_have_the_shape_that_was_reviewed() {
    let user = User::new();
    let addon = |module: &str, name: &str| serde_json::json!({"module": module, "kind": "extension", "name": name, "version": "0.1.0", "enabled": true, "folder": "/f"});
    let said = serde_json::json!({
        "version": [4, 3, 2], "legacy_folder": "/legacy",
        "ours": [addon("bl_ext.user_default.blendwire", "MCP Server")], "rivals": [addon("bl_ext.blender_org.mcp", "MCP")],
    });
    let blender =
        crate::addon::blender(&user, "4.3.2", &format!("echo 'blendwire-addon:{said}'")).display().to_string();
    let (_server, _) = server(&user, |config| config.versions.blender = "4.3.2".to_owned());
    let status =
        |blender: &str| told(&user.own(&["addon", "status", "--json", "--blender", blender]).output().unwrap());
    let broken = crate::addon::blender(&user, "4.4.0", "exit 1").display().to_string();
    insta::assert_snapshot!("addon_status", format!("{}\n{}", shape(&status(&blender)), shape(&status(&broken))));
    let zip = crate::addon::package(&user);
    let changes = |verb: &[&str], blender: &str| {
        let args = [&["addon"], verb, &["--dry-run", "--json", "--blender", blender]].concat();
        shape(&told(&user.own(&args).output().unwrap()))
    };
    let install = ["install", "--zip", &zip, "--disable-others"];
    let all = [changes(&install, &blender), changes(&["uninstall"], &blender), changes(&install, &broken)];
    insta::assert_snapshot!("addon_changes", all.join("\n"));
}
