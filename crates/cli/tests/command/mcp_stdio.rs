// SPDX-License-Identifier: GPL-3.0-or-later
//! `blendwire mcp` as an MCP client meets it, with Blender closed.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{blendwire, free_port, text};

/// SPEC §12 wants 30 ms of a release build on an idle machine; this one is neither.
const READY_WITHIN: Duration = Duration::from_secs(2);

/// SPEC §6, as it goes over the wire.
const MOST_TOOLS_BYTES: usize = 12 * 1024;

pub(crate) struct Client {
    process: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Client {
    fn start() -> Self {
        Self::of(blendwire(&["mcp", "--port", &free_port()]))
    }

    /// Talks to the server that this starts.
    pub(crate) fn of(mut command: Command) -> Self {
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(process.stdout.take().unwrap());
        Self { stdin: process.stdin.take(), stdout, process }
    }

    fn send(&mut self, message: &Value) {
        writeln!(self.stdin.as_mut().unwrap(), "{message}").unwrap();
    }

    fn request(&mut self, method: &str, params: &Value) -> Value {
        self.send(&json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params}));
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        let reply: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(reply["id"], 7);
        reply
    }

    pub(crate) fn initialize(&mut self) -> Value {
        let client = json!({"name": "test", "version": "1"});
        let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client});
        let greeting = self.request("initialize", &params);
        self.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        greeting
    }
}

#[test]
fn greets_and_lists_tools_with_blender_closed_and_ends_with_its_client() {
    let start = Instant::now();
    let mut client = Client::start();
    let greeting = client.initialize();
    let ready = start.elapsed();
    println!("initialize answered after {:.1} ms", ready.as_secs_f64() * 1000.0);
    assert!(ready < READY_WITHIN, "{ready:?}");
    assert_eq!(greeting["result"]["serverInfo"]["name"], "blendwire");

    let mut tools = client.request("tools/list", &json!({}));
    // The tests' build has some more, for the conformance suite.
    let own = blendwire_mcp::tool_definitions();
    let is_own = |tool: &Value| own.iter().any(|own| tool["name"] == *own.name);
    tools["result"]["tools"].as_array_mut().unwrap().retain(is_own);
    let size = tools["result"].to_string().len();
    println!("tools/list: {size} bytes");
    assert!(size < MOST_TOOLS_BYTES, "{size} bytes are much of what a model can attend to");
    assert_eq!(tools["result"]["tools"][0]["name"], "execute_blender_code");

    let status = client.request("tools/call", &json!({"name": "get_blender_status", "arguments": {}}));
    assert_eq!(status["result"]["isError"], true);
    assert!(status["result"]["content"][0]["text"].as_str().unwrap().contains("call launch_blender"));

    drop(client.stdin.take());
    let output = client.process.wait_with_output().unwrap();
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""));
}

#[test]
fn a_client_that_leaves_without_a_word_is_no_error() {
    let output = blendwire(&["mcp"]).output().unwrap();
    assert_eq!((output.status.code(), text(&output.stdout), text(&output.stderr)), (Some(0), "", ""));
}

#[test]
fn the_stateless_revision_is_served_too() {
    let mut client = Client::start();
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let found = client.request("server/discover", &json!({"_meta": meta}));
    let versions = found["result"]["supportedVersions"].to_string();
    assert!(versions.contains("2024-11-05") && versions.contains("2026-07-28"), "{found}");
    let tools = client.request("tools/list", &json!({"_meta": meta}));
    assert_eq!(tools["result"]["tools"][0]["name"], "execute_blender_code", "{tools}");
}
