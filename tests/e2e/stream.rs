// SPDX-License-Identifier: GPL-3.0-or-later
//! Events before the reply: they come while the script runs, lose nothing, and hold up nobody.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use blendwire_e2e::{Blender, Environment, Flavour, Gate, Settings, StallMeter, wait_until};
use serde_json::{Value, json};

use crate::suite::{EVERYWHERE, Suite};

pub(crate) fn add(suite: &mut Suite) {
    suite.shared(&EVERYWHERE, "stream::output_comes_while_the_script_runs", live);
    suite.shared(&EVERYWHERE, "stream::a_hundred_thousand_lines_lose_nothing", flood);
    suite.shared(&EVERYWHERE, "stream::one_huge_print_holds_up_nobody", huge_print);
    suite.shared(&EVERYWHERE, "stream::a_plain_request_gets_no_events", plain);
    suite.shared(&EVERYWHERE, "stream::queued_tells_the_position", queued);
    suite.shared(&EVERYWHERE, "stream::a_render_tells_how_far_it_is", render);
    suite.shared(&EVERYWHERE, "stream::progress_shows_in_status_and_stays_in_its_bounds", progress);
    suite.own("stream::a_client_that_stops_reading_is_dropped_alone", stops_reading);
}

fn stream(id: &str, code: &str) -> Value {
    json!({"type": "execute", "id": id, "stream": true, "code": code})
}

fn text_of(events: &[Value]) -> String {
    events.iter().filter_map(|event| event["text"].as_str()).collect()
}

/// The script goes on only when the client has written a file, and the client writes it only when the line has come.
fn live(blender: &mut Blender) -> Result<()> {
    let gate = Gate::closed(blender.file("go-on"));
    let code = format!("print('first')\n{}\nprint('second')", gate.wait());
    let mut wire = blender.wire()?;
    wire.ask(&stream("live", &code))?;
    let mut seen = Vec::new();
    while text_of(&seen) != "first\n" {
        let message = wire.reply()?;
        ensure!(message.get("event").is_some() && message["id"] == "live", "{message}");
        seen.push(message);
    }
    let names: Vec<&str> = seen.iter().filter_map(|event| event["event"].as_str()).collect();
    ensure!(names[..2] == ["queued", "started"], "{names:?}");
    gate.open()?;
    let (rest, reply) = wire.events()?;
    ensure!(text_of(&rest) == "second\n" && reply["stdout"] == "first\nsecond\n", "{rest:?} {reply}");
    Ok(())
}

fn flood(blender: &mut Blender) -> Result<()> {
    const LINES: usize = 100_000;
    let mut wire = blender.wire()?;
    let before = Instant::now();
    wire.ask(&stream("flood", &format!("for n in range({LINES}):\n    print('line', n)")))?;
    let (events, reply) = wire.events()?;
    let took = before.elapsed();
    let wanted = (0..LINES).fold(String::new(), |text, n| text + "line " + &n.to_string() + "\n");
    ensure!(text_of(&events) == wanted, "{} of {} bytes came as events", text_of(&events).len(), wanted.len());
    ensure!(reply["stdout"] == wanted, "the reply holds something else");
    println!("{}: {LINES} lines in {} events, {took:?}", blender.flavour.name(), events.len());
    ensure!(took < Duration::from_mins(1), "{took:?}");
    Ok(())
}

/// The network thread cuts it into events, and answers others meanwhile.
fn huge_print(blender: &mut Blender) -> Result<()> {
    const BYTES: usize = 32_000_000;
    let mut wire = blender.wire()?;
    wire.ask(&stream("huge", &format!("print('x' * {BYTES})")))?;
    let reading = std::thread::spawn(move || wire.events());
    let (mut other, mut worst, stalls) = (blender.wire()?, Duration::ZERO, StallMeter::start());
    while !reading.is_finished() {
        let before = Instant::now();
        other.answer(&json!({"type": "ping"}))?;
        worst = worst.max(before.elapsed());
    }
    let stall = stalls.stop()?;
    let (events, reply) = reading.join().map_err(|_| anyhow::anyhow!("the reader failed"))??;
    ensure!(text_of(&events).len() == BYTES + 1, "{} bytes came as events", text_of(&events).len());
    ensure!(reply["stdout"].as_str().map(str::len) == Some(BYTES + 1));
    let flavour = blender.flavour.name();
    println!("{flavour}: slowest ping during a print of {BYTES} bytes: {worst:?}, longest stall {stall:?}");
    ensure!(worst < Duration::from_secs(2) + 2 * stall, "{worst:?}, with stalls of {stall:?}");
    Ok(())
}

