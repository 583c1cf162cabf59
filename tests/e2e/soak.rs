// SPDX-License-Identifier: GPL-3.0-or-later
//! Fifty clients of every kind at once, for long: each accepted request gets its own answer, once, and Blender is
//! afterwards what it was. A minute in the suite; `cargo xtask soak --minutes N` for as long as wanted.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use blendwire_e2e::{Blender, Environment, Flavour, Settings, StallMeter, Wire, http, resident_kib, wait_until};
use serde_json::{Value, json};

use crate::attacks::tls::inside_tls;
use crate::http::{bearer, unchunked};
use crate::mcp::HttpClient;
use crate::suite::Suite;

const CLIENTS: usize = 50;

/// The variable by which `cargo xtask soak` says how long.
const SECONDS: &str = "BLENDWIRE_SOAK_SECS";

/// What the system's allocator and Blender's own caches may keep beyond the warm-up: large replies leave holes.
const MORE_MEMORY_MIB: u64 = 200;

/// The longest that Blender's own timers may wait. The longest script here takes half a second, and a tick ends after
/// the script that has used up its budget; the rest is other programs' share of a loaded machine. Measured on two cores
/// beside two builds: 1.8 s.
const STARVED_SECS: f64 = 5.0;

/// Where the server is, and what its clients need.
struct At {
    port: u16,
    /// The line of a request's head with the token.
    token: String,
    workspace: PathBuf,
}

/// Took how long, for each kind of request.
type Figures = Mutex<BTreeMap<&'static str, Vec<Duration>>>;

pub(crate) fn add(suite: &mut Suite) {
    suite.own("windowed::soak::fifty_clients_of_every_kind", soak);
}

#[derive(Clone, Copy, Debug)]
struct Measured {
    memory_mib: u64,
    threads: usize,
    descriptors: usize,
}

fn measure(blender: &Blender) -> Result<Measured> {
    let folder = format!("/proc/{}", blender.process.pid());
    let count = |what: &str| -> Result<usize> { Ok(fs_err::read_dir(format!("{folder}/{what}"))?.count()) };
    let memory_mib = resident_kib(blender.process.pid())? / 1024;
    Ok(Measured { memory_mib, threads: count("task")?, descriptors: count("fd")? })
}

fn soak(environment: &Environment) -> Result<()> {
    let seconds = std::env::var(SECONDS).map_or(Ok(60), |text| text.parse::<u64>()).context(SECONDS)?;
    let blender = Blender::start(environment, Flavour::Windowed, &Settings::default())?;
    let stalls = StallMeter::start();
    // The longest wait between two turns of a timer of Blender's, and how long the main thread computed in it: the rest
    // it slept in a script, or other programs had the processor.
    blender.result(
        "import time\nspace = bpy.app.driver_namespace\nspace['ticks'], space['worst'] = 0, (0.0, 0.0)\n\
         now = lambda: (time.monotonic(), time.thread_time())\nspace['last'] = now()\n\
         def tick():\n    at, last = now(), space['last']\n\
         \x20   space['worst'] = max(space['worst'], (at[0] - last[0], at[1] - last[1]))\n\
         \x20   space['last'] = at\n    space['ticks'] += 1\n    return 0.05\nbpy.app.timers.register(tick)",
    )?;
    let at = At { port: blender.port, token: bearer(&blender)?, workspace: environment.workspace.clone() };
    load(&at, Duration::from_secs(10), &Figures::default()).context("warming up")?;
    quiet(&blender)?;
    let before = measure(&blender)?;
    let figures = Figures::default();
    load(&at, Duration::from_secs(seconds), &figures)?;
    quiet(&blender)?;
    let after = wait_until("threads and descriptors to be back where they were", Duration::from_mins(1), || {
        let now = measure(&blender).ok()?;
        // Blender starts a worker or opens a file of its own now and then.
        (now.threads <= before.threads + 4 && now.descriptors <= before.descriptors + 4).then_some(now)
    })?;
    for (kind, took) in figures.lock().map_err(|_| anyhow::anyhow!("a client panicked"))?.iter_mut() {
        took.sort_unstable();
        let at = |share: usize| took[(took.len() - 1) * share / 100];
        println!("{kind:<22} {:>8} requests, median {:?}, 99 % within {:?}", took.len(), at(50), at(99));
    }
    let space = "space = bpy.app.driver_namespace\nresult = [space['ticks'], *space['worst']]";
    let ticks = blender.result(space)?;
    let stall = stalls.stop()?;
    println!(
        "before: {before:?}\nafter {seconds} s: {after:?}\n\
         ticks of a timer of Blender's, longest wait, computing in it (s): {ticks}\nlongest stall: {stall:?}"
    );
    ensure!(after.memory_mib <= before.memory_mib + MORE_MEMORY_MIB, "{before:?} became {after:?}");
    let starved_secs = STARVED_SECS + 2.0 * stall.as_secs_f64();
    ensure!(ticks[1].as_f64().is_some_and(|worst| worst < starved_secs), "the window stood still: {ticks}");
    let status = blender.wire()?.answer(&json!({"type": "status"}))?;
    ensure!(status["result"]["counters"]["panics"] == 0, "{status}");
    Ok(())
}

