// SPDX-License-Identifier: GPL-3.0-or-later
//! A user who is asked through a client whether a script may do what Blender wants consent for: who answers, who does not,
//! and who takes long.

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use blendwire_e2e::{Blender, Environment, Flavour, PREFERENCES, Settings, wait_until};
use serde_json::{Value, json};

use super::concurrent::Server;
use crate::suite::Suite;

const SOON: Duration = Duration::from_secs(20);

pub(super) fn add(suite: &mut Suite) {
    suite.own("windowed::mcp::consent_without_a_session_is_a_result", alone);
    suite.own("windowed::mcp::a_question_to_the_user_keeps_no_call_waiting", in_session);
}

/// A Blender that asks before a script writes files.
pub(super) fn asking(environment: &Environment) -> Result<Blender> {
    let wish = format!("{PREFERENCES}.guard_files = 'ask'");
    let settings = Settings { python_expr: Some(wish), ..Settings::default() };
    Blender::start(environment, Flavour::Windowed, &settings)
}

/// The question comes as what the call answers, and the call is made again with the user's answer.
fn alone(environment: &Environment) -> Result<()> {
    let blender = asking(environment)?;
    let mut server = Server::without_session(environment, &blender)?;
    let path = blender.file("asked");
    let code = format!("open({:?}, 'a').write('x')\nresult = 'done'", path.display().to_string());
    let arguments = json!({"code": code, "title": "Write notes"});
    let call = json!({"name": "execute_blender_code", "arguments": arguments});
    for (answer, is_done) in [
        (json!({"action": "accept", "content": {"answer": "once"}}), true),
        (json!({"action": "decline"}), false),
        (json!({"action": "accept", "content": {"answer": "never"}}), false),
    ] {
        let question = server.request("tools/call", call.clone())?;
        ensure!(question["resultType"] == "input_required" && !path.exists(), "{question}");
        let params = &question["inputRequests"]["consent"]["params"];
        let is_told = |word: &str| params["message"].as_str().is_some_and(|message| message.contains(word));
        ensure!(is_told("Write notes") && is_told("write files"), "{question}");
        let mut again = call.clone();
        again["inputResponses"] = json!({"consent": answer});
        again["requestState"] = question["requestState"].clone();
        let result = server.request("tools/call", again)?;
        ensure!(result["resultType"] == "complete", "{result}");
        if is_done {
            ensure!(result["structuredContent"]["result"] == "done" && fs_err::read(&path)? == b"x", "{result}");
            fs_err::remove_file(&path)?;
        } else {
            ensure!(result["isError"] == true && result.to_string().contains("refused"), "{result}");
            ensure!(!path.exists(), "it was done all the same");
        }
    }
    // Closed without an answer, it is not put again: Blender asks on its own screen.
    let question = server.request("tools/call", call.clone())?;
    let mut closed = call.clone();
    closed["inputResponses"] = json!({"consent": {"action": "cancel"}});
    closed["requestState"] = question["requestState"].clone();
    closed["arguments"]["wait_secs"] = json!(1);
    let waits = server.request("tools/call", closed)?["structuredContent"].take();
    ensure!(waits["status"] == "running" && waits["waits_for_consent_to"] == json!(["files"]), "{waits}");
    server.value("cancel_job", &json!({"job": waits["job"]}))?;
    // A state that was never given out belongs to no call.
    let mut forged = call.clone();
    forged["inputResponses"] = json!({"consent": {"action": "accept", "content": {"answer": "once"}}});
    forged["requestState"] = "job-1000".into();
    let result = server.request("tools/call", forged)?;
    if result["isError"] != true || path.exists() {
        bail!("{result}");
    }
    Ok(())
}

/// A call answers in time, whatever the user does with its question; what is answered late counts.
fn in_session(environment: &Environment) -> Result<()> {
    let blender = asking(environment)?;
    let path = blender.file("asked");
    let code = format!("open({:?}, 'a').write('x')\nresult = 'done'", path.display().to_string());
    let call =
        |wait_secs: f64| json!({"name": "execute_blender_code", "arguments": {"code": code, "wait_secs": wait_secs}});
    for revision in ["2025-06-18", "2025-11-25"] {
        let mut server = Server::with_session_of(environment, &blender, revision, &json!({"elicitation": {}}))?;
        let asked = |server: &mut Server, wait_secs: f64| -> Result<(usize, Value)> {
            let id = server.ask("tools/call", call(wait_secs))?;
            let question = server.answer()?;
            ensure!(question["method"] == "elicitation/create", "{question}");
            Ok((id, question))
        };
        let (id, question) = asked(&mut server, 1.0)?;
        let choice = &question["params"]["requestedSchema"]["properties"]["answer"];
        let (titles, with_titles) =
            if revision == "2025-06-18" { ("enumNames", "oneOf") } else { ("oneOf", "enumNames") };
        ensure!(choice[titles].is_array() && choice[with_titles].is_null(), "{revision}: {question}");
        let waits = running(&mut server, id)?;
        let answer = json!({"action": "accept", "content": {"answer": "once"}});
        server.write(&json!({"jsonrpc": "2.0", "id": question["id"], "result": answer}))?;
        let done = server.value("get_job", &json!({"job": waits["job"], "wait_secs": 60}))?;
        ensure!(done["result"] == "done" && fs_err::read(&path)? == b"x", "{done}");
        fs_err::remove_file(&path)?;

        // Closed without an answer: the next that comes is the answer to the call, and no second question.
        let (id, question) = asked(&mut server, 1.0)?;
        server.write(&json!({"jsonrpc": "2.0", "id": question["id"], "result": {"action": "cancel"}}))?;
        let waits = running(&mut server, id)?;
        server.value("cancel_job", &json!({"job": waits["job"]}))?;

        // Answered in Blender: the client need not ask any more.
        let (id, question) = asked(&mut server, 60.0)?;
        let mut wire = blender.wire()?;
        let waiting = wait_until("Blender to ask", SOON, || {
            let status = wire.answer(&json!({"type": "status"})).ok()?;
            status["result"]["consent"][0]["id"].as_str().map(str::to_owned)
        })?;
        wire.answer(&json!({"type": "consent", "id": waiting, "answer": "never"}))?;
        let refused = server.answer()?;
        ensure!(refused["id"] == id && refused["result"]["isError"] == true, "{refused}");
        server.until_told("notifications/cancelled")?;
        let taken_back = |told: &Value| told["params"]["requestId"] == question["id"];
        ensure!(server.told.iter().any(taken_back), "{:?}", server.told);
        ensure!(!path.exists(), "it was done all the same");
    }
    Ok(())
}

/// The answer to the call of this number, which says that it still runs.
fn running(server: &mut Server, id: usize) -> Result<Value> {
    let waits = server.answer()?;
    let told = &waits["result"]["structuredContent"];
    ensure!(waits["id"] == id && told["status"] == "running", "{waits}");
    ensure!(told["waits_for_consent_to"] == json!(["files"]), "{waits}");
    Ok(told.clone())
}
