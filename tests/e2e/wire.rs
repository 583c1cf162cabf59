// SPDX-License-Identifier: GPL-3.0-or-later
//! The wire as clients see it: bytes, dialects, connections.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use blendwire_e2e::{Blender, Gate, Wire, execute_request, http, resident_kib, wait_until};
use serde_json::{Value, json};

use crate::suite::{EVERYWHERE, Suite};

pub(crate) fn add(suite: &mut Suite) {
    suite.own("wire::direct_python_client_gets_exactly_the_reply", |environment| {
        use blendwire_e2e::{Flavour, Settings};
        let blender = Blender::start(environment, Flavour::Bpy50, &Settings::default())?;
        direct_python_client(environment, &blender)
    });
    suite.shared(&EVERYWHERE, "wire::replies_have_exactly_the_known_keys", exact_bytes);
    suite.shared(&EVERYWHERE, "wire::typed_lines_are_answered_with_lines", typed_lines);
    suite.shared(&EVERYWHERE, "wire::nul_may_come_late_behind_a_line_break", late_nul);
    suite.shared(&EVERYWHERE, "wire::malformed_requests_cost_one_answer_each", malformed);
    suite.shared(&EVERYWHERE, "wire::anything_else_gets_one_error_and_the_end", anything_else);
    suite.shared(&EVERYWHERE, "wire::one_shot_connections", one_shot);
    suite.shared(&EVERYWHERE, "wire::both_loopback_addresses", both_loopbacks);
    suite.shared(&EVERYWHERE, "wire::ten_thousand_pipelined_requests", pipelined);
    suite.shared(&EVERYWHERE, "wire::thirty_two_clients_each_in_order", many_clients);
    suite.shared(&EVERYWHERE, "wire::twenty_megabytes_each_way", large);
    suite.shared(
        &[blendwire_e2e::Flavour::Bpy52],
        "wire::large_requests_that_wait_are_bounded",
        large_requests_are_bounded,
    );
    suite.shared(&EVERYWHERE, "wire::half_a_frame_then_close", half_frame);
    suite.shared(&EVERYWHERE, "wire::slow_reader_holds_up_nobody", slow_reader);
    suite.shared(&EVERYWHERE, "wire::random_bytes_do_not_hurt", random_bytes);
    suite.shared(&EVERYWHERE, "http::health_and_status", health_and_status);
    suite.shared(&EVERYWHERE, "http::never_executes", http_never_executes);
}

