// SPDX-License-Identifier: GPL-3.0-or-later
//! What is said and asked: questions and advice to stderr, what was done to stdout.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;

use anyhow::Result;
use owo_colors::OwoColorize as _;
use serde_json::{Value, json};

use super::clients::Client;
use super::entry::Entry;
use super::plan::{Change, Rival};
use crate::args::{SetupArgs, is_plain_name};
use crate::exit::Failure;
use crate::printer;

/// What was done for one client.
pub(super) struct Report {
    /// What happened to the entry, or would have.
    pub(super) change: Change,
    /// What the entry is started with.
    pub(super) args: Vec<String>,
    /// What is to be said of the entry.
    pub(super) notes: Vec<String>,
    /// Other servers for Blender that were found.
    pub(super) rivals: Vec<Rival>,
    /// Whether those were taken out.
    pub(super) retired: bool,
    /// Whether the person did not want the change.
    pub(super) is_refused: bool,
    /// The copy of what was in the file.
    pub(super) backup: Option<PathBuf>,
}

/// Whether a person is there to be asked.
pub(crate) fn can_ask() -> bool {
    io::stdin().is_terminal() && printer::is_watched()
}

/// A name of an entry as a shell takes it for one word.
pub(crate) fn quoted(name: &str) -> String {
    let name = printer::one_line(name);
    match name.as_str() {
        plain if is_plain_name(plain) => name,
        other if cfg!(windows) => format!("\"{other}\""),
        other => format!("'{}'", other.replace('\'', r"'\''")),
    }
}

/// Lists the clients that are here.
pub(super) fn found(clients: &[Client]) {
    printer::talk("Found:");
    for client in clients {
        printer::talk(&format!("  {:15} {}", client.label, client.place.file.display()));
    }
}

/// Shows a change and asks for it.
pub(super) fn ask_to_write(client: &Client, difference: &str) -> bool {
    printer::talk(&format!("\n{} {}\n{difference}", client.label.bold(), client.place.file.display()));
    ask("Write this?")
}

/// Asks whether to take other servers for Blender out.
pub(super) fn ask_to_retire(client: &Client, rivals: &[Rival]) -> bool {
    if rivals.is_empty() {
        return false;
    }
    printer::talk(&format!("\n{} has other servers for Blender:", client.label.bold()));
    for rival in rivals {
        printer::talk(&format!("  {}: {}", rival.name, printer::one_line(&rival.command)));
    }
    ask("With two, the assistant takes one or the other. Take these out? The backup keeps them.")
}

/// Asks a person; no answer is no.
pub(crate) fn ask(question: &str) -> bool {
    let mut err = anstream::stderr().lock();
    let _ = write!(err, "{question} [y/N] ").and_then(|()| err.flush());
    let mut answer = String::new();
    let _ = io::stdin().read_line(&mut answer);
    ["y", "yes"].contains(&answer.trim().to_lowercase().as_str())
}

/// Shows what a real run would do.
pub(super) fn show(args: &SetupArgs, client: &Client, difference: &str) {
    if !args.json {
        printer::talk(&format!("{} {}\n{difference}", client.label.bold(), client.place.file.display()));
    }
}

/// Says what became of each client, and what to do next.
pub(super) fn tell(args: &SetupArgs, entry: &Entry, done: &[(&Client, Result<Report>)]) -> Result<(), Failure> {
    if args.json {
        printer::data(&as_json(args, entry, done).to_string())?;
    } else {
        for (client, report) in done.iter().filter_map(|(client, result)| Some((client, result.as_ref().ok()?))) {
            printer::table(&line(args, client, report))?;
        }
    }
    for (client, result) in done {
        match result {
            Ok(report) => advise(args, client, report),
            Err(error) => printer::error(error),
        }
    }
    Ok(())
}

fn line(args: &SetupArgs, client: &Client, report: &Report) -> String {
    let is_done = !args.dry_run;
    let what = match report.change {
        _ if report.is_refused => "left as it was",
        Change::Added if is_done => "added",
        Change::Added => "would be added",
        Change::Updated if is_done => "updated",
        Change::Updated => "would be updated",
        Change::Removed if is_done => "removed",
        Change::Removed => "would be removed",
        Change::None if args.remove => "not set up",
        Change::None => "already set up",
        Change::Kept => "left as it is",
    };
    format!("{:15} {what:16} {}", client.label, client.place.file.display())
}

fn advise(args: &SetupArgs, client: &Client, report: &Report) {
    for rival in report.rivals.iter().filter(|_| !args.remove && !report.is_refused) {
        printer::talk(&about_rival(args, client, rival, report.retired));
    }
    if !report.is_refused {
        report.notes.iter().for_each(|note| printer::talk(&format!("{}: {}", client.label, printer::one_line(note))));
    }
    let is_written = report.change != Change::Kept || report.backup.is_some();
    if args.dry_run || report.is_refused || report.change == Change::None || !is_written {
        return;
    }
    if let Some(backup) = &report.backup {
        printer::talk(&format!("{}: the file as it was is kept: {}", client.label, backup.display()));
    }
    let next = if args.remove { "restart it where it is running" } else { client.next };
    printer::talk(&format!("{}: next: {next}", client.label));
}

fn about_rival(args: &SetupArgs, client: &Client, rival: &Rival, is_retired: bool) -> String {
    let (label, command) = (client.label, printer::one_line(&rival.command));
    let rival = format!("{:?} ({command})", rival.name);
    match (is_retired, args.dry_run) {
        (true, false) => format!("{label}: took out {rival}"),
        (true, true) => format!("{label}: would take out {rival}"),
        (false, _) => format!(
            "warning: {label} has another server for Blender, {rival}: the assistant takes one or the other; `blendwire \
             setup {} --retire` takes that one out",
            client.name()
        ),
    }
}

fn as_json(args: &SetupArgs, entry: &Entry, done: &[(&Client, Result<Report>)]) -> Value {
    let client = |(client, result): &(&Client, Result<Report>)| {
        let mut said = json!({"client": client.name(), "file": client.place.file.display().to_string()});
        match result {
            Ok(report) => {
                said["change"] = json!(report.change);
                said["args"] = json!(report.args);
                said["notes"] = json!(report.notes);
                said["backup"] = json!(report.backup.as_ref().map(|path| path.display().to_string()));
                said[if report.retired { "retired" } else { "rivals" }] = json!(report.rivals);
            }
            Err(error) => said["error"] = format!("{error:#}").into(),
        }
        said
    };
    let clients: Vec<_> = done.iter().map(client).collect();
    json!({"command": entry.command, "dry_run": args.dry_run, "clients": clients})
}
