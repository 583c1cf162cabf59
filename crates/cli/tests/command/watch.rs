// SPDX-License-Identifier: GPL-3.0-or-later
//! `--watch`: a line for each change where stdout is no terminal, drawn anew where it is one, and Ctrl-C is a good end.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, ChildStdout, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::doctor::{lend_main_thread, server};
use crate::setup::User;
use crate::terminal;

/// A command that goes on; ended with the test, whatever becomes of that.
struct Watch {
    process: Child,
    lines: BufReader<ChildStdout>,
}

impl Watch {
    fn start(user: &User, args: &[&str]) -> Self {
        let mut process = user.own(args).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap());
        Self { process, lines }
    }

    /// The next line without its time. A line that does not come is for the suite's own time limit.
    fn line(&mut self) -> String {
        let line = self.raw_line();
        let (time, rest) = line.split_once(' ').unwrap();
        assert!(time.len() == 8 && time.split(':').all(|part| part.parse::<u8>().is_ok()), "{line}");
        rest.to_owned()
    }

    fn raw_line(&mut self) -> String {
        let mut line = String::new();
        assert!(self.lines.read_line(&mut line).unwrap() > 0, "it ended");
        line.trim_end().to_owned()
    }

    fn json(&mut self) -> Value {
        serde_json::from_str(&self.raw_line()).unwrap()
    }

    /// Ctrl-C.
    fn interrupt(mut self) {
        interrupt(&self.process);
        assert_eq!(self.process.wait().unwrap().code(), Some(0));
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn interrupt(process: &Child) {
    let pid = Pid::from_raw(process.id().try_into().unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
}

#[test]
fn instances_that_come_and_go_are_a_line_each() {
    let user = User::new();
    let (one, one_port) = server(&user, |_| {});
    let mut lines = Watch::start(&user, &["instances", "--watch"]);
    let mut json = Watch::start(&user, &["instances", "--watch", "--json"]);
    let (came, told) = (lines.line(), json.json());
    assert!(came.starts_with("running  ") && came.ends_with(&format!("at 127.0.0.1:{one_port}")), "{came}");
    assert_eq!(told.as_array().unwrap().len(), 1);
    let (_other, other_port) = server(&user, |_| {});
    let (came, told) = (lines.line(), json.json());
    assert!(came.starts_with("running  ") && came.ends_with(&format!(":{other_port}")), "{came}");
    assert_eq!(told.as_array().unwrap().len(), 2);
    drop(one);
    let (went, told) = (lines.line(), json.json());
    assert!(went.starts_with("ended    ") && went.ends_with(&format!(":{one_port}")), "{went}");
    assert_eq!(told[0]["endpoints"][0], format!("127.0.0.1:{other_port}"));
    lines.interrupt();
    json.interrupt();
}

#[test]
fn a_status_that_changes_is_a_line_and_one_that_does_not_is_none() {
    let user = User::new();
    let (one, port) = server(&user, |_| {});
    let mut lines = Watch::start(&user, &["status", "--watch", "--port", &port]);
    let mut json = Watch::start(&user, &["status", "--watch", "--json", "--port", &port]);
    assert!(lines.line().starts_with("starting"));
    assert_eq!(json.json()["state"], "starting");
    // Some looks that see the same: the next line is of what happens then.
    std::thread::sleep(std::time::Duration::from_millis(2500));
    lend_main_thread(&one);
    assert_eq!((lines.line(), json.json()["state"].as_str()), ("idle".to_owned(), Some("idle")));
    drop(one);
    assert!(lines.line().starts_with("unreachable: "));
    assert_eq!(json.json()["state"], "unreachable");
    lines.interrupt();
    json.interrupt();
}

#[test]
fn a_terminal_is_drawn_anew() {
    let user = User::new();
    let (one, port) = server(&user, |_| {});
    lend_main_thread(&one);
    for (args, shown) in
        [(&["instances", "--watch"][..], "ENDPOINT"), (&["status", "--watch", "--port", &port], "main thread")]
    {
        let (mut controller, terminal) = terminal::open();
        let stdio = || Stdio::from(terminal.try_clone().unwrap());
        let mut command = user.own(args);
        command.env("TERM", "xterm").env_remove("NO_COLOR");
        let process = command.stdin(stdio()).stdout(stdio()).stderr(stdio()).spawn().unwrap();
        drop((command, terminal));
        let (mut seen, mut buffer) = (String::new(), [0; 4096]);
        while seen.matches("\x1b[H\x1b[J").count() < 2 || !seen.ends_with("ends\x1b[0m\r\n") {
            let length = controller.read(&mut buffer).unwrap();
            seen.push_str(&String::from_utf8_lossy(&buffer[..length]));
        }
        assert!(seen.contains(shown), "{seen}");
        interrupt(&process);
        assert_eq!({ process }.wait().unwrap().code(), Some(0));
    }
}
