// SPDX-License-Identifier: GPL-3.0-or-later
//! MCP's own conformance suite, in the revisions that it lays down requirements for, and its inspector.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use blendwire_e2e::{Blender, Environment, Flavour, Process, Settings, wait_until};

use crate::suite::Suite;

const REVISIONS: [&str; 2] = ["2025-11-25", "2026-07-28"];

/// Fewer would mean that the suite has not run what it says.
const LEAST_SCENARIOS: usize = 30;

const SOON: Duration = Duration::from_secs(20);

pub(super) fn add(suite: &mut Suite) {
    for revision in REVISIONS {
        suite.own(&format!("mcp::conformance::inside_blender_{revision}"), move |environment| {
            let environment = environment.with_faults()?;
            let blender = Blender::start(&environment, Flavour::Bpy52, &Settings::default())?;
            let token = token(&blender)?;
            conforms(&environment, &blender, &url(&blender), &token, revision)
        });
        suite.own(&format!("mcp::conformance::command_{revision}"), move |environment| {
            let blender = Blender::start(environment, Flavour::Bpy52, &Settings::default())?;
            let environment = environment.with_fixtures()?;
            let (_server, url) = serve(&environment, &blender)?;
            conforms(&environment, &blender, &url, &token(&blender)?, revision)
        });
    }
    suite.own("mcp::conformance::inspector_finds_nothing_over_stdio", |environment| {
        let blender = Blender::start(environment, Flavour::Bpy52, &Settings::default())?;
        let program = environment.blendwire.to_str().context("the path is no text")?;
        inspected(environment, &blender, &[program, "mcp", "--port", &blender.port.to_string()])
    });
    suite.own("mcp::conformance::inspector_finds_nothing_over_http", |environment| {
        let blender = Blender::start(environment, Flavour::Bpy52, &Settings::default())?;
        let header = format!("Authorization: Bearer {}", token(&blender)?);
        inspected(environment, &blender, &["--server-url", &url(&blender), "--transport", "http", "--header", &header])
    });
}

/// Where the MCP server inside Blender is.
pub(super) fn url(blender: &Blender) -> String {
    format!("http://127.0.0.1:{}/mcp", blender.port)
}

/// What it wants to see.
pub(super) fn token(blender: &Blender) -> Result<String> {
    Ok(fs_err::read_to_string(blender.file("config/token"))?.trim().to_owned())
}

/// `blendwire mcp --http` in front of a Blender, with the same token.
pub(super) fn serve(environment: &Environment, blender: &Blender) -> Result<(Process, String)> {
    serve_with(environment, blender, &["--port", &blender.port.to_string()])
}

/// The same with what says which Blender is meant.
pub(super) fn serve_with(environment: &Environment, blender: &Blender, which: &[&str]) -> Result<(Process, String)> {
    let mut command = Command::new(&environment.blendwire);
    command.args(["mcp", "--http", "127.0.0.1:0"]).args(which).env("BLENDWIRE_STATE_DIR", &blender.state);
    command.env_remove("BLENDWIRE_PORT").env_remove("BLENDWIRE_HOST").env_remove("BLENDWIRE_INSTANCE");
    command.env("BLENDWIRE_CONFIG_DIR", blender.file("config"));
    let server = Process::start(&mut command, &blender.file("server.log"))?;
    let url = printed(&server, |line| line.starts_with("http://"))?;
    Ok((server, url))
}

/// The first line of that kind that a process prints.
pub(super) fn printed(process: &Process, is_it: impl Fn(&str) -> bool) -> Result<String> {
    let line = || process.output().lines().find(|line| is_it(line)).map(str::to_owned);
    wait_until("a line of output", SOON, line).with_context(|| process.output())
}

fn conforms(environment: &Environment, blender: &Blender, url: &str, token: &str, revision: &str) -> Result<()> {
    let proxy = environment.workspace.join("tests/e2e/mcp/with_token.mjs");
    let mut command = Command::new(&environment.node);
    let proxy = Process::start(command.arg(proxy).args([url, token]), &blender.file("proxy.log"))?;
    let port = printed(&proxy, |line| line.parse::<u16>().is_ok())?;
    let mut suite = Command::new(&environment.node);
    suite.arg(&environment.conformance).args(["server", "--requirements", revision, "--url"]);
    suite.arg(format!("http://127.0.0.1:{port}/mcp")).arg("--output-dir").arg(blender.file("results"));
    let output = suite.current_dir(blender.folder.path()).output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    let summary = said.split_once("=== SUMMARY ===").map(|(_, summary)| summary).with_context(|| said.clone())?;
    println!("{revision} at {url}:{summary}");
    ensure!(output.status.success(), "{revision}: {summary}\n{}", failures(&blender.file("results")));
    let scored = summary.split("Not scored").next().unwrap_or_default();
    let passed = scored.lines().filter(|line| line.starts_with('✓')).count();
    ensure!(passed >= LEAST_SCENARIOS, "only {passed} scenarios have passed:\n{summary}");
    Ok(())
}

/// What the suite has written down of checks that failed.
fn failures(results: &Path) -> String {
    let mut failures = Vec::new();
    for scenario in fs_err::read_dir(results).into_iter().flatten().flatten() {
        let text = fs_err::read(scenario.path().join("checks.json")).unwrap_or_default();
        let checks: Vec<serde_json::Value> = serde_json::from_slice(&text).unwrap_or_default();
        for check in checks.iter().filter(|check| check["status"] == "FAILURE") {
            let (check, why) = (&check["id"], &check["errorMessage"]);
            failures.push(format!("{}: {check}: {why}", scenario.file_name().display()));
        }
    }
    failures.join("\n")
}

/// Lists everything through the inspector, which looks for what some client could not take, and calls one tool.
fn inspected(environment: &Environment, blender: &Blender, target: &[&str]) -> Result<()> {
    for era in ["legacy", "modern"] {
        let inspect = |arguments: &[&str]| -> Result<String> {
            let mut command = Command::new(&environment.node);
            command.arg(&environment.inspector).arg("--cli").args(target).args(["--protocol-era", era]).args(arguments);
            command.env("HOME", blender.folder.path()).env("BLENDWIRE_STATE_DIR", &blender.state);
            command.env("BLENDWIRE_CONFIG_DIR", blender.file("config"));
            let output = command.stdin(std::process::Stdio::null()).output()?;
            let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            ensure!(output.status.success(), "{era} {arguments:?}: {}\n{said}\n{complained}", output.status);
            // Warnings leave the exit status alone.
            let is_complaint = |line: &str| line.starts_with("Warning: tool") || line.starts_with("Error: tool");
            ensure!(!complained.lines().any(is_complaint), "{era} {arguments:?}: {complained}");
            Ok(said.into_owned())
        };
        for (method, expected) in [
            ("tools/list", "execute_blender_code"),
            ("resources/list", "blender://scene"),
            ("resources/templates/list", "blender://object/{name}"),
            ("prompts/list", "scene_audit"),
        ] {
            let strict: &[&str] = if method == "tools/list" { &["--strict"] } else { &[] };
            let listed = inspect(&[&["--method", method], strict].concat())?;
            ensure!(listed.contains(expected) && !listed.contains("\"test_"), "{era} {method}: {listed}");
        }
        let call =
            ["--method", "tools/call", "--tool-name", "execute_blender_code", "--tool-arg", "code=result = 6 * 7"];
        let called = inspect(&call)?;
        ensure!(called.contains("42"), "{era}: {called}");
    }
    Ok(())
}
