// SPDX-License-Identifier: GPL-3.0-or-later
//! Every help text, and what every command says of wrong use, is a snapshot, so that a change of wording is a reviewed
//! diff. The commands are those that the help itself lists: none can be forgotten.

use std::collections::BTreeSet;
use std::process::Output;

use crate::{run, text};

/// The words of every command, those of commands in commands too; the whole is no words.
fn commands() -> Vec<Vec<String>> {
    let mut commands = vec![Vec::new()];
    let mut at = 0;
    while at < commands.len() {
        let own = listed(&help(&commands[at]));
        let words = commands[at].clone();
        commands.extend(own.into_iter().map(|name| [words.as_slice(), &[name]].concat()));
        at += 1;
    }
    commands
}

/// What stands below `Commands:` in a help text.
fn listed(help: &str) -> Vec<String> {
    let below = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    // A description that is wrapped begins further in.
    let names = below.filter_map(|line| line.strip_prefix("  ").filter(|line| !line.starts_with(' ')));
    names.filter_map(|line| Some(line.split_whitespace().next()?.to_owned())).filter(|name| name != "help").collect()
}

fn ran(command: &[String], options: &[&str]) -> Output {
    run(&command.iter().map(String::as_str).chain(options.iter().copied()).collect::<Vec<_>>())
}

fn help(command: &[String]) -> String {
    let output = ran(command, &["--help"]);
    assert_eq!(output.status.code(), Some(0), "{command:?}");
    assert_eq!(text(&output.stderr), "", "{command:?}");
    text(&output.stdout).replace("blendwire.exe", "blendwire")
}

/// The name of a command's snapshot.
fn name(command: &[String]) -> String {
    if command.is_empty() { "blendwire".to_owned() } else { command.join("-") }
}

#[test]
fn help_is_as_reviewed() {
    for command in commands() {
        let help = help(&command);
        assert!(help.contains("Examples:"), "{command:?} has no example");
        insta::assert_snapshot!(name(&command), help);
    }
}

#[test]
fn no_snapshot_is_of_a_command_that_is_gone() {
    let commands: BTreeSet<_> = commands().iter().map(|command| name(command)).collect();
    assert!(commands.len() > 12, "{commands:?}");
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/command/snapshots");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let of_help = files.filter_map(|file| {
        Some(file.strip_prefix("command__help__")?.strip_suffix(".snap")?.to_owned()).filter(|name| name != WRONG_USE)
    });
    let snapshots: BTreeSet<_> = of_help.collect();
    assert_eq!(snapshots, commands);
}

/// The one snapshot of what is said of wrong use.
const WRONG_USE: &str = "wrong_use";

#[test]
fn wrong_use_is_answered_as_reviewed() {
    let of_each = commands().into_iter().map(|command| (command, vec!["--no-such-option"]));
    // What the system or its version has a word in is tested elsewhere.
    let more = [
        ("", "no-such-command"),
        ("", "instance"),
        ("exec", "-c 1 file.py"),
        ("exec", "--timeout 0 -c 1"),
        ("status", "--port 0"),
        ("status", "--port 70000"),
        ("status", "--host localhost:9876"),
        ("status", "--host a --instance b"),
        ("status", "--profile a --host b"),
        ("status", "--plain --tls"),
        ("status", "--fingerprint x"),
        ("doctor", "--list --fix"),
        ("launch", "--host 0.0.0.0"),
        ("setup", "no-such-client"),
        ("setup", "--name a.b"),
        ("setup", "--instance 1 zed"),
        ("tls", "--name x"),
        ("token", "--rotate --path"),
        ("config", "--path --json"),
        ("lock", "--running"),
        ("lock", "--check missing.lock"),
        ("completions", ""),
        ("completions", "tcsh"),
        ("man", "no-such-command"),
        ("man", "exec --output folder"),
    ];
    let more = more.into_iter().map(|(command, options)| {
        let words = |text: &'static str| text.split_whitespace();
        (words(command).map(str::to_owned).collect(), words(options).collect())
    });
    let told = of_each.chain(more).map(|(command, options): (Vec<String>, Vec<&str>)| {
        let output = ran(&command, &options);
        let line = [&["blendwire".to_owned()], command.as_slice()].concat().join(" ");
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(2), ""), "{line} {options:?}");
        let said = text(&output.stderr).replace("blendwire.exe", "blendwire");
        format!("$ {line} {}\n{}\n", options.join(" "), said.trim_end())
    });
    insta::assert_snapshot!(WRONG_USE, told.collect::<Vec<_>>().join("\n"));
}

#[test]
fn version_is_one_line_of_data() {
    let output = run(&["--version"]);
    assert_eq!(text(&output.stdout), format!("blendwire {}\n", env!("CARGO_PKG_VERSION")));
}
