// SPDX-License-Identifier: GPL-3.0-or-later
//! The token: who needs it, what happens without it, how it is replaced, and where it must never show.
//!
//! `timing` has how long it takes to be refused.

mod timing;

use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use blendwire_e2e::{Blender, Environment, Flavour, McpSession, PREFERENCES, Settings, Wire, http, wait_until};
use serde_json::{Value, json};

use crate::suite::Suite;

pub(crate) fn add(suite: &mut Suite) {
    for (flavour, name) in [(Flavour::Bpy52, "bpy_5_2"), (Flavour::Windowed, "windowed")] {
        suite.own(&format!("{name}::token::nothing_is_answered_without_it"), move |environment| {
            nothing_without_it(&required(environment, flavour)?)
        });
        suite.own(&format!("{name}::token::whoever_has_it_is_let_in"), move |environment| {
            let_in_with_it(&required(environment, flavour)?)
        });
    }
    suite.own("token::a_new_one_replaces_the_old_one_at_once", replaced);
    suite.own("token::clients_of_ours_find_it_by_themselves", found);
    suite.own("token::a_file_that_others_can_read_is_refused", not_private);
    suite.own("token::whoever_does_not_bring_it_is_put_out", put_out);
    timing::add(suite);
}

const SOON: Duration = Duration::from_secs(20);

/// Longer than any client may wait with its token.
const PATIENT: Duration = Duration::from_mins(1);

fn required(environment: &Environment, flavour: Flavour) -> Result<Blender> {
    let wish = format!("{PREFERENCES}.require_token = True");
    let settings = match flavour {
        Flavour::Windowed => Settings { python_expr: Some(wish), ..Settings::default() },
        _ => Settings { arguments: vec!["--require-token".to_owned()], ..Settings::default() },
    };
    Blender::start(environment, flavour, &settings)
}

pub(crate) fn token(blender: &Blender) -> Result<String> {
    Ok(fs_err::read_to_string(blender.file("config/token"))?.trim().to_owned())
}

fn execute(code: &str) -> Value {
    json!({"type": "execute", "code": code})
}

/// Nothing more comes: the server has closed, perhaps before all that was sent had arrived.
fn is_over(wire: &mut Wire) -> bool {
    wire.read_to_end().map_or_else(|error| !format!("{error:#}").contains("timed out"), |rest| rest.is_empty())
}

pub(crate) fn hello(token: &Value) -> Value {
    json!({"type": "hello", "protocol_version": 1, "token": token})
}

/// Is refused for the want of the right token, and told what to do.
pub(crate) fn ensure_unauthorized(reply: &Value) -> Result<()> {
    let message = reply["message"].as_str().unwrap_or_default();
    ensure!(reply["status"] == "error" && reply["error"]["code"] == "unauthorized", "{reply}");
    ensure!(message.contains("blendwire token") && reply.get("stdout").is_none(), "{reply}");
    Ok(())
}