fn plain(blender: &mut Blender) -> Result<()> {
    let mut wire = blender.wire()?;
    let reply = wire.execute("print('a')\nimport blendwire\nresult = blendwire.progress(0.5)")?;
    ensure!(reply == json!({"status": "ok", "result": true, "stdout": "a\n"}), "{reply}");
    Ok(())
}

fn queued(blender: &mut Blender) -> Result<()> {
    let (mut first, mut second, mut third) = (blender.wire()?, blender.wire()?, blender.wire()?);
    first.ask(&json!({"type": "execute", "id": "first", "code": "while True: pass"}))?;
    wait_until("the first to run", Duration::from_secs(20), || {
        let status = blender.wire().ok()?.answer(&json!({"type": "status"})).ok()?;
        (status["result"]["running"]["id"] == "first").then_some(())
    })?;
    second.ask(&stream("second", ""))?;
    ensure!(second.reply()? == json!({"event": "queued", "position": 0, "id": "second"}), "the second");
    third.ask(&stream("third", ""))?;
    ensure!(third.reply()? == json!({"event": "queued", "position": 1, "id": "third"}), "the third");
    blender.wire()?.answer(&json!({"type": "cancel", "id": "first"}))?;
    ensure!(first.reply()?["error"]["code"] == "cancelled", "the first");
    for wire in [&mut second, &mut third] {
        let (events, reply) = wire.events()?;
        ensure!(events.len() == 1 && events[0]["event"] == "started" && reply["status"] == "ok", "{events:?} {reply}");
    }
    Ok(())
}

fn render(blender: &mut Blender) -> Result<()> {
    let code = "scene = bpy.data.scenes.new('Progress')\n\
        scene.camera = bpy.data.objects.new('Camera', bpy.data.cameras.new('Camera'))\n\
        scene.render.engine = 'CYCLES'\nscene.cycles.samples = 8\nscene.cycles.use_denoising = False\n\
        scene.render.resolution_x = scene.render.resolution_y = 32\n\
        try:\n    bpy.ops.render.render(scene=scene.name)\nfinally:\n    bpy.data.scenes.remove(scene)";
    let mut wire = blender.wire()?;
    wire.ask(&stream("render", code))?;
    let (events, reply) = wire.events()?;
    ensure!(reply["status"] == "ok", "{reply}");
    let progress: Vec<&Value> = events.iter().filter(|event| event["event"] == "progress").collect();
    let last = progress.last().context("the render told nothing")?;
    ensure!(last["value"] == 1.0 && last["message"] == "rendering frame 1", "{progress:?}");
    Ok(())
}

fn progress(blender: &mut Blender) -> Result<()> {
    let code = "import blendwire\nblendwire.progress(7, 'half')\nblendwire.progress(0.5, 'half')\nwhile True: pass";
    let mut wire = blender.wire()?;
    wire.ask(&json!({"type": "execute", "id": "p", "title": "Bake it", "code": code}))?;
    let running = wait_until("progress in the status", Duration::from_secs(20), || {
        let status = blender.wire().ok()?.answer(&json!({"type": "status"})).ok()?;
        let running = status["result"]["running"].clone();
        (running["progress"]["value"] == 0.5).then_some(running)
    })?;
    ensure!(running["title"] == "Bake it" && running["id"] == "p", "{running}");
    ensure!(running["progress"]["message"] == "half", "{running}");
    blender.wire()?.answer(&json!({"type": "cancel", "id": "p"}))?;
    wire.reply()?;
    Ok(())
}

/// One client asks for a flood and reads nothing: others are served, and it is dropped within its patience.
fn stops_reading(environment: &Environment) -> Result<()> {
    let blender = Blender::start(environment, Flavour::Bpy52, &Settings::default())?;
    let mut stuck = blender.wire()?;
    stuck.ask(&stream("stuck", "for n in range(400_000):\n    print('x' * 100)"))?;
    let mut other = blender.wire()?;
    for n in 0..20 {
        ensure!(other.result(&format!("result = {n}"))? == n, "another client");
    }
    ensure!(clients(&blender)? == 3, "it was dropped at once");
    wait_until("the client that does not read to be dropped", Duration::from_secs(100), || {
        (clients(&blender).ok()? == 2).then_some(())
    })?;
    // Its answer is not lost.
    let outcome = other.answer(&json!({"type": "outcome", "id": "stuck"}))?;
    ensure!(outcome["stdout"].as_str().map(str::len) == Some(400_000 * 101), "{}", outcome["status"]);
    Ok(())
}

/// Connections that are open, the asking one included.
fn clients(blender: &Blender) -> Result<u64> {
    let status = blender.wire()?.answer(&json!({"type": "status"}))?;
    status["result"]["clients"].as_u64().context("no count of clients")
}
