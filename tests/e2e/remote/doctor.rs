// SPDX-License-Identifier: GPL-3.0-or-later
//! `blendwire doctor` between machines.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use blendwire_e2e::{Blender, Environment, Flavour, Settings};
use serde_json::Value;

use super::machines::{Machine, Machines, on_machines};
use super::{credentials, start};
use crate::suite::Suite;

pub(super) fn add(suite: &mut Suite) {
    suite.own("doctor::a_blender_that_must_stay_offline_is_told", |environment| on_machines(environment, offline));
    suite.own("doctor::a_machine_that_is_not_let_in_is_told_so", |environment| on_machines(environment, not_let_in));
    suite.own("doctor::a_server_for_its_own_machine_alone_is_told_on_another", |environment| {
        on_machines(environment, own_machine_alone)
    });
    suite.own("doctor::a_container_is_told_the_way_to_its_host", |environment| on_machines(environment, container));
    suite.own("doctor::a_port_whose_packets_are_dropped_is_told", |environment| on_machines(environment, dropped));
    suite.own("doctor::a_firewall_of_this_machine_is_named", |environment| on_machines(environment, firewall));
}

/// What it finds on another machine of this server.
fn found(environment: &Environment, machine: &Machine, port: u16, id: &str) -> Result<Value> {
    finding(&mut there(environment, machine, port, &["--plain", id]), id)
}

fn there(environment: &Environment, machine: &Machine, port: u16, words: &[&str]) -> Command {
    let mut command = machine.command(&environment.blendwire);
    command.args(["doctor", "--json", "--host", &machine.server, "--port", &port.to_string()]).args(words);
    command
}

