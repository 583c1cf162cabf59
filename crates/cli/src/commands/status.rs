// SPDX-License-Identifier: GPL-3.0-or-later
//! `blendwire status`: what Blender and the server in it are doing, as a table for people or as JSON.

use blendwire_client::Blender;
use blendwire_protocol::{ConsentRequest, LastRequest, RunningRequest, State, Status, wants_in_words};
use owo_colors::OwoColorize as _;

use super::block_on;
use crate::access;
use crate::args::StatusArgs;
use crate::exit::{Ended, Failure};
use crate::printer::{self, duration};
use crate::watch::{self, Shown};

pub(crate) fn run(args: &StatusArgs) -> Ended {
    let blender = access::blender(&args.endpoint).map_err(Failure::could_not_start)?;
    block_on(async {
        if args.watch {
            return watch(args, blender).await;
        }
        let status = blender.status().await.map_err(Failure::failed)?;
        if args.json { printer::data(&json(&status)?) } else { printer::table(&table(&status)) }
    })
}

fn json(status: &Status) -> Result<String, Failure> {
    serde_json::to_string(status).map_err(Failure::failed)
}

/// Goes on until Ctrl-C; a Blender that is not there may come, and at another port.
async fn watch(args: &StatusArgs, mut blender: Blender) -> Ended {
    let shown = Shown::new(args.json);
    let mut before = String::new();
    watch::until_interrupted(async || {
        let asked = blender.status().await;
        let now = match &asked {
            Ok(status) => change(status),
            Err(error) => format!("unreachable: {}", printer::one_line(&error.to_string())),
        };
        if asked.is_err() {
            match access::blender(&args.endpoint) {
                Ok(found) => blender = found,
                // Several, or settings that are wrong by now.
                Err(unclear) if before != now => printer::error(&unclear),
                Err(_) => {}
            }
        }
        let is_changed = before != now;
        before.clone_from(&now);
        match (shown, asked) {
            (Shown::Screen, Ok(status)) => watch::screen(&table(&status)),
            (Shown::Screen, Err(error)) => watch::screen(&error.to_string()),
            _ if !is_changed => Ok(()),
            (Shown::Lines, _) => watch::line(&now),
            (Shown::Json, Ok(status)) => printer::data(&json(&status)?),
            (Shown::Json, Err(error)) => {
                printer::data(&serde_json::json!({"state": "unreachable", "reason": error.to_string()}).to_string())
            }
        }
    })
    .await
}

/// What makes a line of its own when it is another than before: no times, and no counters that go with each look.
fn change(status: &Status) -> String {
    let mut parts = vec![anstream::adapter::strip_str(&state(status)).to_string()];
    parts.extend(status.running.as_ref().map(|request| {
        let progress = request.progress.as_ref().map(|progress| format!(", {:.0} %", progress.value * 100.0));
        let name = name(&request.title, &request.first_line);
        format!("#{} runs{}: {name}", request.request, progress.unwrap_or_default())
    }));
    parts.extend(status.last.as_ref().map(|request| {
        let (ended, took) = (if request.ok { "ok" } else { "raised" }, duration(request.took_secs));
        format!("#{} {ended} after {took}: {}", request.request, name(&request.title, &request.first_line))
    }));
    parts.extend((status.queue.length > 0).then(|| format!("{} wait", status.queue.length)));
    parts.extend(status.consent.iter().map(|asked| format!("#{} waits for consent", asked.request)));
    printer::one_line(&parts.join("; "))
}

fn table(status: &Status) -> String {
    let versions = &status.versions;
    let window = if status.background { "background" } else { "windowed" };
    let file = if status.file.is_empty() { "never saved" } else { &status.file };
    let counters = &status.counters;
    let mut rows = vec![
        ("endpoint", status.endpoints.join(", ")),
        ("blender", format!("{} ({window}, process {})", versions.blender, status.pid)),
        ("file", file.to_owned()),
        ("running", running(status)),
        ("last", last(status)),
        ("queue", format!("{} of {}", status.queue.length, status.queue.limit)),
        ("clients", status.clients.to_string()),
        ("scripts", format!("{} ok, {} raised", counters.executed_ok, counters.executed_error)),
        ("up", duration(status.uptime_secs)),
        ("main thread", format!("last came round {} ago", duration(status.main_thread_age_secs))),
        ("versions", format!("core {}, add-on {}, Python {}", versions.core, versions.addon, versions.python)),
    ];
    rows.extend(status.consent.iter().map(|asked| ("asks", consent(asked))));
    rows.extend(
        status
            .journal
            .as_ref()
            .and_then(|journal| Some(("journal", format!("not written: {}", journal.problem.as_ref()?)))),
    );
    if counters.panics > 0 {
        rows.push(("defects", format!("{} of the server, see Blender's console and report them", counters.panics)));
    }
    if !status.instance.is_empty() {
        rows.push(("instance", status.instance.clone()));
    }
    if let Some(request) = &status.running {
        let after = rows.iter().position(|(name, _)| *name == "running").map_or(rows.len(), |at| at + 1);
        rows.splice(after..after, details(request));
    }
    // What clients and scripts chose is told, and obeyed by no terminal.
    let mut rows: Vec<_> = rows.into_iter().map(|(name, value)| (name, printer::one_line(&value))).collect();
    rows.insert(0, ("state", state(status)));
    let rows: Vec<_> = rows.iter().map(|(name, value)| format!("{:<12} {value}", name.bold())).collect();
    rows.join("\n")
}

