// SPDX-License-Identifier: GPL-3.0-or-later
//! Time limits, cancel and outcome: what runs away is stopped, what cannot be stopped is told, nothing else is hit.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use blendwire_e2e::{Blender, Environment, Flavour, Gate, Settings, Wire, wait_until};
use serde_json::{Value, json};

use crate::suite::{EVERYWHERE, Suite};

/// Scripts that never end by themselves.
const RUNAWAYS: [(&str, &str); 9] = [
    ("a_loop", "while True: pass"),
    ("except_exception", "while True:\n  try:\n    while True: pass\n  except Exception: pass"),
    ("sleep", "import time; time.sleep(600)"),
    ("a_socket", "import socket\ns = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen(); s.accept()"),
    ("a_lock", "import threading\nlock = threading.Lock(); lock.acquire(); lock.acquire()"),
    ("a_generator", "def endless():\n  while True: yield 1\nfor one in endless(): pass"),
    ("operators", "while True: bpy.ops.object.select_all(action='TOGGLE')"),
    ("a_subprocess", "import subprocess; subprocess.run(['sleep', '600'])"),
    (
        "a_module_it_wrote",
        "import sys, types\nm = types.ModuleType('made')\n\
        exec('def f():\\n  def g():\\n    while True: pass\\n  g()', m.__dict__)\nm.f()",
    ),
];

pub(crate) fn add(suite: &mut Suite) {
    for (name, code) in RUNAWAYS {
        suite.shared(&EVERYWHERE, &format!("interrupt::{name}"), move |blender| interrupted(blender, name, code));
    }
    suite.shared(&EVERYWHERE, "control::ids_are_echoed_and_errors_have_codes", echoes);
    suite.shared(&EVERYWHERE, "control::a_call_that_cannot_be_interrupted_is_told_and_has_an_outcome", still_running);
    suite.shared(&EVERYWHERE, "control::a_waiting_request_is_taken_out", removed);
    suite.shared(&EVERYWHERE, "control::a_deferred_request_is_ended", deferred);
    suite.shared(&EVERYWHERE, "control::a_late_answer_holds_nothing_of_another_request", nobody_elses);
    suite.shared(&EVERYWHERE, "control::cancels_at_random_moments_hit_only_what_is_meant", random_cancels);
    suite.shared(&EVERYWHERE, "control::an_answer_outlives_its_connection", outlives);
    suite.shared(&EVERYWHERE, "control::an_outcome_is_known_without_a_gap", no_gap);
    suite.own("control::ctrl_c_of_exec_cancels_in_blender", ctrl_c);
}

fn request(id: &str, code: &str, timeout_secs: f64) -> Vec<u8> {
    let request = json!({"type": "execute", "code": code, "id": id, "timeout_secs": timeout_secs});
    (request.to_string() + "\0").into_bytes()
}

fn ask(blender: &Blender, request: &Value) -> Result<Value> {
    blender.wire()?.answer(request)
}

/// Sends a script whose time is over after `limit_secs`, and after twice that where Blender had not begun with it by then,
/// since the time counts from its arrival. Returns the connection, the id, the limit and the reply.
pub(crate) fn limited(blender: &Blender, id: &str, code: &str, limit_secs: f64) -> Result<Limited> {
    const TRIES: i32 = 8;
    for doubled in 0..TRIES {
        let (id, limit_secs) = (format!("{id}-{doubled}"), limit_secs * f64::from(1 << doubled));
        let mut wire = blender.wire()?;
        let begun = Instant::now();
        wire.send(&request(&id, code, limit_secs))?;
        let reply = wire.reply()?;
        if !reply["message"].as_str().is_some_and(|message| message.contains("before the request was begun")) {
            return Ok(Limited { id, limit_secs, begun, reply });
        }
        println!("{}: {id} was not begun within {limit_secs} s", blender.flavour.name());
    }
    bail!("{id} was never begun")
}

