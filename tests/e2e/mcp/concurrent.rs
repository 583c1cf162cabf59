// SPDX-License-Identifier: GPL-3.0-or-later
//! Many calls at once, calls that outlast the wait for them, and results in pages; in raw JSON lines, so
//! that nothing on stdout goes unseen.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use blendwire_e2e::{Blender, Environment, Flavour, Gate, Settings, http, wait_until};
use serde_json::{Value, json};

use crate::suite::Suite;

const CALLS: usize = 200;
const ANSWER_BYTES: usize = 1_000_000;

/// For one answer; with a debug build of the server all two hundred take half a minute.
const PATIENCE: Duration = Duration::from_mins(2);

pub(super) fn add(suite: &mut Suite) {
    for (name, test) in [
        ("mcp::concurrent_calls_with_large_answers_do_not_mix", concurrent as fn(&Environment) -> Result<()>),
        ("mcp::a_call_that_outlasts_the_wait_is_a_job", jobs),
        ("mcp::pages_of_a_large_result_are_the_whole", pages),
    ] {
        suite.own(name, test);
    }
}

/// `blendwire mcp`, line by line.
pub(super) struct Server {
    child: Child,
    stdin: ChildStdin,
    lines: Receiver<Result<Value>>,
    /// What goes with every request where there is no session.
    pub(super) meta: Option<Value>,
    /// What it said besides answers, since somebody has looked.
    pub(super) told: Vec<Value>,
    last_id: usize,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    fn start(environment: &Environment, blender: &Blender) -> Result<Self> {
        let mut command = Command::new(&environment.blendwire);
        command.args(["mcp", "--port", &blender.port.to_string()]);
        command.env("BLENDWIRE_CONFIG_DIR", blender.file("config"));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let stdin = child.stdin.take().context("no stdin")?;
        let stdout = BufReader::new(child.stdout.take().context("no stdout")?);
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in stdout.lines() {
                if sender.send(line.map_err(Into::into).and_then(|line| message(&line))).is_err() {
                    break;
                }
            }
        });
        Ok(Self { child, stdin, lines, meta: None, told: Vec::new(), last_id: 0 })
    }

    /// With the handshake of 2025-11-25.
    pub(super) fn with_session(environment: &Environment, blender: &Blender) -> Result<Self> {
        Self::with_session_of(environment, blender, "2025-11-25", &json!({}))
    }

    /// The same of a client of that revision which can do that.
    pub(super) fn with_session_of(
        environment: &Environment,
        blender: &Blender,
        revision: &str,
        capabilities: &Value,
    ) -> Result<Self> {
        let mut server = Self::start(environment, blender)?;
        let client = json!({"name": "raw", "version": "1"});
        let params = json!({"protocolVersion": revision, "capabilities": capabilities, "clientInfo": client});
        let answer = server.request("initialize", params)?;
        ensure!(answer["protocolVersion"] == revision, "{answer}");
        server.write(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}))?;
        Ok(server)
    }

    /// Without one, as since 2026-07-28, and with a user who can be asked.
    pub(super) fn without_session(environment: &Environment, blender: &Blender) -> Result<Self> {
        let mut server = Self::start(environment, blender)?;
        server.meta = Some(json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": {"name": "raw", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {"elicitation": {"form": {}}},
        }));
        Ok(server)
    }

    pub(super) fn write(&mut self, message: &Value) -> Result<()> {
        Ok(self.stdin.write_all(format!("{message}\n").as_bytes())?)
    }

    pub(super) fn ask(&mut self, method: &str, mut params: Value) -> Result<usize> {
        self.last_id += 1;
        if let Some(meta) = &self.meta {
            params["_meta"] = meta.clone();
        }
        self.write(&json!({"jsonrpc": "2.0", "id": self.last_id, "method": method, "params": params}))?;
        Ok(self.last_id)
    }

    /// The next answer to any request.
    pub(super) fn answer(&mut self) -> Result<Value> {
        loop {
            let message = self.lines.recv_timeout(PATIENCE).context("no answer")??;
            if message.get("id").is_some() {
                return Ok(message);
            }
            self.told.push(message);
        }
    }

    /// Waits until it has told something of this method, before any answer.
    pub(super) fn until_told(&mut self, method: &str) -> Result<()> {
        while !self.told.iter().any(|told| told["method"] == method) {
            let message = self.lines.recv_timeout(PATIENCE).with_context(|| format!("no {method}"))??;
            ensure!(message.get("id").is_none(), "answered without {method}: {message}");
            self.told.push(message);
        }
        Ok(())
    }

    pub(super) fn request(&mut self, method: &str, params: Value) -> Result<Value> {
        let id = self.ask(method, params)?;
        let answer = self.answer()?;
        ensure!(answer["id"] == id && answer.get("error").is_none(), "{answer}");
        Ok(answer["result"].clone())
    }

    /// The result of a tool.
    pub(super) fn call(&mut self, tool: &str, arguments: &Value) -> Result<Value> {
        self.request("tools/call", json!({"name": tool, "arguments": arguments}))
    }

    /// The structured content of a call that goes well.
    pub(super) fn value(&mut self, tool: &str, arguments: &Value) -> Result<Value> {
        let result = self.call(tool, arguments)?;
        ensure!(result["isError"] != true, "{tool}: {result}");
        Ok(result["structuredContent"].clone())
    }
}