fn nothing_without_it(blender: &Blender) -> Result<()> {
    let token = token(blender)?;
    let intrusion = "import bpy\nbpy.app.driver_namespace['intruder'] = True";
    for request in [
        execute(intrusion),
        json!({"type": "status"}),
        json!({"type": "ping"}),
        json!({"type": "undo"}),
        json!({"type": "cancel", "id": "a"}),
        json!({"type": "outcome", "id": "a"}),
        json!({"type": "hello", "protocol_version": 1}),
        json!({"type": "execute", "code": intrusion, "token": token}),
    ] {
        ensure_unauthorized(&blender.wire()?.answer(&request)?)?;
    }
    let mut flipped = token.clone().into_bytes();
    flipped[20] = if flipped[20] == b'x' { b'y' } else { b'x' };
    for wrong in [
        json!(""),
        json!(7),
        json!([token]),
        json!({"token": token}),
        json!("x".repeat(43)),
        json!(String::from_utf8(flipped)?),
        json!(&token[1..]),
        json!(format!("{token}x")),
        json!(format!(" {token}")),
        json!(format!("{token}\n")),
        json!(token.to_lowercase()),
        json!("x".repeat(60_000)),
    ] {
        let mut wire = blender.wire()?;
        ensure_unauthorized(&wire.answer(&hello(&wrong))?)?;
        // What follows on that connection is not even looked at.
        let _ = wire.ask(&execute(intrusion));
        ensure!(is_over(&mut wire), "it went on after {wrong}");
    }
    // Pipelined behind a wrong token, and more than a stranger may send.
    let mut wire = blender.wire()?;
    wire.send(format!("{}\0{}\0", hello(&json!("x".repeat(43))), execute(intrusion)).as_bytes())?;
    ensure_unauthorized(&wire.reply()?)?;
    ensure!(is_over(&mut wire));
    let mut wire = blender.wire()?;
    let _ = wire.send(format!("{}\0", execute(&format!("{intrusion}\n#{}", "x".repeat(200_000)))).as_bytes());
    ensure_unauthorized(&wire.reply()?)?;
    without_it_in_other_dialects(blender, intrusion)?;
    let mut wire = blender.wire()?;
    ensure!(wire.answer(&hello(&json!(token)))?["status"] == "ok");
    ensure!(wire.answer(&execute("result = 'intruder' in bpy.app.driver_namespace"))?["result"] == false, "it ran");
    let counted = wire.answer(&json!({"type": "status"}))?["result"]["counters"]["unauthorized"].clone();
    ensure!(counted.as_u64().is_some_and(|count| count >= 25), "{counted}");
    ensure!(!blender.process.output().contains(&token), "the log shows the token");
    Ok(())
}

fn without_it_in_other_dialects(blender: &Blender, intrusion: &str) -> Result<()> {
    let mut wire = blender.wire()?;
    wire.send(format!("{}\n", execute(intrusion)).as_bytes())?;
    let line: Value = serde_json::from_slice(&wire.read_to(b'\n')?)?;
    ensure_unauthorized(&line)?;
    let mut wire = blender.wire()?;
    wire.send(json!({"type": "execute_code", "params": {"code": intrusion}}).to_string().as_bytes())?;
    let bare: Value = serde_json::from_slice(&wire.read_to_end()?)?;
    let said = bare["message"].as_str().unwrap_or_default();
    ensure!(bare["status"] == "error" && said.contains("Require a Token"), "{bare}");
    // Whether it is ready is told to everybody; one that has just started may be busy with its window again.
    wait_until("the server to call itself ready", SOON, || {
        matches!(http(blender.port, "GET /health", "Content-Length: 0\r\n"), Ok((200, _))).then_some(())
    })?;
    for (request, code) in [("GET /status", 401), ("GET /metrics", 401), ("POST /execute", 401)] {
        let (answered, body) = http(blender.port, request, "Content-Length: 0\r\n")?;
        ensure!(answered == code, "{request}: {answered} {body}");
    }
    Ok(())
}

fn let_in_with_it(blender: &Blender) -> Result<()> {
    let token = token(blender)?;
    ensure!(token.len() == 43, "{} characters", token.len());
    let mut wire = blender.wire()?;
    // Refused for now, and may still prove itself.
    ensure_unauthorized(&wire.answer(&execute("result = 1"))?)?;
    ensure!(wire.answer(&hello(&json!(token)))?["status"] == "ok");
    ensure!(wire.answer(&execute("result = 1"))?["result"] == 1);
    let long = format!("x = '{}'\nresult = len(x)", "x".repeat(5_000_000));
    ensure!(wire.answer(&execute(&long))?["result"] == 5_000_000);
    let mut typed = blender.wire()?;
    typed.send(format!("{}\n{}\n", hello(&json!(token)), execute("result = 2")).as_bytes())?;
    typed.read_to(b'\n')?;
    ensure!(serde_json::from_slice::<Value>(&typed.read_to(b'\n')?)?["result"] == 2);
    let bearer = format!("Authorization: Bearer {token}\r\n");
    let (code, status) = http(blender.port, "GET /status", &bearer)?;
    ensure!(code == 200 && serde_json::from_str::<Value>(&status)?["access"]["token_required"] == true, "{status}");
    ensure!(!status.contains(&token));
    Ok(())
}