/// What became of a script with a time limit that was begun with.
pub(crate) struct Limited {
    pub(crate) id: String,
    limit_secs: f64,
    begun: Instant,
    pub(crate) reply: Value,
}

fn is_running(blender: &Blender) -> Result<()> {
    wait_until("a request to run", Duration::from_secs(20), || {
        let status = ask(blender, &json!({"type": "status"})).ok()?;
        status["result"]["running"].is_object().then_some(())
    })
}

fn next_is_answered(blender: &Blender) -> Result<()> {
    ensure!(blender.result("import os\nresult = sum(range(1000))")? == 499_500, "the next request");
    Ok(())
}

fn interrupted(blender: &mut Blender, name: &str, code: &str) -> Result<()> {
    let Limited { id, limit_secs, begun, mut reply } = limited(blender, name, code, 0.3)?;
    // A machine that has no time for Blender's main thread may have it look like one in a long call: how it ended is told then.
    if reply["state"] == "still_running" {
        println!("{}: {name} was told to go on: {reply}", blender.flavour.name());
        reply = outcome(blender, &id)?;
    }
    let late = begun.elapsed().saturating_sub(Duration::from_secs_f64(limit_secs));
    println!("{}: {name} ended {late:?} after its deadline", blender.flavour.name());
    let message = reply["message"].as_str().unwrap_or_default();
    ensure!(reply["error"]["code"] == "timeout" && reply["state"].is_null(), "{reply}");
    let words = format!("the time limit of {limit_secs} s has passed");
    ensure!(message.contains("Traceback") && message.contains(&words), "{message}");
    ensure!(late < Duration::from_secs(30), "{late:?}");
    next_is_answered(blender)
}

fn echoes(blender: &mut Blender) -> Result<()> {
    let reply = ask(blender, &json!({"type": "execute", "code": "result = 1", "id": 7}))?;
    ensure!(reply == json!({"status": "ok", "result": 1, "stdout": "", "id": 7}), "{reply}");
    let reply = ask(blender, &json!({"type": "execute", "code": "1 / 0", "id": "seven"}))?;
    let error = &reply["error"];
    ensure!(reply["id"] == "seven" && error["code"] == "python_exception", "{reply}");
    ensure!(error["message"] == "ZeroDivisionError: division by zero" && error["hint"].is_string(), "{reply}");
    ensure!(error["type"] == "ZeroDivisionError" && error["line"] == 1, "{reply}");
    ensure!(error["traceback"] == reply["message"], "{reply}");
    let reply = ask(blender, &json!({"type": "ping", "id": "p"}))?;
    ensure!(reply == json!({"status": "ok", "result": "pong", "stdout": "", "id": "p"}), "{reply}");
    let reply = ask(blender, &json!({"type": "cancel", "id": "nobody"}))?;
    ensure!(reply["error"]["code"] == "not_found", "{reply}");
    Ok(())
}

fn still_running(blender: &mut Blender) -> Result<()> {
    // One long call of C code that never looks at Python's signals.
    let code = "print('begun')\nresult = sum(range(250_000_000))\nprint('not reached')";
    let Limited { id, reply, .. } = limited(blender, "in-c", code, 0.2)?;
    ensure!(reply["state"] == "still_running" && reply["stdout"] == "begun\n", "{reply}");
    let message = reply["message"].as_str().unwrap_or_default();
    ensure!(message.contains("the script (print('begun')) is in a call"), "{message}");
    let cancelled = ask(blender, &json!({"type": "cancel", "id": id}))?;
    ensure!(cancelled["result"]["state"] == "still_running", "{cancelled}");
    ensure!(cancelled["result"]["title"] == "print('begun')", "{cancelled}");
    let outcome = outcome(blender, &id)?;
    ensure!(outcome["error"]["code"] == "timeout" && outcome["stdout"] == "begun\n", "{outcome}");
    next_is_answered(blender)
}

