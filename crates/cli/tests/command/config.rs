// SPDX-License-Identifier: GPL-3.0-or-later
//! The settings: which Blender they lead to, beside what options and environment say; and what is told of wrong ones.

use std::path::PathBuf;
use std::process::{Command, Output};

use blendwire_bridge::Server;
use blendwire_credentials::Folder;
use serde_json::Value;

use crate::doctor::{lend_main_thread, server};
use crate::setup::User;
use crate::{run, text};

impl User {
    /// Settings of this user.
    fn settings(&self, text: impl AsRef<[u8]>) -> PathBuf {
        let file = self.home.path().join("config/config.toml");
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, text).unwrap();
        file
    }

    /// The port of the Blender that this leads to.
    fn reaches(&self, args: &[&str], variables: &[(&str, &str)]) -> String {
        let mut command = self.own(&[&["status", "--json"], args].concat());
        let output = command.envs(variables.iter().copied()).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{args:?} {variables:?}: {}", text(&output.stderr));
        let status: Value = serde_json::from_slice(&output.stdout).unwrap();
        status["endpoints"][0].as_str().unwrap().rsplit_once(':').unwrap().1.to_owned()
    }

    fn config(&self, args: &[&str]) -> Command {
        self.own(&[&["config"], args].concat())
    }

    fn effective(&self, args: &[&str]) -> Value {
        let output = self.config(&[args, &["--json"]].concat()).output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
    }
}

/// Three servers that can be told apart by their ports.
fn three(user: &User) -> [(Server, String); 3] {
    std::array::from_fn(|_| {
        let (server, port) = server(user, |_| {});
        lend_main_thread(&server);
        (server, port)
    })
}

fn assert_refused(output: &Output, told: &str) {
    let said = text(&output.stderr);
    assert!(output.status.code() == Some(2) && said.contains(told), "{told:?} is not in: {said}");
}

#[test]
fn options_go_before_variables_before_settings_before_what_runs() {
    let user = User::new();
    let [(one, a), (two, b), (three, c)] = three(&user);
    let settings = format!(
        "default_profile = 'a'\n[profiles.a]\nport = {a}\n[profiles.b]\nhost = '127.0.0.1'\nport = {b}\n\
         [profiles.c]\ninstance = '{c}'"
    );
    user.settings(&settings);
    assert_eq!(user.reaches(&[], &[]), a);
    assert_eq!(user.reaches(&[], &[("BLENDWIRE_PROFILE", "b")]), b);
    assert_eq!(user.reaches(&[], &[("BLENDER_PORT", &c)]), c);
    assert_eq!(user.reaches(&[], &[("BLENDWIRE_PROFILE", "b"), ("BLENDER_PORT", &c)]), b);
    assert_eq!(user.reaches(&[], &[("BLENDWIRE_PROFILE", "b"), ("BLENDWIRE_PORT", &c)]), c);
    assert_eq!(user.reaches(&["--profile", "c"], &[("BLENDWIRE_PROFILE", "b"), ("BLENDWIRE_PORT", &b)]), c);
    assert_eq!(user.reaches(&["--profile", "b", "--port", &a], &[]), a);
    assert_eq!(user.reaches(&["--instance", &c], &[]), c);
    // Without a default the one that runs is meant, and of several none.
    user.settings("[profiles.a]");
    assert_eq!(user.own(&["status"]).output().unwrap().status.code(), Some(2));
    drop((one, two));
    assert_eq!(user.reaches(&[], &[]), c);
    drop(three);
}

#[test]
fn a_profile_brings_its_token() {
    let user = User::new();
    let theirs = user.home.path().join("theirs");
    let (server, port) = server(&user, |config| {
        config.access.require_token = true;
        config.credentials = Some(Folder::at(&theirs));
    });
    lend_main_thread(&server);
    Folder::at(&theirs).token().read_or_make().unwrap();
    let status = |args: &[&str]| user.own(&[&["status", "--json"], args].concat()).output().unwrap();
    let file = user.settings(format!("[profiles.a]\nport = {port}\ntoken_file = '../theirs/token'"));
    assert_eq!(status(&["--port", &port]).status.code(), Some(1));
    assert_eq!(status(&["--profile", "a"]).status.code(), Some(0), "{:?}", status(&["--profile", "a"]));
    let shown = user.effective(&["--profile", "a"]);
    assert_eq!(shown["token"]["by"], "profile a");
    let token = Folder::at(&theirs).token().read().unwrap();
    assert!(!shown.to_string().contains(token.expose()));
    // The token itself is refused, and not shown.
    std::fs::write(file, format!("[profiles.a]\ntoken = '{}'", token.expose())).unwrap();
    let refused = status(&["--profile", "a"]);
    assert_refused(&refused, "config.toml:2:1: a token does not belong into settings");
    assert!(!text(&refused.stderr).contains(token.expose()));
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let user = User::new();
    let file = user.settings("[profiles.a]\nhots = 'x'\n");
    let place = format!("{}:2:1: unknown field `hots`, expected one of `host`, `port`", file.display());
    for command in [&["config"][..], &["status"], &["exec", "-c", "1"], &["mcp"], &["setup", "--profile", "a", "zed"]] {
        let at_home = user.own(command).output().unwrap();
        assert_refused(&at_home, &place);
    }
    user.settings("[profiles.a]\n");
    assert_refused(&user.own(&["status", "--profile", "b"]).output().unwrap(), "--profile names the profile \"b\"");
    assert_refused(&user.own(&["status", "--profile", "a", "--host", "x"]).output().unwrap(), "cannot be used with");
    let elsewhere = user.config(&[]).env("BLENDWIRE_CONFIG", "/nonexistent/config.toml").output().unwrap();
    assert_refused(&elsewhere, "/nonexistent/config.toml");
}