pub(crate) fn blendwire(environment: &Environment, blender: &Blender, arguments: &[&str]) -> Command {
    let mut command = Command::new(&environment.blendwire);
    command.args(arguments).env("BLENDWIRE_CONFIG_DIR", blender.file("config"));
    command.env("BLENDWIRE_PORT", blender.port.to_string());
    command
}

fn said(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn replaced(environment: &Environment) -> Result<()> {
    let blender = required(environment, Flavour::Bpy52)?;
    let first = token(&blender)?;
    let mut wire = blender.wire()?;
    ensure!(wire.answer(&hello(&json!(first)))?["status"] == "ok");
    let session = McpSession::start(blendwire(environment, &blender, &["mcp"]))?;
    ensure!(session.call("execute_blender_code", json!({"code": "result = 1"}))?.value()["result"] == 1);
    let (code, second, talk) = said(&blendwire(environment, &blender, &["token", "--rotate"]).output()?);
    let second = second.trim().to_owned();
    ensure!(code == Some(0) && second.len() == 43 && second != first, "{code:?} {talk}");
    ensure!(talk.contains("lets nobody in any more") && !talk.contains(&second), "{talk}");
    // Within a second, and with the words for it.
    let refused = wait_until("the old connection to be refused", SOON, || {
        let reply = wire.answer(&json!({"type": "ping"})).ok()?;
        (reply["status"] == "error").then_some(reply)
    })?;
    ensure_unauthorized(&refused)?;
    ensure!(refused["message"].as_str().is_some_and(|said| said.contains("replaced")), "{refused}");
    ensure!(is_over(&mut wire));
    ensure_unauthorized(&blender.wire()?.answer(&hello(&json!(first)))?)?;
    ensure!(blender.wire()?.answer(&hello(&json!(second)))?["status"] == "ok");
    // A client that reads the file goes on as if nothing had been.
    let answer = session.call("execute_blender_code", json!({"code": "result = 6 * 7"}))?.value();
    ensure!(answer["result"] == 42, "{answer}");
    ensure!(![first, second].iter().any(|token| blender.process.output().contains(token)), "the log shows a token");
    Ok(())
}

fn found(environment: &Environment) -> Result<()> {
    let blender = required(environment, Flavour::Bpy52)?;
    let token = token(&blender)?;
    let script = ["exec", "-c", "result = 6 * 7"];
    let (code, out, err) = said(&blendwire(environment, &blender, &script).output()?);
    ensure!((code, out.as_str()) == (Some(0), "42\n"), "{code:?} {out} {err}");
    let (code, out, _) = said(&blendwire(environment, &blender, &["token"]).output()?);
    ensure!(code == Some(0) && out.trim() == token);
    let (_, out, _) = said(&blendwire(environment, &blender, &["token", "--path"]).output()?);
    ensure!(out.trim() == blender.file("config/token").to_string_lossy(), "{out}");
    // A script longer than what a stranger may send.
    let long = blender.file("long.py");
    fs_err::write(&long, format!("x = '{}'\nresult = len(x)", "x".repeat(3_000_000)))?;
    let mut command = blendwire(environment, &blender, &["exec"]);
    let (code, out, err) = said(&command.arg(&long).output()?);
    ensure!((code, out.as_str()) == (Some(0), "3000000\n"), "{code:?} {out} {err}");
    for (variable, value, words) in [
        ("BLENDWIRE_TOKEN", "x".repeat(43), "not the server's token"),
        ("BLENDWIRE_TOKEN", "short".to_owned(), "BLENDWIRE_TOKEN holds no token"),
        ("BLENDWIRE_CONFIG_DIR", "/nonexistent".to_owned(), "wants a token"),
    ] {
        let mut command = blendwire(environment, &blender, &script);
        let (code, out, err) = said(&command.env(variable, &value).output()?);
        ensure!(code != Some(0) && out.is_empty() && err.contains(words), "{code:?} {err}");
        ensure!(err.contains("blendwire token") && !err.contains("xxxxxxx"), "{err}");
    }
    let mut command = blendwire(environment, &blender, &script);
    let (code, ..) = said(&command.env("BLENDWIRE_CONFIG_DIR", "/nonexistent").env("BLENDWIRE_TOKEN", token).output()?);
    ensure!(code == Some(0));
    Ok(())
}

#[cfg(unix)]
fn not_private(environment: &Environment) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let blender = required(environment, Flavour::Bpy52)?;
    let file = blender.file("config/token");
    let mode = |path: &std::path::Path| fs_err::metadata(path).map(|metadata| metadata.permissions().mode() & 0o777);
    ensure!(mode(&file)? == 0o600 && mode(&blender.file("config"))? == 0o700);
    let token = token(&blender)?;
    let mut wire = blender.wire()?;
    ensure!(wire.answer(&hello(&json!(token)))?["status"] == "ok");
    fs_err::set_permissions(&file, std::fs::Permissions::from_mode(0o644))?;
    // The server that runs notices, and lets nobody in by it any more.
    let refused = blender.wire()?.answer(&hello(&json!(token)))?;
    ensure!(refused["error"]["code"] == "unauthorized", "{refused}");
    ensure!(refused["message"].as_str().is_some_and(|said| said.contains("cannot read its own token")), "{refused}");
    let put_out = wait_until("the old connection to be refused", SOON, || {
        let reply = wire.answer(&json!({"type": "ping"})).ok()?;
        (reply["status"] == "error").then_some(reply)
    })?;
    ensure!(put_out["error"]["code"] == "unauthorized", "{put_out}");
    wait_until("the log to say why", SOON, || blender.process.output().contains("chmod 600").then_some(()))?;
    let (code, out, err) = said(&blendwire(environment, &blender, &["token"]).output()?);
    ensure!(code == Some(1) && out.is_empty() && err.contains("chmod 600"), "{code:?} {err}");
    // A server that starts on it says the same and does not start.
    let folder = blender.file("config").to_string_lossy().into_owned();
    let arguments = vec!["--require-token".to_owned()];
    let variables = vec![("BLENDWIRE_CONFIG_DIR".to_owned(), folder)];
    let settings = Settings { arguments, variables, ..Settings::default() };
    let refused = Blender::start(environment, Flavour::Bpy52, &settings).err().context("it started")?;
    let refused = format!("{refused:#}");
    ensure!(refused.contains("chmod 600") && !refused.contains(&token), "{refused}");
    fs_err::set_permissions(&file, std::fs::Permissions::from_mode(0o600))?;
    ensure!(blender.wire()?.answer(&hello(&json!(token)))?["status"] == "ok", "not let in again");
    Ok(())
}

fn put_out(environment: &Environment) -> Result<()> {
    let blender = required(environment, Flavour::Bpy52)?;
    // A drip that would keep any other connection alive.
    let mut drip = blender.wire()?;
    drip.send(b"{\"type\": \"execute\", \"code\": \"")?;
    let ended = wait_until("the stranger to be put out", PATIENT, || {
        std::thread::sleep(Duration::from_millis(500));
        let _ = drip.send(b"x");
        drip.send(b"x").err()
    })?;
    println!("put out: {ended}");
    let mut wire = Wire::connect(blender.port)?;
    wire.finish_sending()?;
    ensure!(is_over(&mut wire));
    Ok(())
}