/// The client that the origin's README prints, run by Python as users run it.
fn direct_python_client(environment: &blendwire_e2e::Environment, blender: &Blender) -> Result<()> {
    let client = format!(
        r#"
import json, socket
with socket.create_connection(("localhost", {port})) as sock:
    request = {{"type": "execute", "code": "result = {{'version': bpy.app.version_string}}", "strict_json": False}}
    sock.sendall((json.dumps(request) + "\0").encode("utf-8"))
    data = b""
    while not data.endswith(b"\0"):
        data += sock.recv(65536)
print(json.loads(data[:-1]))
"#,
        port = blender.port
    );
    let output = Command::new(&environment.connector).args(["-c", &client]).output()?;
    let version = blender.result("result = bpy.app.version_string")?;
    let version = version.as_str().context("no version")?;
    let expected = format!("{{'status': 'ok', 'result': {{'version': '{version}'}}, 'stdout': ''}}\n");
    let printed = String::from_utf8_lossy(&output.stdout);
    ensure!(printed == expected, "{printed:?} is not {expected:?}; {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

fn exact_bytes(blender: &mut Blender) -> Result<()> {
    let mut wire = blender.wire()?;
    wire.send(&execute_request("print('out'); result = {'a': [1, 2.5, None, True, 'ü\\n']}"))?;
    let text = String::from_utf8(wire.read_to(0)?)?;
    let expected = r#"{"status": "ok", "result": {"a": [1, 2.5, null, true, "ü\n"]}, "stdout": "out\n"}"#;
    ensure!(text == expected, "{text}");
    let error = wire.execute("import sys\nprint('before', file=sys.stderr)\n1 / 0")?;
    let keys: Vec<&String> = error.as_object().context("not an object")?.keys().collect();
    ensure!(keys == ["status", "message", "stdout"], "{keys:?}");
    ensure!(error["stdout"] == "before\n", "{error}");
    Ok(())
}

fn typed_lines(blender: &mut Blender) -> Result<()> {
    let mut wire = blender.wire()?;
    wire.send(b"{\"type\": \"execute\",\n  \"code\": \"result = 6 * 7\"\n}\r\n{\"type\":\"ping\"}\n")?;
    let first = wire.read_to(b'\n')?;
    ensure!(first == br#"{"status": "ok", "result": 42, "stdout": ""}"#, "{:?}", String::from_utf8_lossy(&first));
    let second = wire.read_to(b'\n')?;
    ensure!(second == br#"{"status": "ok", "result": "pong", "stdout": ""}"#, "{:?}", String::from_utf8_lossy(&second));
    Ok(())
}

/// As `(cat request.json; printf '\0') | nc` sends it, in two pieces.
fn late_nul(blender: &mut Blender) -> Result<()> {
    let mut wire = blender.wire()?;
    wire.send(b"{\"type\": \"ping\"}\n")?;
    wire.read_to(b'\n')?;
    wire.send(b"\0")?;
    ensure!(wire.read_to(0)?.is_empty(), "the NUL follows");
    ensure!(wire.result("result = 1")? == 1);
    Ok(())
}

fn malformed(blender: &mut Blender) -> Result<()> {
    let mut wire = blender.wire()?;
    for (bytes, word) in [
        (&b"{\"type\": }\0"[..], "not valid JSON"),
        (b"{\"type\": \"execute\xff\"}\0", "not valid UTF-8"),
        (b"[1, 2]\0", "not an array"),
        (b"{\"type\": \"launch_missiles\"}\0", "unknown request type \"launch_missiles\""),
        (b"{\"type\": \"execute\"}\0", "needs \"code\""),
        (b"{\"type\": \"execute\", \"code\": null}\0", "needs \"code\""),
        (b"{\"type\": \"execute\", \"code\": 7}\0", "must be a string, not a number"),
        (b"{}\0", "no \"type\""),
    ] {
        wire.send(bytes)?;
        let reply = wire.reply()?;
        let message = reply["message"].as_str().unwrap_or_default();
        ensure!(reply["status"] == "error" && message.contains(word), "{reply} for {bytes:?}");
    }
    ensure!(wire.result("result = 1")? == 1);
    Ok(())
}

fn anything_else(blender: &mut Blender) -> Result<()> {
    for bytes in [&b"hello\n"[..], b"SSH-2.0-x\r\n", b"\xff\xfe\x00"] {
        let mut wire = blender.wire()?;
        wire.send(bytes)?;
        wire.finish_sending()?;
        let answer = wire.read_to_end()?;
        let text = answer.strip_suffix(b"\n\0").context("the answer ends for programs and for people")?;
        let reply: Value = serde_json::from_slice(text)?;
        let message = reply["message"].as_str().unwrap_or_default();
        ensure!(reply["status"] == "error" && message.contains("GET /health"), "{reply}");
    }
    // What begins as TLS and is none is told in TLS's own words, or not at all.
    for bytes in [&b"\x16\x03\x01\x00\x05hello"[..], b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"] {
        let mut wire = blender.wire()?;
        wire.send(bytes)?;
        wire.finish_sending()?;
        let answer = wire.read_to_end()?;
        ensure!(answer.is_empty() || answer.starts_with(b"\x15\x03"), "{answer:?}");
    }
    Ok(())
}

fn one_shot(blender: &mut Blender) -> Result<()> {
    for number in 0..200 {
        let mut wire = blender.wire()?;
        // As `echo … | nc -N` does: the end of what is sent is no reason not to answer.
        wire.send(&execute_request(&format!("result = {number}")))?;
        wire.finish_sending()?;
        let answer = wire.read_to_end()?;
        let expected = format!("{{\"status\": \"ok\", \"result\": {number}, \"stdout\": \"\"}}\0");
        ensure!(answer == expected.as_bytes(), "{:?}", String::from_utf8_lossy(&answer));
    }
    Ok(())
}

fn both_loopbacks(blender: &mut Blender) -> Result<()> {
    for address in ["127.0.0.1", "::1"] {
        let reachable = std::net::TcpStream::connect((address, blender.port));
        reachable.with_context(|| format!("{address} is not served"))?;
    }
    Ok(())
}

fn pipelined(blender: &mut Blender) -> Result<()> {
    const REQUESTS: usize = 10_000;
    let mut wire = blender.wire()?;
    let mut sender = wire.sender()?;
    let sending = std::thread::spawn(move || {
        use std::io::Write as _;
        let all: Vec<u8> = (0..REQUESTS).flat_map(|n| execute_request(&format!("result = {n}"))).collect();
        sender.write_all(&all)
    });
    for number in 0..REQUESTS {
        let reply = wire.reply()?;
        ensure!(reply["result"] == number, "{reply} instead of {number}");
    }
    sending.join().map_err(|_| anyhow::anyhow!("the sender panicked"))??;
    Ok(())
}

fn many_clients(blender: &mut Blender) -> Result<()> {
    let port = blender.port;
    let clients: Vec<_> = (0..32)
        .map(|client| {
            std::thread::spawn(move || -> Result<()> {
                let mut wire = Wire::connect(port)?;
                for burst in 0..10 {
                    for number in 0..5 {
                        wire.send(&execute_request(&format!(
                            "print({client}); result = [{client}, {burst}, {number}]"
                        )))?;
                    }
                    for number in 0..5 {
                        let reply = wire.reply()?;
                        ensure!(reply["result"] == json!([client, burst, number]), "{reply}");
                        ensure!(reply["stdout"] == format!("{client}\n"), "{reply}");
                    }
                }
                Ok(())
            })
        })
        .collect();
    for client in clients {
        client.join().map_err(|_| anyhow::anyhow!("a client panicked"))??;
    }
    Ok(())
}

fn large(blender: &mut Blender) -> Result<()> {
    const BYTES: usize = 20_000_000;
    let mut wire = blender.wire()?;
    let code = format!("data = '{}'\nresult = [len(data), data[-3:]]", "x".repeat(BYTES - 3) + "end");
    ensure!(wire.result(&code)? == json!([BYTES, "end"]));
    let result = wire.result(&format!("result = 'ab' * {}", BYTES / 2))?;
    let text = result.as_str().context("not a string")?;
    ensure!(text.len() == BYTES && text.bytes().step_by(2).all(|byte| byte == b'a'), "the result is not whole");
    Ok(())
}

/// What large requests took is given back, and what waits has a limit in bytes. Nothing runs until that was measured.
fn large_requests_are_bounded(blender: &mut Blender) -> Result<()> {
    const REQUESTS: usize = 20;
    let pid = blender.process.pid();
    let resident = || Ok::<_, anyhow::Error>(usize::try_from(resident_kib(pid)? / 1024)?);
    let before = resident()?;
    let mut busy = blender.wire()?;
    let gate = Gate::closed(blender.file("large-requests"));
    busy.send(&execute_request(&gate.wait()))?;
    let mut wire = blender.wire()?;
    let mut sender = wire.sender()?;
    let sending = std::thread::spawn(move || {
        use std::io::Write as _;
        let request = execute_request(&format!("data = '{}'\nresult = len(data)", "x".repeat(30_000_000)));
        (0..REQUESTS).try_for_each(|_| sender.write_all(&request))
    });
    let look = || -> Option<(usize, u64)> {
        let status: Value = serde_json::from_str(&http(blender.port, "GET /status", "").ok()?.1).ok()?;
        let length =
            status["queue"]["length"].as_u64().filter(|length| *length > 0 && status["running"].is_object())?;
        Some((resident().ok()?.saturating_sub(before), length))
    };
    let mut last = None;
    // The server takes no more when two looks agree; Blender has some memory of its own.
    let waiting = wait_until("no more requests to be taken", Duration::from_mins(1), || {
        std::thread::sleep(Duration::from_secs(1));
        let (waiting, length) = look()?;
        let (waited, as_long) = last.replace((waiting, length))?;
        (waiting.abs_diff(waited) <= 2 && length == as_long).then_some(waiting)
    })?;
    gate.open()?;
    ensure!(waiting < 350, "{waiting} MiB are held for {REQUESTS} requests of 30 MB that wait");
    for _ in 0..REQUESTS {
        ensure!(wire.reply()?["result"] == 30_000_000);
    }
    sending.join().map_err(|_| anyhow::anyhow!("the sender panicked"))??;
    Ok(())
}

fn half_frame(blender: &mut Blender) -> Result<()> {
    let mut wire = blender.wire()?;
    wire.send(b"{\"type\": \"execute\", \"code\": \"result = 1")?;
    wire.finish_sending()?;
    let reply = wire.reply()?;
    ensure!(reply["message"].as_str().unwrap_or_default().contains("in the middle of a request"), "{reply}");
    drop(wire);
    // And one that just goes away.
    let mut gone = blender.wire()?;
    gone.send(b"{\"type\": \"exec")?;
    drop(gone);
    ensure!(blender.result("result = 2")? == 2);
    Ok(())
}

fn slow_reader(blender: &mut Blender) -> Result<()> {
    let mut slow = blender.wire()?;
    for _ in 0..4 {
        slow.send(&execute_request("result = 'x' * 10_000_000"))?;
    }
    let mut quick = blender.wire()?;
    let before = Instant::now();
    for number in 0..200 {
        ensure!(quick.result(&format!("result = {number}"))? == number);
    }
    // The slow one is dropped after 60 s: who waited for it would take as long.
    ensure!(before.elapsed() < Duration::from_secs(50), "others waited {:?}", before.elapsed());
    for _ in 0..4 {
        let reply = slow.reply()?;
        ensure!(reply["result"].as_str().map(str::len) == Some(10_000_000), "the slow reader's answer is not whole");
    }
    Ok(())
}

fn random_bytes(blender: &mut Blender) -> Result<()> {
    // A small generator with a fixed seed: what fails can be run again.
    let mut state: u64 = 0x9E37_79B9_7F4A_7C15;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    for round in 0..100 {
        let mut wire = blender.wire()?;
        let mut bytes: Vec<u8> = (0..300).map(|_| next()).collect();
        if round % 2 == 0 {
            bytes[0] = b'{';
        }
        // The server may have closed before everything was sent; that is its right.
        let _ = wire.send(&bytes);
    }
    ensure!(blender.result("result = 3")? == 3);
    Ok(())
}

fn health_and_status(blender: &mut Blender) -> Result<()> {
    blender.wire()?.execute("raise ValueError('for the status')")?;
    let (code, body) = http(blender.port, "GET /health", "")?;
    let health: Value = serde_json::from_str(&body)?;
    ensure!(code == 200 && health["ready"] == true, "{code} {body}");
    let (code, body) = http(blender.port, "GET /status", "")?;
    let status: Value = serde_json::from_str(&body)?;
    ensure!(code == 200, "{code} {body}");
    ensure!(status["last"]["first_line"] == "raise ValueError('for the status')", "{status}");
    ensure!(status["last"]["ok"] == false && status["pid"] == blender.process.pid(), "{status}");
    ensure!(status["background"] == (blender.flavour != blendwire_e2e::Flavour::Windowed), "{status}");
    let mut wire = blender.wire()?;
    wire.send(b"{\"type\":\"status\"}\0")?;
    ensure!(wire.reply()?["result"]["versions"] == status["versions"], "both ways tell the same");
    ensure!(http(blender.port, "POST /health", "Content-Length: 0\r\n")?.0 == 405);
    ensure!(http(blender.port, "GET /nothing", "")?.0 == 404);
    Ok(())
}

fn http_never_executes(blender: &mut Blender) -> Result<()> {
    blender.result("bpy.app.driver_namespace['owned'] = False")?;
    let attack = "{\"type\": \"execute\", \"code\": \"bpy.app.driver_namespace['owned'] = True\"}";
    for path in ["/", "/execute", "/status", "/mcp"] {
        for body in [attack.to_owned(), format!("\0{attack}\0"), format!("\r\n\r\n{attack}\n")] {
            let mut wire = blender.wire()?;
            let length = body.len();
            let head = format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n");
            wire.send((head + &body).as_bytes())?;
            wire.finish_sending()?;
            let answer = wire.read_to_end()?;
            ensure!(answer.starts_with(b"HTTP/1.1 4"), "{:?}", String::from_utf8_lossy(&answer));
        }
    }
    ensure!(http(blender.port, "GET /status", "Origin: https://evil.example\r\n")?.0 == 403);
    ensure!(blender.result("result = bpy.app.driver_namespace['owned']")? == false);
    Ok(())
}
