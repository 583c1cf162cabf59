// SPDX-License-Identifier: GPL-3.0-or-later
//! Texts made to exhaust whoever reads them: nested deeply, declared to be huge, or full of small things.

use anyhow::{Context as _, Result, ensure};
use blendwire_e2e::{Blender, Flavour, Wire, resident_kib};
use serde_json::{Value, json};

use super::{all_of, ensure_one_answer, ensure_unharmed};
use crate::http::bearer;
use crate::suite::{EVERYWHERE, Suite};

pub(crate) fn add(suite: &mut Suite) {
    suite.shared(&EVERYWHERE, "attacks::deep_nesting_in_a_request_costs_an_answer", in_requests);
    suite.shared(&EVERYWHERE, "attacks::deep_nesting_in_a_result_is_told_as_text", in_results);
    suite.shared(&[Flavour::Bpy52, Flavour::Windowed], "attacks::a_declared_gigabyte_takes_no_memory", declared);
    suite.shared(&[Flavour::Bpy52], "attacks::many_small_things_in_a_request_are_bounded", many_things);
}

const DEPTH: usize = 100_000;

/// Deeply nested values, as JSON text.
fn nested() -> [String; 4] {
    [
        "[".repeat(DEPTH) + &"]".repeat(DEPTH),
        "{\"a\":".repeat(DEPTH) + "1" + &"}".repeat(DEPTH),
        "[{\"a\":".repeat(DEPTH / 2) + "1" + &"}]".repeat(DEPTH / 2),
        "[".repeat(DEPTH),
    ]
}

fn in_requests(blender: &mut Blender) -> Result<()> {
    let token = bearer(blender)?;
    for value in nested() {
        for request in [
            format!("{{\"type\": \"execute\", \"code\": {value}}}"),
            format!("{{\"type\": \"status\", \"unknown\": {value}}}"),
            format!("{{\"type\": \"hello\", \"protocol_version\": 1, \"features\": {value}}}"),
            format!("{{\"a\": {value}, \"type\": \"execute\", \"code\": \"result = 1\"}}"),
            value.clone(),
        ] {
            // Framed: one reply, and the connection goes on.
            if request.starts_with('{') {
                let mut wire = blender.wire()?;
                wire.send(format!("{request}\0").as_bytes())?;
                let reply = wire.reply()?;
                ensure!(reply["status"].is_string(), "{reply}");
                ensure!(reply["status"] == "error" || !request.ends_with("[["), "{reply}");
                ensure!(wire.result("result = 2")? == 2);
            }
            let head = format!(
                "POST /execute HTTP/1.1\r\nHost: localhost\r\n{token}Content-Type: application/json\r\n\
                 Connection: close\r\nContent-Length: {}\r\n\r\n",
                request.len()
            );
            let answer = all_of(blender, format!("{head}{request}").as_bytes())?;
            ensure!(answer.starts_with("HTTP/1.1 400 ") || answer.starts_with("HTTP/1.1 200 "), "{answer:?}");
        }
        // Bare: closed ones are answered, one that never closes ends with its connection.
        let bare = format!("{{\"type\": \"get_object_info\", \"params\": {{\"name\": {value}}}}}");
        let answer = all_of(blender, bare.as_bytes())?;
        ensure!(answer.starts_with("{\"status\": \"error\""), "{answer:?}");
        ensure_unharmed(blender, "deep nesting")?;
    }
    Ok(())
}

fn in_results(blender: &mut Blender) -> Result<()> {
    for (start, wrap) in [("[]", "[x]"), ("{}", "{'a': x}"), ("()", "(x,)")] {
        let code = format!("x = {start}\nfor _ in range({DEPTH}):\n    x = {wrap}\nresult = x");
        let mut wire = blender.wire()?;
        let text = String::from_utf8({
            wire.send(&blendwire_e2e::execute_request(&code))?;
            wire.read_to(0)?
        })?;
        // Read with a parser of ours: it is what other people's parsers must be able to read, so 100 levels and no more.
        let reply: Value = serde_json::from_str(&text).context("a reply that is nested too deeply to be read")?;
        ensure!(reply["status"] == "ok", "{reply}");
        ensure!(wire.result("result = 3")? == 3);
        // As bare JSON too.
        let mut bare = blender.wire()?;
        bare.send(json!({"type": "execute_code", "params": {"code": code}}).to_string().as_bytes())?;
        ensure!(bare.bare_reply()?["status"] == "success");
    }
    ensure_unharmed(blender, "a nested result")
}

/// Resident memory of Blender, in MiB.
fn resident(blender: &Blender) -> Result<usize> {
    Ok(usize::try_from(resident_kib(blender.process.pid())? / 1024)?)
}

fn declared(blender: &mut Blender) -> Result<()> {
    const GIGABYTE: usize = 1 << 30;
    let before = resident(blender)?;
    let token = bearer(blender)?;
    let as_json = format!("{token}Content-Type: application/json\r\n");
    let mut held = Vec::new();
    for (headers, body, classes) in [
        (format!("Content-Length: {GIGABYTE}\r\n"), "{", &["401 "][..]),
        (format!("{as_json}Content-Length: {GIGABYTE}\r\n"), "{", &["413 "]),
        (format!("{as_json}Content-Length: {}\r\n", u64::MAX), "{", &["413 ", "400 ", "431 "]),
        ("Transfer-Encoding: chunked\r\n".to_owned(), "40000000\r\n{", &["401 "]),
        (format!("{as_json}Transfer-Encoding: chunked\r\n"), "40000000\r\n{", &["400 "]),
        (format!("{as_json}Transfer-Encoding: chunked\r\n"), "fffffffffffffff0\r\n{", &["400 "]),
    ] {
        let attack = format!("POST /execute HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n{body}");
        ensure_one_answer(&all_of(blender, attack.as_bytes())?, classes, &attack)?;
        // Many that stay open and send no more.
        for _ in 0..20 {
            let mut wire = Wire::connect(blender.port)?;
            wire.send(attack.as_bytes())?;
            held.push(wire);
        }
    }
    let grown = resident(blender)?.saturating_sub(before);
    ensure!(grown < 100, "declared gigabytes took {grown} MiB");
    drop(held);
    ensure_unharmed(blender, "declared gigabytes")
}

/// A request within the limit can still be made of millions of values; none of them is kept.
fn many_things(blender: &mut Blender) -> Result<()> {
    let before = resident(blender)?;
    for value in [
        format!("[{}1]", "[],".repeat(10_000_000)),
        format!("[{}1]", "1,".repeat(20_000_000)),
        format!("{{{}\"z\": 1}}", "\"a\":1,".repeat(5_000_000)),
        format!("\"{}\"", "\\u0000".repeat(5_000_000)),
    ] {
        let mut wire = blender.wire()?;
        wire.send(format!("{{\"type\": \"ping\", \"unknown\": {value}}}\0").as_bytes())?;
        ensure!(wire.reply()?["result"] == "pong");
        for key in ["id", "features", "type"] {
            wire.send(format!("{{\"type\": \"hello\", \"protocol_version\": 1, \"{key}\": {value}}}\0").as_bytes())?;
            ensure!(wire.reply()?["status"].is_string());
        }
    }
    let grown = resident(blender)?.saturating_sub(before);
    ensure!(grown < 500, "{grown} MiB stayed");
    ensure_unharmed(blender, "many small things")
}
