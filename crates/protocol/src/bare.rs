// SPDX-License-Identifier: GPL-3.0-or-later
//! The dialect of mcp-for-blender, whose MCP server shares the port with ours: bare JSON, without any terminator.
//!
//! A request is `{"type": …, "params": {…}}`, a reply `{"status": "success", "result": …}` or
//! `{"status": "error", "message": …}`. Its client parses what it has after each read, so that one byte behind the
//! closing brace makes it wait in vain. What it can ask is known by name here; only its core is served.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::reply::{EncodedReply, Reply, text_key};

/// Version of that client's protocol that this server is compatible with, as its `get_addon_info` states it: that of
/// mcp-for-blender 2.2.4, which asks the user to install its own add-on when it finds a lower one.
pub const BARE_PROTOCOL_VERSION: u32 = 15;

/// Commands that are answered with what they ask for.
const SERVED: [&str; 7] = [
    "execute_code",
    "get_addon_info",
    "get_object_info",
    "get_scene_info",
    "get_telemetry_consent",
    "get_viewport_screenshot",
    "set_telemetry_consent",
];

/// Services that its add-on can fetch models from, by the name in `get_…_status`.
const SERVICES: [(&str, &str); 7] = [
    ("hunyuan3d", "Hunyuan3D"),
    ("hyper3d", "Hyper3D Rodin"),
    ("meshy", "Meshy"),
    ("polyhaven", "Poly Haven"),
    ("polypizza", "Poly Pizza"),
    ("sketchfab", "Sketchfab"),
    ("tripo", "Tripo"),
];

/// The other commands of its add-on.
const NOT_SERVED: [&str; 25] = [
    "bpy_api_lookup",
    "create_hunyuan_job",
    "create_meshy_job",
    "create_rodin_job",
    "describe_node_type",
    "download_polyhaven_asset",
    "download_polypizza_model",
    "download_sketchfab_model",
    "drain_human_activity",
    "export_scene",
    "get_polyhaven_asset_preview",
    "get_polyhaven_categories",
    "get_sketchfab_model_preview",
    "get_world_state_snapshot",
    "import_generated_asset",
    "import_generated_asset_hunyuan",
    "import_generated_asset_meshy",
    "list_scene_items",
    "pick_viewport_object",
    "poll_hunyuan_job_status",
    "poll_meshy_job_status",
    "poll_rodin_job_status",
    "refine_meshy_job",
    "search_polyhaven_assets",
    "search_sketchfab_models",
];

/// Types of framed requests. One whose terminator is late must not be taken for a bare one, whatever else it holds.
const FRAMED: [&str; 8] = ["cancel", "execute", "hello", "outcome", "ping", "redo", "status", "undo"];

/// A request of that client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BareRequest {
    /// `get_addon_info`: names, versions, capabilities.
    AddonInfo,
    /// `get_…_status`: whether that service, named as people know it, is switched on.
    ServiceStatus(&'static str),
    /// `get_telemetry_consent`.
    TelemetryConsent,
    /// `set_telemetry_consent`.
    SetTelemetryConsent(bool),
    /// `ping`.
    Ping,
    /// `get_scene_info`.
    SceneInfo,
    /// `get_object_info`, with the name of the object.
    ObjectInfo(String),
    /// `get_viewport_screenshot`.
    Screenshot(BareScreenshot),
    /// `execute_code`, with the source text.
    ExecuteCode(String),
    /// A command that this server does not serve.
    Other(String),
}

/// What `get_viewport_screenshot` asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BareScreenshot {
    /// Longest side in pixels. 800 is what its own add-on takes when it is not told.
    #[serde(default = "usual_size")]
    pub max_size: std::num::NonZeroU32,
    /// The file that the picture is written to.
    pub filepath: String,
    /// The kind of file, as an extension.
    #[serde(default = "usual_format")]
    pub format: String,
}

fn usual_size() -> std::num::NonZeroU32 {
    const { std::num::NonZeroU32::new(800).expect("not zero") }
}

fn usual_format() -> String {
    "png".to_owned()
}

