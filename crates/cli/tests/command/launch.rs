// SPDX-License-Identifier: GPL-3.0-or-later
//! `blendwire launch` with a Blender that never answers: whoever gives up on it must not leave it running.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use serde_json::{Value, json};
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
    port: String,
    process: Child,
}

impl Launch {
    fn start(blender: &str, options: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("blender");
        write_executable(&path, blender);
        let data = data_with_addon(folder.path());
        let port = free_port();
        let mut command = blendwire(&["launch", "--port", &port, "--blender", path.to_str().unwrap()]);
        command.args(options).env("BLENDWIRE_DATA_DIR", data);
        let process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        Self { folder, port, process }
    }

    /// The processes of the Blender that was started.
    fn blenders(&self) -> Vec<Pid> {
        let noted = || std::fs::read_to_string(self.folder.path().join("pids"));
        assert!(within(STARTS_WITHIN, || noted().is_ok()), "Blender was not started");
        noted().unwrap().split_whitespace().map(|pid| Pid::from_raw(pid.parse().unwrap()).unwrap()).collect()
    }

    /// Answers one question in the place of the Blender, with a status that says it is ready.
    fn answer_status(&self) {
        let listener = TcpListener::bind(format!("127.0.0.1:{}", self.port)).unwrap();
        let (mut stream, _) = listener.accept().unwrap();
        let mut byte = [1];
        while byte != [0] {
            stream.read_exact(&mut byte).unwrap();
        }
        let reply = json!({"status": "ok", "result": ready_status(), "stdout": ""});
        stream.write_all(format!("{reply}\0").as_bytes()).unwrap();
    }

    fn signal(&self, signal: Signal) {
        rustix::process::kill_process(Pid::from_child(&self.process), signal).unwrap();
    }

    fn output(self) -> Output {
        self.process.wait_with_output().unwrap()
    }
}

/// A data folder with what stands for the unpacked add-on, because this build may carry none.
fn data_with_addon(folder: &Path) -> PathBuf {
    let data = folder.join("data");
    let addon = concat!("addon-", env!("CARGO_PKG_VERSION"), "-", env!("BLENDWIRE_ADDON_HASH"));
    std::fs::create_dir_all(data.join(addon)).unwrap();
    data
}

fn ready_status() -> Value {
    let names = "connections connections_refused requests executed_ok executed_error refused received_bytes sent_bytes \
                 released_listeners";
    let counters: serde_json::Map<_, _> = names.split(' ').map(|name| (name.to_owned(), json!(0))).collect();
    json!({
        "state": "idle", "ready": true, "endpoints": [], "pid": 1, "background": true, "file": "", "running": null,
        "last": null, "queue": {"length": 0, "limit": 1}, "clients": 1, "main_thread_age_secs": 0.0,
        "uptime_secs": 0.0, "counters": counters,
        "versions": {"protocol": 1, "core": "", "addon": "", "blender": "4.3.2", "python": ""},
    })
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

#[test]
fn an_attended_blender_that_had_to_be_killed_is_a_failure() {
    for (on_term, status) in [("trap '' TERM", 1), ("trap 'exit 0' TERM", 0)] {
        let launch = Launch::start(&FAKE_BLENDER.replace("sleep", &format!("{on_term}\nsleep")), &["--foreground"]);
        let blenders = launch.blenders();
        launch.answer_status();
        // For the command to have read it.
        thread::sleep(Duration::from_millis(500));
        launch.signal(Signal::INT);
        // As above: two at once may arrive as one.
        thread::sleep(Duration::from_millis(500));
        if status == 1 {
            launch.signal(Signal::INT);
        }
        let output = launch.output();
        let told = text(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{told}");
        assert!(told.contains("Ctrl-C again kills it"), "{told}");
        assert_eq!(told.contains("was killed"), status == 1, "{told}");
        assert!(within(ENDS_WITHIN, || !blenders.iter().any(|pid| is_running(*pid))), "Blender runs on");
    }
}

/// Another Python in its place, or a download of 400 MB with it, would surprise whoever named one.
#[test]
fn a_named_python_that_cannot_be_used_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let data = data_with_addon(folder.path());
    let old = folder.path().join("python-3.8");
    write_executable(&old, "#!/bin/sh\necho 3.8\n");
    let broken = folder.path().join("python-broken");
    write_executable(&broken, "#!/bin/sh\necho no module named ensurepip >&2\nexit 1\n");
    let missing = folder.path().join("missing");
    for (python, why) in [(&old, "is Python 3.8"), (&broken, "no module named ensurepip"), (&missing, "cannot run")] {
        let mut command = blendwire(&["launch", "--embedded", "--port", &free_port()]);
        let output = command.env("BLENDWIRE_DATA_DIR", &data).env("BLENDWIRE_PYTHON", python).output().unwrap();
        let told = text(&output.stderr);
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(2), ""), "{told}");
        assert!(told.contains("BLENDWIRE_PYTHON cannot be used") && told.contains(why), "{told}");
    }
}
