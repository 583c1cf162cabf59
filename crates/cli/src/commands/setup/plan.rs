// SPDX-License-Identifier: GPL-3.0-or-later
//! What is to become of one client's file: decided on its text, before anything is written.

use anyhow::{Result, bail, ensure};
use serde::Serialize;
use serde_json::Value;

use super::clients::Client;
use super::document::{Fields, Path};
use super::entry::Entry;
use super::file::File;
use super::kind::{self, Kind};
use super::talk::quoted;
use super::{extension, meant};
use crate::args::{ClientName, ENTRY_NAME, is_plain_name};

/// What happens to the entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Change {
    /// It is made.
    Added,
    /// It was ours, and differed.
    Updated,
    /// It was as it is to be, or is not there to be removed.
    None,
    /// It leads to Blendwire in a way that is not for setup to change, and stays; `Plan::notes` say why.
    Kept,
    /// It is taken away.
    Removed,
}

/// A new text for one file.
pub(super) struct Plan {
    /// What happens to the entry.
    pub(super) change: Change,
    /// The new text; `None` where no file is to be left.
    pub(super) text: Option<String>,
    /// Other servers for Blender, in the file or taken out of it.
    pub(super) rivals: Vec<Rival>,
    /// What the entry is started with, where it is one that setup writes.
    pub(super) args: Vec<String>,
    /// What is to be said of it.
    pub(super) notes: Vec<String>,
}

/// Another server for Blender.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Rival {
    #[serde(skip)]
    path: Path,
    /// The name of its entry.
    pub(super) name: String,
    /// What is started, for people.
    pub(super) command: String,
}

/// Other servers for Blender in this file. Claude Code has tables for single projects too, where its own command puts
/// entries unless told otherwise, and those go first there.
///
/// # Errors
/// When the file cannot be read as what it is to be.
pub(super) fn rivals(client: &Client, file: &File) -> Result<Vec<Rival>> {
    let text = file.text.as_deref().unwrap_or_default();
    let entries = |path: &[String]| client.format.entries(text, path);
    let mut tables = vec![(table(client), entries(&table(client))?)];
    if client.name == ClientName::ClaudeCode {
        // Hundreds of projects in megabytes of text: read once, and not for each.
        for (project, settings) in entries(&["projects".to_owned()]).unwrap_or_default() {
            let servers = settings.get(client.key).and_then(Value::as_object).cloned().unwrap_or_default();
            let path = vec!["projects".to_owned(), project, client.key.to_owned()];
            tables.push((path, servers.into_iter().collect()));
        }
    }
    let in_table = |(path, entries): (Path, Vec<(String, Value)>)| {
        let rivals = entries.into_iter().filter(|(name, entry)| Kind::of(name, entry) == Kind::Rival);
        let rival = move |(name, entry)| Rival { path: path.clone(), name, command: kind::line(&entry) };
        rivals.map(rival).collect::<Vec<_>>()
    };
    Ok(tables.into_iter().flat_map(in_table).collect())
}

/// Puts the entry in; with `retires` takes its rivals out.
///
/// # Errors
/// When the text is not what it is to be, or the name belongs to another server.
pub(super) fn put(client: &Client, file: &File, name: &str, entry: &Entry, retires: bool) -> Result<Plan> {
    let rivals = rivals(client, file)?;
    let mut text = file.text.clone().unwrap_or_default();
    if retires {
        for rival in &rivals {
            text = client.format.take(&text, &rival.path, &rival.name)?;
        }
    }
    let found = found(client, &text, name)?;
    let kind = found.as_ref().map(|found| (Kind::of(name, found), kind::line(found)));
    ensure!(
        found.is_some() || is_plain_name(name),
        "no entry has the name {name:?}, and a new one takes letters, digits, - and _ only"
    );
    let kept = match &kind {
        None => kept_for_an_extension(client, entry),
        Some((Kind::OursByHand, line)) => Some(kept_by_hand(client, name, entry, line)?),
        Some(_) => None,
    };
    if let Some(why) = kept {
        let text = file.text.is_some().then_some(text);
        return Ok(Plan { change: Change::Kept, text, rivals, args: Vec::new(), notes: vec![why] });
    }
    let change = match kind {
        None => Change::Added,
        Some((Kind::Ours | Kind::OursByHand, _)) => Change::Updated,
        Some((Kind::Rival, line)) => bail!(
            "the name {name:?} belongs to another server for Blender ({line}): --retire takes its place and keeps it in the \
             backup, --name puts Blendwire beside it"
        ),
        Some((Kind::Other, _)) => bail!("the name {name:?} belongs to another server: take another with --name"),
    };
    let args = found.as_ref().map_or_else(|| entry.args.clone(), |found| entry.args_over(found));
    let variables = found.as_ref().map(kind::variables).unwrap_or_default();
    let stay = format!(
        "its options stay ({}); `{} --remove` first makes it without",
        args[1..].join(" "),
        command(client, name)
    );
    let notes = (args != entry.args).then_some(stay);
    let missing = match meant::missing_token(&args, &variables, &client.name()) {
        Ok(missing) => missing,
        Err(error) if entry.has_options() => return Err(error),
        // The entry may be for a terminal with other settings than this one: its program can be mended all the same.
        Err(error) => {
            Some(format!("warning: whether the token of the Blender that it is for is there is not known: {error:#}"))
        }
    };
    let notes = notes.into_iter().chain(missing).collect();
    let mut fields = entry.fields(&args, client.has_type);
    fields.extend(found.as_ref().and_then(env_of_older_form));
    let text = client.format.put(&text, &table(client), name, &fields)?;
    let change = if file.text.as_ref() == Some(&text) { Change::None } else { change };
    Ok(Plan { change, text: Some(text), rivals, args, notes })
}