fn quiet(blender: &Blender) -> Result<()> {
    wait_until("nothing to be left over", Duration::from_mins(2), || {
        let status = blender.wire().ok()?.answer(&json!({"type": "status"})).ok()?["result"].clone();
        // The one that asks; the server behind /mcp keeps its connection for some seconds.
        (status["clients"] == 1 && status["queue"]["length"] == 0 && status["running"].is_null()).then_some(())
    })
}

/// All clients until `length` has passed; the first wrong answer ends it.
fn load(at: &At, length: Duration, figures: &Figures) -> Result<()> {
    let until = Instant::now() + length;
    std::thread::scope(|scope| {
        let clients: Vec<_> =
            (0..CLIENTS).map(|number| scope.spawn(move || client(at, number, until, figures))).collect();
        clients.into_iter().try_for_each(|client| client.join().map_err(|_| anyhow::anyhow!("a client panicked"))?)
    })
}

/// What one turn of a client does with its connection.
type Turn = fn(&mut Wire, &At, &str) -> Result<()>;

const TURNS: [(&str, Turn); 16] = [
    ("framed", framed),
    ("typed line", typed_line),
    ("bare", bare),
    ("ping", ping),
    ("http", read_health),
    ("http execute", http_execute),
    ("http events", http_events),
    ("tls", in_tls),
    ("mcp", mcp),
    ("script error", script_error),
    ("cancel", cancel),
    ("time limit", time_limit),
    ("stream", stream),
    ("session", session),
    ("megabytes", megabytes),
    ("leaves in the middle", leaves),
];

fn client(at: &At, number: usize, until: Instant, figures: &Figures) -> Result<()> {
    for round in 0.. {
        if Instant::now() >= until {
            break;
        }
        let (kind, turn) = TURNS[(number + round) % TURNS.len()];
        let name = format!("client {number} round {round}");
        let start = Instant::now();
        let mut wire = Wire::connect(at.port)?;
        turn(&mut wire, at, &name).with_context(|| format!("{name}: {kind}"))?;
        let took = start.elapsed();
        figures.lock().map_err(|_| anyhow::anyhow!("a client panicked"))?.entry(kind).or_default().push(took);
        // Nothing more than the answer: a second one would come now at the latest.
        if !["bare", "leaves in the middle"].contains(&kind) {
            ensure!(wire.answer(&json!({"type": "ping"}))?["result"] == "pong", "{name}: {kind}: more than one answer");
        }
    }
    Ok(())
}

fn is(reply: &Value, result: &Value) -> Result<()> {
    let shown: String = reply.to_string().chars().take(300).collect();
    ensure!(reply["status"] == "ok" && reply["result"] == *result, "another answer: {shown}");
    Ok(())
}

