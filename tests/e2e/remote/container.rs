// SPDX-License-Identifier: GPL-3.0-or-later
//! The container's entry point, as its user, with its variables and its volume. Of the image only the system is another: an
//! image is made of gigabytes, and what is said here of clients is the same.

use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context as _, Result, ensure};
use blendwire_e2e::{Environment, Process, wait_until};
use serde_json::Value;

use super::SOON;
use super::machines::{Machine, Machines};

/// In the container, and outside where nothing else has it: each test's machines have their ports to themselves.
const PORT: &str = "9876";

/// `program` in the container.
fn inside(environment: &Environment, volume: &Path, program: &[&str]) -> Result<Command> {
    let python = environment.bpy_5_2.parent().and_then(Path::parent).context("a virtual environment")?;
    let sources = &environment.workspace;
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh"]).arg(sources.join("tests/e2e/remote/container.sh")).args(program);
    command.env("PYTHON", python).env("ADDON", &environment.addon_zip).env("COMMAND", &environment.blendwire);
    command.env("ENTRYPOINT", sources.join("packaging/container/entrypoint.sh")).env("VOLUME", volume);
    // As the image has them.
    let recipe = fs_err::read_to_string(sources.join("packaging/container/Containerfile"))?;
    let (_, variables) = recipe.split_once("\nENV ").context("the image has no variables")?;
    for line in variables.lines() {
        let (name, value) = line.trim().trim_end_matches(" \\").split_once('=').context("no variable")?;
        command.env(name, value);
        if !line.ends_with('\\') {
            break;
        }
    }
    command.env_remove("BLENDWIRE_TOKEN");
    Ok(command)
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

pub(super) fn serves(environment: &Environment, machines: &Machines) -> Result<()> {
    const ENTRYPOINT: &str = "/opt/blendwire/entrypoint.sh";
    let folder = tempfile::tempdir()?;
    let volume = folder.path().join("volume");
    fs_err::create_dir(&volume)?;
    let run = |program: &[&str]| -> Result<Output> { Ok(inside(environment, &volume, program)?.output()?) };
    let refused = run(&[ENTRYPOINT])?;
    ensure!(refused.status.code() == Some(2) && told(&refused).contains("--env BLENDWIRE_ALLOW="), "{refused:?}");

    let (friend, stranger) = (&machines.friend, &machines.stranger);
    let mut start = inside(environment, &volume, &[ENTRYPOINT, "--guard", "processes=deny"])?;
    start.env("BLENDWIRE_ALLOW", format!("{} 10.97.0.0/24", friend.network));
    start.env("BLENDWIRE_TLS_NAMES", format!("render7.example {}", friend.server));
    let mut server = Process::start(&mut start, &folder.path().join("log"))?;
    wait_until("the container to serve", SOON, || server.output().contains("serving on 0.0.0.0:9876").then_some(()))
        .with_context(|| server.output())?;

    // As its health check has it, and as docs/containers.md has the user ask.
    let healthy = run(&["blendwire", "status", "--host", "127.0.0.1", "--port", PORT])?;
    ensure!(healthy.status.success() && told(&healthy).contains("5.2"), "{healthy:?}");
    let token = run(&["blendwire", "token"])?;
    let token = String::from_utf8(token.stdout)?.trim().to_owned();
    let certificate: Value = serde_json::from_slice(&run(&["blendwire", "tls", "--json"])?.stdout)?;
    ensure!(certificate.to_string().contains("render7.example"), "{certificate}");
    let fingerprint = certificate["fingerprint"].as_str().context("no fingerprint")?;

    let exec = |machine: &Machine, token: &str, code: &str| -> Result<Output> {
        let mut command = machine.command(&environment.blendwire);
        command.args(["exec", "--host", &machine.server, "--port", PORT, "-c", code]);
        command.env("BLENDWIRE_CONFIG_DIR", "/nonexistent").env("BLENDWIRE_TOKEN", token);
        Ok(command.env("BLENDWIRE_FINGERPRINT", fingerprint).stdin(std::process::Stdio::null()).output()?)
    };
    let answered = exec(friend, &token, "import os\nresult = [bpy.app.background, os.getuid()]")?;
    ensure!(told(&answered).trim() == "[true, 10001]", "{answered:?}");
    let guarded = exec(friend, &token, "import subprocess\nsubprocess.run('true')")?;
    ensure!(!guarded.status.success() && told(&guarded).contains("PermissionError"), "{guarded:?}");
    for (machine, token) in [(friend, "0".repeat(64)), (stranger, token)] {
        let refused = exec(machine, &token, "result = 'was let in'")?;
        ensure!(!refused.status.success() && !told(&refused).contains("was let in"), "{refused:?}");
    }
    // As `docker stop` ends it.
    server.terminate()?;
    let ended = server.wait(SOON)?;
    ensure!(
        ended.success() && server.output().trim_end().ends_with("blendwire: stopped"),
        "{ended} {}",
        server.output()
    );
    Ok(())
}