/// A line of stdout, which carries nothing but MCP.
fn message(line: &str) -> Result<Value> {
    let start: String = line.chars().take(200).collect();
    let message: Value = serde_json::from_str(line).with_context(|| format!("no JSON on stdout: {start}"))?;
    ensure!(message["jsonrpc"] == "2.0", "no JSON-RPC on stdout: {start}");
    Ok(message)
}

fn concurrent(environment: &Environment) -> Result<()> {
    let blender = Blender::start(environment, Flavour::Bpy52, &Settings::default())?;
    let mut server = Server::with_session(environment, &blender)?;
    let letter = |number: usize| char::from(b'a' + u8::try_from(number % 26).unwrap_or_default());
    let mut expected = HashMap::new();
    let begun = Instant::now();
    for number in 0..CALLS {
        let code = format!("result = '{number}:' + '{}' * {ANSWER_BYTES}", letter(number));
        let arguments = json!({"code": code, "max_result_bytes": 2 * ANSWER_BYTES, "wait_secs": 300});
        let id = server.ask("tools/call", json!({"name": "execute_blender_code", "arguments": arguments}))?;
        expected.insert(id, number);
    }
    for _ in 0..CALLS {
        let answer = server.answer()?;
        let id = answer["id"].as_u64().and_then(|id| usize::try_from(id).ok()).context("no id")?;
        let number = expected.remove(&id).with_context(|| format!("{id} was answered twice"))?;
        let whole = format!("{number}:{}", letter(number).to_string().repeat(ANSWER_BYTES));
        let result = &answer["result"];
        let text = result["content"][0]["text"].as_str().unwrap_or_default();
        let shown: String = answer.to_string().chars().take(300).collect();
        ensure!(result["structuredContent"]["result"] == whole, "{number}: {shown}");
        let read: Value = serde_json::from_str(text).with_context(|| format!("{number}: the text is cut: {shown}"))?;
        ensure!(read["result"] == whole, "{number}: {shown}");
    }
    println!("{CALLS} calls of {ANSWER_BYTES} bytes took {:?}", begun.elapsed());
    ensure!(server.lines.try_recv().is_err(), "more came than was asked for");
    Ok(())
}

