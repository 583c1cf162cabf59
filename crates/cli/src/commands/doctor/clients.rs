// SPDX-License-Identifier: GPL-3.0-or-later
//! The MCP clients of this user: what their files hold about Blender, and whether that starts.

use std::path::Path;
use std::thread;

use super::context::Context;
use super::finding::{Finding, State};
use super::handshake;
use crate::commands::setup::{self, Ours, Seen};
use crate::printer;

/// What one client has, told in a part of the finding.
struct Part {
    state: State,
    seen: String,
    remedies: Vec<String>,
}

impl Part {
    fn new(state: State, client: &Seen, seen: &str, remedies: Vec<String>) -> Self {
        Self { state, seen: format!("{}: {seen}", client.label), remedies }
    }
}

pub(super) fn clients(_: &Context) -> Finding {
    let clients = match setup::look() {
        Ok(clients) => clients,
        Err(error) => return Finding::warning(format!("{error:#}"), "no client can be looked for"),
    };
    if clients.is_empty() {
        return Finding::ok("no MCP client is on this machine");
    }
    let has_ours = |client: &Seen| client.entries.as_ref().is_ok_and(|entries| !entries.ours.is_empty());
    let is_any_set_up = clients.iter().any(has_ours);
    // Each starts a process: side by side, one that hangs costs its own time only.
    let looked = clients.into_iter().map(|client| thread::spawn(move || look(&client, is_any_set_up)));
    let looked: Vec<_> = looked.collect();
    let parts: Vec<_> = looked.into_iter().filter_map(|part| part.join().ok()).flatten().collect();
    together(&parts)
}

fn together(parts: &[Part]) -> Finding {
    let worst = parts.iter().map(|part| part.state).max().unwrap_or(State::Ok);
    // Where something is wrong, only that is told.
    let told = || parts.iter().filter(|part| worst == State::Ok || part.state > State::Ok);
    let seen: Vec<_> = told().map(|part| part.seen.as_str()).collect();
    let seen = seen.join("; ");
    let finding = match worst {
        State::Failure => Finding::failure(seen, "an assistant in that client cannot reach Blender"),
        State::Warning => Finding::warning(seen, "an assistant finds no tools for Blender, or the same ones twice"),
        State::Ok | State::NotLookedAt => Finding::ok(seen),
    };
    told().flat_map(|part| part.remedies.iter().cloned()).fold(finding, Finding::remedy)
}

fn look(client: &Seen, is_any_set_up: bool) -> Vec<Part> {
    let name = &client.name;
    let entries = match &client.entries {
        Ok(entries) => entries,
        Err(error) => return vec![broken(client, error)],
    };
    let mut parts: Vec<_> = entries.ours.iter().map(|entry| entry_part(client, entry)).collect();
    if parts.is_empty() {
        let state = if is_any_set_up { State::Ok } else { State::Warning };
        parts.push(Part::new(state, client, "no entry for Blendwire", vec![format!("blendwire setup {name}")]));
    }
    if let [_, second, ..] = entries.ours.as_slice() {
        let seen = format!("{} entries start Blendwire", entries.ours.len());
        let remedy = format!("blendwire setup {name} --remove --name {}", printer::one_line(&second.name));
        parts.push(Part::new(State::Warning, client, &seen, vec![remedy]));
    }
    for (rival, command) in &entries.rivals {
        let seen = printer::one_line(&format!("another server for Blender, {rival:?} ({command})"));
        parts.push(Part::new(State::Warning, client, &seen, vec![format!("blendwire setup {name} --retire")]));
    }
    parts
}

fn broken(client: &Seen, error: &anyhow::Error) -> Part {
    let file = client.file.display();
    let seen = printer::one_line(&format!("{file} cannot be read: {error:#}"));
    let remedies = vec![
        format!("correct {file}: {} starts no server from it either", client.label),
        format!("copy {file}.blendwire-backup-N over it, where there is one"),
    ];
    Part::new(State::Failure, client, &seen, remedies)
}

/// The entry is started as it stands there.
fn entry_part(client: &Seen, entry: &Ours) -> Part {
    let setup = vec![format!("blendwire setup {} --name {}", client.name, printer::one_line(&entry.name))];
    let program = entry.words.first().map_or("", String::as_str);
    // A bare name is looked for on PATH; clients that start from a desktop have another than this terminal.
    let is_missing = Path::new(program).is_absolute() && !Path::new(program).is_file();
    if is_missing {
        let seen = format!("{program}, which its entry starts, is not there");
        return Part::new(State::Failure, client, &printer::one_line(&seen), setup);
    }
    match handshake::greet(entry) {
        Ok(server) => Part::new(State::Ok, client, &format!("{} answers", printer::one_line(&server)), Vec::new()),
        Err(error) => {
            let seen = printer::one_line(&format!("its entry starts {program}: {error:#}"));
            Part::new(State::Failure, client, &seen, setup)
        }
    }
}