/// How the request of this id ended, once it has.
fn outcome(blender: &Blender, id: &str) -> Result<Value> {
    wait_until("the outcome", Duration::from_mins(1), || {
        ask(blender, &json!({"type": "outcome", "id": id})).ok().filter(|reply| reply["error"]["code"] != "busy")
    })
}

fn removed(blender: &mut Blender) -> Result<()> {
    let mut busy = blender.wire()?;
    let gate = Gate::closed(blender.file("cancelled-it"));
    busy.send(&request("busy", &gate.wait(), 120.0))?;
    is_running(blender)?;
    let mut waiting = blender.wire()?;
    waiting.send(&request("waiting", "bpy.app.driver_namespace['ran'] = True", 60.0))?;
    wait_until("it to wait", Duration::from_secs(20), || {
        let status = ask(blender, &json!({"type": "status"})).ok()?;
        (status["result"]["queue"]["length"] == 1).then_some(())
    })?;
    let cancelled = ask(blender, &json!({"type": "cancel", "id": "waiting"}))?;
    ensure!(cancelled["result"]["state"] == "removed", "{cancelled}");
    ensure!(waiting.reply()?["error"]["code"] == "cancelled", "the waiting client is told");
    gate.open()?;
    ensure!(busy.reply()?["status"] == "ok", "the running one is not touched");
    ensure!(blender.result("result = 'ran' in bpy.app.driver_namespace")? == false, "it ran after all");
    Ok(())
}

fn deferred(blender: &mut Blender) -> Result<()> {
    let code = "print('begun')\ndef check_is_finished():\n    return None";
    let reply = limited(blender, "deferred", code, 0.3)?.reply;
    ensure!(reply["error"]["code"] == "timeout" && reply["stdout"] == "begun\n", "{reply}");
    // Told while Blender is busy with something else, it is ended when that lets it.
    wait_until("it to be ended", Duration::from_secs(20), || {
        let status = ask(blender, &json!({"type": "status"})).ok()?;
        (status["result"]["running"].is_null() && status["result"]["queue"]["deferred"] == 0).then_some(())
    })?;
    next_is_answered(blender)
}

/// A deferred request whose limit passes while another keeps the main thread is told of itself and not of that one.
fn nobody_elses(blender: &mut Blender) -> Result<()> {
    // The second has to be begun before the time of the first is over.
    for limit_secs in [0.5, 2.0, 8.0] {
        let (mut first, mut second) = (blender.wire()?, blender.wire()?);
        let (first_id, second_id) = (format!("first-{limit_secs}"), format!("second-{limit_secs}"));
        first.send(&request(&first_id, "print('mine')\ndef check_is_finished():\n    return None", limit_secs))?;
        second.send(&request(&second_id, "print('a secret')\nwhile True: sum(range(1000))", 120.0))?;
        let reply = first.reply()?;
        ensure!(reply["error"]["code"] == "timeout" && !reply.to_string().contains("secret"), "{reply}");
        is_running(blender)?;
        ask(blender, &json!({"type": "cancel", "id": second_id}))?;
        ensure!(second.reply()?["stdout"] == "a secret\n");
        if reply["state"] == "still_running" {
            ensure!(reply["stdout"] == "mine\n", "{reply}");
            return next_is_answered(blender);
        }
    }
    bail!("the second never began in time")
}

