// SPDX-License-Identifier: GPL-3.0-or-later
//! Round trips of `result = 1`: ours in a window and in the background, directly and through MCP over stdio, beside a
//! polling add-on of the origin's design and the floor of plain Python.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use blendwire_e2e::{
    Blender, Display, Environment, Flavour, McpSession, Process, Settings, Wire, free_port, wait_until,
};
use serde_json::json;

use crate::report::{Row, publish};

const CODE: &str = "result = 1";
const FLOOR: &str = "plain Python: socket and exec, no Blender";
const START_WITHIN: Duration = Duration::from_mins(1);

/// Round trips that are not counted: code paths and caches warm up.
const WARM_UP: usize = 200;
const BACK_TO_BACK: usize = 10_000;
/// A polling server answers about 19 in a second.
const POLLED: usize = 100;

pub(crate) fn run(environment: &Environment) -> Result<()> {
    let mut rows = Vec::new();
    eprintln!("measuring plain Python …");
    rows.push(floor(environment)?);
    eprintln!("measuring the polling add-on in a windowed Blender …");
    rows.extend(polling(environment)?);
    eprintln!("measuring ours in a windowed Blender …");
    let windowed = Blender::start(environment, Flavour::Windowed, &Settings::default())?;
    let blender_windowed = windowed.result("result = bpy.app.version_string")?;
    rows.push(direct(&windowed, "ours, windowed: back to back", 0.15)?);
    let pause = |name, pause, count, target| -> Result<Row> {
        Ok(Row::new(name, round_trips(&mut windowed.wire()?, count, pause)?, Some(target)))
    };
    rows.push(pause("ours, windowed: after a pause of 130 ms", Duration::from_millis(130), 60, 1.0)?);
    rows.push(pause("ours, windowed: after 3 s idle", Duration::from_secs(3), 15, 5.0)?);
    rows.push(through_mcp(environment, &windowed, "ours, windowed: through MCP over stdio")?);
    drop(windowed);
    eprintln!("measuring ours in a background Blender …");
    let background = Blender::start(environment, Flavour::Bpy52, &Settings::default())?;
    let blender_background = background.result("result = bpy.app.version_string")?;
    rows.push(direct(&background, "ours, background: back to back", 0.1)?);
    rows.push(through_mcp(environment, &background, "ours, background: through MCP over stdio")?);
    let setup = json!({"windowed": blender_windowed, "background": blender_background, "code": CODE});
    publish(&environment.workspace, "latency", &rows, FLOOR, &setup)?;
    let p50 =
        |name: &str| rows.iter().find(|row| row.name.ends_with(name)).map_or(f64::NAN, |row| row.quantile_ms(0.5));
    let added = p50("windowed: through MCP over stdio") - p50("ours, windowed: back to back");
    println!("MCP over stdio adds {added:.3} ms to the direct wire (windowed, p50; target 0.4)");
    Ok(())
}

/// Times `count` round trips, with a pause before each.
fn round_trips(wire: &mut Wire, count: usize, pause: Duration) -> Result<Vec<Duration>> {
    let request = blendwire_e2e::execute_request(CODE);
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        std::thread::sleep(pause);
        let before = Instant::now();
        wire.send(&request)?;
        let reply = wire.read_to(0)?;
        times.push(before.elapsed());
        ensure!(reply.starts_with(br#"{"status": "ok", "result": 1"#), "{}", String::from_utf8_lossy(&reply));
    }
    Ok(times)
}

fn direct(blender: &Blender, name: &'static str, target_ms: f64) -> Result<Row> {
    let mut wire = blender.wire()?;
    round_trips(&mut wire, WARM_UP, Duration::ZERO)?;
    Ok(Row::new(name, round_trips(&mut wire, BACK_TO_BACK, Duration::ZERO)?, Some(target_ms)))
}

fn floor(environment: &Environment) -> Result<Row> {
    let folder = tempfile::tempdir()?;
    let port = free_port()?;
    let mut command = Command::new(&environment.bpy_5_2);
    command.args(["-c", include_str!("plain_python.py"), &port.to_string()]);
    let _server = Process::start(&mut command, &folder.path().join("log"))?;
    let mut wire = wait_until("the plain server", START_WITHIN, || Wire::connect(port).ok())?;
    round_trips(&mut wire, WARM_UP, Duration::ZERO)?;
    Ok(Row::new(FLOOR, round_trips(&mut wire, BACK_TO_BACK, Duration::ZERO)?, None))
}

fn polling(environment: &Environment) -> Result<Vec<Row>> {
    let folder = tempfile::tempdir()?;
    let port = free_port()?;
    let display = Display::start(&environment.xvfb)?;
    let script = folder.path().join("polling_addon.py");
    fs_err::write(&script, include_str!("polling_addon.py"))?;
    let mut command = Command::new(&environment.blender);
    command.args(["--factory-startup", "--window-geometry", "0", "0", "1600", "1000", "--python"]).arg(script);
    command.env("DISPLAY", &display.name).env("LIBGL_ALWAYS_SOFTWARE", "1").env("XDG_RUNTIME_DIR", folder.path());
    command.env("POLLING_ADDON_PORT", port.to_string());
    let server = Process::start(&mut command, &folder.path().join("log"))?;
    let connected = wait_until("the polling add-on", START_WITHIN, || Wire::connect(port).ok());
    let mut wire = connected.map_err(|error| error.context(server.output()))?;
    round_trips(&mut wire, 20, Duration::ZERO)?;
    let back_to_back = round_trips(&mut wire, POLLED, Duration::ZERO)?;
    let paused = round_trips(&mut wire, POLLED / 2, Duration::from_millis(130))?;
    Ok(vec![
        Row::new("polling add-on (50 ms), windowed: back to back", back_to_back, None),
        Row::new("polling add-on (50 ms), windowed: after a pause of 130 ms", paused, None),
    ])
}

fn through_mcp(environment: &Environment, blender: &Blender, name: &'static str) -> Result<Row> {
    const CALLS: usize = 3_000;
    let mut command = Command::new(&environment.blendwire);
    command.args(["mcp", "--port", &blender.port.to_string()]);
    let session = McpSession::start(command)?;
    let mut times = Vec::with_capacity(CALLS);
    for call in 0..CALLS + WARM_UP {
        let answer = session.call("execute_blender_code", json!({"code": CODE}))?;
        ensure!(!answer.is_error(), "{}", answer.text());
        if call >= WARM_UP {
            times.push(answer.took);
        }
    }
    Ok(Row::new(name, times, None))
}
