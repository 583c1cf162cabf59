// SPDX-License-Identifier: GPL-3.0-or-later
//! Connections that stay, by the thousand, and requests that come a byte at a time.

use std::io::Write as _;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use blendwire_e2e::{Blender, Environment, Flavour, Gate, Settings, Wire, http, wait_until};
use serde_json::{Value, json};

use super::ensure_unharmed;
use crate::suite::Suite;

pub(crate) fn add(suite: &mut Suite) {
    for flavour in [Flavour::Bpy52, Flavour::Windowed] {
        suite.own(
            &format!("{}::attacks::connections_by_the_thousand_hurt_nobody_who_is_in", flavour.name()),
            move |environment| thousands(environment, flavour),
        );
        suite.own(&format!("{}::attacks::slow_drips_are_put_out_or_hurt_nobody", flavour.name()), move |environment| {
            drips(environment, flavour)
        });
    }
}

/// Far longer than any of the server's own limits.
const PATIENT: Duration = Duration::from_secs(100);

fn status(wire: &mut Wire) -> Result<Value> {
    Ok(wire.answer(&json!({"type": "status"}))?["result"].take())
}

/// How many the server takes: what it may, or half of the files that Blender may open.
/// How many connections may be open at once.
pub(crate) fn limit(blender: &Blender) -> Result<usize> {
    let limits = fs_err::read_to_string(format!("/proc/{}/limits", blender.process.pid()))?;
    let line = limits.lines().find(|line| line.starts_with("Max open files")).context("no limit")?;
    let files: usize = line.split_whitespace().nth(3).context("no number")?.parse()?;
    Ok((files / 2).min(1024))
}

fn thousands(environment: &Environment, flavour: Flavour) -> Result<()> {
    let blender = Blender::start(environment, flavour, &Settings::default())?;
    let limit = limit(&blender)?;
    let mut watcher = blender.wire()?;
    let mut running = blender.wire()?;
    let gate = Gate::closed(blender.file("go"));
    running.ask(&json!({"type": "execute", "code": format!("{}\nresult = 'unhurt'", gate.wait())}))?;
    let clients = status(&mut watcher)?["clients"].as_u64().context("no clients")?;
    let room = limit - usize::try_from(clients)?;
    let begun = Instant::now();
    // Some are silent, some stop in the middle. None of a kind that is put out after a while: see the drips for those.
    let mut held = Vec::new();
    for number in 0..room {
        let mut stream = TcpStream::connect(("127.0.0.1", blender.port))?;
        stream.write_all([&b""[..], b"{\"type\": \"exec", b" \r\n", b"POS"][number % 4])?;
        held.push(stream);
    }
    wait_until("all of them to be in", PATIENT, || (status(&mut watcher).ok()?["clients"] == limit).then_some(()))?;
    println!("{}: {room} connections within {:?}", flavour.name(), begun.elapsed());
    // One too many is told so, in words and at once, whatever it speaks.
    let words = format!("{limit} connections are open");
    for (request, begins, ends) in [
        (&b"{\"type\": \"ping\"}\0"[..], "{\"status\": \"error\"", "\0"),
        (b"", "{\"status\": \"error\"", "\0"),
        (b"{\"type\": \"get_scene_info\"}", "{\"status\": \"error\"", "}"),
        (b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n", "HTTP/1.1 503 ", "}"),
    ] {
        let mut wire = Wire::connect(blender.port)?;
        let _ = wire.send(request);
        let said = String::from_utf8(wire.read_to_end()?)?;
        ensure!(said.contains(&words) && said.starts_with(begins) && said.ends_with(ends), "{said:?}");
    }
    // A flood that stays takes no more of Blender's files than those who are told that they are too many.
    let files = || anyhow::Ok(fs_err::read_dir(format!("/proc/{}/fd", blender.process.pid()))?.count());
    let before = files()?;
    let flood: Vec<_> = (0..400).map(|_| TcpStream::connect(("127.0.0.1", blender.port))).collect();
    let most = files()?;
    println!("{}: files before a flood that stays: {before}, in it: {most}", flavour.name());
    ensure!(most <= before + 100, "{before} files have become {most}");
    drop(flood);
    // Nor does one that goes change anything for those who are in.
    for _ in 0..2000 {
        let _ = TcpStream::connect(("127.0.0.1", blender.port));
    }
    ensure!(watcher.answer(&json!({"type": "ping"}))?["result"] == "pong");
    gate.open()?;
    ensure!(running.reply()?["result"] == "unhurt");
    ensure!(watcher.result("result = 'in'")? == "in");
    // Not all two thousand: what comes faster than it can be accepted may be lost by the system itself.
    wait_until("the flood to be refused", PATIENT, || {
        let now = status(&mut watcher).ok()?;
        let refused = now["counters"]["connections_refused"].as_u64()?;
        (refused > 1000).then_some(())
    })?;
    // Half go politely, half by a reset that leaves no goodbye.
    let half = held.len() / 2;
    for stream in held.drain(..half) {
        let _ = stream.shutdown(std::net::Shutdown::Write);
    }
    drop(held);
    let begun = Instant::now();
    wait_until("the server to recover", PATIENT, || (status(&mut watcher).ok()?["clients"] == 2).then_some(()))?;
    println!("{}: recovered after {:?}", flavour.name(), begun.elapsed());
    ensure!(blender.process.output().matches("which is the limit").count() < 10, "the log tells of each of them");
    ensure_unharmed(&blender, "connections by the thousand")
}

