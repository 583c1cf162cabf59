// SPDX-License-Identifier: GPL-3.0-or-later
//! HTTP: scripts with the token, events, metrics, and everything that is refused.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use blendwire_e2e::{Blender, Flavour, Gate, Wire, http, wait_until};
use serde_json::{Value, json};

use crate::suite::{EVERYWHERE, Suite};

pub(crate) fn add(suite: &mut Suite) {
    suite.shared(&EVERYWHERE, "http::runs_scripts_with_the_token_only", scripts);
    suite.shared(&EVERYWHERE, "http::tells_events", events);
    suite.shared(&EVERYWHERE, "http::metrics_count_what_happened", metrics);
    suite.shared(&[Flavour::Bpy52], "http::says_what_is_wrong", wrong);
    suite.shared(&[Flavour::Bpy52], "http::carries_a_lot", large);
    suite.shared(&EVERYWHERE, "http::refuses_a_large_body_in_words", refused_while_sending);
    suite.shared(&[Flavour::Bpy52], "http::whoever_leaves_finds_the_outcome", outcome);
    suite.shared(&EVERYWHERE, "http::web_pages_reach_nothing", web_pages);
}

const SOON: Duration = Duration::from_secs(20);

/// An answer taken apart.
struct Answer {
    code: u16,
    head: String,
    body: String,
}

impl Answer {
    fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.body).with_context(|| format!("not JSON: {}", self.body))
    }
}

pub(crate) fn bearer(blender: &Blender) -> Result<String> {
    let token = fs_err::read_to_string(blender.file("config/token"))?;
    Ok(format!("Authorization: Bearer {}\r\n", token.trim()))
}

fn raw(blender: &Blender, request: &[u8]) -> Result<Answer> {
    let mut wire = Wire::connect(blender.port)?;
    // A server that has refused may close before the rest was sent.
    let _ = wire.send(request);
    let text = String::from_utf8(wire.read_to_end()?)?;
    let (head, body) = text.split_once("\r\n\r\n").with_context(|| format!("no HTTP answer: {text:?}"))?;
    let code = head.split(' ').nth(1).and_then(|code| code.parse().ok()).context("no status")?;
    Ok(Answer { code, head: head.to_lowercase(), body: body.to_owned() })
}

/// The refusal arrives although the client is still sending what it is refused for; and both ways are counted.
fn refused_while_sending(blender: &mut Blender) -> Result<()> {
    let counted = |which: &str| -> Result<u64> {
        blender.wire()?.answer(&json!({"type": "status"}))?["result"]["counters"][which].as_u64().context("no counter")
    };
    let (received, sent) = (counted("received_bytes")?, counted("sent_bytes")?);
    let body = "x".repeat(8_000_000);
    for _ in 0..10 {
        let mut wire = Wire::connect(blender.port)?;
        let head = format!("POST /execute HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", body.len());
        wire.send(head.as_bytes())?;
        wire.send(body.as_bytes()).context("the server hung up instead of reading on for a moment")?;
        let answer = String::from_utf8(wire.read_to_end()?)?;
        ensure!(answer.starts_with("HTTP/1.1 401") && answer.contains("blendwire token"), "{answer:?}");
    }
    let (received, sent) = (counted("received_bytes")? - received, counted("sent_bytes")? - sent);
    ensure!(received > 1000 && sent > 10 * 300, "{received} received, {sent} sent");
    Ok(())
}

fn post(blender: &Blender, headers: &str, body: &str) -> Result<Answer> {
    let length = body.len();
    let head = format!(
        "POST /execute HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n"
    );
    raw(blender, format!("{head}{body}").as_bytes())
}

fn post_json(blender: &Blender, request: &Value) -> Result<Answer> {
    let headers = format!("{}Content-Type: application/json\r\n", bearer(blender)?);
    post(blender, &headers, &request.to_string())
}

