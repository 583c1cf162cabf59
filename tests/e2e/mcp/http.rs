// SPDX-License-Identifier: GPL-3.0-or-later
//! Who gets to `/mcp` inside Blender, and that it ends when the server does.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use blendwire_e2e::{Blender, Environment, Flavour, Settings, Wire};
use serde_json::{Value, json};

use crate::http::bearer;
use crate::instances::id;
use crate::suite::{EVERYWHERE, Suite};

pub(crate) fn add(suite: &mut Suite) {
    suite.shared(&EVERYWHERE, "mcp_http::wants_the_token_and_no_strange_page", who);
    suite.own("windowed::mcp_http::a_stop_does_not_wait_for_those_who_listen", stop);
}

pub(crate) const INITIALIZE: &str = r#"{"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "2025-11-25",
    "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}}"#;

/// The session that a server has begun, as a header.
pub(crate) fn session_in(head: &str) -> Result<String> {
    let session = head.lines().find_map(|line| {
        line.split_once(": ").filter(|(name, _)| name.eq_ignore_ascii_case("mcp-session-id")).map(|(_, id)| id.trim())
    });
    Ok(format!("Mcp-Session-Id: {}\r\n", session.with_context(|| format!("no session in {head}"))?))
}

const ACCEPT: &str = "Accept: application/json, text/event-stream\r\n";

fn send(port: u16, method: &str, headers: &str, body: &str) -> Result<Wire> {
    let mut wire = Wire::connect(port)?;
    let request = format!(
        "{method} /mcp HTTP/1.1\r\nHost: localhost:{port}\r\nContent-Type: application/json\r\n{ACCEPT}{headers}\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    wire.send(request.as_bytes())?;
    Ok(wire)
}

/// Sends one request and reads up to the first blank line of the answer.
pub(crate) fn head(port: u16, method: &str, headers: &str, body: &str) -> Result<(Wire, String)> {
    let mut wire = send(port, method, headers, body)?;
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        head.push_str(&String::from_utf8(wire.read_to(b'\n')?)?);
        head.push('\n');
    }
    Ok((wire, head))
}

/// The status that a client with these headers begins with.
pub(crate) fn code(port: u16, headers: &str) -> Result<String> {
    let (_, head) = head(port, "POST", headers, INITIALIZE)?;
    Ok(head.split(' ').nth(1).unwrap_or_default().to_owned())
}

fn who(blender: &mut Blender) -> Result<()> {
    let token = bearer(blender)?;
    let near = |blender: &Blender, headers: &str| code(blender.port, headers);
    let own = ["", "Origin: http://localhost:6274\r\n", "Origin: http://127.0.0.1\r\n", "Origin: https://[::1]:1\r\n"];
    for origin in own {
        let code = near(blender, &format!("{token}{origin}"))?;
        ensure!(code == "200", "{origin:?} with the token: {code}");
        let code = near(blender, origin)?;
        ensure!(code == "401", "{origin:?} without the token: {code}");
    }
    let strange = [
        "Origin: https://evil.example\r\n",
        "Origin: http://localhost.evil.example\r\n",
        "Origin: http://localhost@evil.example\r\n",
        "Origin: null\r\n",
        "Origin: http://localhost\r\nOrigin: https://evil.example\r\n",
        "Sec-Fetch-Site: cross-site\r\n",
        "Sec-Fetch-Site: same-site\r\n",
    ];
    for page in strange {
        // The token of a user does not help a page either.
        let code = near(blender, &format!("{token}{page}"))?;
        ensure!(code == "403", "{page:?}: {code}");
    }
    let wrong = near(blender, "Authorization: Bearer 0123456789012345678901234567890123456789\r\n")?;
    ensure!(wrong == "401", "a wrong token: {wrong}");
    Ok(())
}

fn stop(environment: &Environment) -> Result<()> {
    let blender = &Blender::start(environment, Flavour::Windowed, &Settings::default())?;
    let token = bearer(blender)?;
    let (_first, answer) = head(blender.port, "POST", &token, INITIALIZE)?;
    let session = session_in(&answer)?;
    let (_listening, answer) = head(blender.port, "GET", &format!("{token}{session}"), "")?;
    ensure!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let before = id(blender)?;
    blender.result("import blendwire\nblendwire.server_restart()")?;
    blendwire_e2e::wait_until("another server to be there", Duration::from_secs(20), || {
        id(blender).ok().filter(|now| *now != before)
    })?;
    let (_, answer) = head(blender.port, "POST", &token, INITIALIZE)?;
    ensure!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    Ok(())
}

