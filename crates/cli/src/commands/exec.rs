// SPDX-License-Identifier: GPL-3.0-or-later
//! `blendwire exec`: runs a script in Blender. `result` goes to stdout as JSON, what the script printed to stderr.

use std::borrow::Cow;
use std::io::{IsTerminal as _, Read as _};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use blendwire_client::{Effects, Options, Outcome, Script, SentBy};
use serde_json::json;
use serde_json::value::RawValue;

use super::block_on;
use crate::access;
use crate::args::ExecArgs;
use crate::changes::{self, Asked};
use crate::exit::{Ended, Failure};
use crate::live::{Live, Sink};
use crate::{printer, running, utf8};

pub(crate) fn run(args: &ExecArgs) -> Ended {
    let blender = access::blender(&args.endpoint).map_err(Failure::could_not_start)?;
    let code = code(args).map_err(Failure::could_not_start)?;
    let title = title(args);
    let script = Script::new(&code).with_options(Options {
        timeout: args.timeout,
        title: title.as_deref(),
        rollback: args.rollback,
        changes: args.changes,
        sent_by: SentBy::named("blendwire exec"),
        ..Options::default()
    });
    let live = Live::new(if args.json { Sink::Nowhere } else { Sink::Stderr });
    let outcome =
        block_on(async { running::run(&blender, &script, &live, Duration::ZERO).await.map_err(Failure::failed) })?;
    if args.json { print_reply(&outcome) } else { print(args, &outcome, &live) }
}

/// A file's name tells more in Blender's undo history than the first line of its code does.
fn title(args: &ExecArgs) -> Option<Cow<'_, str>> {
    let file =
        || args.file.as_deref().filter(|file| *file != Path::new("-"))?.file_name().map(|name| name.to_string_lossy());
    args.title.as_deref().map(Cow::Borrowed).or_else(file)
}

fn code(args: &ExecArgs) -> Result<String> {
    match (&args.code, &args.file) {
        (Some(code), _) => Ok(code.clone()),
        (None, Some(file)) if file != Path::new("-") => utf8::read(file)
            .with_context(|| format!("cannot read the script {} (code itself goes after -c)", file.display())),
        (None, None) if std::io::stdin().is_terminal() => {
            bail!(
                "nothing to run: name a file, give the script with -c \"CODE\", or `-` to type it and end with {}",
                printer::END_OF_INPUT
            )
        }
        _ => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).context("cannot read the script from stdin")?;
            Ok(utf8::without_mark(text))
        }
    }
}

fn print(args: &ExecArgs, outcome: &Outcome, live: &Live) -> Ended {
    match outcome {
        Outcome::Finished { result, effects, .. } => {
            changes::tell(effects, Asked { changes: args.changes, rollback: false });
            if result.get() == RawValue::NULL.get() {
                return Ok(());
            }
            live.settle();
            printer::data(result.get())
        }
        Outcome::Failed { message, stdout, effects, is_still_running, .. } => {
            live.talk(message.trim_end());
            // What becomes of the file is not known before it has ended.
            let has_run = stdout.is_some() && !is_still_running;
            changes::tell(effects, Asked { changes: args.changes && has_run, rollback: args.rollback && has_run });
            Err(Failure::Told)
        }
    }
}

fn print_reply(outcome: &Outcome) -> Ended {
    match outcome {
        // Put together as text, so that the result is exactly what came.
        Outcome::Finished { result, stdout, effects } => {
            let (stdout, more) = (json!(stdout), more_keys(effects));
            printer::data(&format!("{{\"status\":\"ok\",\"result\":{},\"stdout\":{stdout}{more}}}", result.get()))
        }
        Outcome::Failed { message, code, is_still_running, stdout, effects } => {
            let state = if *is_still_running { ",\"state\":\"still_running\"" } else { "" };
            let code = code.as_ref().map(|code| format!(",\"error\":{}", json!({"code": code}))).unwrap_or_default();
            let stdout = stdout.as_ref().map(|stdout| format!(",\"stdout\":{}", json!(stdout))).unwrap_or_default();
            let (message, more) = (json!(message), more_keys(effects));
            printer::data(&format!("{{\"status\":\"error\",\"message\":{message}{stdout}{state}{code}{more}}}"))?;
            Err(Failure::Told)
        }
    }
}

/// What the reply says of the file, each with a comma before it.
fn more_keys(effects: &Effects) -> String {
    let changes = effects.changes.as_ref().map(|changes| format!(",\"changes\":{}", changes.get()));
    let rolled_back = effects.rolled_back.map(|done| format!(",\"rolled_back\":{done}"));
    let why = effects.not_rolled_back_because.as_ref();
    let why = why.map(|why| format!(",\"not_rolled_back_because\":{}", json!(why)));
    [changes, rolled_back, why].into_iter().flatten().collect()
}
