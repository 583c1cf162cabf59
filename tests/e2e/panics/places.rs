// SPDX-License-Identifier: GPL-3.0-or-later
//! Where panics are caused, and how each is come upon.

use std::io::ErrorKind;
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use blendwire_e2e::{Blender, Wire, wait_until};
use serde_json::{Value, json};

use super::status;
use crate::access::said_to_nobody;
use crate::attacks::limit;
use crate::control::{Limited, limited};
use crate::http::bearer;
use crate::mcp;

/// A connection, or one request, goes down with its task; nothing is left waiting.
type Provoke = fn(&Blender) -> Result<()>;

/// Longer than what is parsed on the network thread itself.
const LONG_BYTES: usize = 1024 * 1024;

/// What every client is told of a defect that has ended its request.
const REPORT_IT: &str = "please report it";

pub(super) const PLACES: [(&str, Provoke); 23] = [
    ("accept", |blender| ends(blender, PING)),
    ("connection", |blender| ends(blender, PING)),
    ("one_too_many", one_too_many),
    ("turn_away", turn_away),
    ("replies", |blender| ends(blender, PING)),
    ("immediate", immediate),
    ("parser", parser),
    ("bare_look", bare_look),
    ("bare_parser", bare_parser),
    ("http", |blender| ends(blender, b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")),
    ("events", events),
    ("cancel", cancel),
    ("time_limit", time_limit),
    ("go_on", goes_on),
    ("acceptor", |blender| tls(blender, false)),
    ("tls", |blender| tls(blender, true)),
    ("mcp", mcp_thread),
    ("mcp_call", |blender| mcp_call(blender)),
    ("mcp_tool", |blender| mcp_call(blender)),
    ("mcp_resource", |blender| mcp_read(blender, "resources/read", &json!({"uri": "blender://scene"}), "\"contents\"")),
    ("mcp_list", |blender| mcp_read(blender, "resources/list", &json!({}), "\"resources\"")),
    ("mcp_prompt", |blender| mcp_read(blender, "prompts/get", &json!({"name": "scene_audit"}), "\"messages\"")),
    // What is not written after this is told of until the server is started anew.
    ("journal", journal),
];

const PING: &[u8] = b"{\"type\": \"ping\"}\0";

/// The connection ends; with or without an answer is up to where it happened.
fn ends(blender: &Blender, request: &[u8]) -> Result<()> {
    let mut wire = blender.wire()?;
    let _ = wire.send(request);
    let _ = wire.finish_sending();
    let _ = wire.read_to_end();
    Ok(())
}

fn tls(blender: &Blender, shakes_hands: bool) -> Result<()> {
    let mut command = std::process::Command::new("openssl");
    command.args(["s_client", "-connect", &format!("127.0.0.1:{}", blender.port)]);
    let output = command.stdin(std::process::Stdio::null()).output().context("the tests need openssl")?;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(said.contains("BEGIN CERTIFICATE") == shakes_hands, "{said}");
    Ok(())
}

/// The stream ends without the reply; the script has run.
fn events(blender: &Blender) -> Result<()> {
    let body = json!({"code": "result = 'kept'", "id": "evented"}).to_string();
    let head = format!(
        "POST /execute HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAccept: text/event-stream\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n{}\r\n",
        body.len(),
        bearer(blender)?
    );
    ends(blender, format!("{head}{body}").as_bytes())?;
    outcome(blender, "evented", |reply| reply["result"] == "kept")
}

/// The one who cancels is told of the defect, on either path of answers; a second try works.
fn cancel(blender: &Blender) -> Result<()> {
    let mut running = start(blender, "cancelled", &json!({"code": "while True: pass"}))?;
    let mut canceller = out_of_turn(blender)?;
    let reply = canceller.answer(&json!({"type": "cancel", "id": "cancelled"}))?;
    ensure!(reply["error"]["code"] == "dropped", "{reply}");
    let reply = canceller.answer(&json!({"type": "cancel", "id": "cancelled"}))?;
    ensure!(reply["result"]["state"] == "interrupted", "{reply}");
    ensure!(running.reply()?["error"]["code"] == "cancelled");
    Ok(())
}

/// The limit is lost with its task, and the script can still be cancelled.
fn time_limit(blender: &Blender) -> Result<()> {
    let mut running = start(blender, "limited", &json!({"code": "while True: pass", "timeout_secs": 0.2}))?;
    // The console is written when Blender comes round; the count is the network thread's.
    let earlier = PLACES.iter().position(|(place, _)| *place == "time_limit").context("no such place")?;
    wait_until("the panic", Duration::from_secs(20), || {
        (status(blender).ok()?["counters"]["panics"].as_u64()? > earlier as u64).then_some(())
    })?;
    let reply = blender.wire()?.answer(&json!({"type": "cancel", "id": "limited"}))?;
    ensure!(reply["result"]["state"] == "interrupted", "{reply}");
    ensure!(running.reply()?["error"]["code"] == "cancelled");
    Ok(())
}

/// What tries to end a script that cannot be interrupted yet is gone; its client has had its answer, and the script ends.
fn goes_on(blender: &Blender) -> Result<()> {
    // One long call of C code that never looks at Python's signals.
    let Limited { id, reply, .. } = limited(blender, "stubborn", "result = sum(range(250_000_000))", 0.6)?;
    ensure!(reply["error"]["code"] == "timeout", "{reply}");
    outcome(blender, &id, |reply| !reply["status"].is_null())
}

/// Sends a script under this id and waits until it runs.
fn start(blender: &Blender, id: &str, request: &Value) -> Result<Wire> {
    let mut wire = blender.wire()?;
    let mut request = request.clone();
    request["type"] = "execute".into();
    request["id"] = id.into();
    wire.ask(&request)?;
    wait_until("it to run", Duration::from_secs(20), || (status(blender).ok()?["running"]["id"] == id).then_some(()))?;
    Ok(wire)
}

fn outcome(blender: &Blender, id: &str, is_it: impl Fn(&Value) -> bool) -> Result<()> {
    wait_until("the outcome", Duration::from_secs(30), || {
        let reply = blender.wire().ok()?.answer(&json!({"type": "outcome", "id": id})).ok()?;
        (reply["error"]["code"] != "busy" && is_it(&reply)).then_some(())
    })
}

/// The one above the limit goes without its words.
fn one_too_many(blender: &Blender) -> Result<()> {
    let mut held = Vec::new();
    for _ in 0..limit(blender)? {
        held.push(TcpStream::connect(("127.0.0.1", blender.port))?);
    }
    // Others are open beside these, so that the last is above the limit in any case.
    let mut last = held.pop().context("none at all")?;
    last.set_read_timeout(Some(Duration::from_secs(20)))?;
    let ended = std::io::copy(&mut last, &mut std::io::sink());
    ensure!(
        ended.is_ok() || ended.as_ref().is_err_and(|error| error.kind() == ErrorKind::ConnectionReset),
        "{ended:?}"
    );
    drop(held);
    // Those that are gone make room.
    wait_until("room", Duration::from_secs(20), || status(blender).ok().map(drop))
}

/// One of another user's goes without its words; it is not let in for that.
fn turn_away(blender: &Blender) -> Result<()> {
    match said_to_nobody("127.0.0.1", blender.port, PING, &[]) {
        Ok(said) => ensure!(said.is_empty(), "{}", String::from_utf8_lossy(&said)),
        // What it has said was not read.
        Err(error) => ensure!(error.to_string().contains("ConnectionResetError"), "{error:#}"),
    }
    Ok(())
}

/// Nobody knows any more what became of the request, and its client is told that.
fn immediate(blender: &Blender) -> Result<()> {
    let mut wire = out_of_turn(blender)?;
    let reply = wire.answer(&json!({"type": "cancel", "id": "nobody"}))?;
    ensure!(reply["error"]["code"] == "dropped", "{reply}");
    let reply = wire.answer(&json!({"type": "cancel", "id": "nobody"}))?;
    ensure!(reply["error"]["code"] == "not_found", "{reply}");
    Ok(())
}

/// A connection whose control requests are answered out of turn.
fn out_of_turn(blender: &Blender) -> Result<Wire> {
    let mut wire = blender.wire()?;
    wire.ask(&json!({"type": "hello", "protocol_version": 1, "features": ["immediate_control"]}))?;
    let hello = wire.reply()?;
    ensure!(hello["result"]["features"] == json!(["immediate_control"]), "{hello}");
    Ok(wire)
}

/// The request is refused, and the next on the same connection is not.
fn parser(blender: &Blender) -> Result<()> {
    let mut wire = blender.wire()?;
    let long = json!({"type": "execute", "code": format!("result = 7#{}", "x".repeat(LONG_BYTES))});
    let reply = wire.answer(&long)?;
    ensure!(reply["status"] == "error" && says(&reply["message"], REPORT_IT), "{reply}");
    let reply = wire.answer(&long)?;
    ensure!(reply["result"] == 7, "{reply}");
    Ok(())
}

fn long_bare_request() -> Vec<u8> {
    json!({"type": "execute_code", "params": {"code": format!("print(7)#{}", "x".repeat(LONG_BYTES))}})
        .to_string()
        .into()
}

/// It is not known for what it is, and ended. Nothing of it is run.
fn bare_look(blender: &Blender) -> Result<()> {
    let mut wire = blender.wire()?;
    let executed = |blender| Ok::<_, anyhow::Error>(status(blender)?["counters"]["executed_ok"].clone());
    let before = executed(blender)?;
    wire.send(&long_bare_request())?;
    let said = wire.read_to_end().unwrap_or_default();
    ensure!(said.is_empty() && executed(blender)? == before, "{}", String::from_utf8_lossy(&said));
    Ok(())
}

fn bare_parser(blender: &Blender) -> Result<()> {
    let mut wire = blender.wire()?;
    wire.send(&long_bare_request())?;
    let reply = wire.bare_reply()?;
    ensure!(reply["status"] == "error" && says(&reply["message"], REPORT_IT), "{reply}");
    wire.send(&long_bare_request())?;
    let reply = wire.bare_reply()?;
    ensure!(reply["status"] == "success", "{reply}");
    Ok(())
}

fn says(value: &Value, words: &str) -> bool {
    value.as_str().is_some_and(|text| text.contains(words))
}

/// The answer of HTTP itself says so, and the next is as ever.
fn mcp_thread(blender: &Blender) -> Result<()> {
    let token = bearer(blender)?;
    let code = mcp::http::code(blender.port, &token)?;
    ensure!(code == "503", "{code}");
    let code = mcp::http::code(blender.port, &token)?;
    ensure!(code == "200", "{code}");
    Ok(())
}

/// The model is told; its next call is answered.
fn mcp_call(blender: &Blender) -> Result<()> {
    let call = json!({"name": "execute_blender_code", "arguments": {"code": "result = 'un' + 'hurt'"}});
    let (first, second) = mcp_twice(blender, "tools/call", &call)?;
    ensure!(first.contains("\"isError\":true") && first.contains(REPORT_IT), "{first}");
    ensure!(second.contains("unhurt"), "{second}");
    Ok(())
}

/// The same for what is read, which answers with a `key`.
fn mcp_read(blender: &Blender, method: &str, parameters: &Value, key: &str) -> Result<()> {
    let (first, second) = mcp_twice(blender, method, parameters)?;
    ensure!(first.contains("\"error\"") && first.contains(REPORT_IT), "{first}");
    ensure!(second.contains(key), "{second}");
    Ok(())
}

/// The answers to the same request, twice in one session.
fn mcp_twice(blender: &Blender, method: &str, parameters: &Value) -> Result<(String, String)> {
    let token = bearer(blender)?;
    let (_, head) = mcp::http::head(blender.port, "POST", &token, mcp::http::INITIALIZE)?;
    let headers = format!("{token}{}Connection: close\r\n", mcp::http::session_in(&head)?);
    let ask = |body: &Value| -> Result<String> {
        let (mut wire, _) = mcp::http::head(blender.port, "POST", &headers, &body.to_string())?;
        Ok(String::from_utf8(wire.read_to_end()?)?)
    };
    ask(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}))?;
    let request = json!({"jsonrpc": "2.0", "id": 2, "method": method, "params": parameters});
    let answers = (ask(&request)?, ask(&request)?);
    // What the session has of Blender's connections goes with it.
    mcp::http::head(blender.port, "DELETE", &headers, "")?;
    Ok(answers)
}

/// Requests are answered without it, and the status says so.
fn journal(blender: &Blender) -> Result<()> {
    blender.result("result = 'not written'")?;
    wait_until("the status to say so", Duration::from_secs(20), || {
        says(&status(blender).ok()?["journal"]["problem"], "defect").then_some(())
    })
}
