// SPDX-License-Identifier: GPL-3.0-or-later
//! What a client hears before the answer, and that taking a call back ends it in Blender, whoever waits for it.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use blendwire_e2e::{Blender, Environment, Flavour, Gate, Settings, Wire, http, wait_until};
use serde_json::{Value, json};

use super::concurrent::Server;
use super::conformance::serve;
use super::consent::asking;
use super::http::{HttpClient, INITIALIZE, answered, calls_alone, head, next, session_in};
use super::http_command::port_of;
use super::render_image::ALL_SAMPLES;
use crate::http::bearer;
use crate::suite::Suite;

const SOON: Duration = Duration::from_secs(20);

pub(super) fn add(suite: &mut Suite) {
    suite.own("mcp::progress_and_output_are_told_before_the_answer", told);
    suite.own("mcp::progress_and_output_are_told_over_http_as_far_as_asked_for", told_over_http);
    suite.own("mcp::a_render_tells_its_progress_and_gives_its_picture", render);
    suite.own("mcp::taking_back_the_wait_for_a_job_ends_it", taken_back);
    suite.own("mcp::taking_a_call_back_over_http_ends_it", over_http);
    suite.own("mcp::going_away_takes_a_call_without_session_back", gone);
    suite.own("mcp::cancelling_a_job_says_whether_it_goes_on", cancelled);
    suite.own("windowed::mcp::a_client_that_is_asked_keeps_no_other_from_working", asked);
    suite.own("windowed::mcp::a_call_that_went_on_after_consent_can_be_taken_back", after_consent);
}

const ENDLESS: &str = "print('turning')\nwhile True: pass";

/// What runs in Blender, by the last line that it has printed.
fn last_line(blender: &Blender) -> Option<String> {
    let (_, status) = http(blender.port, "GET /status", "").ok()?;
    let status: Value = serde_json::from_str(&status).ok()?;
    Some(status["running"]["last_output_line"].as_str().unwrap_or("nothing runs").to_owned())
}

fn wait_for(blender: &Blender, line: &str) -> Result<()> {
    wait_until(line, SOON, || last_line(blender).filter(|last| last == line).map(drop))
}

/// Every notification of this method since somebody looked last.
fn heard(server: &mut Server, method: &str) -> Vec<Value> {
    let (of_method, others) = std::mem::take(&mut server.told).into_iter().partition(|told| told["method"] == method);
    server.told = others;
    of_method
}

fn told(environment: &Environment) -> Result<()> {
    let blender = Blender::start(environment, Flavour::Bpy52, &Settings::default())?;
    let mut server = Server::with_session(environment, &blender)?;
    // Of what comes faster than it is told, the last is told: the second report waits until the first was heard.
    let gate = Gate::closed(blender.file("heard"));
    let code = format!(
        "import blendwire\nfor i in range(4):\n    print('step', i)\n\
        \x20   blendwire.progress((i + 1) / 4, f'part {{i}}')\n    {}",
        gate.wait()
    );
    let call = json!({
        "name": "execute_blender_code", "arguments": {"code": code}, "_meta": {"progressToken": "mine"},
    });
    let id = server.ask("tools/call", call.clone())?;
    server.until_told("notifications/progress")?;
    gate.open()?;
    let answer = server.answer()?;
    ensure!(answer["id"] == id && answer.get("error").is_none() && answer["result"]["isError"] != true, "{answer}");
    let progress = heard(&mut server, "notifications/progress");
    let values: Vec<_> = progress.iter().filter_map(|told| told["params"]["progress"].as_f64()).collect();
    ensure!(values.len() > 1 && values.is_sorted() && values.last() == Some(&1.0), "{progress:?}");
    ensure!(progress.iter().all(|told| told["params"]["progressToken"] == "mine"), "{progress:?}");
    ensure!(progress.iter().any(|told| told["params"]["message"] == "part 3"), "{progress:?}");
    let messages = heard(&mut server, "notifications/message");
    // What is printed in pieces may be told in pieces.
    let said: String = messages.iter().filter_map(|told| told["params"]["data"].as_str()).collect();
    ensure!((0..4).all(|step| said.contains(&format!("step {step}"))), "{messages:?}");
    // A client that wants errors only is not told what a script prints.
    server.request("logging/setLevel", json!({"level": "error"}))?;
    ensure!(server.request("tools/call", call)?["isError"] != true);
    let messages = heard(&mut server, "notifications/message");
    ensure!(messages.is_empty(), "{messages:?}");
    Ok(())
}

