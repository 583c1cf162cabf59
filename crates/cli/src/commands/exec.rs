// SPDX-License-Identifier: GPL-3.0-or-later
//! `blendwire exec`: runs a script in Blender. `result` goes to stdout as JSON, what the script printed to stderr.

use std::io::{IsTerminal as _, Read as _};
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use blendwire_client::{Blender, Options, Outcome, Script};
use serde_json::json;
use serde_json::value::RawValue;

use super::block_on;
use crate::args::ExecArgs;
use crate::endpoint::Wanted;
use crate::exit::{Ended, Failure};
use crate::printer;

pub(crate) fn run(args: &ExecArgs) -> Ended {
    let endpoint = Wanted::read(&args.endpoint).map_err(Failure::could_not_start)?.endpoint();
    let code = code(args).map_err(Failure::could_not_start)?;
    let blender = Blender::connect_lazily(endpoint);
    let script = Script::new(&code).with_options(Options { timeout: args.timeout, ..Options::default() });
    let outcome = block_on(async { run_script(&blender, &script).await.map_err(Failure::failed) })?;
    if args.json { print_reply(&outcome) } else { print(&outcome) }
}

/// Runs the script to its end. Ctrl-C cancels it in Blender; a second one no longer waits for that.
async fn run_script(blender: &Blender, script: &Script<'_>) -> Result<Outcome> {
    let mut running = std::pin::pin!(blender.run(script));
    tokio::select! {
        outcome = &mut running => return Ok(outcome?),
        _ = tokio::signal::ctrl_c() => {}
    }
    printer::talk("cancelling the script in Blender; Ctrl-C again to leave it");
    let cancelled = async {
        if let Err(error) = blender.cancel(script.id()).await {
            printer::talk(&format!("it could not be cancelled: {error}"));
        }
        running.await
    };
    tokio::select! {
        outcome = cancelled => Ok(outcome?),
        _ = tokio::signal::ctrl_c() => bail!("left the script; it may still run in Blender: see `blendwire status`"),
    }
}

fn code(args: &ExecArgs) -> Result<String> {
    match (&args.code, &args.file) {
        (Some(code), _) => Ok(code.clone()),
        (None, Some(file)) if file != Path::new("-") => {
            let text = std::fs::read_to_string(file)
                .with_context(|| format!("cannot read the script {} (code itself goes after -c)", file.display()))?;
            // Some editors write a byte order mark, which Python takes for a character of the code.
            Ok(text.strip_prefix('\u{feff}').map_or_else(|| text.clone(), str::to_owned))
        }
        (None, None) if std::io::stdin().is_terminal() => {
            bail!("nothing to run: name a file, give the script with -c 'CODE', or `-` to type it and end with Ctrl-D")
        }
        _ => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).context("cannot read the script from stdin")?;
            Ok(text)
        }
    }
}

fn print(outcome: &Outcome) -> Ended {
    match outcome {
        Outcome::Finished { result, stdout, .. } => {
            printer::script_output(stdout);
            if result.get() == RawValue::NULL.get() { Ok(()) } else { printer::data(result.get()) }
        }
        Outcome::Failed { message, stdout, .. } => {
            printer::script_output(stdout.as_deref().unwrap_or_default());
            printer::talk(message.trim_end());
            Err(Failure::Told)
        }
    }
}

fn print_reply(outcome: &Outcome) -> Ended {
    match outcome {
        // Put together as text, so that the result is exactly what came.
        Outcome::Finished { result, stdout, .. } => {
            let stdout = json!(stdout);
            printer::data(&format!("{{\"status\":\"ok\",\"result\":{},\"stdout\":{stdout}}}", result.get()))
        }
        Outcome::Failed { message, stdout, .. } => {
            let mut reply = json!({"status": "error", "message": message});
            if let Some(stdout) = stdout {
                reply["stdout"] = json!(stdout);
            }
            printer::data(&reply.to_string())?;
            Err(Failure::Told)
        }
    }
}
