// SPDX-License-Identifier: GPL-3.0-or-later
//! `cargo xtask fuzz`: libFuzzer on the protocol's readers, through cargo-fuzz and a nightly compiler.
//!
//! No test needs this: what it looks for is tried by the unit tests too, with random messages. It gives the kept
//! corpus to the fuzzer as files, keeps what the fuzzer learns in `target/fuzz/corpus`, and shows each finding as the
//! line that keeps it in `seeds.json`.

#[path = "../../crates/protocol/fuzz/corpus.rs"]
mod corpus;

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use fs_err as fs;
use serde_json::json;

use crate::process;
use crate::workspace::Workspace;

const PACKAGE: &str = "crates/protocol/fuzz";

#[derive(Args)]
#[command(after_help = "Examples:\n  cargo xtask fuzz\n  cargo xtask fuzz frame-decoder --seconds 600")]
pub(crate) struct Options {
    /// Which one [default: each after the other]
    target: Option<Target>,
    /// How long to fuzz each target
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Target {
    /// How bytes become messages, framed and bare
    FrameDecoder,
    /// How text becomes a framed request, and what our clients and our server write
    RequestParser,
    /// How text becomes a request of the bare dialect
    BareRequests,
}

impl Target {
    /// As its file is named.
    fn name(self) -> &'static str {
        match self {
            Self::FrameDecoder => "frame_decoder",
            Self::RequestParser => "request_parser",
            Self::BareRequests => "bare_requests",
        }
    }
}

/// Programs that have to be installed first.
#[derive(Debug)]
pub(crate) struct Missing(Vec<&'static str>);

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fuzzing needs what is not installed here; nothing was fuzzed. Install it:")?;
        self.0.iter().try_for_each(|line| write!(f, "\n  {line}"))
    }
}

impl std::error::Error for Missing {}

pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let missing = missing();
    if !missing.is_empty() {
        return Err(Missing(missing).into());
    }
    let targets = options.target.map_or_else(|| Target::value_variants().to_vec(), |target| vec![target]);
    targets.into_iter().try_for_each(|target| fuzz(workspace, target, options.seconds))
}

/// What to type for each program that is not there.
fn missing() -> Vec<&'static str> {
    let compiler = std::env::var_os("CXX").unwrap_or_else(|| "c++".into());
    let needed = [
        (nightly(&["--version"]), "rustup toolchain install nightly"),
        (nightly(&["fuzz", "--version"]), "cargo install cargo-fuzz"),
        (Command::new(compiler).arg("--version").output(), "a C++ compiler; on Debian: apt-get install g++"),
    ];
    let is_there = |output: &std::io::Result<std::process::Output>| output.as_ref().is_ok_and(|it| it.status.success());
    needed.iter().filter(|(output, _)| !is_there(output)).map(|(_, line)| *line).collect()
}

/// `cargo +nightly …`: rustup's cargo and not the one that runs this, which knows no other toolchain.
fn cargo_nightly() -> Command {
    let mut command = Command::new("cargo");
    command.arg("+nightly").env_remove("CARGO").env_remove("RUSTC");
    command
}

fn nightly(args: &[&str]) -> std::io::Result<std::process::Output> {
    cargo_nightly().args(args).output()
}

fn fuzz(workspace: &Workspace, target: Target, seconds: u32) -> Result<()> {
    println!("\n━━━ {} ━━━", target.name());
    let (package, corpus) = (workspace.root.join(PACKAGE), write_corpus(&workspace.target, target)?);
    let mut command = cargo_nightly();
    command.current_dir(&workspace.root).args(["fuzz", "run"]);
    // The crate has no unsafe code that a sanitizer could watch, and runs twice as fast without.
    command.args(["--sanitizer", "none", "--fuzz-dir", PACKAGE, "--target-dir"]);
    command.arg(workspace.target.join("fuzz/build")).arg(target.name()).arg(corpus).arg("--");
    // Longer inputs find nothing that shorter ones do not, and an input takes well under a millisecond.
    command.args(["-max_len=1024", "-timeout=10", "-print_final_stats=1"]);
    command.arg(format!("-max_total_time={seconds}"));
    command.arg(format!("-dict={}", package.join("tokens.dict").display()));
    process::run(&mut command).with_context(|| {
        let findings = seed_lines(&package.join("artifacts").join(target.name()), target);
        format!(
            "fuzzing {} failed; if it found something, correct the code and keep the input: add its line to \
             {PACKAGE}/seeds.json with a name that says what it shows{findings}",
            target.name()
        )
    })
}

/// The kept corpus as files, beside what earlier runs have found worth keeping.
fn write_corpus(build: &Path, target: Target) -> Result<PathBuf> {
    let folder = build.join("fuzz/corpus").join(target.name());
    fs::create_dir_all(&folder)?;
    for (index, seed) in corpus::seeds().iter().filter(|seed| seed.target == target.name()).enumerate() {
        let plain: String = seed.name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        fs::write(folder.join(format!("seed-{index:02}-{plain}")), &seed.data)?;
    }
    Ok(folder)
}

/// What to add to `seeds.json`: each byte as the character of its number.
fn seed_lines(artifacts: &Path, target: Target) -> String {
    let files = fs::read_dir(artifacts).into_iter().flatten().flatten();
    let lines = files.filter_map(|file| fs::read(file.path()).ok()).map(|data| {
        let data: String = data.iter().map(|byte| char::from(*byte)).collect();
        format!("\n  {}", json!({"target": target.name(), "name": "", "data": data}))
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_target_is_there_and_has_a_corpus() {
        let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(PACKAGE);
        for target in Target::value_variants() {
            assert!(package.join("targets").join(format!("{}.rs", target.name())).is_file());
            let build = tempfile::tempdir().unwrap();
            let corpus = write_corpus(build.path(), *target).unwrap();
            assert!(fs::read_dir(corpus).unwrap().count() > 5, "{target:?}");
        }
    }

    #[test]
    fn a_finding_is_shown_as_the_line_that_keeps_it() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("crash"), b"\0\xff{").unwrap();
        let line = "\n  {\"target\":\"frame_decoder\",\"name\":\"\",\"data\":\"\\u0000\u{ff}{\"}";
        assert_eq!(seed_lines(folder.path(), Target::FrameDecoder), line);
    }

    #[test]
    fn what_is_missing_is_said_with_what_to_type() {
        let said = Missing(vec!["rustup toolchain install nightly", "cargo install cargo-fuzz"]).to_string();
        assert!(said.contains("nothing was fuzzed") && said.ends_with("nightly\n  cargo install cargo-fuzz"), "{said}");
    }
}
