// SPDX-License-Identifier: GPL-3.0-or-later
//! On a terminal, which is a real one here: it lists, shows and asks.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::thread;

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use super::{User, backups, read};

/// Runs it on a terminal where somebody types `answers`; gives what the terminal shows.
fn answered(user: &User, args: &[&str], answers: &str) -> String {
    let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&controller).unwrap();
    unlockpt(&controller).unwrap();
    let name = ptsname(&controller, Vec::new()).unwrap();
    let terminal: OwnedFd = rustix::fs::open(name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
    let stdio = || Stdio::from(terminal.try_clone().unwrap());
    let mut command = user.command(args);
    command.env("TERM", "dumb").env("NO_COLOR", "1");
    let mut process = command.stdin(stdio()).stdout(stdio()).stderr(stdio()).spawn().unwrap();
    // The parent's own descriptors would keep the terminal open when the process has ended.
    drop((command, terminal));
    let mut controller = File::from(controller);
    controller.write_all(answers.as_bytes()).unwrap();
    // Linux ends it with an error, when nobody has the terminal any more.
    let shown = thread::spawn(move || {
        let (mut shown, mut buffer) = (Vec::new(), [0; 4096]);
        while let Ok(length @ 1..) = controller.read(&mut buffer) {
            shown.extend_from_slice(&buffer[..length]);
        }
        String::from_utf8(shown).unwrap()
    });
    process.wait().unwrap();
    shown.join().unwrap()
}

#[test]
fn each_change_is_shown_and_asked_for() {
    let user = User::new();
    let cursor = user.with_file("cursor", "{}");
    let codex = user.with_file("codex", "");
    let shown = answered(&user, &[], "y\nn\n");
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
    let shown = answered(&user, &[], "\n");
    assert!(shown.contains("Take these out?") && shown.contains("--retire"), "{shown}");
    assert_eq!(read(&file), another);
    let shown = answered(&user, &[], "y\nyes\n");
    assert!(shown.contains("- ") && read(&file).contains("blendwire") && !read(&file).contains("uvx"), "{shown}");
}

#[test]
fn with_names_or_yes_nothing_is_asked() {
    for args in [&["cursor"][..], &["--yes"]] {
        let user = User::new();
        let file = user.with_file("cursor", "{}");
        let shown = answered(&user, args, "");
        assert!(!shown.contains("[y/N]") && read(&file).contains("blendwire"), "{shown}");
    }
}
