// SPDX-License-Identifier: GPL-3.0-or-later
//! A server of ours: all well, or one thing about it not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use blendwire_journal::{Journal, Limits};

use super::{Findings, lend_main_thread, server};
use crate::setup::User;
use crate::text;

/// What is asked of a server.
const OF_A_SERVER: [&str; 14] = [
    "instances",
    "name",
    "listens",
    "tls",
    "protocol",
    "token",
    "version",
    "main-thread",
    "round-trip",
    "screenshot",
    "journal",
    "online-access",
    "clock",
    "defects",
];

#[test]
fn all_is_well_and_told_soon() {
    let user = User::new();
    let (server, port) = server(&user, |_| {});
    lend_main_thread(&server);
    user.setup(&["cursor"]);
    let since = Instant::now();
    // It is found by its descriptor.
    let found = user.found(&[]);
    let took = since.elapsed();
    for id in OF_A_SERVER {
        assert_eq!(found.state(id), "ok", "{}", found.of_id(id));
    }
    found.expect("instances", "ok", &format!("looking at 127.0.0.1:{port}"), "");
    found.expect("clients", "ok", "Cursor: blendwire", "");
    assert_eq!(found.code, Some(0));
    // A tenth of a second on an idle machine, which this one is not.
    assert!(took < Duration::from_secs(2), "{took:?}");
    println!("all well after {took:?}");
}

#[test]
fn a_wrong_token_is_refused_and_the_right_one_taken() {
    let user = User::new();
    let (server, _) = server(&user, |config| config.access.require_token = true);
    lend_main_thread(&server);
    let ask = |token: Option<&str>| {
        let mut command = user.doctor(&["--json", "round-trip"]);
        if let Some(token) = token {
            command.env("BLENDWIRE_TOKEN", token);
        }
        Findings::of(&command.output().unwrap())
    };
    let found = ask(Some("wrong-wrong-wrong-wrong-wrong-wrong-wrong-43"));
    found.expect("protocol", "ok", "behind its token", "");
    found.expect("token", "failure", "refused", "blendwire token");
    assert_eq!(found.of_id("round-trip")["because"], serde_json::json!(["token"]));
    let token =
        user.doctor(&[]).get_envs().find(|(name, _)| *name == "BLENDWIRE_CONFIG_DIR").unwrap().1.unwrap().to_owned();
    let token = user.blendwire(&["token"]).env("BLENDWIRE_CONFIG_DIR", token).output().unwrap();
    let found = ask(Some(text(&token.stdout).trim()));
    found.expect("token", "ok", "takes this one", "");
    assert_eq!(found.state("round-trip"), "ok");
    // Without the variable, this user's own file.
    assert_eq!(ask(None).state("token"), "ok");
}

#[test]
fn a_main_thread_that_does_not_come_round_is_told() {
    let user = User::new();
    let (server, _) = server(&user, |_| {});
    user.found(&["round-trip"]).expect("main-thread", "warning", "starting", "blendwire status");
    server.shared().main_thread_seen();
    std::thread::sleep(Duration::from_millis(2500));
    let found = user.found(&["round-trip"]);
    found.expect("main-thread", "failure", "has not come round", "blendwire status --watch");
    assert_eq!(found.of_id("round-trip")["because"], serde_json::json!(["main-thread"]));
    lend_main_thread(&server);
    assert_eq!(user.found(&["round-trip"]).state("round-trip"), "ok");
}

