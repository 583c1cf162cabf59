// SPDX-License-Identifier: GPL-3.0-or-later
//! What is to become of one client's file: decided on its text, before anything is written.

use anyhow::{Result, bail};
use serde::Serialize;
use serde_json::Value;

use super::clients::Client;
use super::document::{Fields, Path};
use super::entry::{self, Entry, Kind};
use super::file::File;
use crate::args::ClientName;

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
        let rivals = entries.into_iter().filter(|(_, entry)| Kind::of(entry) == Kind::Rival);
        let rival = move |(name, entry)| Rival { path: path.clone(), name, command: entry::line(&entry) };
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
    let change = match found(client, &text, name)? {
        None => Change::Added,
        Some(found) => match Kind::of(&found) {
            Kind::Ours => Change::Updated,
            Kind::Rival => bail!(
                "the name {name:?} belongs to another server for Blender ({}): --retire takes its place and keeps it in \
                 the backup, --name puts Blendwire beside it",
                entry::line(&found)
            ),
            Kind::Other => bail!("the name {name:?} belongs to another server: take another with --name"),
        },
    };
    let text = client.format.put(&text, &table(client), name, &entry.fields(client.has_type))?;
    let is_same = file.text.as_ref() == Some(&text);
    Ok(Plan { change: if is_same { Change::None } else { change }, text: Some(text), rivals })
}

/// Takes the entry out.
///
/// # Errors
/// When the text is not what it is to be, or the entry is not ours.
pub(super) fn take(client: &Client, file: &File, name: &str) -> Result<Plan> {
    let rivals = rivals(client, file)?;
    let text = file.text.clone().unwrap_or_default();
    match found(client, &text, name)? {
        None => Ok(Plan { change: Change::None, text: file.text.clone(), rivals }),
        Some(found) if Kind::of(&found) != Kind::Ours => {
            bail!("the entry {name:?} does not start blendwire ({}), and is left alone", entry::line(&found))
        }
        Some(found) => {
            let text = without(client, file, &text, name, &found)?;
            Ok(Plan { change: Change::Removed, text, rivals })
        }
    }
}

/// The text without the entry. Where nothing else has happened to the file since it was put in, what the file was before:
/// a copy that becomes this very text with the entry, or no file at all. So it ends as it was, byte for byte.
fn without(client: &Client, file: &File, text: &str, name: &str, entry: &Value) -> Result<Option<String>> {
    let fields: Fields =
        ["type", "command", "args"].into_iter().filter_map(|key| Some((key, entry.get(key)?.clone()))).collect();
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

fn found(client: &Client, text: &str, name: &str) -> Result<Option<Value>> {
    let entries = client.format.entries(text, &table(client))?;
    Ok(entries.into_iter().find(|(found, _)| found == name).map(|(_, entry)| entry))
}

/// The keys that lead to a client's servers.
pub(super) fn table(client: &Client) -> Path {
    vec![client.key.to_owned()]
}