/// What is sent at once, and then a byte at a time; whether the server puts such a client out.
const DRIPS: [(&str, &[u8], u8, bool); 6] = [
    ("the head of a request", b"GET /health HTTP/1.1\r\nX: ", b'x', true),
    ("many headers", b"GET /health HTTP/1.1\r\n", b'\n', true),
    ("a handshake", b"\x16\x03\x01\x20\x00\x01\x00\x1f\xfc\x03\x03", b'x', true),
    (
        "a body without the token",
        b"POST /execute HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n",
        b'x',
        true,
    ),
    // A client of this user may take its time: it costs a connection, and holds up nobody.
    ("a message", b"{\"type\": \"execute\", \"code\": \"", b'x', false),
    ("white space", b" ", b' ', false),
];

fn drips(environment: &Environment, flavour: Flavour) -> Result<()> {
    let blender = Blender::start(environment, flavour, &Settings::default())?;
    let port = blender.port;
    let dripping: Vec<_> = DRIPS
        .map(|(what, first, drop, is_put_out)| {
            std::thread::spawn(move || -> Result<Duration> {
                let begun = Instant::now();
                let mut wire = Wire::connect(port)?;
                wire.send(first)?;
                let longest = if is_put_out { PATIENT } else { Duration::from_secs(45) };
                while begun.elapsed() < longest {
                    // A line that only begins is no end of a head.
                    let bytes = if drop == b'\n' { &b"X: y\r\n"[..] } else { std::slice::from_ref(&drop) };
                    if wire.send(bytes).is_err() {
                        ensure!(is_put_out, "{what} was put out after {:?}", begun.elapsed());
                        return Ok(begun.elapsed());
                    }
                    std::thread::sleep(Duration::from_millis(500));
                }
                ensure!(!is_put_out, "{what} has been dripping for {longest:?}, and goes on");
                Ok(begun.elapsed())
            })
        })
        .into_iter()
        .collect();
    // Others are served meanwhile.
    let mut slowest = Duration::ZERO;
    while dripping.iter().any(|thread| !thread.is_finished()) {
        let begun = Instant::now();
        ensure!(blender.result("result = 1")? == 1);
        ensure!(http(port, "GET /health", "")?.0 == 200);
        slowest = slowest.max(begun.elapsed());
        std::thread::sleep(Duration::from_millis(100));
    }
    for ((what, ..), thread) in DRIPS.iter().zip(dripping) {
        let took = thread.join().map_err(|_| anyhow::anyhow!("{what}: the client panicked"))??;
        println!("{}: {what}: {took:?}", flavour.name());
    }
    println!("{}: slowest answer meanwhile: {slowest:?}", flavour.name());
    ensure!(slowest < Duration::from_secs(10), "{slowest:?}");
    ensure_unharmed(&blender, "slow drips")
}
