// SPDX-License-Identifier: GPL-3.0-or-later
//! A thousand questions while Blender's main thread is busy in every way: each is answered by the network thread.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use blendwire_e2e::{Blender, StallMeter, wait_until};
use serde_json::{Value, json};

use crate::suite::{EVERYWHERE, Suite};

/// What keeps the main thread, for longer than the questions take.
const BUSY: [(&str, &str); 3] = [
    ("spins", "while True: pass"),
    // Holds Python's lock in C without ever looking up.
    ("sleeps_in_c", "while True: sum(range(30_000_000))"),
    (
        "renders",
        // A scene of its own: what other tests have left open may have no camera.
        "scene = bpy.data.scenes.new('Busy')\n\
         scene.camera = bpy.data.objects.new('Camera', bpy.data.cameras.new('Camera'))\n\
         scene.render.engine = 'CYCLES'\nscene.cycles.samples = 64\nscene.cycles.use_denoising = False\n\
         scene.render.resolution_x = scene.render.resolution_y = 256\n\
         try:\n    while True: bpy.ops.render.render(scene=scene.name)\n\
         finally: bpy.data.scenes.remove(scene)",
    ),
];

const QUESTIONS: usize = 1000;

pub(crate) fn add(suite: &mut Suite) {
    for (name, code) in BUSY {
        suite.shared(&EVERYWHERE, &format!("responsive::while_blender_{name}"), move |blender| {
            busy(blender, name, code)
        });
    }
}

fn busy(blender: &mut Blender, name: &str, code: &str) -> Result<()> {
    let mut keeper = blender.wire()?;
    keeper.ask(&json!({"type": "execute", "id": name, "code": code}))?;
    let mut wire = blender.wire()?;
    wait_until("the main thread to be kept", Duration::from_mins(1), || {
        let status = wire.answer(&json!({"type": "status"})).ok()?;
        (status["result"]["running"]["id"] == name).then_some(())
    })?;
    let stalls = StallMeter::start();
    let mut took: Vec<Duration> = Vec::with_capacity(2 * QUESTIONS);
    let mut timed = |question: &Value| -> Result<Value> {
        let before = Instant::now();
        let reply = wire.answer(question)?;
        took.push(before.elapsed());
        Ok(reply)
    };
    for _ in 0..QUESTIONS {
        let status = timed(&json!({"type": "status"}))?;
        ensure!(status["result"]["running"]["id"] == name, "{status}");
        ensure!(timed(&json!({"type": "ping"}))?["result"] == "pong");
    }
    let stall = stalls.stop()?;
    blender.wire()?.answer(&json!({"type": "cancel", "id": name}))?;
    let ended = keeper.reply()?;
    ensure!(ended["error"]["code"] == "cancelled", "{ended}");
    took.sort_unstable();
    let (median, late, worst) = (took[took.len() / 2], took[took.len() * 99 / 100], took[took.len() - 1]);
    let flavour = blender.flavour.name();
    println!("{flavour}: {name}: median {median:?}, 99 % within {late:?}, slowest {worst:?}, longest stall {stall:?}");
    // The machine may be loaded, or stand still; who waited for Python would take far longer.
    ensure!(worst < Duration::from_secs(2) + 2 * stall, "{worst:?}, with stalls of {stall:?}");
    ensure!(late < Duration::from_millis(500) + 2 * stall, "{late:?}, with stalls of {stall:?}");
    Ok(())
}
