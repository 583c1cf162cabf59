// SPDX-License-Identifier: GPL-3.0-or-later
//! Runs one script while a person watches: live output, why it waits, Ctrl-C.

use std::convert::Infallible;
use std::time::Duration;

use anyhow::{Result, bail};
use blendwire_client::{Blender, ClientError, Outcome, Script};
use blendwire_protocol::Status;

use crate::live::Live;
use crate::printer;

/// Before people are told why nothing happens, and between looks: short waits need no explanation.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Runs the script to its end. Ctrl-C cancels it in Blender, which is said when that takes longer than `grace`; a second
/// one no longer waits.
pub(crate) async fn run(blender: &Blender, script: &Script<'_>, live: &Live, grace: Duration) -> Result<Outcome> {
    let mut running = std::pin::pin!(watch(blender, script, live));
    tokio::select! {
        outcome = &mut running => return Ok(outcome?),
        _ = tokio::signal::ctrl_c() => live.interrupt(),
    }
    let cancelled = async {
        let told = async {
            if !grace.is_zero() {
                tokio::time::sleep(grace).await;
            }
            live.talk("cancelling the script in Blender; Ctrl-C again to leave it");
        };
        let cancel = async {
            if let Err(error) = blender.cancel(script.id()).await {
                live.talk(&format!("it could not be cancelled: {error}"));
            }
        };
        tokio::select! {
            biased;
            outcome = &mut running => outcome,
            ((), ()) = async { tokio::join!(told, cancel) } => running.await,
        }
    };
    tokio::select! {
        outcome = cancelled => Ok(outcome?),
        _ = tokio::signal::ctrl_c() => {
            live.end("");
            bail!("left the script; it may still run in Blender: see `blendwire status`")
        }
    }
}

async fn watch(blender: &Blender, script: &Script<'_>, live: &Live) -> Result<Outcome, ClientError> {
    let outcome = tokio::select! {
        outcome = blender.run_watched(script, |event| live.on_event(event)) => outcome,
        never = tell_why_it_waits(blender, script.id(), live) => match never {},
    };
    // Also without an outcome, nothing may stay on the screen.
    live.end(stdout(outcome.as_ref().ok()));
    outcome
}

/// What the script printed in all.
fn stdout(outcome: Option<&Outcome>) -> &str {
    match outcome {
        Some(Outcome::Finished { stdout, .. }) => stdout,
        Some(Outcome::Failed { stdout, .. }) => stdout.as_deref().unwrap_or_default(),
        None => "",
    }
}

/// Looks every second why the script has not begun, until it has. Where only a log is written, that nothing answers is told
/// once: what listens there may be no Blender at all, and never answer.
async fn tell_why_it_waits(blender: &Blender, id: &str, live: &Live) -> Infallible {
    while !live.has_begun() {
        tokio::time::sleep(LOOK_EVERY).await;
        match blender.status().await {
            Ok(status) if runs(&status, id) => break,
            Ok(status) => live.waits(why_it_waits(&status, id).as_deref()),
            // A server of another kind.
            Err(
                ClientError::Unsupported { .. }
                | ClientError::OtherVersion { .. }
                | ClientError::ScriptsOnly { .. }
                | ClientError::NotOurProtocol { .. },
            ) => break,
            Err(error) if printer::is_watched() => live.waits(Some(&error.to_string())),
            Err(error) => {
                live.talk(&format!("still waiting: {error}; `blendwire doctor` tells what listens there"));
                break;
            }
        }
    }
    live.waits(None);
    std::future::pending().await
}

fn runs(status: &Status, id: &str) -> bool {
    status.running.as_ref().and_then(|running| running.id.as_ref()).is_some_and(|running| running == id)
}

/// `None` when it is only a matter of its turn.
fn why_it_waits(status: &Status, id: &str) -> Option<String> {
    if let Some(asked) = status.consent.iter().find(|asked| asked.id.as_ref().is_some_and(|asked| asked == id)) {
        return Some(format!("the user is asked in Blender whether it may use: {}", asked.wants.join(", ")));
    }
    let Some(running) = &status.running else { return status.reason.clone() };
    let what = if running.title.is_empty() { &running.first_line } else { &running.title };
    let how_far = running.progress.as_ref().map(|progress| format!(" ({:.0} %)", progress.value * 100.0));
    let (number, secs) = (running.request, running.running_secs);
    Some(format!("request {number} has been running for {secs:.0} s: {what}{}", how_far.unwrap_or_default()))
}
