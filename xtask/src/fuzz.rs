// SPDX-License-Identifier: GPL-3.0-or-later
//! `cargo xtask fuzz`: libFuzzer on the protocol's readers and on connections to a running server, with the compiler that
//! builds everything else.
//!
//! What libFuzzer needs of a compiler (counters of edges, comparisons told) is a pass of LLVM that stable Rust lets be
//! asked for, so neither a nightly compiler nor cargo-fuzz is needed. libFuzzer itself is C++ and is built by its crate.
//! The kept corpus is given to the fuzzer as files; what it learns stays in `target/fuzz/corpus`, and each finding is
//! shown as the line that keeps it in `seeds.json`. `cargo xtask test` runs every target for `IN_SUITE`.

#[path = "../../crates/protocol/fuzz/corpus.rs"]
mod corpus;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, ValueEnum};
use fs_err as fs;
use serde_json::json;

use crate::workspace::Workspace;
use crate::{process, provide};

/// Folders of fuzz targets, each a workspace of its own with `seeds.json`, `tokens.dict` and `targets/`.
const PROTOCOL: &str = "crates/protocol/fuzz";
const BRIDGE: &str = "crates/bridge/fuzz";

/// Seconds per target in `cargo xtask test`: tens of thousands of executions on a loaded machine, hundreds of thousands on an idle one.
const IN_SUITE: u32 = 30;

/// What cargo-fuzz asks for, without a sanitizer: the crate has no unsafe code that one could watch.
const INSTRUMENTED: [&str; 7] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "--cfg=fuzzing",
    "-Cdebug-assertions",
];

/// What libFuzzer prints at the end.
const EXECUTIONS: &str = "stat::number_of_executed_units:";

/// Of what a target printed, what is shown when it found something.
const SHOWN_LINES: usize = 60;

#[derive(Args)]
#[command(after_help = "Examples:\n  cargo xtask fuzz\n  cargo xtask fuzz frame-decoder --seconds 600\n  \
    cargo xtask fuzz bare-requests --input target/fuzz/artifacts/bare_requests/crash-…")]
pub(crate) struct Options {
    /// Which one [default: all at the same time]
    target: Option<Target>,
    /// How long to fuzz each target
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// Run the target once, with this input, to see what was found
    #[arg(long, value_name = "FILE", requires = "target")]
    input: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Target {
    /// How bytes become messages, framed and bare
    FrameDecoder,
    /// How text becomes a framed request, and what our clients and our server write
    RequestParser,
    /// How text becomes a request of the bare dialect
    BareRequests,
    /// Connections that begin as HTTP
    HttpEntry,
    /// Connections that begin as TLS
    TlsEntry,
}

impl Target {
    /// As its file is named.
    fn name(self) -> &'static str {
        match self {
            Self::FrameDecoder => "frame_decoder",
            Self::RequestParser => "request_parser",
            Self::BareRequests => "bare_requests",
            Self::HttpEntry => "http_entry",
            Self::TlsEntry => "tls_entry",
        }
    }

    /// Where it is.
    fn package(self) -> &'static str {
        match self {
            Self::FrameDecoder | Self::RequestParser | Self::BareRequests => PROTOCOL,
            Self::HttpEntry | Self::TlsEntry => BRIDGE,
        }
    }
}

pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let targets = options.target.map_or_else(|| Target::value_variants().to_vec(), |target| vec![target]);
    let programs = build(workspace, &targets)?;
    if let (Some(target), Some(input)) = (options.target, &options.input) {
        return process::run(Command::new(programs.join(target.name())).arg(input));
    }
    fuzz(workspace, &programs, &targets, options.seconds)
}

/// Every target, as part of the suite.
pub(crate) fn suite(workspace: &Workspace) -> Result<()> {
    fuzz(workspace, &build(workspace, Target::value_variants())?, Target::value_variants(), IN_SUITE)
}

/// Builds the packages of these targets; returns the folder that the programs are in.
fn build(workspace: &Workspace, targets: &[Target]) -> Result<PathBuf> {
    provide::cpp_compiler().context("libFuzzer is C++")?;
    let (target, host) = (workspace.target.join("fuzz/build"), host()?);
    for package in [PROTOCOL, BRIDGE] {
        if !targets.iter().any(|target| target.package() == package) {
            continue;
        }
        let mut command = process::cargo(workspace);
        command.args(["build", "--release", "--locked", "--manifest-path"]).arg(format!("{package}/Cargo.toml"));
        // With its target named, cargo leaves build scripts and macros as they are: those have no fuzzer to report to.
        command.args(["--target", &host]).env("CARGO_TARGET_DIR", &target);
        command.env_remove("RUSTFLAGS").env("CARGO_ENCODED_RUSTFLAGS", INSTRUMENTED.join("\x1f"));
        process::run(&mut command)?;
    }
    Ok(target.join(host).join("release"))
}