/// Cancels that come around the end of a script: each reply is either the script's own or its cancellation, and the
/// script after it is never hit.
fn random_cancels(blender: &mut Blender) -> Result<()> {
    const ROUNDS: u64 = 170;
    let (mut wire, mut other) = (blender.wire()?, blender.wire()?);
    let mut cancelled = 0;
    for round in 0..ROUNDS {
        let code = format!("n = 0\nfor _ in range({}):\n    n += 1\nresult = n", 20_000 + round * 1_000);
        wire.send(&request(&format!("round-{round}"), &code, 60.0))?;
        wire.send(&request(&format!("innocent-{round}"), "result = sum(n for n in range(3000))", 60.0))?;
        std::thread::sleep(Duration::from_micros(round * 37 % 4_000));
        other.send(format!("{{\"type\": \"cancel\", \"id\": \"round-{round}\"}}\0").as_bytes())?;
        let reply = wire.reply()?;
        match reply["error"]["code"].as_str() {
            None => ensure!(reply["status"] == "ok", "{reply}"),
            Some(code) => {
                ensure!(code == "cancelled", "{reply}");
                cancelled += 1;
            }
        }
        let innocent = wire.reply()?;
        ensure!(innocent["result"] == 4_498_500, "another request was hit: {innocent}");
        other.reply()?;
    }
    println!("{}: {cancelled} of {ROUNDS} scripts were cancelled, none by mistake", blender.flavour.name());
    ensure!(cancelled > 0, "no cancel came in time to mean anything");
    next_is_answered(blender)
}

fn outlives(blender: &mut Blender) -> Result<()> {
    let mut gone = blender.wire()?;
    let gate = Gate::closed(blender.file("gone"));
    let code = format!("{}\nprint('done')\nresult = 'kept'", gate.wait());
    gone.send(&request("gone", &code, 120.0))?;
    is_running(blender)?;
    drop(gone);
    gate.open()?;
    let outcome = wait_until("the outcome", Duration::from_secs(30), || {
        ask(blender, &json!({"type": "outcome", "id": "gone"})).ok().filter(|reply| reply["error"].is_null())
    })?;
    ensure!(outcome == json!({"status": "ok", "result": "kept", "stdout": "done\n", "id": "gone"}), "{outcome}");
    Ok(())
}

/// Between the end of a script and its answer there is work: megabytes are written out.
fn no_gap(blender: &mut Blender) -> Result<()> {
    const ROUNDS: u32 = 20;
    let (mut wire, mut other) = (blender.wire()?, blender.wire()?);
    for round in 0..ROUNDS {
        let id = format!("no-gap-{round}");
        let code = "import time\ntime.sleep(0.05)\nresult = ['\\x01' * 1_000_000] * 3";
        wire.send(&request(&id, code, 60.0))?;
        let mut was_known = false;
        loop {
            let reply = other.answer(&json!({"type": "outcome", "id": id}))?;
            match reply["error"]["code"].as_str() {
                None => break,
                Some("busy") => was_known = true,
                // On another connection, the question may come first.
                Some(code) => ensure!(code == "not_found" && !was_known, "round {round}: {reply}"),
            }
        }
        ensure!(wire.reply()?["status"] == "ok");
    }
    Ok(())
}

fn ctrl_c(environment: &Environment) -> Result<()> {
    let blender = Blender::start(environment, Flavour::Bpy52, &Settings::default())?;
    let mut exec = Command::new(&environment.blendwire);
    exec.args(["exec", "--port", &blender.port.to_string(), "-c", "print('turning')\nwhile True: pass"]);
    let child = exec.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    wait_until("the script to run", Duration::from_secs(20), || {
        let status = ask(&blender, &json!({"type": "status"})).ok()?;
        (status["result"]["running"]["last_output_line"] == "turning").then_some(())
    })?;
    Command::new("kill").arg("-INT").arg(child.id().to_string()).status()?;
    let output = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code() == Some(1), "{}: {said}", output.status);
    ensure!(said.contains("cancelling") && said.contains("Interrupted: the request was cancelled"), "{said}");
    let mut limited = Command::new(&environment.blendwire);
    limited.args(["exec", "--port", &blender.port.to_string(), "--timeout", "0.3", "-c", "while True: pass"]);
    let output = limited.stdin(Stdio::null()).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code() == Some(1) && said.contains("time limit of 0.3 s"), "{said}");
    let mut wire = Wire::connect(blender.port).context("Blender is gone")?;
    ensure!(wire.result("result = 1")? == 1);
    Ok(())
}
