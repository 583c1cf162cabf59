// SPDX-License-Identifier: GPL-3.0-or-later
//! On a terminal, which is a real one here: it lists, shows and asks.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};

use super::{User, backups, read};
use crate::terminal;

/// The command on a terminal, with somebody who types.
struct Terminal {
    process: Child,
    controller: File,
    shown: String,
}

impl Terminal {
    fn start(user: &User, args: &[&str]) -> Self {
        Self::of(user.command(args))
    }

    fn of(mut command: Command) -> Self {
        let (controller, terminal) = terminal::open();
        let stdio = || Stdio::from(terminal.try_clone().unwrap());
        command.env("TERM", "dumb").env("NO_COLOR", "1");
        let process = command.stdin(stdio()).stdout(stdio()).stderr(stdio()).spawn().unwrap();
        Self { process, controller, shown: String::new() }
    }

    /// Waits for the next question, and answers it.
    fn answer(&mut self, answer: &str) {
        let asked = self.shown.len();
        while !self.shown[asked..].contains("[y/N] ") {
            assert!(self.read(), "no question: {}", self.shown);
        }
        self.controller.write_all(format!("{answer}\n").as_bytes()).unwrap();
    }

    /// Everything that was shown.
    fn end(mut self) -> String {
        while self.read() {}
        self.process.wait().unwrap();
        self.shown
    }

    /// The system ends it with an error, when nobody has the terminal any more.
    fn read(&mut self) -> bool {
        let mut buffer = [0; 4096];
        let Ok(length @ 1..) = self.controller.read(&mut buffer) else { return false };
        self.shown.push_str(&String::from_utf8_lossy(&buffer[..length]));
        true
    }
}

/// Runs it with these answers; gives what was shown.
fn answered(user: &User, args: &[&str], answers: &[&str]) -> String {
    let mut terminal = Terminal::start(user, args);
    for answer in answers {
        terminal.answer(answer);
    }
    terminal.end()
}

/// Runs any command, and says no to whatever it asks; gives what was shown.
pub(crate) fn refused(command: Command) -> String {
    let mut terminal = Terminal::of(command);
    let mut answered = 0;
    while terminal.read() {
        if terminal.shown[answered..].contains("[y/N] ") {
            answered = terminal.shown.len();
            terminal.controller.write_all(b"n\n").unwrap();
        }
    }
    terminal.end()
}

#[test]
fn each_change_is_shown_and_asked_for() {
    let user = User::new();
    let cursor = user.with_file("cursor", "{}");
    let codex = user.with_file("codex", "");
    let shown = answered(&user, &[], &["y", "n"]);
    assert!(shown.contains("Found:") && shown.contains("Write this? [y/N]"), "{shown}");
    assert!(shown.contains("+ [mcp_servers.blender]") && shown.contains("left as it was"), "{shown}");
    assert!(read(&cursor).contains("blendwire"));
    assert_eq!(read(&codex), "");
    assert_eq!(backups(&codex).len(), 0);
}

#[test]
fn another_server_is_asked_about() {
    let user = User::new();
    let another =
        "{\n  \"mcpServers\": {\n    \"blender\": {\"command\": \"uvx\", \"args\": [\"blender-mcp\"]}\n  }\n}\n";
    let file = user.with_file("cursor", another);
    let shown = answered(&user, &[], &[""]);
    assert!(shown.contains("Take these out?") && shown.contains("--retire"), "{shown}");
    assert_eq!(read(&file), another);
    let shown = answered(&user, &[], &["y", "yes"]);
    assert!(shown.contains("- ") && read(&file).contains("blendwire") && !read(&file).contains("uvx"), "{shown}");
}

#[test]
fn with_names_or_yes_nothing_is_asked() {
    for args in [&["cursor"][..], &["--yes"]] {
        let user = User::new();
        let file = user.with_file("cursor", "{}");
        let shown = answered(&user, args, &[]);
        assert!(!shown.contains("[y/N]") && read(&file).contains("blendwire"), "{shown}");
    }
}

#[test]
fn what_another_program_wrote_meanwhile_is_not_lost() {
    let user = User::new();
    let file = user.with_file("cursor", "{}");
    let mut terminal = Terminal::start(&user, &[]);
    while !terminal.shown.contains("Write this?") {
        assert!(terminal.read(), "{}", terminal.shown);
    }
    std::fs::write(&file, "{\"new\": 1}").unwrap();
    terminal.controller.write_all(b"y\n").unwrap();
    let shown = terminal.end();
    assert!(shown.contains("another program has changed it"), "{shown}");
    assert_eq!((read(&file), backups(&file).len()), ("{\"new\": 1}".to_owned(), 0));
}