fn scripts(blender: &mut Blender) -> Result<()> {
    let answer = post_json(blender, &json!({"code": "print('hi')\nresult = [1, 'é']", "id": 7}))?;
    let reply = answer.json()?;
    ensure!(answer.code == 200 && answer.body.ends_with("}\n"), "{}", answer.head);
    ensure!(reply == json!({"status": "ok", "result": [1, "é"], "stdout": "hi\n", "id": 7}), "{reply}");
    let failed = post_json(blender, &json!({"type": "execute", "code": "print(1)\n1 / 0"}))?;
    let reply = failed.json()?;
    ensure!(
        failed.code == 200 && reply["error"]["code"] == "python_exception" && reply["error"]["line"] == 2,
        "{reply}"
    );
    let limited = post_json(blender, &json!({"code": "while True: pass", "timeout_secs": 0.3}))?.json()?;
    ensure!(limited["error"]["code"] == "timeout", "{limited}");
    ensure!(post_json(blender, &json!({"type": "ping"}))?.json()?["result"] == "pong");
    ensure!(post_json(blender, &json!({"type": "status"}))?.json()?["result"]["state"].is_string());
    // Without the token, whatever else there is.
    let intrusion = json!({"code": "bpy.app.driver_namespace['intruder'] = True"}).to_string();
    let token = bearer(blender)?;
    let token = token.trim().strip_prefix("Authorization: Bearer ").context("no token")?;
    let wrong = "x".repeat(43);
    for authorization in [
        String::new(),
        format!("Authorization: Bearer {wrong}\r\n"),
        format!("Authorization: Basic {token}\r\n"),
        format!("Authorization: {token}\r\n"),
        "Authorization: Bearer\r\n".to_owned(),
        format!("Authorization: Bearer {token}x\r\n"),
        format!("Authorization: Bearer {}\r\n", "x".repeat(20_000)),
        format!("Cookie: token={token}\r\n"),
    ] {
        let answer = post(blender, &format!("{authorization}Content-Type: application/json\r\n"), &intrusion)?;
        ensure!(answer.code == 401, "{authorization:?}: {}", answer.head);
        ensure!(answer.head.contains("www-authenticate: bearer"), "{}", answer.head);
        ensure!(
            answer.json()?["error"].as_str().is_some_and(|said| said.contains("blendwire token")),
            "{}",
            answer.body
        );
    }
    ensure!(blender.result("result = 'intruder' in bpy.app.driver_namespace")? == false, "it ran");
    Ok(())
}

/// The body of an answer that came in chunks.
pub(crate) fn unchunked(mut body: &str) -> Result<String> {
    let mut text = String::new();
    loop {
        let (length, rest) = body.split_once("\r\n").context("no length")?;
        let length = usize::from_str_radix(length, 16)?;
        if length == 0 {
            return Ok(text);
        }
        text.push_str(rest.get(..length).context("cut off")?);
        body = rest.get(length + 2..).context("cut off")?;
    }
}

fn events(blender: &mut Blender) -> Result<()> {
    let script = "import blendwire\nfor i in range(3):\n    print('line', i, 'é\\n')\nblendwire.progress(0.5, 'half')\nresult = 'end'";
    let headers = format!("{}Content-Type: application/json\r\nAccept: text/event-stream\r\n", bearer(blender)?);
    let answer = post(blender, &headers, &json!({"code": script, "id": "a"}).to_string())?;
    ensure!(answer.code == 200 && answer.head.contains("content-type: text/event-stream"), "{}", answer.head);
    let text = unchunked(&answer.body)?;
    let fields = |name: &str| -> Vec<String> {
        text.lines().filter_map(|line| line.strip_prefix(name).map(str::to_owned)).collect()
    };
    let (names, data) = (fields("event: "), fields("data: "));
    ensure!(names.first().is_some_and(|name| name == "queued") && names.contains(&"started".to_owned()), "{names:?}");
    ensure!(names.contains(&"progress".to_owned()) && names.last().is_some_and(|name| name == "reply"), "{names:?}");
    let data: Vec<Value> = data.iter().map(|text| serde_json::from_str(text)).collect::<Result<_, _>>()?;
    let told: String =
        data.iter().filter(|event| event["event"] == "output").filter_map(|event| event["text"].as_str()).collect();
    let reply = data.last().context("no reply")?;
    ensure!(reply["result"] == "end" && reply["stdout"] == told.as_str() && reply["id"] == "a", "{reply}");
    Ok(())
}