fn code(reply: &Value, wanted: &str) -> Result<()> {
    ensure!(reply["error"]["code"] == wanted, "not {wanted}: {reply}");
    Ok(())
}

fn framed(wire: &mut Wire, _: &At, name: &str) -> Result<()> {
    for part in 0..3 {
        wire.ask(&json!({"type": "execute", "code": format!("result = '{name} {part}'")}))?;
    }
    (0..3).try_for_each(|part| is(&wire.reply()?, &json!(format!("{name} {part}"))))
}

fn typed_line(wire: &mut Wire, _: &At, name: &str) -> Result<()> {
    wire.send((json!({"type": "execute", "code": format!("result = '{name}'")}).to_string() + "\n").as_bytes())?;
    is(&serde_json::from_slice(&wire.read_to(b'\n')?)?, &json!(name))
}

fn bare(wire: &mut Wire, _: &At, name: &str) -> Result<()> {
    let request = json!({"type": "execute_code", "params": {"code": format!("print('{name}')")}});
    wire.send(request.to_string().as_bytes())?;
    let reply = wire.bare_reply()?;
    ensure!(reply["status"] == "success" && reply.to_string().contains(name), "{reply}");
    Ok(())
}

fn ping(wire: &mut Wire, _: &At, _: &str) -> Result<()> {
    is(&wire.answer(&json!({"type": "ping"}))?, &json!("pong"))
}

fn read_health(_: &mut Wire, at: &At, _: &str) -> Result<()> {
    let (health, status) = (http(at.port, "GET /health", "")?, http(at.port, "GET /status", "")?);
    ensure!([200, 503].contains(&health.0) && status.0 == 200, "{health:?} {status:?}");
    ensure!(serde_json::from_str::<Value>(&status.1)?["pid"].is_number());
    Ok(())
}

/// Sends a script to `/execute` and reads all that comes.
fn post(at: &At, accept: &str, name: &str) -> Result<String> {
    let code = format!("for part in range(3): print('{name}', part)\nresult = '{name}'");
    let body = json!({"code": code, "id": name}).to_string();
    let headers = format!("{}{accept}Content-Type: application/json\r\nConnection: close\r\n", at.token);
    let length = body.len();
    let head = format!("POST /execute HTTP/1.1\r\nHost: localhost\r\n{headers}Content-Length: {length}\r\n\r\n");
    let mut wire = Wire::connect(at.port)?;
    wire.send((head + &body).as_bytes())?;
    let said = String::from_utf8(wire.read_to_end()?)?;
    ensure!(said.starts_with("HTTP/1.1 200"), "{said}");
    Ok(said)
}

fn http_execute(_: &mut Wire, at: &At, name: &str) -> Result<()> {
    let said = post(at, "", name)?;
    let (begin, end) = (said.find('{').context("no reply")?, said.rfind('}').context("no whole reply")?);
    is(&serde_json::from_str(&said[begin..=end])?, &json!(name))
}

fn http_events(_: &mut Wire, at: &At, name: &str) -> Result<()> {
    let said = post(at, "Accept: text/event-stream\r\n", name)?;
    let said = unchunked(said.split_once("\r\n\r\n").context("no body")?.1)?;
    let messages = said.lines().filter_map(|line| line.strip_prefix("data:"));
    let messages: Vec<Value> = messages.map(serde_json::from_str).collect::<Result<_, _>>()?;
    let (reply, events) = messages.split_last().context("no events")?;
    let output: String = events.iter().filter_map(|event| event["text"].as_str()).collect();
    ensure!(reply["stdout"] == output && events.iter().all(|event| event["id"] == name), "{said}");
    is(reply, &json!(name))
}

