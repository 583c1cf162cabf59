// SPDX-License-Identifier: GPL-3.0-or-later
//! Child processes that do not outlive their owner, and waiting for conditions with a deadline.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// Waits until `probe` gives something, asking every few milliseconds.
///
/// # Errors
/// Says what was waited for when `longest` has passed.
pub fn wait_until<T>(what: &str, longest: Duration, mut probe: impl FnMut() -> Option<T>) -> Result<T> {
    const ASK_EVERY: Duration = Duration::from_millis(20);
    let deadline = Instant::now() + longest;
    loop {
        if let Some(found) = probe() {
            return Ok(found);
        }
        if Instant::now() >= deadline {
            bail!("waited {longest:?} in vain for {what}");
        }
        std::thread::sleep(ASK_EVERY);
    }
}

/// What a process holds of the machine's memory, in KiB.
///
/// # Errors
/// Where the system does not tell: when the process has ended, and elsewhere than on Linux.
pub fn resident_kib(pid: u32) -> Result<u64> {
    let status = fs_err::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok(line.split_whitespace().next().context("no number")?.parse()?)
}

/// A child whose output goes to a file. Killed when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command` with stdout and stderr in the file `log`.
    ///
    /// # Errors
    /// The system's, with the command.
    pub fn start(command: &mut Command, log: &Path) -> Result<Self> {
        let file = fs_err::File::create(log)?;
        command.stdin(Stdio::null()).stdout(file.file().try_clone()?).stderr(file.into_file());
        let child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        Ok(Self { child, log: log.to_owned() })
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it printed so far.
    pub fn output(&self) -> String {
        fs_err::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// Its exit status, once it has one.
    pub fn try_wait(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it does not end within `longest`.
    pub fn wait(&mut self, longest: Duration) -> Result<ExitStatus> {
        wait_until("the process to end", longest, || self.try_wait())
            .with_context(|| format!("its output:\n{}", self.output()))
    }

    /// Ends it at once, and waits for that.
    ///
    /// # Errors
    /// The system's.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Sends SIGTERM.
    ///
    /// # Errors
    /// When `kill` cannot be run.
    pub fn terminate(&self) -> Result<()> {
        let done = Command::new("kill").arg("-TERM").arg(self.pid().to_string()).status()?;
        anyhow::ensure!(done.success(), "kill failed: {done}");
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
