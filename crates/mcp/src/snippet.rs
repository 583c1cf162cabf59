// SPDX-License-Identifier: GPL-3.0-or-later
//! Turns a snippet of Python and its parameters into one script.
//!
//! A snippet is a file of this crate that defines `main`. Parameters travel as one JSON text inside one Python string
//! literal, so that nothing a user or a model wrote is ever read as code.

use serde::Serialize;

/// The script that calls `main` of `snippet` with `parameters` as keyword arguments and leaves what it returns in
/// `result`.
pub(crate) fn call(snippet: &str, parameters: &impl Serialize) -> Result<String, serde_json::Error> {
    let literal = python_literal(&serde_json::to_string(parameters)?)?;
    Ok(format!("{snippet}\n\nimport json\n\nresult = main(**json.loads({literal}))\n"))
}

/// A string literal of Python. Every escape that JSON writes (`\"`, `\\`, `\n`, `\u0000`, …) means the same there.
fn python_literal(text: &str) -> Result<String, serde_json::Error> {
    serde_json::to_string(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_a_user_wrote_stays_inside_the_literal() {
        let script = call("def main(name): ...", &json!({"name": "a\"); import os #\n\\"})).unwrap();
        let last = script.lines().last().unwrap();
        assert_eq!(last, r#"result = main(**json.loads("{\"name\":\"a\\\"); import os #\\n\\\\\"}"))"#);
    }
}
