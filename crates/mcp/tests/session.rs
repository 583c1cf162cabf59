// SPDX-License-Identifier: GPL-3.0-or-later
//! A whole MCP session in this process, with a Blender made of canned answers.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::sync::{Arc, Mutex};

use blendwire_client::{Effects, Event, Outcome, Progress, Script, SentBy};
use blendwire_mcp::{Blender, Call, Launch, NoReply, OnEvent, Server, Travel, revisions};
use blendwire_protocol::{ConsentAnswer, Status};
use rmcp::ServiceExt;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, ReadHalf, WriteHalf};

/// Answers each script with the next outcome and remembers the script.
#[derive(Debug, Default)]
struct Canned {
    outcomes: Mutex<Vec<Outcome>>,
    scripts: Mutex<Vec<String>>,
}

impl Blender for Canned {
    fn run<'a>(&'a self, script: Script<'a>, on_event: Option<OnEvent<'a>>) -> Call<'a, Outcome> {
        self.scripts.lock().unwrap().push(script.code().to_owned());
        let outcome = self.outcomes.lock().unwrap().pop();
        Box::pin(async move {
            if let Some(mut on_event) = on_event {
                for value in [0.25, 0.75, 0.5] {
                    on_event(Event::Progress(Progress { value, message: "baking".to_owned() }));
                    // A Blender takes a moment, in which the client is told.
                    for _ in 0..100 {
                        tokio::task::yield_now().await;
                    }
                }
            }
            outcome.ok_or_else(|| NoReply("nothing listens; run `blendwire launch`".to_owned()))
        })
    }

    fn travel<'a>(&'a self, _way: Travel, _steps: u32, _id: &'a str, _sent_by: SentBy<'a>) -> Call<'a, Outcome> {
        Box::pin(async { Err(NoReply("nothing listens; run `blendwire launch`".to_owned())) })
    }

    fn consent<'a>(&'a self, _id: &'a str, _answer: ConsentAnswer) -> Call<'a, ()> {
        Box::pin(async { Err(NoReply("nothing waits for consent".to_owned())) })
    }

    fn status(&self) -> Call<'_, Status> {
        Box::pin(async { Err(NoReply("nothing listens; run `blendwire launch`".to_owned())) })
    }
}

/// Answers nothing, ever.
#[derive(Debug)]
struct Endless;

impl Blender for Endless {
    fn run<'a>(&'a self, _script: Script<'a>, _on_event: Option<OnEvent<'a>>) -> Call<'a, Outcome> {
        Box::pin(std::future::pending())
    }

    fn travel<'a>(&'a self, _way: Travel, _steps: u32, _id: &'a str, _sent_by: SentBy<'a>) -> Call<'a, Outcome> {
        Box::pin(std::future::pending())
    }

    fn consent<'a>(&'a self, _id: &'a str, _answer: ConsentAnswer) -> Call<'a, ()> {
        Box::pin(std::future::pending())
    }

    fn status(&self) -> Call<'_, Status> {
        Box::pin(async { Err(NoReply("it is silent".to_owned())) })
    }

    fn launch(&self, _launch: Launch) -> Call<'_, Status> {
        Box::pin(std::future::pending())
    }
}

fn finished(result: &str) -> Outcome {
    let result = RawValue::from_string(result.to_owned()).unwrap();
    Outcome::Finished { result, stdout: String::new(), effects: Effects::default() }
}

struct Session {
    reader: BufReader<ReadHalf<DuplexStream>>,
    writer: WriteHalf<DuplexStream>,
}

impl Session {
    async fn begin(blender: Arc<dyn Blender>, version: &str) -> (Self, Value) {
        let (ours, theirs) = tokio::io::duplex(1 << 20);
        tokio::spawn(async move { Server::new(blender).serve(theirs).await.unwrap().waiting().await });
        let (reader, writer) = tokio::io::split(ours);
        let mut session = Self { reader: BufReader::new(reader), writer };
        let client =
            json!({"protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
        let greeting = session.request("initialize", &client).await;
        session.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await;
        (session, greeting)
    }

    async fn send(&mut self, message: &Value) {
        self.writer.write_all(format!("{message}\n").as_bytes()).await.unwrap();
    }

    async fn request(&mut self, method: &str, params: &Value) -> Value {
        self.send(&json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})).await;
        self.next().await
    }

