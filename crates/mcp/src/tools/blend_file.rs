// SPDX-License-Identifier: GPL-3.0-or-later
//! The argument `blend_file`: a background Blender opens that file and runs what the open one would have run.
//!
//! The Blender that is driven starts that other one, so that paths are those of its machine and the version is its own.
//! Its answer is deferred, so that its main thread is free meanwhile. A call that is cancelled ends the other process.

use blendwire_client::{Options, Outcome};
use blendwire_protocol::first_line;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Failure, read, verdict};
use crate::caller::Caller;
use crate::snippet;

const SNIPPET: &str = include_str!("blend_file.py");

/// Runs in the other Blender.
const LOADER: &str = include_str!("blend_file_loader.py");

#[derive(Serialize)]
struct Parameters<'a> {
    /// None: a copy of the open one.
    blend_file: Option<&'a str>,
    script: &'a str,
    loader: &'static str,
}

/// What a script came to in the other Blender.
#[derive(Deserialize)]
pub(super) struct Answer {
    status: String,
    #[serde(default)]
    message: String,
    /// What it left in `result`.
    #[serde(default)]
    pub(super) result: Box<RawValue>,
    /// What it printed.
    #[serde(skip)]
    pub(super) stdout: String,
}

/// Runs a snippet as [`super::run`] does, in this file where there is one.
pub(super) async fn run(
    caller: &Caller,
    name: &'static str,
    source: &str,
    parameters: &impl Serialize,
    blend_file: Option<&str>,
) -> Result<Box<RawValue>, Failure> {
    if blend_file.is_none() {
        return super::run(caller, name, source, parameters).await;
    }
    run_aside(caller, name, source, parameters, blend_file).await
}

/// The same, and without such a file in a copy of the open one: what takes long keeps nobody from working.
pub(super) async fn run_aside(
    caller: &Caller,
    name: &'static str,
    source: &str,
    parameters: &impl Serialize,
    blend_file: Option<&str>,
) -> Result<Box<RawValue>, Failure> {
    let script = snippet::call(source, parameters).map_err(|error| Failure(error.to_string()))?;
    let options = Options { title: Some(name), ..Options::default() };
    verdict(execute(caller, &script, blend_file, options).await?.result)
}

/// Runs a whole script in this file, or in a copy of the open one. What it changes there is lost unless it saves it. Of the options title and time
/// limit count; a rollback there is nothing to do for.
pub(super) async fn execute(
    caller: &Caller,
    script: &str,
    blend_file: Option<&str>,
    options: Options<'_>,
) -> Result<Answer, Failure> {
    let parameters = Parameters { blend_file, script, loader: LOADER };
    let call = snippet::call(SNIPPET, &parameters).map_err(|error| Failure(error.to_string()))?;
    let opened = blend_file.map_or_else(|| "a copy of this file".to_owned(), |path| format!("{path:?}"));
    let code = format!("# In a background Blender that opens {opened}:\n{}\n{call}", commented(script));
    let title = first_line(script);
    let options = Options {
        title: Some(options.title.unwrap_or(&title)),
        timeout: options.timeout,
        no_undo_step: true,
        ..Options::default()
    };
    let answer: Answer = match caller.run(&code, options).await? {
        // What it printed is told as it comes, so that it is there as well when there is no answer of its own.
        Outcome::Finished { result, stdout, .. } => Answer { stdout, ..read(&result)? },
        Outcome::Failed { message, stdout, .. } => return Err(Failure::of_script(message, stdout)),
    };
    if answer.status == "ok" { Ok(answer) } else { Err(Failure::of_script(answer.message, Some(answer.stdout))) }
}

/// The script as comments, for whoever is asked whether it may run and for readers of the journal: they see what it
/// does before they see how it gets there.
fn commented(script: &str) -> String {
    // Each of the two ends a comment.
    script.split(['\n', '\r']).flat_map(|line| ["# ", line, "\n"]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_of_a_script_gets_out_of_its_comment() {
        let lines = commented("a\r\nb\rc\n\nd");
        assert!(lines.lines().all(|line| line.starts_with("# ") && !line.contains('\r')), "{lines:?}");
    }
}
