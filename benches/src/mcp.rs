// SPDX-License-Identifier: GPL-3.0-or-later
//! What MCP costs: the same call of `execute_blender_code` over stdio and over HTTP, beside the direct wire and beside the
//! official connector's server in front of the same Blender; how long each server takes to start, and what it holds.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use blendwire_e2e::{Blender, Environment, Flavour, McpSession, Process, Settings, free_port, resident_kib};
use serde_json::{Value, json};

use crate::report::{Row, publish};

/// The connector takes a dictionary as result and nothing else.
const CODE: &str = "result = {'n': 1}";
const TOOL: &str = "execute_blender_code";
const DIRECT: &str = "the direct wire: framed JSON";
const OVER_STDIO: &str = "blendwire mcp: over stdio";
const OVER_OUR_HTTP: &str = "blendwire mcp --http: over HTTP";
const CONNECTOR: &str = "the official connector's server: over stdio";
/// What the specification allows a call over stdio to take longer than the direct wire.
const STDIO_TARGET_MS: f64 = 0.4;

/// Calls that are not counted: code paths and caches warm up.
const WARM_UP: usize = 100;
const CALLS: usize = 3_000;
/// It opens a connection for each.
const CONNECTOR_CALLS: usize = 500;
const STARTS: usize = 5;
const START_WITHIN: Duration = Duration::from_mins(1);

pub(crate) fn run(environment: &Environment) -> Result<()> {
    let blender = Blender::start(environment, Flavour::Windowed, &Settings::default())?;
    let mut rows = vec![direct(&blender)?];

    let ours = || {
        let mut command = Command::new(&environment.blendwire);
        command.args(["mcp", "--port", &blender.port.to_string()]);
        command
    };
    let theirs = || {
        let mut command = Command::new(&environment.connector);
        command.args(["-m", "blmcp"]).stderr(Stdio::null());
        command.env("BLENDER_MCP_HOST", "127.0.0.1").env("BLENDER_MCP_PORT", blender.port.to_string());
        command
    };
    let (row, our_server) = over_stdio(OVER_STDIO, CALLS, ours)?;
    rows.push(row);
    let before_kib = resident_kib(blender.process.pid())?;
    rows.push(over_http(&blender, "in Blender: /mcp over HTTP", blender.port)?);
    let inside =
        json!({"resident_kib_added_to_blender": resident_kib(blender.process.pid())?.saturating_sub(before_kib)});
    let (row, our_http_server) = through_our_http(environment, &blender)?;
    rows.push(row);
    let (row, their_server) = over_stdio(CONNECTOR, CONNECTOR_CALLS, theirs)?;
    rows.push(row);

    let servers = json!({
        OVER_STDIO: our_server, OVER_OUR_HTTP: our_http_server, CONNECTOR: their_server, "in Blender": inside,
    });
    let setup =
        json!({"blender": blender.result("result = bpy.app.version_string")?, "code": CODE, "servers": servers});
    publish(&environment.workspace, "mcp", &rows, DIRECT, &setup)?;
    for (name, server) in servers.as_object().into_iter().flatten() {
        println!("{name}: {server}");
    }
    let p50 = |name| rows.iter().find(|row| row.name == name).map_or(f64::NAN, |row: &Row| row.quantile_ms(0.5));
    println!("stdio adds {:.3} ms to the direct wire (p50; target {STDIO_TARGET_MS})", p50(OVER_STDIO) - p50(DIRECT));
    println!("the connector's call takes {:.1} times ours over stdio", p50(CONNECTOR) / p50(OVER_STDIO));
    Ok(())
}

