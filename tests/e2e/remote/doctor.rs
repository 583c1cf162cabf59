// SPDX-License-Identifier: GPL-3.0-or-later
//! `blendwire doctor` between machines.

use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use blendwire_e2e::{Environment, Flavour};
use serde_json::Value;

use super::machines::{Machine, Machines, on_machines};
use super::start;
use crate::suite::Suite;

pub(super) fn add(suite: &mut Suite) {
    suite.own("doctor::a_blender_that_must_stay_offline_is_told", |environment| on_machines(environment, offline));
}

/// What it finds on another machine of this server.
fn found(environment: &Environment, machine: &Machine, port: u16, id: &str) -> Result<Value> {
    let mut command = machine.command(&environment.blendwire);
    command.args(["doctor", "--json", "--plain", "--host", &machine.server, "--port", &port.to_string(), id]);
    finding(&mut command, id)
}

fn finding(command: &mut Command, id: &str) -> Result<Value> {
    command.env("BLENDWIRE_CONFIG_DIR", "/nonexistent").env("BLENDWIRE_STATE_DIR", "/nonexistent");
    let output = command.env_remove("BLENDWIRE_TOKEN").stdin(Stdio::null()).output()?;
    let found: Vec<Value> = serde_json::from_slice(&output.stdout).with_context(|| format!("{output:?}"))?;
    found.into_iter().find(|finding| finding["id"] == id).with_context(|| format!("no {id}"))
}

fn expect(finding: &Value, state: &str, seen: &str, remedy: &str) -> Result<()> {
    ensure!(finding["state"] == state && finding["seen"].to_string().contains(seen), "{finding}");
    ensure!(finding["remedies"].to_string().contains(remedy), "{finding}");
    Ok(())
}

fn offline(environment: &Environment, machines: &Machines) -> Result<()> {
    let friend = &machines.friend;
    let blender = start(environment, Flavour::Bpy52, "0.0.0.0", &[("--open-to", &friend.network)])?;
    let look = || found(environment, friend, blender.port, "online-access");
    expect(&look()?, "ok", "allows online access", "")?;
    blender.result("bpy.context.preferences.system.use_online_access = False")?;
    expect(&look()?, "warning", "stay offline", "Allow Online Access")?;
    blender.result("bpy.context.preferences.system.use_online_access = True")?;
    expect(&look()?, "ok", "allows online access", "")
}
