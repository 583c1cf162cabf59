// SPDX-License-Identifier: GPL-3.0-or-later
//! Panics in each task of the network thread, in a real Blender: it lives, no other client notices, the one that it
//! concerned does not wait for ever, and the user sees it.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use blendwire_e2e::{Blender, Environment, Flavour, Settings, Wire, wait_until};
use serde_json::{Value, json};

use crate::http::bearer;
use crate::panel::{OPEN_PANEL, shoot, shoot_when, sidebar};
use crate::suite::Suite;

pub(crate) fn add(suite: &mut Suite) {
    suite.own("windowed::panics::of_network_tasks_end_nothing_else", network_tasks);
}

/// A connection, or one request, goes down with its task; nothing is left waiting.
type Provoke = fn(&Blender) -> Result<()>;

const PLACES: [(&str, Provoke); 9] = [
    ("accept", |blender| ends(blender, b"{\"type\": \"ping\"}\0")),
    ("connection", |blender| ends(blender, b"{\"type\": \"ping\"}\0")),
    ("replies", |blender| ends(blender, b"{\"type\": \"ping\"}\0")),
    ("http", |blender| ends(blender, b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")),
    ("events", events),
    ("cancel", cancel),
    ("time_limit", time_limit),
    ("go_on", goes_on),
    ("tls", tls),
];

fn network_tasks(environment: &Environment) -> Result<()> {
    let faults = tempfile::tempdir()?;
    let variables = vec![("BLENDWIRE_FAULTS".to_owned(), faults.path().display().to_string())];
    let settings = Settings { variables, ..Settings::default() };
    let mut blender = Blender::start(&environment.with_faults()?, Flavour::Windowed, &settings)?;
    blender.result(OPEN_PANEL)?;
    let words = panel_says(&blender)?;
    ensure!(words.contains("● Running") && !words.contains("Defects"), "{words}");
    let before = shoot(environment, &blender, "panel-no-defect.png")?;
    let mut other = blender.wire()?;
    // Accepted before the first panic.
    other.result("result = 1")?;
    for (count, (place, provoke)) in (1..).zip(PLACES) {
        let fault = faults.path().join(place);
        fs_err::write(&fault, "")?;
        provoke(&blender).context(place)?;
        ensure!(!fault.exists(), "{place}: nothing has panicked");
        ensure!(other.result("result = 6 * 7").context(place)? == 42, "{place}: another client");
        ensure!(blender.result("result = 6 * 7").context(place)? == 42, "{place}: a new client");
        let status = blender.wire()?.answer(&json!({"type": "status"}))?;
        ensure!(panics(&blender)? == count, "{place}: {status}");
        ensure!(status["result"]["running"].is_null() && status["result"]["queue"]["length"] == 0, "{place}: {status}");
    }
    ensure!(blender.process.try_wait().is_none(), "Blender has ended");
    wait_until("the console to tell of each", Duration::from_secs(20), || {
        let log = blender.process.output();
        (log.matches("a defect in Blendwire, please report it").count() == PLACES.len()).then_some(())
    })?;
    let rectangle = sidebar(&blender)?;
    shoot_when(environment, &blender, "panel-defect.png", "the panel was not drawn anew", |after| {
        after.differing(&before, rectangle) > 200
    })?;
    let words = panel_says(&blender)?;
    let defects = format!("Defects of the server itself have ended connections ({})", PLACES.len());
    ensure!(words.contains("▲ Problem") && words.contains(&defects), "{words}");
    ensure!(words.contains("Check: defects"), "{words}");
    // A stop and a start, and all is as before.
    drop(other);
    wait_until("connections to be forgotten", Duration::from_secs(20), || {
        (blender.wire().ok()?.answer(&json!({"type": "status"})).ok()?["result"]["clients"] == 1).then_some(())
    })
}

/// All labels of the panel, as it draws them into a layout that remembers.
const PANEL_SAYS: &str = "import sys, types
said = []
class Layout:
    def label(self, text='', **_):
        said.append(text)
    def operator(self, *_, **__):
        return types.SimpleNamespace()
    def __getattr__(self, _):
        return lambda *_, **__: Layout()
panel = next(module for name, module in sys.modules.items() if name.endswith('blendwire.panel'))
context = types.SimpleNamespace(region=types.SimpleNamespace(width=400), preferences=bpy.context.preferences)
panel.BLENDWIRE_PT_server.draw(types.SimpleNamespace(layout=Layout()), context)
result = ' '.join(said)";

/// What a user reads in the panel, once it has been drawn after what happened last.
pub(crate) fn panel_says(blender: &Blender) -> Result<String> {
    // The picture that it draws from is taken when Blender comes round.
    std::thread::sleep(Duration::from_secs(1));
    Ok(blender.result(PANEL_SAYS)?.as_str().context("no text")?.to_owned())
}

fn panics(blender: &Blender) -> Result<usize> {
    let status = blender.wire()?.answer(&json!({"type": "status"}))?;
    Ok(usize::try_from(status["result"]["counters"]["panics"].as_u64().context("no count")?)?)
}

/// The connection ends; with or without an answer is up to where it happened.
fn ends(blender: &Blender, request: &[u8]) -> Result<()> {
    let mut wire = blender.wire()?;
    let _ = wire.send(request);
    let _ = wire.finish_sending();
    let _ = wire.read_to_end();
    Ok(())
}

fn tls(blender: &Blender) -> Result<()> {
    let mut command = std::process::Command::new("openssl");
    command.args(["s_client", "-connect", &format!("127.0.0.1:{}", blender.port)]);
    let output = command.stdin(std::process::Stdio::null()).output().context("the tests need openssl")?;
    ensure!(!output.stdout.is_empty(), "no handshake");
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
    let mut canceller = blender.wire()?;
    canceller.ask(&json!({"type": "hello", "protocol_version": 1, "features": ["immediate_control"]}))?;
    let hello = canceller.reply()?;
    ensure!(hello["result"]["features"] == json!(["immediate_control"]), "{hello}");
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
    wait_until("the panic", Duration::from_secs(20), || (panics(blender).ok()? > earlier).then_some(()))?;
    let reply = blender.wire()?.answer(&json!({"type": "cancel", "id": "limited"}))?;
    ensure!(reply["result"]["state"] == "interrupted", "{reply}");
    ensure!(running.reply()?["error"]["code"] == "cancelled");
    Ok(())
}

/// What tries to end a script that cannot be interrupted yet is gone; its client has had its answer, and the script ends.
fn goes_on(blender: &Blender) -> Result<()> {
    // One long call of C code that never looks at Python's signals.
    let code = "result = sum(range(120_000_000))";
    let mut running = start(blender, "stubborn", &json!({"code": code, "timeout_secs": 0.6}))?;
    let reply = running.reply()?;
    ensure!(reply["error"]["code"] == "timeout", "{reply}");
    outcome(blender, "stubborn", |reply| !reply["status"].is_null())
}

/// Sends a script under this id and waits until it runs.
fn start(blender: &Blender, id: &str, request: &Value) -> Result<Wire> {
    let mut wire = blender.wire()?;
    let mut request = request.clone();
    request["type"] = "execute".into();
    request["id"] = id.into();
    wire.ask(&request)?;
    wait_until("it to run", Duration::from_secs(20), || {
        let status = blender.wire().ok()?.answer(&json!({"type": "status"})).ok()?;
        (status["result"]["running"]["id"] == id).then_some(())
    })?;
    Ok(wire)
}

fn outcome(blender: &Blender, id: &str, is_it: impl Fn(&Value) -> bool) -> Result<()> {
    wait_until("the outcome", Duration::from_secs(30), || {
        let reply = blender.wire().ok()?.answer(&json!({"type": "outcome", "id": id})).ok()?;
        (reply["error"]["code"] != "busy" && is_it(&reply)).then_some(())
    })
}