fn direct(blender: &Blender) -> Result<Row> {
    let mut wire = blender.wire()?;
    let request = blendwire_e2e::execute_request(CODE);
    let times = timed(CALLS, || {
        wire.send(&request)?;
        let reply = wire.read_to(0)?;
        ensure!(reply.starts_with(br#"{"status": "ok", "result": {"n": 1}"#), "{}", String::from_utf8_lossy(&reply));
        Ok(())
    })?;
    Ok(Row::new(DIRECT, times, None))
}

/// Calls through a server over stdio; how long it takes to start, and what it holds in the end.
fn over_stdio(name: &'static str, calls: usize, command: impl Fn() -> Command) -> Result<(Row, Value)> {
    let mut starts = Vec::with_capacity(STARTS);
    for _ in 1..STARTS {
        starts.push(McpSession::start(command())?.handshake);
    }
    let session = McpSession::start(command())?;
    starts.push(session.handshake);
    starts.sort_unstable();
    let times = timed(calls, || {
        let answer = session.call(TOOL, json!({"code": CODE}))?;
        ensure!(!answer.is_error(), "{}", answer.text());
        Ok(())
    })?;
    let told = json!({
        "start_to_handshake_ms": starts[STARTS / 2].as_secs_f64() * 1e3, "resident_kib": session.pid.map(resident_kib).transpose()?,
        "tools": session.tools()?.len(),
    });
    Ok((Row::new(name, times, None), told))
}

fn through_our_http(environment: &Environment, blender: &Blender) -> Result<(Row, Value)> {
    let port = free_port()?;
    let mut command = Command::new(&environment.blendwire);
    command.args(["mcp", "--http", &format!("127.0.0.1:{port}"), "--port", &blender.port.to_string()]);
    command.env("BLENDWIRE_CONFIG_DIR", blender.folder.path().join("config"));
    let begun = Instant::now();
    let server = Process::start(&mut command, &blender.folder.path().join("http.log"))?;
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        ensure!(begun.elapsed() < START_WITHIN, "the server over HTTP does not listen: {}", server.output());
        // `wait_until` looks more seldom than it takes.
        std::thread::sleep(Duration::from_micros(200));
    }
    let start_ms = begun.elapsed().as_secs_f64() * 1e3;
    let row = over_http(blender, OVER_OUR_HTTP, port)?;
    Ok((row, json!({"start_to_listening_ms": start_ms, "resident_kib": resident_kib(server.pid())?})))
}

/// One session, each call a POST over a connection that is kept.
fn over_http(blender: &Blender, name: &'static str, port: u16) -> Result<Row> {
    let token = fs_err::read_to_string(blender.folder.path().join("config/token"))?;
    let agent = ureq::Agent::new_with_defaults();
    let send = |session: Option<&str>, message: Value| -> Result<(Option<String>, String)> {
        let mut request = agent.post(format!("http://127.0.0.1:{port}/mcp"));
        request = request.header("Authorization", format!("Bearer {}", token.trim()));
        request =
            request.header("Content-Type", "application/json").header("Accept", "application/json, text/event-stream");
        if let Some(session) = session {
            request = request.header("Mcp-Session-Id", session);
        }
        let mut answer = request.send(message.to_string())?;
        let session = answer.headers().get("mcp-session-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
        Ok((session, answer.body_mut().read_to_string()?))
    };
    let client =
        json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}});
    let (session, _) = send(None, json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": client}))?;
    let session = session.as_deref();
    send(session, json!({"jsonrpc": "2.0", "method": "notifications/initialized"}))?;
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": TOOL, "arguments": {"code": CODE}}});
    let times = timed(CALLS, || {
        let (_, answer) = send(session, call.clone())?;
        ensure!(answer.contains(r#""n":1"#), "{answer}");
        Ok(())
    })?;
    Ok(Row::new(name, times, None))
}

fn timed(calls: usize, mut call: impl FnMut() -> Result<()>) -> Result<Vec<Duration>> {
    let mut times = Vec::with_capacity(calls);
    for count in 0..calls + WARM_UP {
        let before = Instant::now();
        call()?;
        if count >= WARM_UP {
            times.push(before.elapsed());
        }
    }
    Ok(times)
}