fn finding(command: &mut Command, id: &str) -> Result<Value> {
    // What the test gives it is left.
    let given = command.get_envs().any(|(name, _)| name == "BLENDWIRE_TOKEN");
    if !given {
        command.env_remove("BLENDWIRE_TOKEN");
    }
    command.env("BLENDWIRE_CONFIG_DIR", "/nonexistent").env("BLENDWIRE_STATE_DIR", "/nonexistent");
    let output = command.stdin(Stdio::null()).output()?;
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

/// Whatever token it has: its address is not allowed, or it speaks without TLS.
fn not_let_in(environment: &Environment, machines: &Machines) -> Result<()> {
    let Machines { friend, stranger } = machines;
    let blender = start(environment, Flavour::Bpy52, "0.0.0.0", &[("--allow", &friend.network)])?;
    let (token, fingerprint) = credentials(environment, &blender)?;
    let strange = "lets in no connections from 10.98.0.2";
    expect(&found(environment, stranger, blender.port, "token")?, "failure", strange, "Allowed Clients")?;
    // It is told before the handshake, and so that is not what failed.
    let inside = ["--fingerprint", fingerprint.as_str()];
    let look = |machine, id| {
        let mut command = there(environment, machine, blender.port, &[&inside[..], &[id]].concat());
        finding(command.env("BLENDWIRE_TOKEN", &token), id)
    };
    expect(&look(stranger, "tls")?, "failure", strange, "Allowed Clients")?;
    let plain = found(environment, friend, blender.port, "token")?;
    expect(&plain, "failure", "inside TLS only", "--fingerprint HEX")?;
    ensure!(!plain["remedies"].to_string().contains("BLENDWIRE_TOKEN"), "no token helps: {plain}");
    expect(&look(friend, "round-trip")?, "ok", "ping", "")
}

fn own_machine_alone(environment: &Environment, machines: &Machines) -> Result<()> {
    let friend = &machines.friend;
    let blender = Blender::start(environment, Flavour::Bpy52, &Settings::default())?;
    let told = found(environment, friend, blender.port, "listens")?;
    expect(&told, "failure", "bound to loopback only", &format!("blendwire tunnel USER@{}", friend.server))?;
    expect(&told, "failure", "the machine answers", "listen on an address of that machine")?;
    drop(blender);
    let blender = start(environment, Flavour::Bpy52, "0.0.0.0", &[("--open-to", &friend.network)])?;
    expect(&found(environment, friend, blender.port, "listens")?, "ok", "takes connections", "")
}

/// The kernel in the middle drops what comes from there without a word, as a firewall does.
fn dropped(environment: &Environment, machines: &Machines) -> Result<()> {
    let friend = &machines.friend;
    let listener = TcpListener::bind(("0.0.0.0", 0))?;
    let port = listener.local_addr()?.port();
    let look = || found(environment, friend, port, "firewall");
    let route = |change: &str| -> Result<()> {
        let done = Command::new(&environment.ip).args(["route", change, "blackhole", "10.99.0.2/32"]).status()?;
        ensure!(done.success(), "no route");
        Ok(())
    };
    expect(&look()?, "ok", "none is in the way", "")?;
    route("add")?;
    let told = look()?;
    expect(&told, "warning", "dropped without an answer", &format!("sudo ufw allow {port}/tcp"))?;
    expect(&told, "warning", "dropped without an answer", &format!("localport={port}"))?;
    route("del")?;
    expect(&look()?, "ok", "none is in the way", "")?;
    drop(listener);
    expect(&look()?, "ok", "it is refused at once", "")
}

/// What `nft` drops, on the machine that it runs on and on another one; the command that is given mends both.
fn firewall(environment: &Environment, machines: &Machines) -> Result<()> {
    let friend = &machines.friend;
    let listener = TcpListener::bind(("0.0.0.0", 0))?;
    let port = listener.local_addr()?.port();
    let nft = |words: &str| -> Result<()> {
        let done = Command::new(&environment.nft).args(words.split(' ')).status()?;
        ensure!(done.success(), "nft {words}: {done}");
        Ok(())
    };
    let path = std::env::join_paths(
        environment
            .nft
            .parent()
            .map(Path::to_owned)
            .into_iter()
            .chain(std::env::var_os("PATH").iter().flat_map(std::env::split_paths).collect::<Vec<_>>()),
    )?;
    let here = || {
        let mut command = Command::new(&environment.blendwire);
        command.args(["doctor", "--json", "--host", &friend.server, "--port", &port.to_string(), "firewall"]);
        finding(command.env("PATH", &path), "firewall")
    };
    let there = || found(environment, friend, port, "firewall");
    expect(&here()?, "ok", "", "")?;
    nft("add table inet wall")?;
    nft("add chain inet wall incoming { type filter hook input priority 0 ; policy accept ; }")?;
    nft(&format!("add rule inet wall incoming tcp dport {port} drop"))?;
    let opened = format!("nft insert rule inet wall incoming tcp dport {port} accept");
    let told = here()?;
    expect(&told, "failure", "nft is active on this machine", &format!("sudo {opened}: "))?;
    expect(&there()?, "warning", "dropped without an answer", &format!("tcp dport {port} accept"))?;
    nft(opened.trim_start_matches("nft "))?;
    expect(&there()?, "ok", "none is in the way", "")?;
    expect(&here()?, "ok", "connections of this machine are taken", "")
}

/// A machine whose way out leads to the middle, with the file by which podman's containers know themselves.
fn container(environment: &Environment, machines: &Machines) -> Result<()> {
    let friend = &machines.friend;
    for words in [&["link", "set", "lo", "up"][..], &["route", "add", "default", "via", &friend.server]] {
        ensure!(friend.command(&environment.ip).args(words).status()?.success(), "{words:?}");
    }
    let listener = TcpListener::bind(("0.0.0.0", 0))?;
    let port = listener.local_addr()?.port().to_string();
    let inside = |words: &[&str], id: &str| {
        let mut command = friend.command("unshare");
        command.args([
            "--mount",
            "--",
            "sh",
            "-c",
            "mount -t tmpfs none /run && : > /run/.containerenv && exec \"$@\"",
            "sh",
        ]);
        finding(command.arg(&environment.blendwire).args(words).args(["--json", id]), id)
    };
    let told = inside(&["doctor", "--port", &port], "route")?;
    let remedy = format!("blendwire doctor --host {} --port {port}", friend.server);
    expect(&told, "warning", "a container of podman's", &remedy)?;
    let words: Vec<_> = remedy.split(' ').skip(1).collect();
    expect(&inside(&words, "listens")?, "ok", &port, "")?;
    expect(&inside(&words, "route")?, "ok", "not its own localhost", "")
}