    async fn next(&mut self) -> Value {
        let mut line = String::new();
        self.reader.read_line(&mut line).await.unwrap();
        serde_json::from_str(&line).unwrap()
    }

    async fn call(&mut self, name: &str, arguments: Value) -> Value {
        self.request("tools/call", &json!({"name": name, "arguments": arguments})).await
    }
}

async fn session(outcomes: Vec<Outcome>) -> (Session, Arc<Canned>) {
    let blender = Arc::new(Canned { outcomes: Mutex::new(outcomes), scripts: Mutex::default() });
    (Session::begin(blender.clone(), "2025-11-25").await.0, blender)
}

#[tokio::test]
async fn every_revision_is_negotiated() {
    // Later ones know no session: those are in front of real Blenders, in `tests/`.
    let with_session: Vec<_> = revisions().into_iter().filter(|version| version.as_str() < "2026-07-28").collect();
    assert!(with_session.len() >= 4, "{with_session:?}");
    for version in with_session {
        let (_, greeting) = Session::begin(Arc::new(Canned::default()), &version).await;
        assert_eq!(greeting["result"]["protocolVersion"], version);
        assert_eq!(greeting["result"]["serverInfo"]["name"], "blendwire");
        assert!(greeting["result"]["instructions"].as_str().unwrap().contains("execute_blender_code"));
    }
}

/// Clients give up after a minute, some of them.
#[tokio::test(start_paused = true)]
async fn a_call_without_end_is_a_job_before_clients_give_up() {
    let (mut session, _) = Session::begin(Arc::new(Endless), "2025-11-25").await;
    let calls = [
        ("execute_blender_code", json!({"code": "while True: pass"}), "unknown"),
        ("undo", json!({}), "unknown"),
        ("render_image", json!({}), "unknown"),
        ("launch_blender", json!({}), "still running"),
    ];
    for (tool, arguments, after) in calls {
        let before = tokio::time::Instant::now();
        let called = session.call(tool, arguments).await;
        let waited = before.elapsed().as_secs();
        let unfinished = &called["result"]["structuredContent"];
        assert_eq!((unfinished["status"].as_str(), waited), (Some("running"), 45), "{tool}: {called}");
        let cancelled = session.call("cancel_job", json!({"job": unfinished["job"]})).await;
        let told = &cancelled["result"]["structuredContent"];
        // A request was sent whose end nobody knows; a start of Blender goes on.
        assert_eq!(told["status"], after, "{tool}: {cancelled}");
        assert!(told["message"].as_str().is_some_and(|message| !message.is_empty()), "{tool}: {cancelled}");
    }
}

#[tokio::test]
async fn tools_are_listed_without_touching_blender() {
    let (mut session, blender) = session(Vec::new()).await;
    let listed = session.request("tools/list", &json!({})).await;
    let tools = listed["result"]["tools"].as_array().unwrap();
    assert_eq!(tools.len(), blendwire_mcp::tool_definitions().len());
    assert!(blender.scripts.lock().unwrap().is_empty());
}

#[tokio::test]
async fn code_brings_its_result_as_structure() {
    let (mut session, blender) = session(vec![finished("{\"x\":1}")]).await;
    let reply = session.call("execute_blender_code", json!({"code": "result = {'x': 1}"})).await;
    let expected = json!({"status": "ok", "result": {"x": 1}, "stdout": ""});
    assert_eq!(reply["result"]["structuredContent"], expected);
    assert_eq!(reply["result"]["isError"], false);
    assert_eq!(blender.scripts.lock().unwrap()[0], "result = {'x': 1}");
}

#[tokio::test]
async fn progress_is_told_to_a_client_that_wants_it_and_only_ever_rises() {
    let (mut session, _) = session(vec![finished("null")]).await;
    let params = json!({"name": "execute_blender_code", "arguments": {"code": "x"}, "_meta": {"progressToken": "p"}});
    session.send(&json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})).await;
    let mut told = Vec::new();
    loop {
        let message = session.next().await;
        if message.get("result").is_some() {
            break;
        }
        assert_eq!(message["method"], "notifications/progress");
        assert_eq!(
            (&message["params"]["progressToken"], &message["params"]["message"]),
            (&"p".into(), &"baking".into())
        );
        told.push(message["params"]["progress"].as_f64().unwrap());
    }
    assert_eq!(told, [0.25, 0.75]);
}