/// Why a message is no request, in words for the person behind the client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadBareRequest {
    /// What came does not begin with a brace, so that its end cannot be told.
    #[error("a request is a JSON object such as {{\"type\": \"get_scene_info\", \"params\": {{}}}}; this is none")]
    NotAnObject,
    /// The text is not JSON.
    #[error("the request is not valid JSON: {0}; send one object: {{\"type\": …, \"params\": {{…}}}}")]
    NotJson(String),
    /// `type` is missing or no string.
    #[error("the request has no \"type\" that is a string; send one of {}", SERVED.join(", "))]
    NoType,
    /// The parameters are not those of the command.
    #[error("\"{command}\" cannot be done with these \"params\": {says}")]
    BadParams {
        /// The command.
        command: String,
        /// What is wrong with them.
        says: String,
    },
}

/// The keys that are read; all others are skipped.
#[derive(Deserialize)]
struct Wire<'a> {
    r#type: Option<Value>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
    code: Option<serde::de::IgnoredAny>,
}

/// Whether `text`, one object that came without a terminator, has the shape of that client's requests and not of a
/// framed request whose terminator is still to come.
pub fn is_bare(text: &[u8]) -> bool {
    // Serde would take a list of the values too.
    if !text.starts_with(b"{") {
        return false;
    }
    let Ok(Wire { r#type, params, code }) = serde_json::from_slice(text) else { return false };
    let name = r#type.as_ref().and_then(Value::as_str).unwrap_or_default();
    let has_params = params.is_some_and(|params| params.get().starts_with('{'));
    code.is_none() && !FRAMED.contains(&name) && (has_params || is_its_command(name))
}

fn is_its_command(name: &str) -> bool {
    SERVED.contains(&name) || NOT_SERVED.contains(&name) || service(name).is_some()
}

/// The service whose status the command `name` asks for.
fn service(name: &str) -> Option<&'static str> {
    let name = name.strip_prefix("get_")?.strip_suffix("_status")?;
    SERVICES.iter().find(|(service, _)| *service == name).map(|(_, label)| *label)
}

impl BareRequest {
    /// Names of the commands that are served, for `get_addon_info` and for messages.
    pub const SERVED: &'static [&'static str] = &SERVED;

    /// Parses the text of one message.
    ///
    /// # Errors
    /// [`BadBareRequest`], whose text is what the client is told.
    pub fn parse(text: &[u8]) -> Result<Self, BadBareRequest> {
        if !text.starts_with(b"{") {
            return Err(BadBareRequest::NotAnObject);
        }
        // Serde looks only at the strings that are read.
        if let Err(error) = std::str::from_utf8(text) {
            return Err(BadBareRequest::NotJson(format!("byte {} is not UTF-8", error.valid_up_to())));
        }
        let wire: Wire = serde_json::from_slice(text).map_err(|error| BadBareRequest::NotJson(error.to_string()))?;
        let Some(Value::String(command)) = wire.r#type else { return Err(BadBareRequest::NoType) };
        let params = wire.params.map_or("{}", RawValue::get);
        Ok(match command.as_str() {
            "get_addon_info" => Self::AddonInfo,
            "get_telemetry_consent" => Self::TelemetryConsent,
            "set_telemetry_consent" => {
                #[derive(Deserialize)]
                struct Params {
                    #[serde(default)]
                    consent: bool,
                }
                Self::SetTelemetryConsent(read::<Params>(&command, params)?.consent)
            }
            "ping" => Self::Ping,
            "get_scene_info" => Self::SceneInfo,
            "get_object_info" => {
                #[derive(Deserialize)]
                struct Params {
                    name: String,
                }
                Self::ObjectInfo(read::<Params>(&command, params)?.name)
            }
            "get_viewport_screenshot" => Self::Screenshot(read(&command, params)?),
            "execute_code" => {
                #[derive(Deserialize)]
                struct Params {
                    code: String,
                }
                Self::ExecuteCode(read::<Params>(&command, params)?.code)
            }
            _ => match service(&command) {
                Some(label) => Self::ServiceStatus(label),
                None => Self::Other(command),
            },
        })
    }
}

