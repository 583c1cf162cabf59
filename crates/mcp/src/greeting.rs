// SPDX-License-Identifier: GPL-3.0-or-later
//! The first words between a client and a server over stdio, for whoever only wants to know whether one is there.

use serde_json::{Value, json};

/// What a client says first: one line, without its end.
pub fn greeting() -> String {
    let client = json!({"name": "blendwire doctor", "version": env!("CARGO_PKG_VERSION")});
    let params = json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client});
    json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}).to_string()
}

/// Name and version of the server whose answer this line is; `None` when it is no such answer.
pub fn greeted(line: &str) -> Option<(String, String)> {
    let answer: Value = serde_json::from_str(line).ok()?;
    let server = answer.get("result")?.get("serverInfo")?;
    let text = |key: &str| server.get(key)?.as_str().map(str::to_owned);
    Some((text("name")?, text("version").unwrap_or_default()))
}
