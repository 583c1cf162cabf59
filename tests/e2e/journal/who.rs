// SPDX-License-Identifier: GPL-3.0-or-later
//! Whom the journal names: the program at the other end, and what that calls itself, whichever way a request came.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use blendwire_e2e::{Blender, Environment, McpSession, wait_until};
use serde_json::{Value, json};

use super::{SOON, lines_with, logs, told};
use crate::http::bearer;
use crate::mcp::HttpClient;
use crate::suite::{EVERYWHERE, Suite};

pub(super) fn add(suite: &mut Suite) {
    suite.shared(&EVERYWHERE, "journal::names_clients_by_their_own_words", by_name);
    suite.shared(&EVERYWHERE, "journal::nobody_passes_for_another", no_other);
    for flavour in EVERYWHERE {
        suite.own(&format!("{}::journal::names_who_calls_by_mcp", flavour.name()), move |environment| {
            by_mcp(environment, &Blender::start(environment, flavour, &blendwire_e2e::Settings::default())?)
        });
    }
}

/// The begin of the request with this code.
pub(crate) fn of_code(blender: &Blender, code: &str) -> Result<Value> {
    wait_until("a request to be in the journal", SOON, || {
        let found = lines_with(&blender.state, &json!(code).to_string()).ok()?;
        found.into_iter().find(|line| line["event"] == "begin" && line["code"] == code)
    })
}

fn by_name(blender: &mut Blender) -> Result<()> {
    let mut wire = blender.wire()?;
    wire.answer(&json!({"type": "execute", "code": "1", "id": "nameless"}))?;
    ensure!(told(blender, "nameless")?.0.get("client").is_none());
    wire.answer(&json!({"type": "execute", "code": "1", "id": "named", "client": "Painter 3"}))?;
    ensure!(told(blender, "named")?.0["client"] == "Painter 3");
    // Said once for the whole connection, and for one request otherwise.
    wire.answer(&json!({"type": "hello", "protocol_version": 1, "client": "Sculptor"}))?;
    wire.answer(&json!({"type": "undo", "id": "hello"}))?;
    ensure!(told(blender, "hello")?.0["client"] == "Sculptor");
    wire.answer(&json!({"type": "execute", "code": "1", "id": "other", "client": "Painter"}))?;
    ensure!(told(blender, "other")?.0["client"] == "Painter");
    let body = json!({"code": "1", "id": "agent"}).to_string();
    let (token, length) = (bearer(blender)?, body.len());
    let headers = format!("{token}Content-Type: application/json\r\nUser-Agent: curl/8\r\nContent-Length: {length}");
    let request = format!("POST /execute HTTP/1.1\r\nHost: localhost\r\n{headers}\r\nConnection: close\r\n\r\n{body}");
    let mut http = blender.wire()?;
    http.send(request.as_bytes())?;
    http.read_to_end()?;
    let begin = told(blender, "agent")?.0;
    ensure!(begin["client"] == "curl/8" && begin["dialect"] == "http", "{begin}");
    Ok(())
}

/// Not by a secret that it makes up.
fn no_other(blender: &mut Blender) -> Result<()> {
    let mut wire = blender.wire()?;
    let own = wire.sender()?.local_addr()?.to_string();
    for (number, behalf) in ["", "1", &"x".repeat(43)].iter().enumerate() {
        let id = format!("behalf-{number}");
        wire.answer(&json!({"type": "execute", "code": "1", "id": id, "client": "mcp", "behalf": behalf}))?;
        let begin = told(blender, &id)?.0;
        ensure!(begin["dialect"] == "framed" && begin["peer"] == own, "{begin}");
    }
    Ok(())
}

fn by_mcp(environment: &Environment, blender: &Blender) -> Result<()> {
    let over_http = http_call(blender, "result = 'over HTTP'")?;
    let begin = of_code(blender, "result = 'over HTTP'")?;
    ensure!(begin["peer"] == over_http && begin["dialect"] == "mcp" && begin["client"] == "Assistant 7.1", "{begin}");
    ensure!(!cfg!(target_os = "linux") || begin["uid"].is_u64(), "{begin}");
    let mut command = Command::new(&environment.blendwire);
    command.args(["mcp", "--port", &blender.port.to_string()]);
    let session = McpSession::start_with_user(command, None)?;
    session.call("execute_blender_code", json!({"code": "result = 'over stdio'"}))?;
    let begin = of_code(blender, "result = 'over stdio'")?;
    ensure!(begin["client"] == "blendwire-test 0" && begin["dialect"] == "framed", "{begin}");
    // Tools of other kinds and resources too.
    session.call("get_objects_summary", json!({}))?;
    session.resource("blender://scene")?;
    let said = logs(environment, &blender.state, &["--last", "all"])?;
    for line in said.lines().filter(|line| line.contains('#')) {
        ensure!(line.contains("blendwire-test 0 127.0.0.1:") || line.contains("Assistant 7.1 127.0.0.1:"), "{line}");
    }
    let line = said.lines().find(|line| line.contains("Assistant 7.1")).context("not shown")?;
    ensure!(line.contains(&over_http) && line.contains("over MCP"), "{line}");
    let said = logs(environment, &blender.state, &["--json"])?;
    ensure!(said.contains(r#""client":"Assistant 7.1""#) && said.contains(r#""dialect":"mcp""#), "{said}");
    Ok(())
}

/// Calls a tool at `/mcp` as a client of another maker's would, and gives the end of the connection that it called from.
fn http_call(blender: &Blender, code: &str) -> Result<String> {
    let client = HttpClient::begin(blender.port, &bearer(blender)?)?;
    let (address, said) = client.execute(code)?;
    ensure!(said["result"]["isError"] != true, "{said}");
    client.end()?;
    Ok(address)
}
