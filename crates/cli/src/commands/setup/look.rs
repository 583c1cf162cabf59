// SPDX-License-Identifier: GPL-3.0-or-later
//! What stands in the clients' files, for whoever wants to know and changes nothing.

use std::path::PathBuf;

use anyhow::Result;
use serde_json::Value;

use super::clients::Client;
use super::extension::{self, Extension};
use super::file::File;
use super::kind::{self, Kind};
use super::meant::Meant;
use super::places::Places;
use super::plan;
use super::started::Started;

/// One client that is on this machine.
pub(crate) struct Seen {
    /// Its name on the command line of `setup`.
    pub(crate) name: String,
    /// What people call it.
    pub(crate) label: &'static str,
    /// Whether it is started from a desktop, and not in a terminal.
    pub(crate) is_on_desktop: bool,
    /// Its file, which need not be there.
    pub(crate) file: PathBuf,
    /// What is in it, or why that cannot be told.
    pub(crate) entries: Result<Entries>,
}

/// The entries that concern Blender.
#[derive(Default)]
pub(crate) struct Entries {
    /// Those that lead to Blendwire.
    pub(crate) ours: Vec<Ours>,
    /// Names of those that start another server for Blender, and what they start.
    pub(crate) rivals: Vec<(String, String)>,
}

/// An entry that leads to Blendwire.
#[derive(Clone, Debug)]
pub(crate) struct Ours {
    /// Its name.
    pub(crate) name: String,
    /// Who has put it there, and so what mends it.
    pub(crate) form: Form,
    /// How the client gets to the server.
    pub(crate) way: Way,
    /// The Blender that it is for.
    pub(crate) meant: Meant,
}

/// Whose an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// One as setup writes it.
    OfSetup,
    /// One as people write it and setup does not.
    ByHand,
    /// An extension of the client's.
    Extension,
}

/// How a client gets to the server.
#[derive(Clone, Debug)]
pub(crate) enum Way {
    /// It starts it.
    Started {
        /// The program, and what it is started with.
        words: Vec<String>,
        /// The environment variables that the client sets for it.
        variables: Vec<(String, String)>,
    },
    /// It is there already, at this address.
    Http {
        url: hyper::Uri,
        /// Headers that the client sends.
        headers: Vec<(String, String)>,
    },
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
    let entries = File::read(&client.place.file).and_then(|file| entries(&client, &file));
    let Client { label, is_on_desktop, .. } = client;
    Seen { name: client.name(), label, is_on_desktop, file: client.place.file, entries }
}

fn entries(client: &Client, file: &File) -> Result<Entries> {
    let text = file.text.as_deref().unwrap_or_default();
    let all = client.format.entries(text, &plan::table(client))?;
    let of_file = all.into_iter().filter_map(|(name, entry)| ours(name, &entry));
    let ours = of_file.chain(extension::find(client).map(installed)).collect();
    let rivals = plan::rivals(client, file)?.into_iter().map(|rival| (rival.name, rival.command)).collect();
    Ok(Entries { ours, rivals })
}

fn ours(name: String, entry: &Value) -> Option<Ours> {
    let form = match Kind::of(&name, entry) {
        Kind::Ours => Form::OfSetup,
        Kind::OursByHand => Form::ByHand,
        Kind::Rival | Kind::Other => return None,
    };
    let Some(url) = kind::url(&name, entry) else {
        return Some(started(name, form, kind::words(entry), kind::variables(entry)));
    };
    // Codex has a name of its own for them.
    let headers = ["headers", "http_headers"].iter().flat_map(|key| kind::texts(entry, key)).collect();
    Some(Ours { name, form, meant: Meant::at(&url), way: Way::Http { url, headers } })
}

fn installed(extension: Extension) -> Ours {
    let Extension { name, words, variables } = extension;
    started(name, Form::Extension, words, variables)
}

fn started(name: String, form: Form, words: Vec<String>, variables: Vec<(String, String)>) -> Ours {
    let args: Vec<_> = Started::by(&words).command.into_iter().skip(1).collect();
    Ours { name, form, meant: Meant::by(&args, &variables), way: Way::Started { words, variables } }
}
