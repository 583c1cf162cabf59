// SPDX-License-Identifier: GPL-3.0-or-later
//! Installs a package with pip and shows how far it is.
//!
//! pip's `raw` progress (24.1 and later) prints `Progress 1234 of 5678`, in bytes, for each download.

use std::io::{BufRead as _, BufReader, Read as _, Seek as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};

use crate::printer;

/// The first pip that knows `--progress-bar raw`.
const RAW_SINCE: (u32, u32) = (24, 1);

/// Bytes of pip's complaint that are shown.
const SHOWN_BYTES: usize = 2000;

/// Installs `requirement` into the environment of `python`, with a pip that is new enough.
pub(super) fn install(python: &Path, requirement: &str) -> Result<()> {
    if version(python)? < RAW_SINCE {
        run(python, &["install", "--upgrade", "pip"], "updating pip")?;
    }
    run(python, &["install", "--progress-bar", "raw", requirement], &format!("installing {requirement}"))
}

fn version(python: &Path) -> Result<(u32, u32)> {
    let output = Command::new(python).args(["-m", "pip", "--version"]).stdin(Stdio::null()).output()?;
    // `pip 23.2.1 from …`
    let text = String::from_utf8_lossy(&output.stdout);
    let mut numbers = text.split_whitespace().nth(1).unwrap_or_default().split('.').map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => Ok((major, minor)),
        _ => bail!("pip in {} does not run: {}", python.display(), String::from_utf8_lossy(&output.stderr).trim()),
    }
}

fn run(python: &Path, arguments: &[&str], title: &str) -> Result<()> {
    let mut complaints = tempfile::tempfile()?;
    let mut child = Command::new(python)
        .args(["-m", "pip", "--disable-pip-version-check", "--no-input"])
        .args(arguments)
        // Mirrors may wrap pip's own settings; its colours and prompts have no reader here.
        .env("PIP_NO_COLOR", "1")
        .env("PYTHONUNBUFFERED", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(complaints.try_clone()?)
        .spawn()
        .context("cannot run pip")?;
    let progress = Progress::new(title);
    for line in BufReader::new(child.stdout.take().context("pip has no output")?).lines() {
        progress.line(&line?);
    }
    let status = child.wait()?;
    progress.bar.finish_and_clear();
    if status.success() {
        return Ok(());
    }
    let mut bytes = Vec::new();
    complaints.rewind()?;
    complaints.read_to_end(&mut bytes)?;
    let shown = &bytes[bytes.len().saturating_sub(SHOWN_BYTES)..];
    bail!("pip failed ({status}):\n{}", String::from_utf8_lossy(shown).trim())
}

/// A bar on a terminal; elsewhere one line per step.
struct Progress {
    bar: ProgressBar,
}

impl Progress {
    fn new(title: &str) -> Self {
        let bar = ProgressBar::new_spinner().with_message(title.to_owned());
        bar.enable_steady_tick(Duration::from_millis(100));
        if bar.is_hidden() {
            printer::talk(title);
        }
        Self { bar }
    }

    fn line(&self, line: &str) {
        if let Some((done_bytes, total_bytes)) = downloaded(line) {
            self.download(done_bytes, total_bytes);
        } else if let Some(step) = step(line) {
            if self.bar.is_hidden() {
                printer::talk(&step);
            }
            self.bar.set_style(ProgressStyle::default_spinner());
            self.bar.unset_length();
            self.bar.set_message(step);
        }
    }

    fn download(&self, done_bytes: u64, total_bytes: u64) {
        const TEMPLATE: &str = "{msg} {bar:30} {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left";
        if self.bar.length() != Some(total_bytes) {
            self.bar.reset();
            self.bar.set_length(total_bytes);
            self.bar.set_style(ProgressStyle::with_template(TEMPLATE).unwrap_or_else(|_| ProgressStyle::default_bar()));
        }
        self.bar.set_position(done_bytes);
    }
}

/// `Progress 1234 of 5678`: bytes of the file that is being downloaded.
fn downloaded(line: &str) -> Option<(u64, u64)> {
    let (done, total) = line.trim().strip_prefix("Progress ")?.split_once(" of ")?;
    Some((done.parse().ok()?, total.parse().ok()?))
}

/// What pip is doing now, in short; `None` for a line that does not say.
fn step(line: &str) -> Option<String> {
    let (verb, rest) = line.trim().split_once(' ')?;
    let what = rest.split_whitespace().next()?;
    match verb {
        "Collecting" => Some(format!("looking up {what}")),
        // `bpy-5.2.3-cp313-cp313-manylinux_2_28_x86_64.whl (402.8 MB)`
        "Downloading" => Some(format!("fetching {}", what.split('-').take(2).collect::<Vec<_>>().join(" "))),
        "Installing" => Some("unpacking and installing".to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_progress_is_understood() {
        assert_eq!(downloaded("Progress 16384 of 412345678"), Some((16384, 412_345_678)));
        assert_eq!(downloaded("Progress"), None);
        assert_eq!(step("Collecting numpy<3.0 (from bpy==5.2.3)").unwrap(), "looking up numpy<3.0");
        assert_eq!(step("  Downloading bpy-5.2.3-cp313-x.whl (360.1 MB)").unwrap(), "fetching bpy 5.2.3");
        assert_eq!(step("Installing collected packages: a, b").unwrap(), "unpacking and installing");
        assert_eq!(step("Successfully installed bpy"), None);
    }
}