/// What comes before the answer to request 2, and that: a stream of events, of which it is the last.
pub(crate) fn answered(wire: &mut Wire) -> Result<(Vec<Value>, Value)> {
    let mut told = Vec::new();
    loop {
        let message = next(wire)?;
        if message["id"] == 2 {
            return Ok((told, message));
        }
        told.push(message);
    }
}

/// The next message of a stream of events.
pub(crate) fn next(wire: &mut Wire) -> Result<Value> {
    loop {
        let line = String::from_utf8(wire.read_to(b'\n')?)?;
        let message = line.strip_prefix("data:").and_then(|message| serde_json::from_str(message).ok());
        if let Some(message) = message {
            return Ok(message);
        }
    }
}

/// Sends a call of a tool as since 2026-07-28, where each stands alone; `meta` is what it has besides.
pub(crate) fn calls_alone(port: u16, token: &str, mut call: Value, meta: &Value) -> Result<Wire> {
    call["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "raw", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    for (name, value) in meta.as_object().into_iter().flatten() {
        call["_meta"][name] = value.clone();
    }
    let name = call["name"].as_str().context("no name of a tool")?;
    let headers = format!("{token}MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: {name}\r\n");
    let message = json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": call});
    send(port, "POST", &headers, &message.to_string())
}

/// A client of MCP over HTTP that is made of nothing but requests.
pub(crate) struct HttpClient {
    port: u16,
    /// Lines of the head that each request has.
    headers: String,
}

impl HttpClient {
    /// Begins a session; `token` is the line of the head that has it.
    pub(crate) fn begin(port: u16, token: &str) -> Result<Self> {
        let mut client = Self { port, headers: format!("{token}{ACCEPT}Content-Type: application/json\r\n") };
        let who = json!({"name": "Assistant", "version": "7.1"});
        let hello = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": who});
        let begins = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello});
        let (_, head) = client.send("POST", &begins.to_string())?;
        let named = head.lines().find(|line| line.to_ascii_lowercase().starts_with("mcp-session-id:"));
        let named = named.with_context(|| format!("no session in {head}"))?.trim();
        client.headers += named;
        client.headers += "\r\nMCP-Protocol-Version: 2025-11-25\r\n";
        client.send("POST", &json!({"jsonrpc": "2.0", "method": "notifications/initialized"}).to_string())?;
        Ok(client)
    }

    /// Runs a script: the end of the connection that asked for it, and the answer.
    pub(crate) fn execute(&self, code: &str) -> Result<(String, Value)> {
        let mut wire = self.ask(code)?;
        let address = wire.sender()?.local_addr()?.to_string();
        Ok((address, answered(&mut wire)?.1))
    }

    /// Sends a script, and waits for no more than that it was taken.
    pub(crate) fn ask(&self, code: &str) -> Result<Wire> {
        self.call(&json!({"name": "execute_blender_code", "arguments": {"code": code}}))
    }

    /// The same of any call.
    pub(crate) fn call(&self, call: &Value) -> Result<Wire> {
        let call = json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": call});
        Ok(self.send("POST", &call.to_string())?.0)
    }

    /// The structured content of a call that goes well.
    pub(crate) fn value(&self, tool: &str, arguments: &Value) -> Result<Value> {
        let (_, answer) = answered(&mut self.call(&json!({"name": tool, "arguments": arguments}))?)?;
        ensure!(answer.get("error").is_none() && answer["result"]["isError"] != true, "{tool}: {answer}");
        Ok(answer["result"]["structuredContent"].clone())
    }

    /// The stream of what the server has to say besides answers.
    pub(crate) fn listen(&self) -> Result<Wire> {
        Ok(self.send("GET", "")?.0)
    }

    /// Ends the session.
    pub(crate) fn end(self) -> Result<()> {
        self.send("DELETE", "").map(drop)
    }

    /// Sends one message and reads the head of the answer.
    fn send(&self, method: &str, body: &str) -> Result<(Wire, String)> {
        let mut wire = Wire::connect(self.port)?;
        let (headers, length) = (&self.headers, body.len());
        let head = format!("{method} /mcp HTTP/1.1\r\nHost: localhost\r\n{headers}Content-Length: {length}\r\n\r\n");
        wire.send((head + body).as_bytes())?;
        let mut head = String::new();
        while !head.ends_with("\n\n") {
            head.push_str(String::from_utf8(wire.read_to(b'\n')?)?.trim_end_matches('\r'));
            head.push('\n');
        }
        ensure!(head.starts_with("HTTP/1.1 20"), "{method}: {head}");
        Ok((wire, head))
    }
}
