// SPDX-License-Identifier: GPL-3.0-or-later
//! Starts the command of a client's entry as the client would, and waits for its greeting.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::commands::setup::Ours;

/// Clients wait longer, but one of ours takes milliseconds.
const GREETS_WITHIN: Duration = Duration::from_secs(5);

/// A greeting has some kilobytes; what prints without end is no MCP server.
const LONGEST_BYTES: u64 = 1024 * 1024;

/// Ended when dropped, whatever came of it.
struct Started(Child);

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What it says it is.
///
/// # Errors
/// When it does not start, or says something else, or nothing in time.
pub(super) fn greet(entry: &Ours) -> Result<String> {
    let (program, args) = entry.words.split_first().context("the entry has no command")?;
    let mut command = Command::new(program);
    command.args(args).envs(entry.variables.iter().cloned());
    // Clients start their servers in folders of their own.
    command.current_dir(std::env::temp_dir());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let started = command.spawn().with_context(|| format!("{program} does not start"))?;
    let mut started = Started(started);
    let mut stdin = started.0.stdin.take().context("it has no stdin")?;
    let stdout = started.0.stdout.take().context("it has no stdout")?;
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        let mut line = String::new();
        let read = BufReader::new(stdout.take(LONGEST_BYTES)).read_line(&mut line);
        let _ = tell.send(read.map(|_| line));
    });
    // One that has ended already is told of by what it did not answer.
    let _ = writeln!(stdin, "{}", blendwire_mcp::greeting());
    let Ok(line) = told.recv_timeout(GREETS_WITHIN) else {
        bail!("it says nothing within {} s of the client's greeting", GREETS_WITHIN.as_secs());
    };
    let line = line.context("what it says is no text")?;
    match blendwire_mcp::greeted(&line) {
        Some((name, version)) => Ok(format!("{name} {version}")),
        None if line.is_empty() => bail!("it ends without a word"),
        None => bail!("it answers the client's greeting with something else"),
    }
}
