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

/// Sends one message and does not wait.
pub(crate) fn asks(port: u16, headers: &str, message: &str) -> Result<Wire> {
    send(port, "POST", headers, message)
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
        // A stream of events, of which the answer is the last.
        loop {
            let line = String::from_utf8(wire.read_to(b'\n')?)?;
            let Some(message) = line.strip_prefix("data:") else { continue };
            let message = serde_json::from_str::<Value>(message).unwrap_or_default();
            if message["id"] == 2 {
                return Ok((address, message));
            }
        }
    }

    /// Sends a script, and waits for no more than that it was taken.
    pub(crate) fn ask(&self, code: &str) -> Result<Wire> {
        let call = json!({"name": "execute_blender_code", "arguments": {"code": code}});
        let call = json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": call});
        Ok(self.send("POST", &call.to_string())?.0)
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
