// SPDX-License-Identifier: GPL-3.0-or-later
//! What the fuzzer looks for (`cargo xtask fuzz`), tried here with the kept corpus and with random messages, so that it
//! holds on every machine and with a stable compiler.

#[path = "../fuzz/corpus.rs"]
mod corpus;
#[path = "../fuzz/properties/mod.rs"]
mod properties;

use std::time::{Duration, Instant};

use blendwire_protocol::{BareRequest, Decoder, ErrorCode, Request, is_bare};
use bytes::BytesMut;
use proptest::prelude::*;
use proptest::sample::select;

#[test]
fn the_kept_corpus_holds() {
    let seeds = corpus::seeds();
    for target in ["frame_decoder", "request_parser", "bare_requests"] {
        assert!(seeds.iter().any(|seed| seed.target == target), "no seed for {target}");
    }
    for corpus::Seed { target, name, data } in seeds {
        println!("{target}: {name}");
        match target.as_str() {
            "frame_decoder" => properties::frame_decoder(&data),
            "request_parser" => properties::request_parser(&data),
            "bare_requests" => properties::bare_requests(&data),
            other => panic!("{name}: there is no target {other}"),
        }
    }
}

/// Deep nesting must cost neither the stack nor time: it is refused where it would be kept, skipped where it would not.
#[test]
fn a_hundred_thousand_brackets_are_refused_quickly() {
    const DEEP: usize = 100_000;
    let start = Instant::now();
    let nested = |open: &str, close: &str| format!("{}1{}", open.repeat(DEEP), close.repeat(DEEP));
    for deep in [nested("[", "]"), nested("{\"x\":", "}"), "[".repeat(DEEP), "{\"x\":".repeat(DEEP)] {
        assert!(Request::parse(deep.as_bytes()).is_err());
        assert!(BareRequest::parse(deep.as_bytes()).is_err());
        for key in ["id", "code", "features"] {
            let text = format!(r#"{{"type": "ping", "{key}": {deep}}}"#);
            assert_eq!(Request::parse(text.as_bytes()).unwrap_err().why.code(), ErrorCode::BadFrame);
            let mut stream = BytesMut::from(format!("{text}\0").as_bytes());
            assert!(Decoder::new(stream.len()).decode(&mut stream).unwrap().is_some());
        }
        for key in ["type", "name", "consent"] {
            let text = format!(r#"{{"{key}": {deep}, "params": {deep}}}"#);
            assert!(BareRequest::parse(text.as_bytes()).is_err());
            let _ = is_bare(text.as_bytes());
        }
    }
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

/// What messages are made of. Random bytes alone would hardly ever close a brace.
const TOKENS: [&str; 34] = [
    "{",
    "}",
    "[",
    "]",
    "\"",
    "\\",
    ":",
    ",",
    "\n",
    "\0",
    " ",
    "\r",
    "{}",
    "\"a\"",
    "\"type\":",
    "\"ping\"",
    "\"execute\"",
    "\"code\":",
    "\"id\":",
    "\"params\":",
    "\"get_object_info\"",
    "null",
    "true",
    "1",
    "-7",
    "0.5",
    "1e999",
    "\\ud800",
    "é",
    "}\0",
    "}\n",
    "}\n\0",
    "\"name\":",
    "\"stream\":",
];

const KEYS: [&str; 24] = [
    "token",
    "type",
    "type",
    "type",
    "id",
    "code",
    "timeout_secs",
    "stream",
    "title",
    "session",
    "echo",
    "on_error",
    "changes",
    "undo_step",
    "steps",
    "protocol_version",
    "features",
    "params",
    "name",
    "filepath",
    "max_size",
    "consent",
    "x",
    "ty\\u0070e",
];

const VALUES: [&str; 40] = [
    "\"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY\"",
    "null",
    "true",
    "false",
    "0",
    "1",
    "3",
    "1000",
    "-7",
    "1.5",
    "1e300",
    "1e999",
    "\"\"",
    "\" \"",
    "\"a\"",
    "\"é\"",
    "\"\\ud800\"",
    "[]",
    "{}",
    "[\"undo\", \"x\", \"undo\"]",
    "[1]",
    "\"execute\"",
    "\"hello\"",
    "\"cancel\"",
    "\"outcome\"",
    "\"undo\"",
    "\"redo\"",
    "\"status\"",
    "\"ping\"",
    "\"rollback\"",
    "\"keep\"",
    "\"execute_code\"",
    "\"get_object_info\"",
    "\"get_viewport_screenshot\"",
    "\"set_telemetry_consent\"",
    "\"get_meshy_status\"",
    "{\"code\": \"1\"}",
    "{\"name\": \"a\", \"filepath\": \"b\", \"max_size\": 2}",
    "[\"a\"]",
    "{\"consent\": true, \"code\": 1, \"name\": null}",
];

/// Bytes of a stream or a message, from wild to nearly right.
fn message() -> impl Strategy<Value = Vec<u8>> {
    let tokens = proptest::collection::vec(select(&TOKENS[..]), 0..40).prop_map(|tokens| tokens.concat().into_bytes());
    let pair = (select(&KEYS[..]), select(&VALUES[..])).prop_map(|(key, value)| format!("\"{key}\": {value}"));
    let object =
        proptest::collection::vec(pair, 0..7).prop_map(|pairs| format!("{{{}}}", pairs.join(", ")).into_bytes());
    let long = (select(&KEYS[..]), "[a-zé\\\\n]{150,400}").prop_map(|(key, value)| {
        format!("{{\"type\": \"execute\", \"code\": \"\", \"{key}\": \"{value}\", \"params\": \"{value}\"}}")
            .into_bytes()
    });
    prop_oneof![1 => proptest::collection::vec(any::<u8>(), 0..300), 1 => tokens, 3 => object, 1 => long]
}

proptest! {
    #[test]
    fn the_decoder_finds_what_the_document_says(
        limit in prop_oneof![Just(0), any::<u8>()],
        cuts in any::<u8>(),
        messages in proptest::collection::vec((message(), select(&["\0", "\n", "", " \n\0", "}\0"][..])), 0..4),
    ) {
        let mut data = vec![limit, cuts];
        for (message, end) in messages {
            data.extend(message);
            data.extend(end.as_bytes());
        }
        properties::frame_decoder(&data);
    }

    #[test]
    fn requests_are_read_as_they_are_written(order in any::<u8>(), text in message()) {
        properties::request_parser(&[&[order][..], &text].concat());
    }

    #[test]
    fn bare_requests_are_read_as_they_are_written(order in any::<u8>(), text in message()) {
        properties::bare_requests(&[&[order][..], &text].concat());
    }
}
