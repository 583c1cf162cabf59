// SPDX-License-Identifier: GPL-3.0-or-later
//! The kept corpus: `seeds.json`, and the test vectors of the protocol. Git holds no NUL, so bytes are written as in
//! the vectors, one character each (U+0000 to U+00FF). `tests/properties.rs` tries each, and `cargo xtask fuzz` gives
//! them to the fuzzer as files.

use serde_json::Value;

/// One input of one target.
pub(crate) struct Seed {
    /// Name of the target, as its file has it.
    pub(crate) target: String,
    /// What it shows, in words.
    pub(crate) name: String,
    /// What the target gets.
    pub(crate) data: Vec<u8>,
}

/// All seeds of all targets.
pub(crate) fn seeds() -> Vec<Seed> {
    let kept = entries(include_str!("seeds.json")).into_iter().map(|entry| seed(&entry));
    let frames = entries(include_str!("../vectors/frames.json")).into_iter().map(|entry| {
        let limit = entry["limit"].as_u64().and_then(|limit| u8::try_from(limit).ok()).unwrap_or_default();
        let pieces = entry["pieces"].as_array().cloned().unwrap_or_default();
        let stream = pieces.iter().flat_map(bytes);
        Seed {
            target: "frame_decoder".to_owned(),
            name: name(&entry),
            data: [limit, 1].into_iter().chain(stream).collect(),
        }
    });
    let requests = entries(include_str!("../vectors/requests.json")).into_iter().map(|entry| {
        let data = std::iter::once(1).chain(bytes(&entry["text"])).collect();
        Seed { target: "request_parser".to_owned(), name: name(&entry), data }
    });
    kept.chain(frames).chain(requests).collect()
}

/// A seed as `seeds.json` writes it.
pub(crate) fn seed(entry: &Value) -> Seed {
    let target = entry["target"].as_str().unwrap_or_default().to_owned();
    Seed { target, name: name(entry), data: bytes(&entry["data"]) }
}

/// The entries of a file of seeds or vectors.
pub(crate) fn entries(text: &str) -> Vec<Value> {
    serde_json::from_str(text).unwrap_or_default()
}

fn name(entry: &Value) -> String {
    entry["name"].as_str().unwrap_or_default().to_owned()
}

fn bytes(text: &Value) -> Vec<u8> {
    text.as_str().unwrap_or_default().chars().filter_map(|c| u8::try_from(u32::from(c)).ok()).collect()
}
