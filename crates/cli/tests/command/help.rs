// SPDX-License-Identifier: GPL-3.0-or-later
//! Every help text is a snapshot, so that a change of wording is a reviewed diff.

use crate::{run, text};

#[test]
fn help_is_as_reviewed() {
    let plain = [
        "",
        "mcp",
        "exec",
        "repl",
        "status",
        "instances",
        "logs",
        "doctor",
        "launch",
        "render",
        "tunnel",
        "setup",
        "token",
        "tls",
    ];
    let of_addon = ["addon", "addon install", "addon uninstall", "addon status", "addon build"];
    for command in plain.into_iter().chain(of_addon) {
        let args: Vec<_> = command.split_whitespace().chain(["--help"]).collect();
        let output = run(&args);
        assert_eq!(output.status.code(), Some(0));
        let help = text(&output.stdout).replace("blendwire.exe", "blendwire");
        assert!(help.contains("Examples:"), "{command} has no example");
        insta::assert_snapshot!(if command.is_empty() { "blendwire" } else { command }, help);
    }
}

#[test]
fn version_is_one_line_of_data() {
    let output = run(&["--version"]);
    assert_eq!(text(&output.stdout), format!("blendwire {}\n", env!("CARGO_PKG_VERSION")));
}
