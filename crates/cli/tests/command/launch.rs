// SPDX-License-Identifier: GPL-3.0-or-later
//! `blendwire launch` with a Blender that never answers: whoever gives up on it must not leave it running.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use tempfile::TempDir;

use crate::{blendwire, free_port, text};

/// Says which version it is; otherwise notes its process and that of its child, and never answers. Like the wrappers
/// of some distributions it is a script that waits for the real thing.
const FAKE_BLENDER: &str = r#"#!/bin/sh
if [ "$1" = --version ]; then echo "Blender 4.3.2"; exit; fi
cd "$(dirname "$0")"
exec > /dev/null 2>&1
sleep 60 &
echo $$ $! > pids.new
mv pids.new pids
wait
"#;

/// A start on a loaded machine.
const STARTS_WITHIN: Duration = Duration::from_secs(20);

/// Less than the time that Blender is given to end by itself.
const ENDS_WITHIN: Duration = Duration::from_secs(5);

struct Launch {
    folder: TempDir,
    process: Child,
}

impl Launch {
    fn start(blender: &str, options: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("blender");
        write_executable(&path, blender);
        // Stands for the unpacked add-on, because this build may carry none.
        let addon = concat!("addon-", env!("CARGO_PKG_VERSION"), "-", env!("BLENDWIRE_ADDON_HASH"));
        std::fs::create_dir_all(folder.path().join("data").join(addon)).unwrap();
        let mut command = blendwire(&["launch", "--port", &free_port(), "--blender", path.to_str().unwrap()]);
        command.args(options).env("BLENDWIRE_DATA_DIR", folder.path().join("data"));
        let process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        Self { folder, process }
    }

    /// The processes of the Blender that was started.
    fn blenders(&self) -> Vec<Pid> {
        let noted = || std::fs::read_to_string(self.folder.path().join("pids"));
        assert!(within(STARTS_WITHIN, || noted().is_ok()), "Blender was not started");
        noted().unwrap().split_whitespace().map(|pid| Pid::from_raw(pid.parse().unwrap()).unwrap()).collect()
    }

    fn signal(&self, signal: Signal) {
        rustix::process::kill_process(Pid::from_child(&self.process), signal).unwrap();
    }

    fn output(self) -> Output {
        self.process.wait_with_output().unwrap()
    }
}

/// A process that has ended may stand in the list until somebody asks for its status.
fn is_running(pid: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
    rustix::process::test_kill_process(pid).is_ok() && !stat.contains(") Z ")
}

/// Written by another process: a file that this one has open for writing while a test beside it starts a process
/// cannot be executed ("text file busy").
fn write_executable(path: &Path, content: &str) {
    let script = "printf %s \"$2\" > \"$1\" && chmod +x \"$1\"";
    assert!(Command::new("sh").args(["-c", script, "sh"]).arg(path).arg(content).status().unwrap().success());
}

fn within(limit: Duration, holds: impl Fn() -> bool) -> bool {
    let start = Instant::now();
    while !holds() {
        if start.elapsed() > limit {
            return false;
        }
        thread::sleep(Duration::from_millis(10));
    }
    true
}

#[test]
fn stopped_while_it_waits_it_ends_blender() {
    for (options, signal) in [(&["--foreground"][..], Signal::INT), (&[], Signal::INT), (&[], Signal::TERM)] {
        let launch = Launch::start(FAKE_BLENDER, options);
        let blenders = launch.blenders();
        assert!(blenders.iter().all(|pid| is_running(*pid)));
        launch.signal(signal);
        let output = launch.output();
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(1), ""));
        assert!(text(&output.stderr).contains("Blender was ended"), "{}", text(&output.stderr));
        assert!(within(ENDS_WITHIN, || !blenders.iter().any(|pid| is_running(*pid))), "{options:?}: Blender runs on");
    }
}

#[test]
fn stopped_twice_it_kills_a_blender_that_does_not_listen() {
    let launch = Launch::start(&FAKE_BLENDER.replace("sleep", "trap '' TERM\nsleep"), &[]);
    let blenders = launch.blenders();
    launch.signal(Signal::INT);
    // Two at once may arrive as one.
    thread::sleep(Duration::from_millis(500));
    assert!(blenders.iter().all(|pid| is_running(*pid)), "it was killed at once");
    let start = Instant::now();
    launch.signal(Signal::INT);
    assert_eq!(launch.output().status.code(), Some(1));
    assert!(start.elapsed() < ENDS_WITHIN, "the second wish was not heard");
    assert!(within(ENDS_WITHIN, || !blenders.iter().any(|pid| is_running(*pid))), "Blender runs on");
}
