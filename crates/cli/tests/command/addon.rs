// SPDX-License-Identifier: GPL-3.0-or-later
//! `blendwire addon` where nothing can be installed: wrong use, and programs that are no Blender or a broken one. What
//! needs a Blender is tested in `tests/`.

use std::io::{Cursor, Write as _};
use std::path::PathBuf;
use std::process::{Command, Output};

use crate::setup::User;
use crate::text;

/// A program that says it is this Blender, and does nothing else but this.
pub(crate) fn blender(user: &User, version: &str, does: &str) -> PathBuf {
    let script = format!("if [ \"$1\" = --version ]; then echo 'Blender {version}'; exit; fi\n{does}\n");
    program(user, &format!("programs/blender-{version}/blender"), &script)
}

/// A program of this name that runs this script.
pub(crate) fn program(user: &User, name: &str, script: &str) -> PathBuf {
    let path = user.home.path().join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let script = format!("#!/bin/sh\n{script}");
    // Written by another process: a file that this one has open for writing while a test beside it starts a process cannot
    // be executed.
    let write = "printf %s \"$2\" > \"$1\" && chmod +x \"$1\"";
    assert!(Command::new("sh").args(["-c", write, "sh"]).arg(&path).arg(script).status().unwrap().success());
    path
}

/// An add-on of version 0.1.0, as far as its manifest tells.
pub(crate) fn package(user: &User) -> String {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    writer.start_file("blendwire/blender_manifest.toml", zip::write::SimpleFileOptions::default()).unwrap();
    writer.write_all(b"version = \"0.1.0\"\n").unwrap();
    let path = user.home.path().join("addon.zip");
    std::fs::write(&path, writer.finish().unwrap().into_inner()).unwrap();
    path.display().to_string()
}

fn addon(user: &User, args: &[&str]) -> Output {
    let mut command = user.blendwire(&[&["addon"], args].concat());
    command.env("BLENDWIRE_DATA_DIR", user.home.path().join("data")).env("PATH", "/nonexistent");
    command.output().unwrap()
}

fn expect(output: &Output, status: i32, told: &str) {
    let talk = text(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{talk}");
    assert!(talk.contains(told), "expected {told:?} in: {talk}");
}

#[test]
fn wrong_use_could_not_start() {
    let user = User::new();
    let missing = user.home.path().join("missing").display().to_string();
    expect(&addon(&user, &["status", "--blender", &missing]), 2, "is not there");
    std::fs::create_dir(&missing).unwrap();
    expect(&addon(&user, &["status", "--blender", &missing]), 2, "there is no Blender in");
    expect(&addon(&user, &["status", "--blender", "/bin/echo"]), 2, "does not say which Blender it is");
    let old = blender(&user, "3.6.5", "").display().to_string();
    expect(&addon(&user, &["uninstall", "--blender", &old]), 2, "Blender 4.0.0 or newer is needed");
    let no_zip = user.home.path().join("no.zip").display().to_string();
    expect(&addon(&user, &["install", "--zip", &no_zip]), 2, "no.zip");
    std::fs::write(&no_zip, "text").unwrap();
    expect(&addon(&user, &["install", "--zip", &no_zip]), 2, "it is no zip");
    expect(&addon(&user, &["install", "--all", "--blender", &old]), 2, "cannot be used with");
    expect(&addon(&user, &[]), 2, "Usage:");
}

#[test]
fn a_blender_that_fails_is_told_and_the_others_are_looked_at() {
    let user = User::new();
    blender(&user, "4.3.2", "echo 'cannot open display'; exit 7");
    blender(&user, "4.5.1", "echo \"blendwire-addon:{\\\"error\\\": \\\"the repository is read-only\\\"}\"");
    let folder = user.home.path().join("programs").display().to_string();
    let output = addon(&user, &["status", "--blender", &folder]);
    assert_eq!(output.status.code(), Some(1));
    let told = text(&output.stdout);
    assert!(told.contains("cannot open display") && told.contains("exit status: 7"), "{told}");
    assert!(told.contains("refused: the repository is read-only"), "{told}");
    let install = addon(&user, &["install", "--zip", &package(&user), "--blender", &folder, "--json"]);
    expect(&install, 1, "the repository is read-only");
    let told: serde_json::Value = serde_json::from_slice(&install.stdout).unwrap();
    assert!(told.as_array().unwrap().iter().all(|one| one["error"].is_string()), "{told}");
}

#[test]
fn extensions_are_not_for_every_blender() {
    let user = User::new();
    let old = blender(&user, "4.1.1", "exit 1").display().to_string();
    let output = addon(&user, &["install", "--zip", &package(&user), "--as", "extension", "--blender", &old]);
    expect(&output, 1, "has no extensions, which came with 4.2.0");
}

#[test]
fn on_a_terminal_it_asks_for_each_of_several() {
    let user = User::new();
    let programs = ["4.3.2", "4.5.1"].map(|version| blender(&user, version, "echo must not be started; exit 9"));
    let folders = programs.each_ref().map(|program| program.parent().unwrap());
    let mut command = user.blendwire(&["addon", "install", "--zip", &package(&user)]);
    let shown = crate::setup::asked::refused({
        command.env("PATH", std::env::join_paths(folders).unwrap());
        command
    });
    for program in programs {
        assert!(shown.contains(&format!("({})? [y/N]", program.display())), "{shown}");
    }
    assert!(shown.matches("left as it was").count() >= 2 && !shown.contains("must not"), "{shown}");
}

/// With nothing on PATH and an empty home folder. A machine may have Blenders for all users, which no test is to touch.
#[test]
fn none_found_says_what_to_do() {
    let user = User::new();
    let output = addon(&user, &["install", "--zip", &package(&user), "--dry-run", "--json"]);
    if text(&output.stderr).is_empty() {
        let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(found.as_array().unwrap().iter().all(|one| one["change"] == "installed"), "{found}");
    } else {
        expect(&output, 1, "name one with --blender PATH");
    }
}