/// It comes round and takes no script, as where something else in Blender has all of its time.
#[test]
fn a_script_that_gets_no_turn_is_told() {
    let user = User::new();
    let (server, _) = server(&user, |_| {});
    let (shared, is_slow) = (server.shared().clone(), Arc::new(AtomicBool::new(true)));
    let still = is_slow.clone();
    let slow = std::thread::spawn(move || {
        while still.load(Ordering::Relaxed) {
            shared.main_thread_seen();
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    let found = user.found(&["round-trip"]);
    found.expect("main-thread", "ok", "idle", "");
    found.expect("round-trip", "failure", "`result = 1` failed", "blendwire status");
    is_slow.store(false, Ordering::Relaxed);
    slow.join().unwrap();
    lend_main_thread(&server);
    user.found(&["round-trip"]).expect("round-trip", "ok", "ping", "");
}

#[test]
fn another_version_is_told_until_that_of_this_command_runs() {
    let user = User::new();
    let (other, _) = server(&user, |config| config.versions.addon = "0.0.9".to_owned());
    lend_main_thread(&other);
    user.found(&["version"]).expect("version", "warning", "add-on 0.0.9", "restart Blender");
    drop(other);
    let version = env!("CARGO_PKG_VERSION");
    let (_server, _) = server(&user, |config| config.versions.addon = version.to_owned());
    user.found(&["version"]).expect("version", "ok", &format!("add-on {version}"), "");
}

#[test]
fn a_report_has_everything_but_the_token_and_the_home_folder() {
    let user = User::new();
    let (server, _) = server(&user, |config| config.access.require_token = true);
    lend_main_thread(&server);
    let output = user.doctor(&["--report"]).output().unwrap();
    let report = text(&output.stdout);
    let token = std::fs::read_to_string(user.home.path().join("config/token")).unwrap();
    assert!(report.contains("round-trip") && report.contains(env!("CARGO_PKG_VERSION")), "{report}");
    assert!(!report.contains(token.trim()), "{report}");
    assert!(!report.contains(user.home.path().to_str().unwrap()) && report.contains("~/config"), "{report}");
}

#[test]
fn a_certificate_that_nobody_trusts_is_told_and_its_fingerprint_taken() {
    let user = User::new();
    let (server, port) = server(&user, |_| {});
    lend_main_thread(&server);
    let found = user.found(&["round-trip", "--host", "127.0.0.1", "--port", &port, "--tls"]);
    // Where the machine trusts no authority at all, that is the word.
    found.expect("tls", "failure", "--fingerprint", "blendwire tls");
    assert_eq!(found.of_id("protocol")["because"], serde_json::json!(["tls"]));
    let shown =
        user.blendwire(&["tls", "--json"]).env("BLENDWIRE_CONFIG_DIR", user.home.path().join("config")).output();
    let shown: serde_json::Value = serde_json::from_slice(&shown.unwrap().stdout).unwrap();
    let fingerprint = shown["fingerprint"].as_str().unwrap();
    let pinned = |hex: &str| user.found(&["round-trip", "--host", "127.0.0.1", "--port", &port, "--fingerprint", hex]);
    let found = pinned(fingerprint);
    found.expect("tls", "ok", "the one of the fingerprint", "");
    assert_eq!(found.state("round-trip"), "ok");
    pinned(&"0".repeat(64)).expect("tls", "failure", "another certificate", "blendwire tls");
}

#[test]
fn a_journal_that_cannot_be_written_is_told() {
    let user = User::new();
    let state = user.home.path().join("state");
    let folder = blendwire_journal::folder_in(&state);
    let (server, _) = server(&user, |config| {
        let journal = Journal::start(folder.clone(), &config.instance, Limits::default());
        config.journal = Some(journal.unwrap());
    });
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::write(&folder, "in the way").unwrap();
    lend_main_thread(&server);
    // The first request is the first that is to be written.
    assert_eq!(user.found(&["round-trip"]).state("round-trip"), "ok");
    let found = user.found(&["journal"]);
    found.expect("journal", "warning", "not written", &folder.display().to_string());
    std::fs::remove_file(&folder).unwrap();
    assert_eq!(user.found(&["round-trip"]).state("round-trip"), "ok");
    assert!(!user.found(&["journal"]).of_id("journal")["seen"].as_str().unwrap().contains("not written"));
}
