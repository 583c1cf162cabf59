// SPDX-License-Identifier: GPL-3.0-or-later
//! One long installation as a person sees it: a line that moves, a log, and the log's end on failure.
//!
//! On a terminal a spinner shows the last line of the log; elsewhere plain lines say what starts, that it
//! still runs (CI kills what is silent), and how long it took. All of it goes to standard error.

use std::cell::Cell;
use std::fs::File;
use std::io::{IsTerminal, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use fs_err as fs;
use indicatif::{ProgressBar, ProgressStyle};

use crate::process;

/// Quick enough for the eye, and cheap.
const POLL: Duration = Duration::from_millis(100);
/// Plain output: how often a running command is mentioned.
const REMINDER: Duration = Duration::from_secs(30);
/// How many of the log's last lines are shown on failure.
const SHOWN_LINES: usize = 40;
/// How much of the log's end is read for that.
const SHOWN_BYTES: u64 = 16 * 1024;

/// Something being provided.
pub(crate) struct Task {
    name: String,
    log: PathBuf,
    lock: File,
    start: Instant,
    reminded: Cell<Instant>,
    bar: Option<ProgressBar>,
}

impl Task {
    /// `lock` is an empty file that is locked for as long as anything may still be changing the cache.
    pub(crate) fn start(name: &str, log: PathBuf, lock: File) -> Result<Self> {
        fs::write(&log, "")?;
        let bar = std::io::stderr().is_terminal().then(|| spinner(name));
        if bar.is_none() {
            eprintln!("providing {name} …");
        }
        let now = Instant::now();
        Ok(Self { name: name.to_owned(), log, lock, start: now, reminded: Cell::new(now), bar })
    }

    /// Runs to the end; output goes to the log only.
    pub(crate) fn run(&self, command: &mut Command) -> Result<()> {
        let log = fs::OpenOptions::new().append(true).open(&self.log)?.into_parts().0;
        // As its standard input the program holds the lock: if this process is killed, the next run waits until
        // what it started has ended.
        command.stdin(self.lock.try_clone()?).stdout(log.try_clone()?).stderr(log);
        let mut child = command.spawn().with_context(|| process::cannot_start(command))?;
        let status = self.watch(&mut child)?;
        if status.success() {
            return Ok(());
        }
        bail!(
            "providing {}: `{}` failed ({status}). The end of {}:\n{}",
            self.name,
            process::shown(command),
            self.log.display(),
            last_lines(&self.log, SHOWN_LINES)
        )
    }

    pub(crate) fn finish(self) {
        let line = format!("provided {} in {:.0} s", self.name, self.start.elapsed().as_secs_f64());
        match &self.bar {
            Some(bar) => bar.suspend(|| eprintln!("{line}")),
            None => eprintln!("{line}"),
        }
    }

    fn watch(&self, child: &mut Child) -> Result<ExitStatus> {
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(status);
            }
            self.show_life();
            std::thread::sleep(POLL);
        }
    }

    fn show_life(&self) {
        if let Some(bar) = &self.bar {
            bar.set_message(last_lines(&self.log, 1));
        } else if self.reminded.get().elapsed() >= REMINDER {
            self.reminded.set(Instant::now());
            eprintln!("still providing {} ({:.0} s)", self.name, self.start.elapsed().as_secs_f64());
        }
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn spinner(name: &str) -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {prefix} [{elapsed}] {wide_msg:.dim}");
    let bar = ProgressBar::new_spinner().with_prefix(format!("providing {name}"));
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    bar.enable_steady_tick(POLL);
    bar
}

/// The last lines of a file that others may be writing; empty when it cannot be read.
fn last_lines(path: &Path, count: usize) -> String {
    let text = read_end(path).unwrap_or_default();
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

fn read_end(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(SHOWN_BYTES)))?;
    let mut end = Vec::new();
    file.read_to_end(&mut end)?;
    Ok(String::from_utf8_lossy(&end).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failure_shows_command_and_end_of_log() {
        let dir = tempfile::tempdir().unwrap();
        let lock = tempfile::tempfile().unwrap();
        let task = Task::start("thing", dir.path().join("log"), lock).unwrap();
        let error = task.run(Command::new("cargo").arg("no-such-command")).unwrap_err().to_string();
        assert!(error.contains("`cargo no-such-command` failed"), "{error}");
        assert!(error.contains("no such command"), "{error}");
    }

    #[test]
    fn last_lines_skip_blank_ones() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        fs::write(&path, "1\n2\n\n3\n\n").unwrap();
        assert_eq!(last_lines(&path, 2), "2\n3");
    }
}