#[tokio::test]
async fn an_integer_too_large_for_us_keeps_its_digits_and_the_rest_its_form() {
    let digits = "1".repeat(400);
    let (mut session, _) = session(vec![finished(&format!(r#"{{"a": {digits}, "b": 1}}"#))]).await;
    let reply = session.call("execute_blender_code", json!({"code": "result = {'a': big, 'b': 1}"})).await;
    assert_eq!(reply["result"]["structuredContent"]["result"], json!({"a": digits, "b": 1}));
}

#[tokio::test]
async fn a_python_error_is_a_tool_error_with_traceback_and_output() {
    let effects = Effects { rolled_back: Some(true), ..Effects::default() };
    let message = "Traceback…\nZeroDivisionError".into();
    let raised =
        Outcome::Failed { message, stdout: Some("so far".into()), effects, code: None, is_still_running: false };
    let (mut session, _) = session(vec![raised]).await;
    let reply = session.call("execute_blender_code", json!({"code": "1/0"})).await;
    assert_eq!(reply["result"]["isError"], true);
    let text = reply["result"]["content"][0]["text"].as_str().unwrap();
    assert!(text.starts_with("Traceback…\nZeroDivisionError\n\nPrinted before the error:\nso far\n\n"), "{text}");
    assert!(text.ends_with("Everything that the script did to the file was taken back."), "{text}");
}

#[tokio::test]
async fn an_unreachable_blender_is_a_tool_error_that_says_what_to_do() {
    let (mut session, _) = session(Vec::new()).await;
    for name in ["get_blender_status", "get_objects_summary"] {
        let reply = session.call(name, json!({})).await;
        assert_eq!(reply["result"]["isError"], true);
        assert!(reply["result"]["content"][0]["text"].as_str().unwrap().contains("blendwire launch"));
    }
}

#[tokio::test]
async fn a_snippets_refusal_is_a_tool_error_in_its_own_words() {
    let (mut session, _) = session(vec![finished(r#"{"status": "error", "message": "there is no object"}"#)]).await;
    let reply = session.call("get_object_detail_summary", json!({"name": "Cub"})).await;
    assert_eq!(reply["result"]["isError"], true);
    assert_eq!(reply["result"]["content"][0]["text"], "there is no object");
}

#[tokio::test]
async fn wrong_arguments_are_named() {
    let (mut session, _) = session(Vec::new()).await;
    for (arguments, named) in [
        (json!({"view": "sideways"}), "unknown variant `sideways`"),
        (json!({"width": 5000}), "width must be 1 to 4096 pixels, not 5000"),
        (json!({"size": 1}), "unknown field `size`"),
    ] {
        let reply = session.call("get_viewport_image", arguments).await;
        let text = reply["result"]["content"][0]["text"].as_str().unwrap();
        assert!(text.contains(named), "{text}");
    }
}

#[tokio::test]
async fn a_picture_comes_as_image_with_caption() {
    let picture = r#"{"status": "ok", "view": "front", "shading": "solid", "width": 8, "height": 6,
        "drawn_by": "viewport", "notes": ["a note"], "mime_type": "image/png", "data": "iVBORw0="}"#;
    let (mut session, blender) = session(vec![finished(picture)]).await;
    let reply = session.call("get_viewport_image", json!({"view": "front", "width": 8, "height": 6})).await;
    let content = &reply["result"]["content"];
    assert_eq!(content[0], json!({"type": "image", "data": "iVBORw0=", "mimeType": "image/png"}));
    assert_eq!(content[1]["text"], "front view, solid, 8×6 pixels, drawn by viewport; a note");
    let script = blender.scripts.lock().unwrap()[0].clone();
    assert!(
        script.ends_with(concat!(
            r#"result = main(**json.loads("{\"view\":\"front\",\"width\":8,\"height\":6,\"max_bytes\":700000}"))"#,
            "\n"
        )),
        "{script}"
    );
}

#[tokio::test]
async fn an_unknown_tool_is_answered_with_those_there_are() {
    let (mut session, _) = session(Vec::new()).await;
    let reply = session.call("make_coffee", json!({})).await;
    assert!(reply["error"]["message"].as_str().unwrap().contains("get_viewport_image"));
}