fn in_tls(_: &mut Wire, at: &At, name: &str) -> Result<()> {
    let request = json!({"type": "execute", "code": format!("result = '{name}'")}).to_string() + "\0";
    let command = std::process::Command::new("python3");
    let said = inside_tls(command, &at.workspace, "127.0.0.1", at.port, &["1"], request.as_bytes())?;
    is(&serde_json::from_str(said.trim_end_matches('\0'))?, &json!(name))
}

fn mcp(_: &mut Wire, at: &At, name: &str) -> Result<()> {
    let client = HttpClient::begin(at.port, &at.token)?;
    let (_, answer) = client.execute(&format!("result = '{name}'"))?;
    ensure!(answer["result"]["structuredContent"]["result"] == name, "{answer}");
    client.end()
}

fn script_error(wire: &mut Wire, _: &At, name: &str) -> Result<()> {
    let reply = wire.answer(&json!({"type": "execute", "code": format!("raise ValueError('{name}')")}))?;
    ensure!(reply["message"].as_str().is_some_and(|text| text.contains(name)), "{reply}");
    Ok(())
}

fn cancel(wire: &mut Wire, at: &At, name: &str) -> Result<()> {
    wire.ask(&json!({"type": "execute", "id": name, "code": "import time\ntime.sleep(0.5)\nresult = 'slept'"}))?;
    let mut other = Wire::connect(at.port)?;
    wait_until("the request to be known", Duration::from_mins(1), || {
        let reply = other.answer(&json!({"type": "cancel", "id": name})).ok()?;
        (reply["status"] == "ok" || reply["message"].as_str()?.contains("ended")).then_some(())
    })?;
    let reply = wire.reply()?;
    // It may have slept to its end before the cancel came.
    if reply["result"] == "slept" { Ok(()) } else { code(&reply, "cancelled") }
}

fn time_limit(wire: &mut Wire, _: &At, name: &str) -> Result<()> {
    let spins = json!({"type": "execute", "id": name, "timeout_secs": 0.2, "code": "while True: pass"});
    code(&wire.answer(&spins)?, "timeout")
}

fn stream(wire: &mut Wire, _: &At, name: &str) -> Result<()> {
    let prints = format!("for part in range(5): print('{name}', part)\nresult = '{name}'");
    wire.ask(&json!({"type": "execute", "id": name, "stream": true, "code": prints}))?;
    let (events, reply) = wire.events()?;
    let output: String = events.iter().filter_map(|event| event["text"].as_str()).collect();
    ensure!(reply["stdout"] == output && events.iter().all(|event| event["id"] == name), "{events:?} {reply}");
    is(&reply, &json!(name))
}

fn session(wire: &mut Wire, _: &At, name: &str) -> Result<()> {
    // Thirty-two sessions are kept; all clients of a Blender share these.
    let session = format!("of {}", name.len());
    let set = json!({"type": "execute", "session": session, "code": format!("mine = '{name}'\nresult = mine")});
    is(&wire.answer(&set)?, &json!(name))?;
    let reply = wire.answer(&json!({"type": "execute", "session": session, "code": "result = mine"}))?;
    ensure!(reply["result"].as_str().is_some_and(|text| text.starts_with("client ")), "{reply}");
    Ok(())
}

fn megabytes(wire: &mut Wire, _: &At, name: &str) -> Result<()> {
    let size = (1 + name.len() % 8) * 1_000_000;
    let text = name.repeat(size / name.len());
    let reply = wire.answer(&json!({"type": "execute", "code": format!("result = '{text}'")}))?;
    ensure!(reply["result"] == text, "another text of {} bytes", reply["result"].as_str().unwrap_or_default().len());
    Ok(())
}

fn leaves(wire: &mut Wire, _: &At, name: &str) -> Result<()> {
    match name.len() % 3 {
        0 => wire.send(b"{\"type\": \"execute\", \"code\": \"resu"),
        1 => wire.ask(&json!({"type": "execute", "code": "result = 'x' * 2_000_000"})),
        _ => wire.send(b"GET /status HTTP/1.1\r\n"),
    }
}