/// The variables that Zed's older form has inside `command`, which the new one replaces.
fn env_of_older_form(found: &Value) -> Option<(&'static str, Value)> {
    let mut env = found.get("command")?.get("env")?.as_object()?.clone();
    env.extend(found.get("env").and_then(Value::as_object).cloned().unwrap_or_default());
    Some(("env", Value::Object(env)))
}

/// Beside an extension of ours an entry for the same Blender would give the assistant each tool twice.
fn kept_for_an_extension(client: &Client, entry: &Entry) -> Option<String> {
    extension::find(client).filter(|_| !entry.has_options()).map(|extension| {
        format!(
            "it has Blendwire as an extension ({}), which stays; --host, --port or --profile put an entry for another Blender \
             beside it",
            extension.name
        )
    })
}

/// # Errors
/// When there are options, which have no place in such an entry.
fn kept_by_hand(client: &Client, name: &str, entry: &Entry, line: &str) -> Result<String> {
    let setup = command(client, name);
    ensure!(
        !entry.has_options(),
        "the entry {name:?} leads to Blendwire in a way of its own ({line}), where options have no place: `{setup} --remove` \
         takes it out, or --name puts another one beside it"
    );
    Ok(format!(
        "the entry {name:?} leads to Blendwire in a way of its own ({line}) and stays; for one that starts {}: `{setup} \
         --remove`, then `{setup}`",
        entry.command
    ))
}

/// What sets up this entry of this client.
fn command(client: &Client, name: &str) -> String {
    let name = if name == ENTRY_NAME { String::new() } else { format!(" --name {}", quoted(name)) };
    format!("blendwire setup {}{name}", client.name())
}

/// Takes the entry out.
///
/// # Errors
/// When the text is not what it is to be, or the entry is not ours.
pub(super) fn take(client: &Client, file: &File, name: &str) -> Result<Plan> {
    let rivals = rivals(client, file)?;
    let text = file.text.clone().unwrap_or_default();
    let plan = |change, text, rivals| Plan { change, text, rivals, args: Vec::new(), notes: Vec::new() };
    match found(client, &text, name)? {
        None => Ok(plan(Change::None, file.text.clone(), rivals)),
        Some(found) if !Kind::of(name, &found).is_ours() => {
            bail!("the entry {name:?} does not start blendwire ({}), and is left alone", kind::line(&found))
        }
        Some(found) => {
            let text = without(client, file, &text, name, &found)?;
            Ok(plan(Change::Removed, text, rivals))
        }
    }
}

/// The text without the entry. Where nothing else has happened to the file since it was put in, what the file was before:
/// a copy that becomes this very text with the entry, or no file at all. So it ends as it was, byte for byte.
fn without(client: &Client, file: &File, text: &str, name: &str, entry: &Value) -> Result<Option<String>> {
    let fields: Fields =
        ["type", "command", "args"].into_iter().filter_map(|key| Some((key, entry.get(key)?.clone()))).collect();
    // Setup writes nothing else: what has come of another form was put in by somebody else.
    let is_written = |value: &Value| value.as_array().map_or(value.is_string(), |all| all.iter().all(Value::is_string));
    if !fields.iter().all(|(_, value)| is_written(value)) {
        return client.format.take(text, &table(client), name).map(Some);
    }
    let leads_here = |before: &str| {
        let had_it = found(client, before, name).map_or(true, |found| found.is_some());
        !had_it && client.format.put(before, &table(client), name, &fields).is_ok_and(|put| put == text)
    };
    let backups = file.backups();
    if backups.is_empty() && leads_here("") {
        return Ok(None);
    }
    match backups.into_iter().find(|backup| leads_here(backup)) {
        Some(backup) => Ok(Some(backup)),
        None => client.format.take(text, &table(client), name).map(Some),
    }
}

/// Whether the file has an entry of this name.
pub(super) fn has(client: &Client, file: &File, name: &str) -> bool {
    found(client, file.text.as_deref().unwrap_or_default(), name).is_ok_and(|found| found.is_some())
}

fn found(client: &Client, text: &str, name: &str) -> Result<Option<Value>> {
    let entries = client.format.entries(text, &table(client))?;
    Ok(entries.into_iter().find(|(found, _)| found == name).map(|(_, entry)| entry))
}

/// The keys that lead to a client's servers.
pub(super) fn table(client: &Client) -> Path {
    vec![client.key.to_owned()]
}
