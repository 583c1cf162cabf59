// SPDX-License-Identifier: GPL-3.0-or-later
//! What clients can ask for beyond running a script: versions and features, sessions, answers out of turn, and what the
//! user's preferences allow.

use std::time::Duration;

use anyhow::{Result, ensure};
use blendwire_e2e::{Blender, Environment, Flavour, PREFERENCES, Settings, wait_until};
use serde_json::{Value, json};

use crate::changes::{FIND, PATIENT};
use crate::control::{Limited, limited};
use crate::suite::{EVERYWHERE, Suite};

pub(crate) fn add(suite: &mut Suite) {
    suite.shared(&EVERYWHERE, "extended::hello_agrees_on_version_and_features", hello);
    suite.shared(&EVERYWHERE, "extended::another_version_is_refused_with_both_named", other_version);
    suite.shared(&EVERYWHERE, "extended::immediate_control_overtakes_a_script_on_the_same_connection", immediate);
    suite.shared(&EVERYWHERE, "extended::a_session_keeps_names_and_nothing_else", session);
    suite.shared(&EVERYWHERE, "extended::echo_prints_what_a_prompt_would", echo);
    suite.shared(&EVERYWHERE, "extended::a_queued_request_runs_without_its_client", queued_outlives);
    suite.shared(&EVERYWHERE, "extended::an_interruption_lets_handlers_finish", handlers_finish);
    suite.shared(&EVERYWHERE, "extended::refusals_carry_id_and_code", refusals);
    suite.shared(&EVERYWHERE, "extended::changes_are_told", changes);
    suite.shared(&[Flavour::Windowed], "extended::operators_work_right_after_a_file_is_loaded", after_load);
    suite.own("extended::preferences_limit_time_and_features", preferences);
}

fn hello(blender: &mut Blender) -> Result<()> {
    let mut wire = blender.wire()?;
    let request = json!({"type": "hello", "protocol_version": 1, "features": ["stream", "telepathy"], "id": 1});
    let reply = wire.answer(&request)?;
    let agreed = &reply["result"];
    ensure!(reply["status"] == "ok" && reply["id"] == 1, "{reply}");
    ensure!(agreed["protocol_version"] == 1 && agreed["features"] == json!(["stream"]), "{agreed}");
    ensure!(agreed["available"].as_array().is_some_and(|all| all.len() == 7), "{agreed}");
    let status = wire.answer(&json!({"type": "status"}))?;
    ensure!(agreed["instance"] == status["result"]["instance"], "{agreed} {status}");
    ensure!(agreed["versions"] == status["result"]["versions"] && agreed["platform"].is_string(), "{agreed}");
    // From now on every reply is extended.
    let reply = wire.execute("1 / 0")?;
    ensure!(reply["error"]["code"] == "python_exception", "{reply}");
    wire.send(b"nonsense\0")?;
    ensure!(wire.reply()?["error"]["code"] == "bad_frame");
    Ok(())
}

fn other_version(blender: &mut Blender) -> Result<()> {
    let mut wire = blender.wire()?;
    let reply = wire.answer(&json!({"type": "hello", "protocol_version": 99}))?;
    ensure!(reply["error"]["code"] == "version_mismatch", "{reply}");
    let message = reply["message"].as_str().unwrap_or_default();
    ensure!(message.contains("version 1") && message.contains("99") && message.contains("update"), "{message}");
    // The connection goes on as if nothing had been said.
    let reply = wire.execute("result = 1")?;
    ensure!(reply == json!({"status": "ok", "result": 1, "stdout": ""}), "{reply}");
    Ok(())
}

fn immediate(blender: &mut Blender) -> Result<()> {
    let mut wire = blender.wire()?;
    wire.answer(&json!({"type": "hello", "protocol_version": 1, "features": ["immediate_control"]}))?;
    wire.ask(&json!({"type": "execute", "id": "long", "code": "while True: pass"}))?;
    wire.ask(&json!({"type": "ping", "id": "p"}))?;
    ensure!(wire.reply()?["id"] == "p", "the ping waited for the script");
    wait_until("the script to run", Duration::from_secs(20), || {
        let status = wire.answer(&json!({"type": "status", "id": "s"})).ok()?;
        (status["result"]["running"]["id"] == "long").then_some(())
    })?;
    wire.ask(&json!({"type": "cancel", "id": "long"}))?;
    let replies = [wire.reply()?, wire.reply()?];
    ensure!(replies.iter().any(|reply| reply["error"]["code"] == "cancelled"), "{replies:?}");
    ensure!(replies.iter().any(|reply| reply["result"]["state"] == "interrupted"), "{replies:?}");
    Ok(())
}

fn in_session(name: &str, code: &str) -> Value {
    json!({"type": "execute", "session": name, "code": code})
}