/// In a session; and without, where a call says itself whether it wants to hear what is printed.
fn told_over_http(environment: &Environment) -> Result<()> {
    let blender = Blender::start(environment, Flavour::Bpy52, &Settings::default())?;
    let (_command, url) = serve(environment, &blender)?;
    let token = bearer(&blender)?;
    let code = "import blendwire\nprint('a step')\nblendwire.progress(0.5, 'half of it')\nresult = 'done'";
    let call = json!({"name": "execute_blender_code", "arguments": {"code": code}});
    for port in [blender.port, port_of(&url)?] {
        let alone = |level: Option<&str>| {
            let mut meta = json!({"progressToken": "mine"});
            if let Some(level) = level {
                meta["io.modelcontextprotocol/logLevel"] = level.into();
            }
            calls_alone(port, &token, call.clone(), &meta)
        };
        let mut in_session = call.clone();
        in_session["_meta"] = json!({"progressToken": "mine"});
        let client = HttpClient::begin(port, &token)?;
        let mut besides = client.listen()?;
        let calls = [
            (alone(None)?, false),
            (alone(Some("error"))?, false),
            (alone(Some("info"))?, true),
            (client.call(&in_session)?, false),
        ];
        for (number, (mut wire, hears_output)) in calls.into_iter().enumerate() {
            let (told, answer) = answered(&mut wire)?;
            ensure!(answer["result"]["structuredContent"]["result"] == "done", "{answer}");
            let mut progress = told.iter().filter(|told| told["method"] == "notifications/progress");
            let is_told = |told: &Value| told["params"]["progress"] == 0.5 && told["params"]["progressToken"] == "mine";
            ensure!(progress.any(is_told), "call {number} at port {port}: {told:?}");
            let output = told.iter().any(|told| told["params"]["data"].to_string().contains("a step"));
            ensure!(output == hears_output, "call {number} at port {port}: {told:?}");
        }
        // In a session that comes beside the answers.
        while !next(&mut besides)?["params"]["data"].to_string().contains("a step") {}
    }
    Ok(())
}

/// Over several waits, as a render of minutes takes.
fn render(environment: &Environment) -> Result<()> {
    let blender = Blender::start(environment, Flavour::Bpy52, &Settings::default())?;
    let mut server = Server::with_session(environment, &blender)?;
    blender.result(ALL_SAMPLES)?;
    let arguments = json!({"width": 480, "samples": 200, "wait_secs": 1});
    let call = json!({"name": "render_image", "arguments": arguments, "_meta": {"progressToken": 7}});
    let mut answer = server.request("tools/call", call)?;
    let mut waits = 0;
    while answer["structuredContent"]["status"] == "running" {
        waits += 1;
        let job = json!({"job": answer["structuredContent"]["job"], "wait_secs": 2});
        let wait = json!({"name": "get_job", "arguments": job, "_meta": {"progressToken": format!("wait {waits}")}});
        answer = server.request("tools/call", wait)?;
    }
    let picture = answer["content"].as_array().and_then(|content| content.iter().find(|part| part["type"] == "image"));
    ensure!(picture.is_some_and(|picture| picture["data"].as_str().is_some_and(|data| data.len() > 1000)), "{answer}");
    let progress = heard(&mut server, "notifications/progress");
    println!("a render over {waits} waits told its progress {} times", progress.len());
    let is_of_a_wait = |told: &Value| told["params"]["progressToken"].as_str().is_some_and(|of| of.starts_with("wait"));
    ensure!(waits > 0 && progress.iter().any(is_of_a_wait), "{waits} waits: {progress:?}");
    ensure!(progress.iter().any(|told| told["params"]["message"].to_string().contains("sample")), "{progress:?}");
    Ok(())
}

fn taken_back(environment: &Environment) -> Result<()> {
    let blender = Blender::start(environment, Flavour::Bpy52, &Settings::default())?;
    let mut server = Server::with_session(environment, &blender)?;
    let endless = server.value("execute_blender_code", &json!({"code": ENDLESS, "wait_secs": 0.5}))?;
    wait_for(&blender, "turning")?;
    let wait = server.ask("tools/call", json!({"name": "get_job", "arguments": {"job": endless["job"]}}))?;
    // It is known to wait once a later question has been answered.
    server.request("ping", json!({}))?;
    take_back(&mut server, wait)?;
    wait_for(&blender, "nothing runs")?;
    let gone = server.request("tools/call", json!({"name": "get_job", "arguments": {"job": endless["job"]}}))?;
    ensure!(gone.to_string().contains("there is no job"), "{gone}");
    Ok(())
}

fn take_back(server: &mut Server, request: usize) -> Result<()> {
    let params = json!({"requestId": request, "reason": "the test takes it back"});
    server.write(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}))
}

