// SPDX-License-Identifier: GPL-3.0-or-later
//! Runs a program to its end, and no longer than it may take.

use std::io::Read;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// How often to look whether it has ended, once it has closed its output.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// What it printed, and how it ended.
///
/// # Errors
/// When it does not start. One that takes longer than `longest` is killed.
pub(crate) fn output_within(command: &mut Command, longest: Duration) -> Result<Output> {
    let end = Instant::now() + longest;
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    own_group(command);
    let mut child = command.spawn()?;
    let (stdout, stderr) = (gather(child.stdout.take()), gather(child.stderr.take()));
    let left = || end.saturating_duration_since(Instant::now());
    let read = stdout.recv_timeout(left()).and_then(|stdout| Ok((stdout, stderr.recv_timeout(left())?)));
    let status = ended(&mut child, end);
    if let (Ok((stdout, stderr)), Some(status)) = (read, status) {
        return Ok(Output { status, stdout, stderr });
    }
    kill(&mut child);
    bail!("it has not ended within {} s, and was killed", longest.as_secs())
}

/// Reads to the end, on a thread of its own: a full pipe would stop the program, and a child of its child may hold it open.
fn gather(pipe: Option<impl Read + Send + 'static>) -> Receiver<Vec<u8>> {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            let _ = pipe.read_to_end(&mut bytes);
        }
        let _ = tell.send(bytes);
    });
    told
}

fn ended(child: &mut Child, end: Instant) -> Option<ExitStatus> {
    loop {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        if Instant::now() >= end {
            return None;
        }
        thread::sleep(LOOK_EVERY);
    }
}

/// What is called `blender` may be a script that starts the real one: both are to be reached.
#[cfg(unix)]
fn own_group(command: &mut Command) {
    use std::os::unix::process::CommandExt as _;
    command.process_group(0);
}

#[cfg(windows)]
fn own_group(command: &mut Command) {
    use std::os::windows::process::CommandExt as _;
    // Of a client that has no console none is to flash up.
    const CREATE_NO_WINDOW: u32 = 0x0800_0000;
    command.creation_flags(CREATE_NO_WINDOW);
}

fn kill(child: &mut Child) {
    #[cfg(unix)]
    if let Some(group) = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw) {
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    let _ = child.kill();
    let _ = child.wait();
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn run(script: &str, longest: Duration) -> Result<Output> {
        output_within(Command::new("sh").args(["-c", script]), longest)
    }

    #[test]
    fn both_outputs_and_the_status_are_given() {
        // More than a pipe holds.
        let output = run("head -c 300000 /dev/zero; echo told >&2; exit 3", Duration::from_secs(30)).unwrap();
        assert_eq!((output.stdout.len(), output.stderr.as_slice()), (300_000, b"told\n".as_slice()));
        assert_eq!(output.status.code(), Some(3));
    }

    #[test]
    fn what_hangs_is_ended_with_its_children() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pid");
        let script = format!("sleep 60 & echo $! > '{}'; wait", file.display());
        let error = run(&script, Duration::from_secs(1)).unwrap_err().to_string();
        assert!(error.contains("within 1 s"), "{error}");
        let pid = std::fs::read_to_string(file).unwrap();
        let pid = rustix::process::Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
        let stat = || std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
        let since = Instant::now();
        while rustix::process::test_kill_process(pid).is_ok() && !stat().contains(") Z ") {
            assert!(since.elapsed() < Duration::from_secs(10), "its child runs on");
            thread::sleep(LOOK_EVERY);
        }
    }
}