fn jobs(environment: &Environment) -> Result<()> {
    let blender = Blender::start(environment, Flavour::Bpy52, &Settings::default())?;
    let mut server = Server::with_session(environment, &blender)?;
    let gate = Gate::closed(blender.file("job"));
    let code =
        format!("for i in range(10):\n    print('step', i)\n    if i == 4:\n        {}\nresult = 'slept'", gate.wait());
    let begun = server.value("execute_blender_code", &json!({"code": code, "wait_secs": 0.5}))?;
    ensure!(begun["status"] == "running", "{begun}");
    let running = wait_until("the job to show what it has printed", PATIENCE, || {
        let shown = server.value("get_job", &json!({"job": begun["job"], "wait_secs": 0}));
        // An error is no reason to ask again.
        let has_printed = |shown: &Value| shown["output"].as_str().is_some_and(|output| output.contains("step 4"));
        shown.map(|shown| has_printed(&shown).then_some(shown)).transpose()
    })??;
    let output = running["output"].as_str().unwrap_or_default();
    ensure!(running["status"] == "running" && output.contains("step 0") && !output.contains("step 9"), "{running}");
    let listed = server.value("get_job", &json!({}))?;
    ensure!(listed["jobs"][0]["job"] == running["job"], "{listed}");
    gate.open()?;
    let done = server.value("get_job", &json!({"job": running["job"], "wait_secs": 60}))?;
    ensure!(done["result"] == "slept" && done["stdout"].to_string().contains("step 9"), "{done}");
    // Asked again it says the same.
    ensure!(server.value("get_job", &json!({"job": running["job"]}))?["result"] == "slept");

    let running_in_blender = || -> Option<bool> {
        let (_, status) = http(blender.port, "GET /status", "").ok()?;
        let status: Value = serde_json::from_str(&status).ok()?;
        Some(status["running"].is_object())
    };
    let code = "print('turning')\nwhile True: pass";
    let endless = server.value("execute_blender_code", &json!({"code": code, "wait_secs": 0.5}))?;
    ensure!(endless["status"] == "running", "{endless}");
    wait_until("the script to run", Duration::from_mins(1), || running_in_blender().filter(|runs| *runs))?;
    let cancelled = server.value("cancel_job", &json!({"job": endless["job"]}))?;
    ensure!(cancelled["status"] == "cancelled", "{cancelled}");
    wait_until("Blender to be free", Duration::from_mins(1), || running_in_blender().filter(|runs| !runs))?;
    ensure!(server.value("execute_blender_code", &json!({"code": "result = 1"}))?["result"] == 1);
    let gone = server.call("get_job", &json!({"job": endless["job"]}))?;
    ensure!(gone["isError"] == true && gone.to_string().contains("there is no job"), "{gone}");
    Ok(())
}

fn pages(environment: &Environment) -> Result<()> {
    let blender = Blender::start(environment, Flavour::Bpy52, &Settings::default())?;
    let mut server = Server::with_session(environment, &blender)?;
    // Characters of several bytes, so that a page that ends within one would show.
    let code = "result = [f'{i} ü€🧊' for i in range(40_000)]";
    let large = server.value("execute_blender_code", &json!({"code": code}))?;
    let (bytes, pages) = (&large["too_large"]["bytes"], &large["too_large"]["pages"]);
    let first = large["too_large"]["first_page"].as_str().with_context(|| large.to_string())?.to_owned();
    let address = first.strip_suffix('1').context("the first page is not number 1")?;
    let mut whole = String::new();
    for page in 1..=pages.as_u64().context("no pages")? {
        let read = server.request("resources/read", json!({"uri": format!("{address}{page}")}))?;
        whole += read["contents"][0]["text"].as_str().with_context(|| read.to_string())?;
    }
    ensure!(*bytes == whole.len(), "{bytes} bytes were promised, {} came", whole.len());
    let read: Value = serde_json::from_str(&whole).context("the pages together are no JSON")?;
    let expected: Vec<_> = (0..40_000).map(|number| format!("{number} ü€🧊")).collect();
    ensure!(read["result"] == json!(expected), "{}", &whole[..100]);
    // With more room it comes at once.
    let arguments = json!({"code": code, "max_result_bytes": 10_000_000});
    ensure!(server.value("execute_blender_code", &arguments)?["result"] == json!(expected));
    // Also where it takes longer than the call waits.
    let arguments = json!({"code": code, "max_result_bytes": 10_000_000, "wait_secs": 0});
    let job = server.value("execute_blender_code", &arguments)?["job"].take();
    ensure!(server.value("get_job", &json!({"job": job, "wait_secs": 60}))?["result"] == json!(expected));
    // Clients that are older than links to resources refuse what has one.
    for (revision, has_link) in [("2025-03-26", false), ("2025-06-18", true)] {
        let mut server = Server::with_session_of(environment, &blender, revision, &json!({}))?;
        let large = server.call("execute_blender_code", &json!({"code": code}))?;
        ensure!(large["structuredContent"]["too_large"]["first_page"].is_string(), "{revision}: {large}");
        let is_link = |part: &Value| part["type"] == "resource_link";
        ensure!(
            large["content"].as_array().is_some_and(|all| all.iter().any(is_link)) == has_link,
            "{revision}: {large}"
        );
    }
    Ok(())
}