/// The compiler's name for this machine.
fn host() -> Result<String> {
    let said = process::capture(Command::new("rustc").arg("-vV"))?;
    let host = said.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("`rustc -vV` names no host")
}

/// One target that runs.
struct Running {
    target: Target,
    log: PathBuf,
    findings: PathBuf,
    process: Child,
}

impl Drop for Running {
    /// Where one could not be started, the others do not go on without anybody who waits for them.
    fn drop(&mut self) {
        // One that has ended already is not killed, and both fail then.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// All at the same time: each uses one core, and a part of the machine for as long finds no less than a part of the time.
fn fuzz(workspace: &Workspace, programs: &Path, targets: &[Target], seconds: u32) -> Result<()> {
    let started: Result<Vec<Running>> =
        targets.iter().map(|target| start(workspace, programs, *target, seconds)).collect();
    let verdicts: Vec<Result<()>> = started?.into_iter().map(finish).collect();
    let failures: Vec<String> =
        verdicts.into_iter().filter_map(|verdict| Some(format!("{:#}", verdict.err()?))).collect();
    ensure!(failures.is_empty(), "{}", failures.join("\n\n"));
    Ok(())
}

fn start(workspace: &Workspace, programs: &Path, target: Target, seconds: u32) -> Result<Running> {
    let folder = workspace.target.join("fuzz");
    let corpus = write_corpus(&workspace.target, target)?;
    let findings = folder.join("artifacts").join(target.name());
    let log = folder.join(format!("{}.log", target.name()));
    // What earlier runs found is kept by whoever mended it.
    if findings.exists() {
        fs::remove_dir_all(&findings)?;
    }
    fs::create_dir_all(&findings)?;
    println!("{}: {seconds} s from {} inputs; its words: {}", target.name(), count(&corpus), log.display());
    let words = File::create(&log)?;
    let mut command = Command::new(programs.join(target.name()));
    // Longer inputs find nothing that shorter ones do not, and an input takes well under a millisecond.
    command.arg(&corpus).args(["-max_len=1024", "-timeout=10", "-print_final_stats=1"]);
    command.arg(format!("-max_total_time={seconds}")).arg(format!("-artifact_prefix={}/", findings.display()));
    command.arg(format!("-dict={}", workspace.root.join(target.package()).join("tokens.dict").display()));
    command.stdin(Stdio::null()).stdout(words.try_clone()?).stderr(words);
    let process = command.spawn().with_context(|| process::cannot_start(&command))?;
    Ok(Running { target, log, findings, process })
}

fn finish(mut running: Running) -> Result<()> {
    let status = running.process.wait()?;
    let name = running.target.name();
    let words = String::from_utf8_lossy(&fs::read(&running.log)?).into_owned();
    let executions = executions(&words);
    if let (true, Some(executions)) = (status.success(), executions) {
        println!("{name}: {executions} executions, nothing found");
        return Ok(());
    }
    let lines: Vec<&str> = words.lines().collect();
    let end = lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n");
    let again: Vec<String> = fs::read_dir(&running.findings)?
        .flatten()
        .map(|file| format!("\n  cargo xtask fuzz {} --input {}", name.replace('_', "-"), file.path().display()))
        .collect();
    bail!(
        "{end}\nfuzzing {name} failed ({status}, {} executions). See it again:{}\nCorrect the code and keep the \
         input: add its line to {}/seeds.json with a name that says what it shows:{}",
        executions.unwrap_or("unknown"),
        again.concat(),
        running.target.package(),
        seed_lines(&running.findings, running.target)
    )
}

fn executions(words: &str) -> Option<&str> {
    words.lines().find_map(|line| line.strip_prefix(EXECUTIONS)).map(str::trim)
}

fn count(folder: &Path) -> usize {
    fs::read_dir(folder).map_or(0, Iterator::count)
}

/// The kept corpus as files, beside what earlier runs have found worth keeping.
fn write_corpus(build: &Path, target: Target) -> Result<PathBuf> {
    let folder = build.join("fuzz/corpus").join(target.name());
    fs::create_dir_all(&folder)?;
    let kept = corpus::entries(include_str!("../../crates/bridge/fuzz/seeds.json"))
        .into_iter()
        .map(|entry| corpus::seed(&entry));
    for (index, seed) in corpus::seeds().into_iter().chain(kept).filter(|seed| seed.target == target.name()).enumerate()
    {
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
        for target in Target::value_variants() {
            let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(target.package());
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
    fn the_number_of_executions_is_read() {
        assert_eq!(executions("x\nstat::number_of_executed_units: 42\ny"), Some("42"));
        assert_eq!(executions("ERROR: libFuzzer: deadly signal"), None);
    }
}