fn read<T: DeserializeOwned>(command: &str, params: &str) -> Result<T, BadBareRequest> {
    let bad = |says: String| BadBareRequest::BadParams { command: command.to_owned(), says };
    // Serde would take a list too, its items in the order of our fields.
    if !params.starts_with('{') {
        return Err(bad("they must be an object".to_owned()));
    }
    serde_json::from_str(params).map_err(|error| bad(shortened(&error.to_string())))
}

/// What the parser says, which may quote a whole string of the client's: its beginning, and its end, which tells what
/// was expected and where.
fn shortened(says: &str) -> String {
    const SHOWN_CHARS: usize = 100;
    let starts: Vec<usize> = says.char_indices().map(|(at, _)| at).collect();
    if starts.len() <= 2 * SHOWN_CHARS {
        return says.to_owned();
    }
    format!("{}…{}", &says[..starts[SHOWN_CHARS]], &says[starts[starts.len() - SHOWN_CHARS]..])
}

/// What a script leaves that the client wants as its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BareResult {
    /// The value of `result`.
    Value,
    /// What it printed: the reply to `execute_code`.
    Printed,
}

impl BareResult {
    /// The bytes of `reply`, in the shape that this client knows, without a terminator.
    pub fn encode(self, reply: Reply) -> EncodedReply {
        const ERROR: &[u8] = br#"{"status": "error", "message": "#;
        let (head, body) = match (self, reply) {
            (Self::Value, Reply::Ok { result, .. }) => (br#"{"status": "success", "result": "#.to_vec(), result),
            (Self::Printed, Reply::Ok { stdout, .. }) => {
                let head = br#"{"status": "success", "result": {"executed": true, "result": "#;
                (text_key(head, &stdout), b"}".to_vec())
            }
            (_, Reply::Refused { message, .. }) => (text_key(ERROR, &message), Vec::new()),
            (Self::Value, Reply::Raised { message, .. }) => (text_key(ERROR, problem(&message)), Vec::new()),
            (Self::Printed, Reply::Raised { message, stdout, .. }) => {
                (text_key(ERROR, &raised(&message, &stdout)), Vec::new())
            }
        };
        EncodedReply { pieces: [head.into(), body.into(), "}".into(), "".into()] }
    }
}

/// Scripts of ours raise `Problem` for what the caller can mend; anything else is a defect, and its traceback tells.
fn problem(traceback: &str) -> &str {
    match exception(traceback) {
        Some(("Problem", words)) => words,
        _ => traceback,
    }
}

/// What that client unpacks to show an error of sent code: JSON inside the message.
fn raised(traceback: &str, stdout: &str) -> String {
    let (kind, message) = exception(traceback).unwrap_or(("Error", traceback.trim_end()));
    let detail = serde_json::json!({
        "exception_type": kind, "message": message, "traceback": traceback, "stdout": stdout,
    });
    detail.to_string()
}

/// The exception's name, without its module, and its text, from a traceback as Python prints it.
fn exception(traceback: &str) -> Option<(&str, &str)> {
    const HEADER: &str = "Traceback (most recent call last):\n";
    // Of exceptions that were raised while others were handled the last one counts.
    let last = traceback.rfind(&format!("\n{HEADER}")).map_or(traceback, |at| &traceback[at + 1..]);
    let frames = last.strip_prefix(HEADER).unwrap_or(last);
    let stack: usize = frames.split_inclusive('\n').take_while(|line| line.starts_with(' ')).map(str::len).sum();
    let words = frames[stack..].trim_end();
    let (path, message) = words.split_once(": ").unwrap_or((words, ""));
    let is_name = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || "_.".contains(c));
    is_name(path).then(|| (path.rsplit('.').next().unwrap_or(path), message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorCode;
    use proptest::prelude::*;
    use serde_json::json;

    fn encoded(wanted: BareResult, reply: Reply) -> Value {
        let bytes = wanted.encode(reply).pieces.concat();
        assert_eq!(bytes.last(), Some(&b'}'), "nothing may follow the closing brace");
        serde_json::from_slice(&bytes).unwrap()
    }

    fn refusal(text: &[u8]) -> String {
        BareRequest::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn its_shape_is_told_from_framed_requests() {
        for bare in [
            &br#"{"type": "get_scene_info", "params": {}}"#[..],
            br#"{"type": "get_scene_info"}"#,
            br#"{"type": "get_meshy_status"}"#,
            br#"{"type": "search_sketchfab_models", "params": null}"#,
            br#"{"type": "execute_code", "params": {"code": "x"}}"#,
            br#"{"type": "from_a_later_version", "params": {}}"#,
            br#"{"params": {}}"#,
        ] {
            assert!(is_bare(bare), "{}", String::from_utf8_lossy(bare));
        }
        for framed in [
            &br#"{"type": "execute", "code": "x"}"#[..],
            br#"{"type": "execute", "code": "x", "params": {}}"#,
            br#"{"type": "execute", "params": {}}"#,
            br#"{"type": "ping", "params": {}}"#,
            br#"{"type": "status"}"#,
            br#"{"type": "outcome", "id": 1}"#,
            br#"{"type": "unheard_of"}"#,
            br#"{"type": "unheard_of", "params": [1]}"#,
            br#"{"code": "x", "params": {}}"#,
            br#"{"params": {}, }"#,
            b"{}",
        ] {
            assert!(!is_bare(framed), "{}", String::from_utf8_lossy(framed));
        }
    }

    #[test]
    fn requests_as_its_server_sends_them() {
        let parse = |text: &str| BareRequest::parse(text.as_bytes()).unwrap();
        assert_eq!(parse(r#"{"type": "get_addon_info", "params": {}}"#), BareRequest::AddonInfo);
        assert_eq!(parse(r#"{"type": "get_hyper3d_status"}"#), BareRequest::ServiceStatus("Hyper3D Rodin"));
        let shot =
            r#"{"type": "get_viewport_screenshot", "params": {"max_size": 9, "filepath": "a", "format": "png"}}"#;
        let Ok(BareRequest::Screenshot(shot)) = BareRequest::parse(shot.as_bytes()) else { panic!("no screenshot") };
        assert_eq!((shot.max_size.get(), shot.filepath.as_str(), shot.format.as_str()), (9, "a", "png"));
        let code = r#"{"type": "execute_code", "params": {"code": "a\nb", "later": 1}}"#;
        assert_eq!(parse(code), BareRequest::ExecuteCode("a\nb".to_owned()));
        assert_eq!(parse(r#"{"type": "x", "params": {"y": [1]}}"#), BareRequest::Other("x".to_owned()));
        assert_eq!(parse(r#"{"type": "ping"}"#), BareRequest::Ping);
    }

    #[test]
    fn each_refusal_says_what_was_wrong() {
        assert!(refusal(b"hello").contains("a request is a JSON object"));
        assert!(refusal(b"{\"type\": }").contains("not valid JSON: expected value"));
        assert!(refusal(b"{\"type\": \"\xff\"}").contains("not valid JSON"));
        assert!(refusal(b"{\"type\": 5}").contains("get_scene_info"));
        assert!(refusal(br#"{"type": "get_object_info", "params": {}}"#).contains("missing field `name`"));
        assert!(refusal(br#"{"type": "get_object_info", "params": []}"#).contains("\"get_object_info\""));
        assert!(refusal(br#"{"type": "execute_code", "params": ["x"]}"#).contains("must be an object"));
        // Not all of a long value comes back.
        let long = format!(r#"{{"type": "set_telemetry_consent", "params": {{"consent": "{}"}}}}"#, "é".repeat(999));
        let long = refusal(long.as_bytes());
        assert!(long.contains("é…") && long.contains("expected a boolean") && long.len() < 500, "{long}");
        let no_size = br#"{"type": "get_viewport_screenshot", "params": {"max_size": 0, "filepath": "a"}}"#;
        assert!(refusal(no_size).contains("nonzero"));
    }

    #[test]
    fn no_command_is_listed_twice() {
        let mut names: Vec<&str> = SERVED.iter().chain(&NOT_SERVED).chain(&FRAMED).copied().collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]));
    }

    #[test]
    fn replies_have_its_shape() {
        let ok = || Reply::Ok { result: b"[1]".to_vec(), stdout: "out\n".to_owned() };
        assert_eq!(encoded(BareResult::Value, ok()), json!({"status": "success", "result": [1]}));
        let printed = json!({"status": "success", "result": {"executed": true, "result": "out\n"}});
        assert_eq!(encoded(BareResult::Printed, ok()), printed);
        let refused = encoded(BareResult::Value, Reply::refused(ErrorCode::Busy, "no"));
        assert_eq!(refused, json!({"status": "error", "message": "no"}));
    }

    fn raises(message: &str) -> Reply {
        let code = ErrorCode::PythonException;
        Reply::Raised { message: message.to_owned(), stdout: "p".to_owned(), code, exception: None }
    }

    #[test]
    fn an_error_of_sent_code_is_json_inside_the_message() {
        let traceback = "Traceback (most recent call last):\n  File \"<request 1>\", line 1\nbpy.x.Odd: why\n  so: y\n";
        let reply = encoded(BareResult::Printed, raises(traceback));
        let detail: Value = serde_json::from_str(reply["message"].as_str().unwrap()).unwrap();
        assert_eq!(
            detail,
            json!({"exception_type": "Odd", "message": "why\n  so: y", "traceback": traceback, "stdout": "p"})
        );
        let other: Value = encoded(BareResult::Printed, raises("the server was stopped: really"));
        assert!(other["message"].as_str().unwrap().contains(r#""exception_type":"Error""#), "{other}");
    }

    #[test]
    fn a_problem_is_told_in_its_own_words_and_a_defect_with_its_traceback() {
        let known =
            "Traceback (most recent call last):\n  File \"x\", line 1, in main\nProblem: no object \"A\": none\n";
        assert_eq!(encoded(BareResult::Value, raises(known))["message"], "no object \"A\": none");
        let defect = "Traceback (most recent call last):\n  File \"x\", line 1, in main\nKeyError: 'a'\n";
        assert_eq!(encoded(BareResult::Value, raises(defect))["message"], defect);
    }

    #[test]
    fn exceptions_are_found_in_every_kind_of_traceback() {
        let syntax = "  File \"<request 1>\", line 1\n    x = = 1\n        ^\nSyntaxError: invalid syntax\n";
        assert_eq!(exception(syntax), Some(("SyntaxError", "invalid syntax")));
        let chained = "Traceback (most recent call last):\n  a\nKeyError: 'a'\n\nDuring handling of the above exception, \
            another exception occurred:\n\nTraceback (most recent call last):\n  b\nAssertionError\n";
        assert_eq!(exception(chained), Some(("AssertionError", "")));
        assert_eq!(exception("no traceback"), None);
        assert_eq!(exception(""), None);
    }

    proptest! {
        #[test]
        fn random_text_never_hurts(text in "[{\"type:params,é \\n}]{0,60}") {
            let _ = is_bare(text.as_bytes());
            let _ = BareRequest::parse(text.as_bytes());
            prop_assert!(encoded(BareResult::Printed, raises(&text)).is_object());
            prop_assert!(encoded(BareResult::Value, raises(&text)).is_object());
        }

        #[test]
        fn however_the_bytes_are_cut_the_messages_are_the_same(
            codes in proptest::collection::vec("[ -~\\n]{0,30}", 1..8),
            cuts in proptest::collection::vec(1_usize..9, 1..60),
        ) {
            let message = |code: &String| json!({"type": "execute_code", "params": {"code": code}}).to_string();
            let stream: String = codes.iter().map(message).collect();
            let (mut decoder, mut buffer) = (crate::Decoder::new(1 << 16), bytes::BytesMut::new());
            let (mut found, mut rest) = (Vec::new(), stream.as_bytes());
            for cut in cuts.iter().cycle() {
                if rest.is_empty() { break; }
                let (now, later) = rest.split_at((*cut).min(rest.len()));
                buffer.extend_from_slice(now);
                rest = later;
                while let Some(text) = decoder.decode_bare(&mut buffer).unwrap() {
                    prop_assert!(is_bare(&text));
                    let Ok(BareRequest::ExecuteCode(code)) = BareRequest::parse(&text) else { panic!("no code") };
                    found.push(code);
                }
            }
            prop_assert_eq!(found, codes);
        }
    }
}