fn over_http(environment: &Environment) -> Result<()> {
    let blender = Blender::start(environment, Flavour::Bpy52, &Settings::default())?;
    let (_command, url) = serve(environment, &blender)?;
    let token = bearer(&blender)?;
    for port in [blender.port, port_of(&url)?] {
        let (_first, answer) = head(port, "POST", &token, INITIALIZE)?;
        let headers = format!("{token}{}MCP-Protocol-Version: 2025-11-25\r\n", session_in(&answer)?);
        let tell = |message: &Value| head(port, "POST", &headers, &message.to_string());
        tell(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}))?;
        let call = json!({"name": "execute_blender_code", "arguments": {"code": ENDLESS}});
        let _waiting: (Wire, String) =
            tell(&json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": call}))?;
        wait_for(&blender, "turning")?;
        tell(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 2}}))?;
        wait_for(&blender, "nothing runs").with_context(|| format!("at port {port}"))?;
    }
    Ok(())
}

/// Where each request stands alone, that is the only way.
fn gone(environment: &Environment) -> Result<()> {
    let blender = Blender::start(environment, Flavour::Bpy52, &Settings::default())?;
    let (_command, url) = serve(environment, &blender)?;
    let (token, silent) = (bearer(&blender)?, blender.file("began"));
    let code = format!("open({:?}, 'w').close()\nwhile True: pass", silent.display().to_string());
    for port in [blender.port, port_of(&url)?] {
        // The first says nothing before its end, the second has begun to answer.
        for code in [code.as_str(), ENDLESS] {
            let call = json!({"name": "execute_blender_code", "arguments": {"code": code}});
            let wire = calls_alone(port, &token, call, &json!({}))?;
            wait_until("the script to run", SOON, || {
                (silent.exists() || last_line(&blender).as_deref() == Some("turning")).then_some(())
            })?;
            drop(wire);
            wait_for(&blender, "nothing runs").with_context(|| format!("at port {port}: {code}"))?;
            if silent.exists() {
                fs_err::remove_file(&silent)?;
            }
        }
    }
    Ok(())
}

/// `time.sleep` cannot be interrupted, and the model must not take it for ended.
fn cancelled(environment: &Environment) -> Result<()> {
    let blender = Blender::start(environment, Flavour::Bpy52, &Settings::default())?;
    let mut server = Server::with_session(environment, &blender)?;
    // One call into C, which no signal ends.
    let stubborn = "print('turning')\nsum(range(400_000_000))";
    for (code, status) in [(ENDLESS, "cancelled"), (stubborn, "still running")] {
        let job = server.value("execute_blender_code", &json!({"code": code, "wait_secs": 0}))?;
        wait_for(&blender, "turning")?;
        let told = server.value("cancel_job", &json!({"job": job["job"]}))?;
        ensure!(told["status"] == status, "{told}");
        ensure!((status == "cancelled") == told["message"].is_null(), "{told}");
    }
    // It ends when that call returns: on a busy machine in half a minute.
    wait_until("it to end", SOON * 6, || last_line(&blender).filter(|last| last == "nothing runs").map(drop))
}

/// All clients of `/mcp` share what goes to Blender.
fn asked(environment: &Environment) -> Result<()> {
    let blender = asking(environment)?;
    let token = bearer(&blender)?;
    let code = format!("open({:?}, 'a').write('x')", blender.file("asked").display().to_string());
    let waits = HttpClient::begin(blender.port, &token)?;
    let _waiting = waits.ask(&code)?;
    wait_until("the user to be asked", SOON, || {
        let (_, status) = http(blender.port, "GET /status", "").ok()?;
        let status: Value = serde_json::from_str(&status).ok()?;
        status["consent"].as_array().is_some_and(|asked| !asked.is_empty()).then_some(())
    })?;
    let (_, answer) = HttpClient::begin(blender.port, &token)?.execute("result = 'free'")?;
    ensure!(answer["result"]["structuredContent"]["result"] == "free", "{answer}");
    Ok(())
}

fn after_consent(environment: &Environment) -> Result<()> {
    let blender = asking(environment)?;
    let mut server = Server::without_session(environment, &blender)?;
    let path = blender.file("asked");
    let code = format!("open({:?}, 'a').write('x')\n{ENDLESS}", path.display().to_string());
    let mut call = json!({"name": "execute_blender_code", "arguments": {"code": code}});
    let question = server.request("tools/call", call.clone())?;
    ensure!(question["resultType"] == "input_required", "{question}");
    call["inputResponses"] = json!({"consent": {"action": "accept", "content": {"answer": "once"}}});
    call["requestState"] = question["requestState"].clone();
    let again = server.ask("tools/call", call)?;
    wait_for(&blender, "turning")?;
    take_back(&mut server, again)?;
    wait_for(&blender, "nothing runs")
}