fn state(status: &Status) -> String {
    let word = match status.state {
        State::Starting => "starting".yellow().to_string(),
        State::Idle => "idle".green().to_string(),
        State::Busy => "busy".yellow().to_string(),
        State::Blocked => "blocked".red().to_string(),
        State::Stopping => "stopping".red().to_string(),
    };
    status.reason.as_ref().map_or(word.clone(), |reason| format!("{word}: {}", printer::one_line(reason)))
}

fn running(status: &Status) -> String {
    let Some(request) = &status.running else { return "nothing".to_owned() };
    format!(
        "#{} for {}: {}",
        request.request,
        duration(request.running_secs),
        name(&request.title, &request.first_line)
    )
}

/// What a request that runs has told so far, and by what it can be cancelled.
fn details(request: &RunningRequest) -> Vec<(&'static str, String)> {
    let progress = request.progress.as_ref().map(|progress| {
        let message = if progress.message.is_empty() { String::new() } else { format!(": {}", progress.message) };
        ("progress", format!("{:.0} %{message}", progress.value * 100.0))
    });
    let printed = Some(&request.last_output_line).filter(|line| !line.is_empty());
    let printed = printed.map(|line| ("printed", line.clone()));
    let id = request.id.as_ref().map(|id| ("id", id.as_str().map_or_else(|| id.to_string(), str::to_owned)));
    [progress, printed, id].into_iter().flatten().collect()
}

fn consent(asked: &ConsentRequest) -> String {
    let ConsentRequest { request, title, wants, waiting_secs, .. } = asked;
    let (wants, since) = (wants_in_words(wants), duration(*waiting_secs));
    format!("#{request} wants to {wants} and has waited {since} for the user's consent, in Blender: {title}")
}

fn last(status: &Status) -> String {
    status.last.as_ref().map_or("nothing yet".to_owned(), last_row)
}

fn last_row(request: &LastRequest) -> String {
    let ended = if request.ok { "ok" } else { "raised" };
    let (took, ago) = (duration(request.took_secs), duration(request.ended_secs_ago));
    format!("#{} {ended} after {took}, {ago} ago: {}", request.request, name(&request.title, &request.first_line))
}

/// The title, which is the first line of the code where the client gave none, and which older servers leave out. It stands
/// last in its row, after a colon: in the middle it would run into the words around it.
fn name<'a>(title: &'a str, first_line: &'a str) -> &'a str {
    let name = if title.trim().is_empty() { first_line } else { title };
    if name.trim().is_empty() { "(empty script)" } else { name }
}

/// A duration for people: the unit follows the size.
#[cfg(test)]
mod tests {
    use blendwire_protocol::Progress;

    use super::*;

    #[test]
    fn a_running_request_is_told_by_title_progress_and_id() {
        let request = RunningRequest {
            request: 3,
            id: Some("a1".into()),
            title: "build.py".to_owned(),
            first_line: "x = 1".to_owned(),
            running_secs: 8.0,
            last_output_line: String::new(),
            progress: Some(Progress { value: 0.4, message: "baking".to_owned() }),
        };
        let details = details(&request);
        assert_eq!(details, [("progress", "40 %: baking".to_owned()), ("id", "a1".to_owned())]);
        assert_eq!(name("build.py", "x = 1"), "build.py");
        assert_eq!(name("", "x = 1"), "x = 1");
    }

    #[test]
    fn code_stands_apart_from_the_words_about_it() {
        let last = |first_line: &str| LastRequest {
            request: 17,
            title: String::new(),
            first_line: first_line.to_owned(),
            ok: true,
            took_secs: 0.0012,
            ended_secs_ago: 3.0,
        };
        assert_eq!(last_row(&last("x = 1")), "#17 ok after 1.2 ms, 3.0 s ago: x = 1");
        assert_eq!(last_row(&last("")), "#17 ok after 1.2 ms, 3.0 s ago: (empty script)");
    }
}
