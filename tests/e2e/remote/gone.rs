// SPDX-License-Identifier: GPL-3.0-or-later
//! Machines that sleep or lose their cable say nothing more.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use blendwire_e2e::{Environment, Flavour, Gate, Wire, wait_until};
use serde_json::json;

use super::machines::Machines;
use super::{SOON, start};

/// The server says a minute; without asking, it would be two hours.
const GIVEN_UP_WITHIN: Duration = Duration::from_mins(3);

pub(super) fn are_given_up(environment: &Environment, machines: &Machines) -> Result<()> {
    let friend = &machines.friend;
    let blender = start(environment, Flavour::Bpy52, "0.0.0.0", &[("--open-to", &friend.network)])?;
    let gate = Gate::closed(blender.file("silent"));
    let code = format!("{}\nresult = 'kept'", gate.wait());
    let (idle, waiting) = friend.there(|| {
        let connect = || Wire::connect_to((friend.server.as_str(), blender.port));
        let (mut idle, mut waiting) = (connect()?, connect()?);
        ensure!(idle.answer(&json!({"type": "ping"}))?["result"] == "pong");
        waiting.ask(&json!({"type": "execute", "id": "waited-for", "code": code}))?;
        Ok((idle, waiting))
    })?;
    let mut watcher = blender.wire()?;
    let mut status = || Ok::<_, anyhow::Error>(watcher.answer(&json!({"type": "status"}))?["result"].take());
    wait_until("the script to run", SOON, || (status().ok()?["running"]["id"] == "waited-for").then_some(()))?;
    ensure!(status()?["clients"] == 3);
    friend.fall_silent(&environment.ip)?;
    let silent = Instant::now();
    // One whose script runs is there until that has ended, whoever waits for it.
    wait_until("the idle one to be given up", GIVEN_UP_WITHIN, || (status().ok()?["clients"] == 2).then_some(()))?;
    println!("an idle connection of a silent machine was given up after {:?}", silent.elapsed());
    // Once its answer is on its way nobody asks any more whether it is there.
    wait_until("the system to give up the other one", GIVEN_UP_WITHIN, || is_forgotten().ok()?.then_some(()))?;
    gate.open()?;
    wait_until("the other one to be given up", GIVEN_UP_WITHIN, || (status().ok()?["clients"] == 1).then_some(()))?;
    let outcome = wait_until("the outcome", SOON, || {
        let outcome = blender.wire().ok()?.answer(&json!({"type": "outcome", "id": "waited-for"})).ok()?;
        (outcome["error"]["code"] != "busy").then_some(outcome)
    })?;
    ensure!(outcome["result"] == "kept", "{outcome}");
    drop((idle, waiting));
    Ok(())
}

/// Whether the system has no open connection to the machine, by its table as this thread sees it.
fn is_forgotten() -> Result<bool> {
    // 10.99.0.2 as it is written there, and the number of an open one.
    const PEER: &str = "0200630A:";
    const ESTABLISHED: &str = "01";
    let table = fs_err::read_to_string("/proc/thread-self/net/tcp")?;
    Ok(!table.lines().any(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        fields.get(2).is_some_and(|peer| peer.starts_with(PEER)) && fields.get(3) == Some(&ESTABLISHED)
    }))
}