/// As Windows PowerShell writes files.
#[test]
fn a_byte_order_mark_is_passed_over_and_utf_16_is_named() {
    let user = User::new();
    user.settings("\u{feff}default_profile = 'a'\n[profiles.a]\nport = 9877\n");
    assert_eq!(user.effective(&[])["port"]["value"], "9877");
    user.settings(b"\xff\xfed\0");
    assert_refused(&user.config(&[]).output().unwrap(), "it is not UTF-8 (Windows PowerShell writes UTF-16)");
}

#[test]
fn what_counts_is_shown_with_what_says_so() {
    let user = User::new();
    let file = user.settings("default_profile = 'a'\n[profiles.a]\nhost = 'render7'\n[profiles.b]\n");
    let shown = user.effective(&["--port", "5"]);
    assert_eq!((&shown["host"]["value"], &shown["host"]["by"]), (&"render7".into(), &"profile a".into()));
    assert_eq!((&shown["port"]["value"], &shown["port"]["by"]), (&"5".into(), &"--port".into()));
    assert_eq!(shown["profiles"], serde_json::json!(["a", "b"]));
    assert_eq!(shown["tls"]["value"], "verified, by the system's authorities");
    let people = user.config(&[]).output().unwrap();
    assert!(text(&people.stdout).contains("host       render7  (profile a)"), "{people:?}");
    let path = user.config(&["--path"]).output().unwrap();
    assert_eq!(text(&path.stdout), format!("{}\n", file.display()));
    let named = user.config(&["--path"]).env("BLENDWIRE_CONFIG", "/x/y.toml").output().unwrap();
    assert_eq!(text(&named.stdout), "/x/y.toml\n");
}

#[test]
fn the_example_is_right_and_the_schema_is_as_reviewed() {
    let user = User::new();
    user.settings(text(&run(&["config", "--example"]).stdout));
    assert_eq!(user.effective(&["--profile", "here"])["port"]["value"], "9877");
    insta::assert_snapshot!("config_schema", text(&run(&["config", "--schema"]).stdout));
}

#[test]
fn an_entry_names_its_profile() {
    let user = User::new();
    let file = user.with_file("cursor", "{}");
    user.settings("[profiles.a]\nport = 5\n");
    let setup = |name: &str| user.own(&["setup", "cursor", "--profile", name]).output().unwrap();
    assert_eq!(setup("a").status.code(), Some(0));
    let written: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    assert_eq!(written["mcpServers"]["blender"]["args"], serde_json::json!(["mcp", "--profile", "a"]));
    assert_refused(&setup("b"), "--profile names the profile \"b\"");
}

#[test]
fn launch_takes_the_port_of_a_profile_for_this_machine_only() {
    let user = User::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let launch = || user.own(&["launch"]).env("BLENDWIRE_BLENDER", "/nonexistent/blender").output().unwrap();
    user.settings(format!("default_profile = 'a'\n[profiles.a]\nport = {port}"));
    assert_refused(&launch(), &format!("port {port} is taken"));
    user.settings(format!("default_profile = 'a'\n[profiles.a]\nhost = 'render7'\nport = {port}"));
    let elsewhere = launch();
    assert!(!text(&elsewhere.stderr).contains("is taken: `"), "{elsewhere:?}");
}

#[test]
fn those_that_run_are_listed_with_a_word_when_commands_go_elsewhere() {
    let user = User::new();
    let (_server, _) = server(&user, |_| {});
    let said = || text(&user.own(&["instances"]).output().unwrap().stderr).to_owned();
    assert_eq!(said(), "");
    user.settings("default_profile = 'a'\n[profiles.a]\nhost = 'render7'");
    assert!(said().contains("render7:9876, since profile a says so"), "{}", said());
}

#[test]
fn doctor_finds_what_is_wrong_with_them() {
    let user = User::new();
    user.found(&["config"]).expect("config", "ok", "none; they would be in", "");
    let file = user.settings("default_profile = 'a'\n[profiles.a]\nprot = 5\n");
    let found = user.found(&["listens"]);
    found.expect("config", "failure", ":3:1: unknown field `prot`", &format!("correct {}", file.display()));
    assert_eq!(found.of_id("listens")["because"], serde_json::json!(["config"]));
    user.settings("default_profile = 'a'\n[profiles.a]\nport = 5\ntoken_file = 'a.token'\n");
    let token = user.home.path().join("config/a.token");
    user.found(&["config"]).expect("config", "failure", "a.token", &token.display().to_string());
    blendwire_credentials::Folder::at(user.home.path().join("config")).token().read_or_make().unwrap();
    std::fs::rename(user.home.path().join("config/token"), &token).unwrap();
    user.found(&["config"]).expect("config", "ok", "profile a, by default_profile", "");
    user.found(&["instances"]).expect("instances", "ok", "looking at localhost:5", "");
    // Where it is named on the command line only, that is right or wrong there.
    let named = user.found(&["instances", "--profile", "nope"]);
    named.expect("config", "failure", "--profile names the profile \"nope\"", "blendwire config");
}