fn metrics(blender: &mut Blender) -> Result<()> {
    let read = |name: &str| -> Result<f64> {
        let (code, text) = http(blender.port, "GET /metrics", "")?;
        ensure!(code == 200 && text.ends_with("# EOF\n"), "{text}");
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).unwrap_or("0");
        Ok(line.parse()?)
    };
    let names = [
        "blendwire_executed_total{outcome=\"ok\"}",
        "blendwire_executed_total{outcome=\"python_exception\"}",
        "blendwire_run_duration_seconds_count",
        "blendwire_queue_duration_seconds_count",
        "blendwire_request_duration_seconds_count",
    ];
    let before = names.iter().map(|name| read(name)).collect::<Result<Vec<_>>>()?;
    blender.result("import time\ntime.sleep(0.2)")?;
    ensure!(blender.wire()?.execute("1 / 0")?["status"] == "error");
    let after = names.iter().map(|name| read(name)).collect::<Result<Vec<_>>>()?;
    let more: Vec<f64> = after.iter().zip(&before).map(|(after, before)| after - before).collect();
    ensure!(more == [1.0, 1.0, 2.0, 2.0, 2.0], "{more:?}");
    ensure!(read("blendwire_run_duration_seconds_sum")? >= 0.2);
    ensure!(read("blendwire_ready")? > 0.0 && read("blendwire_uptime_seconds")? > 0.0);
    Ok(())
}

