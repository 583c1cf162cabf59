// SPDX-License-Identifier: GPL-3.0-or-later
//! The MCP clients of this user: what their files hold about Blender, and whether that leads to it.

use std::path::Path;
use std::thread;

use super::context::Context;
use super::finding::{Finding, State};
use super::handshake::{self, Answer};
use crate::commands::setup::{self, Form, Ours, Seen, Way};
use crate::printer;

/// What one client has, told in a part of the finding.
struct Part {
    state: State,
    seen: String,
    remedies: Vec<String>,
    /// Client and entry that setup can mend without a question.
    mendable: Option<(String, String)>,
}

impl Part {
    fn new(state: State, client: &Seen, seen: &str, remedies: Vec<String>) -> Self {
        let seen = printer::one_line(&format!("{}: {seen}", client.label));
        Self { state, seen, remedies, mendable: None }
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
    let finding = told().flat_map(|part| part.remedies.iter().cloned()).fold(finding, Finding::remedy);
    let mendable: Vec<_> = parts.iter().filter_map(|part| part.mendable.clone()).collect();
    if mendable.is_empty() {
        return finding;
    }
    finding
        .remedy("blendwire doctor clients --fix: sets up anew what starts a program that is not there")
        .fix(move || setup::mend(&mendable))
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
    parts.extend(twice(client, &entries.ours));
    for (rival, command) in &entries.rivals {
        let seen = format!("another server for Blender, {rival:?} ({command})");
        parts.push(Part::new(State::Warning, client, &seen, vec![format!("blendwire setup {name} --retire")]));
    }
    parts
}

/// Two for one Blender. Two for two Blenders are what people want who have two.
fn twice(client: &Seen, ours: &[Ours]) -> Option<Part> {
    let is_again = |(at, entry): &(usize, &Ours)| ours[..*at].iter().any(|before| before.meant == entry.meant);
    let (_, again) = ours.iter().enumerate().find(is_again)?;
    let of_file = ours.iter().rfind(|entry| entry.meant == again.meant && entry.form != Form::Extension)?;
    let seen = format!("{} entries start Blendwire for the same Blender", count(ours, again));
    let remedy = format!("blendwire setup {} --remove --name {}", client.name, setup::quoted(&of_file.name));
    Some(Part::new(State::Warning, client, &seen, vec![remedy]))
}

fn count(ours: &[Ours], like: &Ours) -> usize {
    ours.iter().filter(|entry| entry.meant == like.meant).count()
}

fn broken(client: &Seen, error: &anyhow::Error) -> Part {
    let file = client.file.display();
    let seen = format!("{file} cannot be read: {error:#}");
    let remedies = vec![
        format!("correct {file}: {} starts no server from it either", client.label),
        format!("copy {file}.blendwire-backup-N over it, where there is one"),
    ];
    Part::new(State::Failure, client, &seen, remedies)
}

/// The entry is tried as it stands there, in the way of its client.
fn entry_part(client: &Seen, entry: &Ours) -> Part {
    match &entry.way {
        Way::Started { words, variables } => started_part(client, entry, words, variables),
        Way::Http { url, headers } => http_part(client, entry, url, headers),
    }
}

fn started_part(client: &Seen, entry: &Ours, words: &[String], variables: &[(String, String)]) -> Part {
    let program = words.first().map_or("", String::as_str);
    let failure = |seen: &str| Part::new(State::Failure, client, seen, remedies(client, entry));
    if Path::new(program).is_absolute() && !Path::new(program).is_file() {
        let mendable = (entry.form == Form::OfSetup).then(|| (client.name.clone(), entry.name.clone()));
        return Part { mendable, ..failure(&format!("{program}, which its entry starts, is not there")) };
    }
    let server = match handshake::greet(words, variables) {
        Ok(server) => server,
        Err(error) => return failure(&format!("its entry starts {program}: {error:#}")),
    };
    if entry.meant.is_elsewhere() {
        match handshake::lets_in(words, variables) {
            Some(Ok(())) => {}
            Some(Err(error)) => {
                let name = &entry.name;
                let seen =
                    format!("{server} answers, and cannot reach the Blender that its entry {name:?} names: {error:#}");
                return Part::new(State::Failure, client, &seen, of_another_machine(client, words));
            }
            None => {
                let seen = format!(
                    "{server} answers; whether it reaches the Blender that its entry {:?} names is not looked at, since its \
                     command is a script",
                    entry.name
                );
                return Part::new(State::Ok, client, &seen, Vec::new());
            }
        }
    }
    if entry.form == Form::OfSetup && client.is_on_desktop && is_searched_for(program) {
        let seen = format!(
            "{server} answers here, where PATH leads to it; its entry has the bare name {program}, and what is started from a \
             desktop may search other folders"
        );
        return Part::new(State::Warning, client, &seen, remedies(client, entry));
    }
    Part::new(State::Ok, client, &format!("{server} answers"), Vec::new())
}

/// Windows has one PATH for desktop and terminal.
fn is_searched_for(program: &str) -> bool {
    cfg!(unix) && !program.contains('/')
}

/// What to do where the Blender that an entry names does not let it in: ask it with the entry's own options.
fn of_another_machine(client: &Seen, words: &[String]) -> Vec<String> {
    let options: Vec<_> =
        words.iter().skip_while(|word| *word != "mcp").skip(1).map(|word| setup::quoted(word)).collect();
    let options = if options.is_empty() { String::new() } else { format!(" {}", options.join(" ")) };
    vec![
        format!(
            "blendwire doctor{options}: goes that way step by step (with the variables of the entry, where it has any)"
        ),
        format!(
            "where the token is refused: blendwire setup {} --profile NAME, with its file as token_file of that profile",
            client.name
        ),
    ]
}

fn http_part(client: &Seen, entry: &Ours, url: &hyper::Uri, headers: &[(String, String)]) -> Part {
    let at = setup::shown(url);
    let brings_token =
        headers.iter().any(|(name, value)| name.eq_ignore_ascii_case("authorization") && !has_variable(value));
    let (state, seen) = match handshake::ask(url, headers) {
        Ok(Answer::Greets(server)) => (State::Ok, format!("{server} answers at {at}")),
        Ok(Answer::InTls) => (State::Ok, format!("{at} takes connections; what is inside TLS is not looked at")),
        Ok(Answer::WantsToken) if brings_token => (State::Failure, format!("{at} refuses the token of its entry")),
        Ok(Answer::WantsToken) => {
            (State::Ok, format!("{at} answers; the token, which is not in the entry, is not looked at"))
        }
        Err(error) => (State::Failure, format!("its entry leads to {at}: {error:#}")),
    };
    let remedies = if state == State::Ok { Vec::new() } else { remedies(client, entry) };
    Part::new(state, client, &seen, remedies)
}

/// Whether the client puts something in: `${NAME}` in most, `$NAME` in Gemini CLI, `%NAME%` on Windows. No token has such signs.
fn has_variable(value: &str) -> bool {
    value.contains('$') || value.matches('%').count() > 1
}

/// What mends an entry, by whose it is.
fn remedies(client: &Seen, entry: &Ours) -> Vec<String> {
    let setup = format!("blendwire setup {} --name {}", client.name, setup::quoted(&entry.name));
    let anew = || format!("{setup} --remove, then {setup}: one that starts this command in its place");
    match (entry.form, &entry.way) {
        (Form::OfSetup, _) => vec![setup],
        (Form::Extension, _) => vec![
            format!("install the extension (.mcpb) of this version again in {}", client.label),
            format!("remove it there, and take an entry in its place: blendwire setup {}", client.name),
        ],
        (Form::ByHand, Way::Started { .. }) => vec![format!("correct it in {}", client.file.display()), anew()],
        (Form::ByHand, Way::Http { .. }) => vec![
            "blendwire launch, or start Blender: its server is there as long as it runs (at port 9880: blendwire mcp --http)"
                .to_owned(),
            format!("blendwire token: what the entry needs in {}", client.file.display()),
            anew(),
        ],
    }
}
