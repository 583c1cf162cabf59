// SPDX-License-Identifier: GPL-3.0-or-later
//! The process of the Blender that was started: detached with its output in a log file, or attended to its end.

use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use blendwire_client::Endpoint;

use super::asked::AskedToEnd;
use crate::data;
use crate::exit::{Ended, Failure};
use crate::printer;

/// How often to look whether it has ended.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// For a script to finish and Blender to clean up after Ctrl-C, before it is killed. ENDING says it to people.
const END_WITHIN: Duration = Duration::from_secs(10);

/// Windows knows no polite end for a process without a window: there it is killed at once.
const ENDING: &str = if cfg!(windows) {
    "ending Blender"
} else {
    "ending Blender (within 10 s, for a running script to end); Ctrl-C again kills it at once"
};

/// The end of the log that is shown when it failed.
const SHOWN_BYTES: u64 = 4096;
const SHOWN_LINES: usize = 20;

/// A Blender that was started.
pub(crate) struct Child {
    process: std::process::Child,
    /// Where its output goes, unless it is attended.
    pub(crate) log: PathBuf,
    is_logged: bool,
}

impl Child {
    /// Starts it in a process group of its own, so that Ctrl-C in this terminal does not reach it.
    pub(crate) fn start(mut command: Command, endpoint: &Endpoint, is_attended: bool) -> Result<Self> {
        let log = log(&format!("launch-{}.log", endpoint.port))?;
        if is_attended {
            command.stdout(std::io::stderr()).stderr(std::io::stderr());
        } else {
            log_to(&mut command, &log)?;
        }
        command.stdin(Stdio::null());
        Ok(Self { process: spawn(command)?, log, is_logged: !is_attended })
    }

    /// The same for one that is this command's own: it ends when its end of the pipe on stdin is closed
    /// ([`super::start::Start::owned`]), which the system does however this command ends.
    pub(crate) fn start_owned(mut command: Command, endpoint: &Endpoint) -> Result<Self> {
        let log = log(&format!("render-{}.log", endpoint.port))?;
        log_to(&mut command, &log)?;
        command.stdin(Stdio::piped());
        Ok(Self { process: spawn(command)?, log, is_logged: true })
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.process.try_wait()?)
    }

    /// An error that says `what` happened and what Blender said last.
    pub(crate) fn failure(&self, what: &str) -> anyhow::Error {
        if !self.is_logged {
            return anyhow!("{what}; its output stands above");
        }
        let tail = tail(&self.log).unwrap_or_default();
        anyhow!("{what}; its output is in {}, and ends with:\n{tail}", self.log.display())
    }

    /// Waits for its end; when this command is asked to end, ends it too.
    pub(crate) async fn attend(mut self, asked: &mut AskedToEnd) -> Ended {
        tokio::select! {
            ended = self.wait() => {
                let status = ended.map_err(Failure::Failed)?;
                if status.success() { Ok(()) } else { Err(Failure::Failed(anyhow!("Blender ended with {status}"))) }
            }
            () = asked.wait() => {
                if self.end(asked).await {
                    return Ok(());
                }
                Err(Failure::Failed(anyhow!("Blender had not ended yet and was killed")))
            }
        }
    }

    /// Asks it to end and waits for that; kills it when it takes too long, or when this command is asked once more.
    /// Gives whether it ended when asked.
    pub(crate) async fn end(&mut self, asked: &mut AskedToEnd) -> bool {
        printer::talk(ENDING);
        self.ask_to_end();
        let has_ended = tokio::select! {
            ended = tokio::time::timeout(END_WITHIN, self.wait()) => matches!(ended, Ok(Ok(_))),
            () = asked.wait() => false,
        };
        self.kill();
        has_ended
    }

    /// Ends one that is this command's own, as this command's end would: at once, and tidily within this time.
    pub(crate) async fn end_owned(&mut self, within: Duration) {
        drop(self.process.stdin.take());
        let _ = tokio::time::timeout(within, self.wait()).await;
        self.kill();
    }

    /// Waits for its end.
    pub(crate) async fn wait(&mut self) -> Result<ExitStatus> {
        loop {
            if let Some(status) = self.ended()? {
                return Ok(status);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Ends it at once, unless it has ended.
    pub(crate) fn kill(&mut self) {
        if matches!(self.ended(), Ok(Some(_))) {
            return;
        }
        #[cfg(unix)]
        self.signal(rustix::process::Signal::KILL);
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    #[cfg(unix)]
    fn ask_to_end(&mut self) {
        if matches!(self.ended(), Ok(None)) {
            self.signal(rustix::process::Signal::TERM);
        }
    }

    #[cfg(not(unix))]
    fn ask_to_end(&mut self) {
        self.kill();
    }

    /// Reaches the whole group: what is called `blender` may be a shell script that started the real one.
    #[cfg(unix)]
    fn signal(&self, signal: rustix::process::Signal) {
        if let Some(pid) = i32::try_from(self.process.id()).ok().and_then(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process_group(pid, signal);
        }
    }
}

/// A file for what it prints, among the other logs.
fn log(name: &str) -> Result<PathBuf> {
    let logs = data::folder()?.join("logs");
    fs_err::create_dir_all(&logs)?;
    Ok(logs.join(name))
}

fn log_to(command: &mut Command, log: &Path) -> Result<()> {
    let mut options = fs_err::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    fs_err::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(log)?.into_parts().0;
    command.stdout(file.try_clone()?).stderr(file);
    Ok(())
}

fn spawn(mut command: Command) -> Result<std::process::Child> {
    detach(&mut command);
    let program = command.get_program().to_owned();
    command.spawn().with_context(|| format!("cannot start {}", program.display()))
}

#[cfg(unix)]
fn detach(command: &mut Command) {
    use std::os::unix::process::CommandExt as _;
    command.process_group(0);
}

#[cfg(windows)]
fn detach(command: &mut Command) {
    use std::os::windows::process::CommandExt as _;
    const DETACHED_PROCESS: u32 = 0x0000_0008;
    const CREATE_NEW_PROCESS_GROUP: u32 = 0x0000_0200;
    command.creation_flags(DETACHED_PROCESS | CREATE_NEW_PROCESS_GROUP);
}

/// The last lines of a file.
fn tail(path: &Path) -> Result<String> {
    let mut file = fs_err::File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(SHOWN_BYTES)))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<_> = text.lines().collect();
    Ok(lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n"))
}
