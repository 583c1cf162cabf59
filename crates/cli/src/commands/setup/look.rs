// SPDX-License-Identifier: GPL-3.0-or-later
//! What stands in the clients' files, for whoever wants to know and changes nothing.

use std::path::PathBuf;

use anyhow::Result;
use clap::ValueEnum as _;
use serde_json::Value;

use super::clients::Client;
use super::entry::{self, Kind};
use super::file::File;
use super::places::Places;
use super::plan;

/// One client that is on this machine.
pub(crate) struct Seen {
    /// Its name on the command line of `setup`.
    pub(crate) name: String,
    /// What people call it.
    pub(crate) label: &'static str,
    /// Its file, which need not be there.
    pub(crate) file: PathBuf,
    /// What is in it, or why that cannot be told.
    pub(crate) entries: Result<Entries>,
}

/// The entries that concern Blender.
#[derive(Default)]
pub(crate) struct Entries {
    /// Those that start Blendwire.
    pub(crate) ours: Vec<Ours>,
    /// Names of those that start another server for Blender, and what they start.
    pub(crate) rivals: Vec<(String, String)>,
}

/// An entry that starts Blendwire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ours {
    /// Its name.
    pub(crate) name: String,
    /// The program, and what it is started with.
    pub(crate) words: Vec<String>,
    /// The environment variables that the client sets for it.
    pub(crate) variables: Vec<(String, String)>,
}

/// Every client that seems to be on this machine.
///
/// # Errors
/// When the user has no home folder.
pub(crate) fn look() -> Result<Vec<Seen>> {
    let places = Places::here()?;
    Ok(Client::all(&places).filter(Client::is_found).map(seen).collect())
}

fn seen(client: Client) -> Seen {
    let name = client.name.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned());
    let entries = File::read(&client.place.file).and_then(|file| entries(&client, &file));
    Seen { name, label: client.label, file: client.place.file, entries }
}

fn entries(client: &Client, file: &File) -> Result<Entries> {
    let text = file.text.as_deref().unwrap_or_default();
    let all = client.format.entries(text, &plan::table(client))?;
    let ours = all.into_iter().filter(|(_, entry)| Kind::of(entry) == Kind::Ours).map(ours).collect();
    let rivals = plan::rivals(client, file)?.into_iter().map(|rival| (rival.name, rival.command)).collect();
    Ok(Entries { ours, rivals })
}

fn ours((name, entry): (String, Value)) -> Ours {
    let variables = entry.get("env").and_then(Value::as_object).into_iter().flatten();
    let variables = variables.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())));
    Ours { name, words: entry::words(&entry), variables: variables.collect() }
}