fn session(blender: &mut Blender) -> Result<()> {
    let mut wire = blender.wire()?;
    wire.answer(&in_session("s1", "x = 41\nresult = 'first'"))?;
    let reply = blender.wire()?.answer(&in_session("s1", "print(x + 1, result)"))?;
    ensure!(reply["stdout"] == "42 None\n" && reply["result"].is_null(), "{reply}");
    let reply = wire.answer(&in_session("s2", "result = 'x' in dir()"))?;
    ensure!(reply["result"] == false, "sessions see each other: {reply}");
    let reply = wire.execute("result = 'x' in dir()")?;
    ensure!(reply["result"] == false, "a plain request sees a session: {reply}");
    // A deferred result belongs to its request and not to the session.
    let deferred = "def check_is_finished():\n    return 'later'";
    ensure!(wire.answer(&in_session("s1", deferred))?["result"] == "later");
    ensure!(wire.answer(&in_session("s1", "result = 1"))?["result"] == 1);
    // Names survive an error, and what is not used for long makes room.
    wire.answer(&in_session("s1", "y = 5\n1 / 0"))?;
    ensure!(wire.answer(&in_session("s1", "result = y"))?["result"] == 5);
    for n in 0..40 {
        wire.answer(&in_session(&format!("filler {n}"), "x = 1"))?;
    }
    ensure!(wire.answer(&in_session("s1", "result = 'x' in dir()"))?["result"] == false);
    Ok(())
}

fn echo(blender: &mut Blender) -> Result<()> {
    let mut wire = blender.wire()?;
    let code = "1 + 1\nx = 5\nNone\nfor n in range(2):\n    n * 10\n'text'";
    let reply = wire.answer(&json!({"type": "execute", "echo": true, "code": code}))?;
    ensure!(reply["stdout"] == "2\n0\n10\n'text'\n", "{reply}");
    let reply = wire.answer(&json!({"type": "execute", "echo": true, "code": "2\n1 / 0"}))?;
    let message = reply["message"].as_str().unwrap_or_default();
    ensure!(reply["stdout"] == "2\n" && message.contains("line 2") && message.contains("1 / 0"), "{reply}");
    Ok(())
}

fn queued_outlives(blender: &mut Blender) -> Result<()> {
    let mut busy = blender.wire()?;
    busy.ask(&json!({"type": "execute", "id": "busy", "code": "while True: pass"}))?;
    let mut gone = blender.wire()?;
    gone.ask(&json!({"type": "execute", "id": "gone", "code": "result = 'ran'"}))?;
    wait_until("both to be there", Duration::from_secs(20), || {
        let status = blender.wire().ok()?.answer(&json!({"type": "status"})).ok()?;
        (status["result"]["running"]["id"] == "busy" && status["result"]["queue"]["length"] == 1).then_some(())
    })?;
    drop(gone);
    blender.wire()?.answer(&json!({"type": "cancel", "id": "busy"}))?;
    ensure!(busy.reply()?["error"]["code"] == "cancelled");
    let outcome = wait_until("the outcome", Duration::from_secs(20), || {
        let outcome = blender.wire().ok()?.answer(&json!({"type": "outcome", "id": "gone"})).ok()?;
        (outcome["status"] == "ok").then_some(outcome)
    })?;
    ensure!(outcome["result"] == "ran", "{outcome}");
    Ok(())
}

/// A handler of "another add-on" takes longer than the time limit: it comes to its end, the script does not.
fn handlers_finish(blender: &mut Blender) -> Result<()> {
    let code = "import time\n\
        def slow(scene, *_):\n    end = time.monotonic() + 0.6\n    while time.monotonic() < end: pass\n    seen.append('whole')\n\
        seen = bpy.app.driver_namespace['seen'] = []\n\
        bpy.app.handlers.frame_change_post.append(slow)\n\
        try:\n    while True:\n        bpy.context.scene.frame_set(1)\n        seen.append('called')\n\
        finally:\n    bpy.app.handlers.frame_change_post.remove(slow)";
    let Limited { id, reply, .. } = limited(blender, "handler", code, 0.3)?;
    // The script is told to go on while the handler keeps it, or has ended just after it.
    ensure!(reply["error"]["code"] == "timeout", "{reply}");
    let outcome = wait_until("the outcome", Duration::from_secs(20), || {
        let outcome = blender.wire().ok()?.answer(&json!({"type": "outcome", "id": id})).ok()?;
        (outcome["error"]["code"] != "busy").then_some(outcome)
    })?;
    ensure!(outcome["error"]["type"] == "blendwire.Interrupted", "{outcome}");
    let seen = blender.result("result = bpy.app.driver_namespace.pop('seen')")?;
    ensure!(seen[0] == "whole", "the handler was cut: {seen}");
    Ok(())
}

