// SPDX-License-Identifier: GPL-3.0-or-later
//! `blendwire lock`: what it writes is so, and what no longer is so it finds.

use std::path::PathBuf;
use std::process::Output;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::doctor::{Findings, lend_main_thread, server};
use crate::setup::User;
use crate::text;

impl User {
    /// In the folder that has the file.
    fn lock(&self, args: &[&str]) -> Output {
        self.own(&[&["lock"], args].concat()).current_dir(self.home.path()).output().unwrap()
    }

    fn lock_file(&self) -> PathBuf {
        self.home.path().join("blendwire.lock")
    }

    /// Writes it, with `from` changed `to` something else.
    fn lock_with(&self, from: &str, to: &str) {
        self.lock(&[]);
        let locked = std::fs::read_to_string(self.lock_file()).unwrap();
        assert!(locked.contains(from), "{from:?} is not in {locked}");
        std::fs::write(self.lock_file(), locked.replacen(from, to, 1)).unwrap();
    }
}

fn sum_of_executable() -> String {
    let digest = Sha256::digest(std::fs::read(env!("CARGO_BIN_EXE_blendwire")).unwrap());
    digest.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

/// What differs, by what it is called.
fn differences(output: &Output) -> Vec<Value> {
    let told: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    assert_eq!(output.status.code(), Some(i32::from(told["holds"] == false)), "{told}");
    told["differences"].as_array().unwrap().clone()
}

#[test]
fn what_is_locked_is_what_is_there_and_the_same_text_each_time() {
    let user = User::new();
    let written = user.lock(&[]);
    assert_eq!((written.status.code(), text(&written.stdout)), (Some(0), ""));
    let locked = std::fs::read_to_string(user.lock_file()).unwrap();
    let table: toml::Table = locked.parse().unwrap();
    let sums = &table["platform"][&blendwire_protocol::platform()];
    assert_eq!(sums["command"].as_str(), Some(sum_of_executable().as_str()));
    assert_eq!(table["version"].as_str(), Some(env!("CARGO_PKG_VERSION")));
    assert_eq!(table["protocol"].as_integer(), Some(i64::from(blendwire_protocol::PROTOCOL_VERSION)));
    assert!(table["mcp"].as_array().unwrap().contains(&"2025-11-25".into()), "{locked}");
    user.lock(&[]);
    assert_eq!(std::fs::read_to_string(user.lock_file()).unwrap(), locked);
    assert!(differences(&user.lock(&["--check", "--json"])).is_empty());
}

#[test]
fn each_difference_is_told_with_both_sides_and_what_mends_it() {
    let sum = sum_of_executable();
    let version = concat!("version = \"", env!("CARGO_PKG_VERSION"), "\"");
    let cases = [
        (version, "version = \"9.9.9\"", "version", "9.9.9", env!("CARGO_PKG_VERSION"), "install blendwire 9.9.9"),
        ("protocol = 1", "protocol = 7", "protocol", "7", "1", "reinstall blendwire"),
        (
            "\"2024-11-05\", ",
            "",
            "MCP revisions",
            "2025-03-26 ",
            "2024-11-05 2025-03-26 ",
            "`blendwire lock` to accept",
        ),
        (&sum, "00", "SHA-256 of the executable", "00", &sum, "another build of it"),
    ];
    let user = User::new();
    user.lock(&[]);
    let right = std::fs::read_to_string(user.lock_file()).unwrap();
    for (from, to, what, was, is, mend) in cases {
        assert!(right.contains(from), "{from:?} is not in {right}");
        std::fs::write(user.lock_file(), right.replacen(from, to, 1)).unwrap();
        let differences = differences(&user.lock(&["--check", "--json"]));
        let [difference] = differences.as_slice() else { panic!("{differences:?}") };
        assert_eq!(difference["what"], what);
        let begins = |key: &str, with: &str| difference[key].as_str().unwrap().starts_with(with);
        assert!(begins("locked", was) && begins("found", is), "{difference}");
        assert!(difference["mend"].as_str().unwrap().contains(mend), "{difference}");
    }
    let told = user.lock(&["--check"]);
    let said = text(&told.stderr);
    assert!(told.status.code() == Some(1) && said.contains("locked 00, found ") && said.contains("mend: "), "{said}");
    assert_eq!(text(&told.stdout), "");
    // Accepting is what the remedy says.
    assert_eq!(user.lock(&[]).status.code(), Some(0));
    assert_eq!(std::fs::read_to_string(user.lock_file()).unwrap(), right);
}

#[test]
fn another_system_is_no_difference_and_stays_and_ones_own_has_to_be_there() {
    let user = User::new();
    let own = format!("[platform.{}]", blendwire_protocol::platform());
    user.lock_with(&own, "[platform.amiga-m68k]");
    let told = differences(&user.lock(&["--check", "--json"]));
    assert!(told[0]["mend"].as_str().unwrap().contains("`blendwire lock` on this system"), "{told:?}");
    user.lock(&[]);
    let locked = std::fs::read_to_string(user.lock_file()).unwrap();
    assert!(locked.contains("[platform.amiga-m68k]") && locked.contains(&own), "{locked}");
}

#[test]
fn what_is_no_lock_file_could_not_be_checked_and_is_not_written_over() {
    let user = User::new();
    let missing = user.lock(&["--check"]);
    assert!(
        missing.status.code() == Some(2) && text(&missing.stderr).contains("`blendwire lock` writes it"),
        "{missing:?}"
    );
    for (content, told) in
        [("x = [", "is no lock file"), ("format = 99\nversion = ''\nprotocol = 1\nmcp = []\n", "format 99")]
    {
        std::fs::write(user.lock_file(), content).unwrap();
        for args in [&["--check"][..], &[]] {
            let output = user.lock(args);
            assert!(output.status.code() == Some(2) && text(&output.stderr).contains(told), "{output:?}");
        }
        assert_eq!(std::fs::read_to_string(user.lock_file()).unwrap(), content);
    }
}

#[test]
fn the_running_server_is_compared_where_that_is_asked_for() {
    let user = User::new();
    let (ours, port) = server(&user, |config| config.versions.addon = env!("CARGO_PKG_VERSION").to_owned());
    let (old, old_port) = server(&user, |config| config.versions.addon = "0.0.9".to_owned());
    lend_main_thread(&ours);
    lend_main_thread(&old);
    user.lock(&[]);
    let check = |port: &str| user.lock(&["--check", "--running", "--json", "--port", port]);
    assert_eq!(differences(&check(&port)), Vec::<Value>::new());
    let told = differences(&check(&old_port));
    assert_eq!((told.len(), &told[0]["found"]), (1, &"0.0.9".into()));
    assert!(told[0]["mend"].as_str().unwrap().contains("restart it"), "{told:?}");
    // Without --running a server is of no interest.
    assert_eq!(user.lock(&["--check", "--port", &old_port]).status.code(), Some(0));
    drop(old);
    assert_eq!(check(&old_port).status.code(), Some(1));
}

#[test]
fn doctor_looks_at_the_file_of_its_folder() {
    let user = User::new();
    let look = || {
        let mut doctor = user.own(&["doctor", "lock", "--json"]);
        Findings::of(&doctor.current_dir(user.home.path()).output().unwrap())
    };
    look().expect("lock", "ok", "no blendwire.lock", "");
    user.lock_with(&sum_of_executable(), "00");
    look().expect("lock", "failure", "SHA-256 of the executable: locked 00, found", "`blendwire lock` to accept");
    user.lock(&[]);
    look().expect("lock", "ok", "holds", "");
    std::fs::write(user.lock_file(), "x = [").unwrap();
    look().expect("lock", "failure", "is no lock file", "blendwire lock");
}
