// SPDX-License-Identifier: GPL-3.0-or-later
//! What each thing costs that a request can ask for beyond running its script, beside the plain request: names and time
//! limits, events, sessions, undo steps, changes, rollback; in the factory scene and in one of 5,000 objects.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use blendwire_e2e::{Blender, Environment, Flavour, Settings, Wire};
use serde_json::{Value, json};

use crate::report::{Row, publish};

const BASE: &str = "plain request";
const EDIT: &str = "bpy.data.objects['Cube'].location.x += 0.001";
const READ: &str = "result = len(bpy.data.objects)";

/// Round trips that are not counted.
const WARM_UP: usize = 50;
const QUICK: usize = 4_000;
const SLOW: usize = 60;

pub(crate) fn run(environment: &Environment) -> Result<()> {
    let blender = Blender::start(environment, Flavour::Windowed, &Settings::default())?;
    let mut wire = blender.wire()?;
    let mut rows = Vec::new();
    eprintln!("measuring what needs no look at the file …");
    let plain = json!({"type": "execute", "code": "result = 1"});
    rows.push(measure(&mut wire, BASE, &plain, QUICK)?);
    rows.push(measure(&mut wire, "with an id", &with(&plain, "id", "a"), QUICK)?);
    rows.push(measure(&mut wire, "with a time limit", &with(&plain, "timeout_secs", 60), QUICK)?);
    rows.push(measure(&mut wire, "streamed", &with(&plain, "stream", true), QUICK)?);
    rows.push(measure(&mut wire, "in a session", &with(&plain, "session", "bench"), QUICK)?);
    eprintln!("measuring edits in the factory scene …");
    rows.extend(edits(&blender, &SMALL)?);
    eprintln!("measuring edits among 5,000 objects …");
    blender.result(
        "mesh = bpy.data.meshes['Cube']\nfor n in range(5000):\n    made = bpy.data.objects.new(f'Many {n}', mesh)\n    \
         made.location = (n % 70 * 3, n // 70 * 3, 0)\n    bpy.context.collection.objects.link(made)",
    )?;
    rows.extend(edits(&blender, &LARGE)?);
    let version = blender.result("result = bpy.app.version_string")?;
    publish(&environment.workspace, "control", &rows, BASE, &json!({"windowed": version, "edit": EDIT, "read": READ}))
}

/// The names of the rows of one scene.
struct Names {
    read: &'static str,
    edit_without_step: &'static str,
    edit: &'static str,
    changes: &'static str,
    rollback: &'static str,
    undo: &'static str,
}

const SMALL: Names = Names {
    read: "factory scene: reading by a call",
    edit_without_step: "factory scene: edit, undo steps off",
    edit: "factory scene: edit, one undo step",
    changes: "factory scene: edit, undo step and changes",
    rollback: "factory scene: edit, failed and rolled back",
    undo: "factory scene: undo",
};

const LARGE: Names = Names {
    read: "5,000 objects: reading by a call",
    edit_without_step: "5,000 objects: edit, undo steps off",
    edit: "5,000 objects: edit, one undo step",
    changes: "5,000 objects: edit, undo step and changes",
    rollback: "5,000 objects: edit, failed and rolled back",
    undo: "5,000 objects: undo",
};

fn edits(blender: &Blender, names: &Names) -> Result<Vec<Row>> {
    let mut wire = blender.wire()?;
    let edit = json!({"type": "execute", "code": EDIT});
    let mut rows = vec![measure(&mut wire, names.read, &json!({"type": "execute", "code": READ}), SLOW * 10)?];
    steps(blender, false)?;
    rows.push(measure(&mut wire, names.edit_without_step, &edit, SLOW)?);
    steps(blender, true)?;
    rows.push(measure(&mut wire, names.edit, &edit, SLOW)?);
    rows.push(measure(&mut wire, names.changes, &with(&edit, "changes", true), SLOW)?);
    let failing = json!({"type": "execute", "code": format!("{EDIT}\n1 / 0"), "on_error": "rollback"});
    rows.push(measure(&mut wire, names.rollback, &failing, SLOW / 4)?);
    let mut times = Vec::new();
    for _ in 0..SLOW / 4 {
        wire.answer(&edit)?;
        times.push(timed(&mut wire, &json!({"type": "undo"}))?.0);
    }
    rows.push(Row::new(names.undo, times, None));
    Ok(rows)
}

/// Switches the recording of undo steps, as the user would in the preferences.
fn steps(blender: &Blender, is_on: bool) -> Result<()> {
    let is_on = if is_on { "True" } else { "False" };
    let addon = "bpy.context.preferences.addons['bl_ext.user_default.blendwire']";
    blender.result(&format!("{addon}.preferences.undo_steps = {is_on}")).map(drop)
}

fn with(request: &Value, key: &str, value: impl Into<Value>) -> Value {
    let mut request = request.clone();
    request[key] = value.into();
    request
}

fn measure(wire: &mut Wire, name: &'static str, request: &Value, count: usize) -> Result<Row> {
    for _ in 0..WARM_UP.min(count) {
        timed(wire, request)?;
    }
    let times: Result<Vec<Duration>> = (0..count).map(|_| Ok(timed(wire, request)?.0)).collect();
    Ok(Row::new(name, times?, None))
}

/// One round trip, and its reply.
fn timed(wire: &mut Wire, request: &Value) -> Result<(Duration, Value)> {
    let before = Instant::now();
    wire.ask(request)?;
    let (_, reply) = wire.events()?;
    let took = before.elapsed();
    let is_as_meant = reply["status"] == "ok" || reply["rolled_back"] == true;
    ensure!(is_as_meant && reply["changes"].get("skipped").is_none(), "{reply}");
    Ok((took, reply))
}