fn changes(blender: &mut Blender) -> Result<()> {
    blender.result(&format!("{FIND}{PATIENT}"))?;
    let mut wire = blender.wire()?;
    let mut told = |code: &str, more: Value| -> Result<Value> {
        let mut request = json!({"type": "execute", "changes": true, "code": code});
        for (key, value) in more.as_object().into_iter().flatten() {
            request[key] = value.clone();
        }
        wire.answer(&request)
    };
    let made = told("bpy.data.objects.new('Told', None).use_fake_user = True", json!({}))?;
    ensure!(made["changes"] == json!({"added": {"objects": ["Told"]}}), "{made}");
    let moved = told("bpy.data.objects['Told'].location.x = 3", json!({"session": "changes"}))?;
    ensure!(moved["changes"] == json!({"modified": {"objects": ["Told"]}}), "{moved}");
    for idle in ["result = 1", "result = [o.name for o in bpy.data.objects]", "print(len(bpy.data.objects))", "x ="] {
        let reply = told(idle, json!({}))?;
        ensure!(reply["changes"] == json!({}), "{idle}: {reply}");
    }
    let half = "bpy.data.objects['Told'].name = 'Half'\n1 / 0";
    let failed = told(half, json!({}))?;
    ensure!(failed["changes"] == json!({"renamed": {"objects": {"Told": "Half"}}}), "{failed}");
    let taken_back = told("bpy.data.objects['Half'].name = 'Other'\n1 / 0", json!({"on_error": "rollback"}))?;
    ensure!(taken_back["rolled_back"] == true && taken_back["changes"] == json!({}), "{taken_back}");
    let removed = told("bpy.data.objects.remove(bpy.data.objects['Half'])", json!({}))?;
    ensure!(removed["changes"] == json!({"removed": {"objects": ["Half"]}}), "{removed}");
    Ok(())
}

fn after_load(blender: &mut Blender) -> Result<()> {
    let mut wire = blender.wire()?;
    for _ in 0..5 {
        // Sent together, so that the second would run in the same turn of Blender's loop.
        wire.ask(&json!({"type": "execute", "code": "bpy.ops.wm.read_homefile(app_template='')"}))?;
        wire.ask(&json!({"type": "execute", "code": "bpy.ops.object.select_all(action='SELECT')\nresult = 1"}))?;
        wire.reply()?;
        let reply = wire.reply()?;
        ensure!(reply["result"] == 1, "{reply}");
    }
    Ok(())
}

fn refusals(blender: &mut Blender) -> Result<()> {
    let mut wire = blender.wire()?;
    let reply = wire.answer(&json!({"type": "execute", "id": "a"}))?;
    ensure!(reply["id"] == "a" && reply["error"]["code"] == "bad_request", "{reply}");
    ensure!(reply["error"]["hint"].as_str().is_some_and(|hint| !hint.is_empty()), "{reply}");
    let reply = wire.answer(&json!({"type": "outcome", "id": "nobody"}))?;
    ensure!(reply["error"]["code"] == "not_found", "{reply}");
    // Without an id and without a hello a refusal is as plain as ever.
    let reply = wire.answer(&json!({"type": "execute"}))?;
    ensure!(reply.as_object().is_some_and(|reply| reply.len() == 2), "{reply}");
    Ok(())
}

fn preferences(environment: &Environment) -> Result<()> {
    let wishes = format!("p = {PREFERENCES}\np.time_limit_secs = 3.0\np.features = {{'session', 'rollback'}}");
    let settings = Settings { python_expr: Some(wishes), ..Settings::default() };
    let blender = Blender::start(environment, Flavour::Windowed, &settings)?;
    let mut wire = blender.wire()?;
    // A window that has just come up is drawn before anything else.
    wire.answer(&json!({"type": "execute", "timeout_secs": 60, "code": "result = 1"}))?;
    let reply = wire.execute("while True: pass")?;
    let message = reply["message"].as_str().unwrap_or_default();
    ensure!(message.contains("the time limit of 3 s that is set in the add-on's preferences has passed"), "{reply}");
    ensure!(reply.as_object().is_some_and(|reply| reply.len() == 3), "a plain request got more: {reply}");
    let code = "import time\ntime.sleep(5)\nresult = 1";
    let reply = wire.answer(&json!({"type": "execute", "timeout_secs": 60, "code": code}))?;
    ensure!(reply["result"] == 1, "the client's own limit goes first: {reply}");
    let reply = wire.answer(&json!({"type": "execute", "stream": true, "code": "print('no events')"}))?;
    ensure!(reply["stdout"] == "no events\n", "{reply}");
    let reply = wire.answer(&json!({"type": "undo"}))?;
    ensure!(reply["error"]["code"] == "forbidden", "{reply}");
    ensure!(reply["message"].as_str().unwrap_or_default().contains("undo"), "{reply}");
    let reply = wire.answer(&json!({"type": "execute", "changes": true, "code": "result = 3"}))?;
    ensure!(reply["result"] == 3 && reply["changes"]["skipped"].is_string(), "{reply}");
    let asked = json!({"type": "hello", "protocol_version": 1, "features": ["stream", "session"]});
    let agreed = &wire.answer(&asked)?["result"];
    ensure!(
        agreed["features"] == json!(["session"]) && agreed["available"] == json!(["session", "rollback"]),
        "{agreed}"
    );
    ensure!(wire.answer(&in_session("s", "result = 2"))?["result"] == 2);
    Ok(())
}