fn wrong(blender: &mut Blender) -> Result<()> {
    let token = bearer(blender)?;
    let as_json = format!("{token}Content-Type: application/json\r\n");
    let script = json!({"code": "result = 1"}).to_string();
    for (headers, body, code, words) in [
        (as_json.clone(), "{".to_owned(), 400, "not valid JSON"),
        (as_json.clone(), "[1]".to_owned(), 400, "JSON object"),
        (as_json.clone(), "{}".to_owned(), 400, "\\\"code\\\""),
        (as_json.clone(), json!({"type": "dance"}).to_string(), 400, "unknown request type"),
        (as_json.clone(), json!({"type": "hello", "protocol_version": 1}).to_string(), 400, "Authorization"),
        (token.clone(), script.clone(), 415, "application/json"),
        (format!("{token}Content-Type: text/plain\r\n"), script.clone(), 415, "application/json"),
        (format!("{as_json}Upgrade: websocket\r\n"), script.clone(), 400, "WebSocket"),
        (format!("{as_json}Host: other\r\n"), script.clone(), 400, "contradict"),
    ] {
        let answer = post(blender, &headers, &body)?;
        ensure!(
            answer.code == code && answer.body.contains(words),
            "{headers:?} {body:?}: {} {}",
            answer.head,
            answer.body
        );
    }
    // Both lengths, and a second request behind the shorter one: one of them counts, and nothing is read behind it.
    for (first, second) in
        [("Content-Length: 6", "Transfer-Encoding: chunked"), ("Transfer-Encoding: chunked", "Content-Length: 6")]
    {
        let smuggled = "GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n";
        let body = format!("{:x}\r\n{script}\r\n0\r\n\r\n{smuggled}", script.len());
        let head = format!("POST /execute HTTP/1.1\r\nHost: localhost\r\n{as_json}{first}\r\n{second}\r\n\r\n");
        let answer = raw(blender, format!("{head}{body}").as_bytes())?;
        ensure!(!answer.body.contains("HTTP/1.1") && answer.head.contains("connection: close"), "{}", answer.body);
    }
    let huge = format!("POST /execute HTTP/1.1\r\nHost: localhost\r\n{as_json}Content-Length: 1073741824\r\n\r\n{{");
    let answer = raw(blender, huge.as_bytes())?;
    ensure!(answer.code == 413 && answer.body.contains("64") | answer.body.contains("67108864"), "{}", answer.body);
    let long_head = format!("GET /health HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "x".repeat(100_000));
    ensure!(raw(blender, long_head.as_bytes())?.code == 431);
    for (request, code) in [
        ("GET /execute", 405),
        ("PUT /execute", 405),
        ("DELETE /status", 405),
        ("GET /", 404),
        ("GET /../etc/passwd", 404),
    ] {
        let (answered, body) = http(blender.port, request, &token)?;
        ensure!(answered == code && body.contains("error"), "{request}: {answered} {body}");
    }
    ensure!(http(blender.port, "GET /health", "")?.0 == 200);
    Ok(())
}

fn large(blender: &mut Blender) -> Result<()> {
    let code = format!("x = '{}'\nresult = x + x", "é".repeat(5_000_000));
    let answer = post_json(blender, &json!({"code": code}))?;
    let reply = answer.json()?;
    ensure!(answer.code == 200 && reply["result"].as_str().map(str::len) == Some(20_000_000), "{}", answer.head);
    ensure!(answer.head.contains(&format!("content-length: {}", answer.body.len())), "{}", answer.head);
    Ok(())
}

fn outcome(blender: &mut Blender) -> Result<()> {
    let gate = Gate::closed(blender.file("left"));
    let code = format!("{}\nresult = 'kept'", gate.wait());
    let body = json!({"code": code, "id": "left"}).to_string();
    let head = format!(
        "POST /execute HTTP/1.1\r\nHost: localhost\r\n{}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        bearer(blender)?,
        body.len()
    );
    let mut wire = Wire::connect(blender.port)?;
    wire.send(format!("{head}{body}").as_bytes())?;
    wait_until("it to run", SOON, || {
        let status = blender.wire().ok()?.answer(&json!({"type": "status"})).ok()?;
        (status["result"]["running"]["id"] == "left").then_some(())
    })?;
    drop(wire);
    gate.open()?;
    let kept = wait_until("its outcome", SOON, || {
        let reply = post_json(blender, &json!({"type": "outcome", "id": "left"})).ok()?.json().ok()?;
        (reply["status"] == "ok").then_some(reply)
    })?;
    ensure!(kept["result"] == "kept" && kept["id"] == "left", "{kept}");
    Ok(())
}

/// Even a page that has stolen the token is a page.
fn web_pages(blender: &mut Blender) -> Result<()> {
    let with_token = format!("{}Content-Type: application/json\r\n", bearer(blender)?);
    let intrusion = json!({"code": "bpy.app.driver_namespace['intruder'] = True"}).to_string();
    for page in [
        "Origin: https://evil.example\r\n",
        "Origin: null\r\n",
        "Origin: http://localhost:9876\r\n",
        "Sec-Fetch-Site: cross-site\r\n",
        "Sec-Fetch-Site: same-origin\r\n",
    ] {
        let answer = post(blender, &format!("{with_token}{page}"), &intrusion)?;
        ensure!(answer.code == 403, "{page:?}: {}", answer.head);
        for path in ["/health", "/status", "/metrics", "/nothing"] {
            let (code, body) = http(blender.port, &format!("GET {path}"), page)?;
            ensure!(code == 403 && !body.contains("endpoints"), "{path} {page:?}: {code} {body}");
        }
    }
    for host in
        ["evil.example", "evil.example:9876", "localhost.evil.example", "127.0.0.1.evil.example", "localhost@evil", ""]
    {
        let request = format!("GET /status HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        let answer = raw(blender, request.as_bytes())?;
        ensure!(answer.code == 403, "{host:?}: {}", answer.head);
    }
    let absolute = "GET http://evil.example/status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    ensure!(raw(blender, absolute.as_bytes())?.code == 403);
    for host in ["localhost", "LOCALHOST:1", "127.0.0.1:9876", "[::1]", "192.168.7.7:80"] {
        let request = format!("GET /health HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        ensure!(raw(blender, request.as_bytes())?.code == 200, "{host}");
    }
    // A person who types the address into a browser.
    ensure!(http(blender.port, "GET /health", "Sec-Fetch-Site: none\r\n")?.0 == 200);
    ensure!(blender.result("result = 'intruder' in bpy.app.driver_namespace")? == false, "it ran");
    Ok(())
}
