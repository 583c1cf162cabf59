// SPDX-License-Identifier: GPL-3.0-or-later
//! `execute_blender_code`: runs the model's own Python.

use std::time::Duration;

use blendwire_client::{Options, Outcome};
use rmcp::model::{CallToolResult, JsonObject, Tool};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::{Answer, Failure, ToolEntry, Work, blend_file, edits, output_schema, parameters, read, told, tool};
use crate::caller::Caller;

pub(super) const TOOL: ToolEntry = ToolEntry {
    name: NAME,
    definition,
    work: Work::Call(|caller, arguments| Box::pin(call(caller, arguments))),
    answer: Answer::object::<Ran>(),
};

const NAME: &str = "execute_blender_code";

const DESCRIPTION: &str = "Run Python in Blender and wait for its end. `bpy` is imported; other modules you import. \
    Assign what you want back to `result`: any JSON value; what JSON cannot hold comes as its repr(), integers beyond 64 bits as text. Prints come back \
    as `stdout`, what the script did to the file as `changes`. Variables do not live on between calls; the scene does. \
    On an exception the traceback comes back and what ran before it stays done, unless `rollback` is set. Long scripts \
    can report with `import blendwire; blendwire.progress(0.4, \"baking\")`.";

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Parameters {
    /// Python source, for example: result = [o.name for o in bpy.data.objects]
    code: String,
    /// What it does, in a few words: the user sees it in Blender's undo history
    title: Option<String>,
    /// Take back everything the script did when it raises
    #[serde(default)]
    rollback: bool,
    /// Interrupt it after this many seconds
    timeout_secs: Option<f64>,
    /// Answer after this many seconds at the latest, with a job for `get_job` if it still runs; default 45
    #[serde(default, rename = "wait_secs")]
    _wait_secs: Option<f64>,
    /// Longest answer in bytes; what is longer comes as a resource in pages; default 100000
    #[serde(default, rename = "max_result_bytes")]
    _max_result_bytes: Option<usize>,
    /// Run in a background Blender on this .blend, as saved; the open file stays as it is
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    blend_file: Option<String>,
}

/// What came of it.
#[derive(Serialize, JsonSchema)]
struct Ran {
    status: &'static str,
    /// What the script assigned to `result`
    result: Value,
    stdout: String,
    /// Data-blocks `added`, `removed`, `renamed`, `modified`, by collection of bpy.data
    #[serde(skip_serializing_if = "Option::is_none")]
    changes: Option<Value>,
}

fn definition() -> Tool {
    tool::<Parameters>(NAME, DESCRIPTION, edits())
        .with_raw_output_schema(output_schema(json!({
            "type": "object",
            "properties": {
                "changes": {"type": "object", "description": "Data-blocks `added`, `removed`, `renamed`, `modified`, by collection of bpy.data"},
            },
        })))
}

async fn call(caller: &Caller, arguments: JsonObject) -> Result<CallToolResult, Failure> {
    let Parameters { code, title, rollback, timeout_secs, blend_file, .. } = parameters(arguments)?;
    let timeout = timeout_secs.map(|secs| {
        let timeout = Duration::try_from_secs_f64(secs).ok().filter(|timeout| !timeout.is_zero());
        timeout.ok_or_else(|| Failure(format!("timeout_secs must be a number of seconds above 0, not {secs}")))
    });
    let title = title.as_deref().map(str::trim).filter(|title| !title.is_empty());
    let title: Option<String> = title.map(|title| title.chars().take(LONGEST_TITLE_CHARS).collect());
    let title = title.as_deref();
    let options = Options { timeout: timeout.transpose()?, title, rollback, changes: true, ..Options::default() };
    if let Some(blend_file) = blend_file {
        let blend_file::Answer { result, stdout, .. } =
            blend_file::execute(caller, &code, Some(&blend_file), options).await?;
        return told(&Ran { status: "ok", result: value(&result), stdout, changes: None });
    }
    match caller.run(&code, options).await? {
        Outcome::Finished { result, stdout, effects } => {
            let changes = effects.changes.map(|changes| read(&changes)).transpose()?;
            told(&Ran { status: "ok", result: value(&result), stdout, changes })
        }
        Outcome::Failed { message, stdout, effects, .. } => {
            Err(Failure::of_script(message, stdout).with_effects(&effects))
        }
    }
}

/// The most that the wire takes.
const LONGEST_TITLE_CHARS: usize = 200;

/// The result as a value, with all digits of its numbers.
fn value(result: &RawValue) -> Value {
    let text = result.get();
    serde_json::from_str(&exact_numbers(text)).unwrap_or_else(|_| Value::String(text.to_owned()))
}

/// JSON text in which each number that a [`Value`] cannot hold exactly stands in quotes. Python's integers have no
/// limit, ours end at 64 bits; and many an MCP client would round them, or read one of 400 digits as infinity.
fn exact_numbers(json: &str) -> String {
    let mut exact = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(start) = rest.find(|c: char| c == '"' || c == '-' || c.is_ascii_digit()) {
        let (before, token) = rest.split_at(start);
        let is_text = token.starts_with('"');
        let (token, after) = token.split_at(if is_text { text_length(token) } else { number_length(token) });
        exact.push_str(before);
        if is_text || fits(token) {
            exact.push_str(token);
        } else {
            exact.extend(["\"", token, "\""]);
        }
        rest = after;
    }
    exact + rest
}

/// Bytes of the string literal that `json` begins with, quotes included.
fn text_length(json: &str) -> usize {
    let mut is_escaped = false;
    let end = json.bytes().skip(1).position(|byte| {
        let is_end = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        is_end
    });
    end.map_or(json.len(), |end| end + 2)
}

/// Bytes of the number that `json` begins with.
fn number_length(json: &str) -> usize {
    json.find(|c: char| !(c.is_ascii_digit() || "+-.eE".contains(c))).unwrap_or(json.len())
}

fn fits(number: &str) -> bool {
    if number.contains(['.', 'e', 'E']) {
        return number.parse::<f64>().is_ok_and(f64::is_finite);
    }
    number.parse::<i64>().is_ok() || number.parse::<u64>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Value {
        value(&RawValue::from_string(text.to_owned()).unwrap())
    }

    #[test]
    fn only_the_number_that_is_too_large_becomes_text() {
        let large = "1".repeat(400);
        let read = read(&format!(r#"{{"a": {large}, "b": [1, -{large}], "c\\": "\"5{large}"}}"#));
        assert_eq!(read, json!({"a": large, "b": [1, format!("-{large}")], "c\\": format!("\"5{large}")}));
    }

    #[test]
    fn integers_of_64_bits_are_numbers_and_larger_ones_keep_their_digits() {
        assert_eq!(
            read("[18446744073709551615, -9223372036854775808, 18446744073709551616, -9223372036854775809]")
                .to_string(),
            r#"[18446744073709551615,-9223372036854775808,"18446744073709551616","-9223372036854775809"]"#
        );
        assert_eq!(read("1e400"), "1e400");
    }

    #[test]
    fn floats_come_as_python_wrote_them() {
        // serde_json's fast way of reading takes some for the float beside them.
        assert_eq!(read("-3.597847523160892e-242").to_string(), "-3.597847523160892e-242");
        let mut seed = 1_u64;
        for _ in 0..10_000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let float = f64::from_bits(seed);
            if float.is_finite() {
                assert_eq!(read(&format!("{float:e}")).as_f64(), Some(float));
            }
        }
    }
}
