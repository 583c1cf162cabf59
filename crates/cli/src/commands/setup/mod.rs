// SPDX-License-Identifier: GPL-3.0-or-later
//! `blendwire setup`: writes the entry that starts `blendwire mcp` into the configuration of MCP clients.
//!
//! This file decides the order; `clients` and `places` know the clients, `entry` what is written, `kind` what is there already,
//! by what that starts (`started`), and `meant` for which Blender; `extension` looks for ours in Claude Desktop. `plan` makes a new text
//! of the old one by way of `document` (`json`, `toml`), `file` puts it on the disk, `talk` says and asks. `look` tells `doctor` what is there.

mod clients;
mod diff;
mod document;
mod entry;
mod extension;
mod file;
mod json;
mod kind;
mod look;
mod meant;
mod places;
mod plan;
mod started;
mod talk;
mod toml;

use anyhow::{Context as _, Result, anyhow, ensure};

use self::clients::Client;
use self::entry::Entry;
use self::file::File;
pub(crate) use self::kind::{port, shown};
pub(crate) use self::look::{Form, Ours, Seen, Way, look};
use self::places::Places;
use self::plan::Plan;
use self::talk::Report;
pub(crate) use self::talk::{ask, can_ask, quoted};
use crate::args::{EndpointArgs, SetupArgs, is_plain_name};
use crate::exit::{Ended, Failure};
use crate::printer;

pub(crate) fn run(args: &SetupArgs) -> Ended {
    let places = Places::here().map_err(Failure::could_not_start)?;
    let entry = Entry::new(&args.endpoint).map_err(Failure::could_not_start)?;
    check_name(&args.name, &places).map_err(Failure::could_not_start)?;
    let clients = chosen(args, &places).map_err(Failure::failed)?;
    let asks = !args.yes && !args.json && !args.dry_run && args.clients.is_empty() && talk::can_ask();
    if asks {
        talk::found(&clients);
    }
    if let Some(warning) = entry.warning().filter(|_| !args.remove) {
        printer::talk(&format!("warning: {warning}"));
    }
    let set_up = |client: &Client| {
        let untouched = || format!("{}: nothing was changed in {}", client.label, client.place.file.display());
        set_up(args, &entry, client, asks).with_context(untouched)
    };
    let done: Vec<_> = clients.iter().map(|client| (client, set_up(client))).collect();
    talk::tell(args, &entry, &done)?;
    if done.iter().any(|(_, result)| result.is_err()) { Err(Failure::Told) } else { Ok(()) }
}

/// The clients that were named, else those that are here.
fn chosen(args: &SetupArgs, places: &Places) -> Result<Vec<Client>> {
    if !args.clients.is_empty() {
        return Ok(Client::all(places).filter(|client| args.clients.contains(&client.name)).collect());
    }
    let found: Vec<_> = Client::all(places).filter(Client::is_found).collect();
    if found.is_empty() {
        return Err(anyhow!(
            "no MCP client was found on this machine: name one, for instance `blendwire setup claude-desktop` (`blendwire \
             setup --help` lists them), or write the entry by hand: docs/setup.md"
        ));
    }
    Ok(found)
}

/// A name that no client's entry has yet is to be one that all of them take.
fn check_name(name: &str, places: &Places) -> Result<()> {
    let has_it = |client: Client| File::read(&client.place.file).is_ok_and(|file| plan::has(&client, &file, name));
    ensure!(
        is_plain_name(name) || Client::all(places).any(has_it),
        "--name {name:?}: no entry has this name, and a new one takes letters, digits, - and _ only, for instance blender-2"
    );
    Ok(())
}

/// One client. What goes wrong with it is no reason to leave the others.
fn set_up(args: &SetupArgs, entry: &Entry, client: &Client, asks: bool) -> Result<Report> {
    let file = File::read(&client.place.file)?;
    let retires = !args.remove && (args.retire || asks && talk::ask_to_retire(client, &plan::rivals(client, &file)?));
    let Plan { change, text, rivals, args: started_with, notes } = if args.remove {
        plan::take(client, &file, &args.name)?
    } else {
        plan::put(client, &file, &args.name, entry, retires)?
    };
    let mut report =
        Report { change, args: started_with, notes, rivals, retired: retires, is_refused: false, backup: None };
    if text == file.text {
        return Ok(report);
    }
    file.check_writable()?;
    let difference = diff::text(file.text.as_deref().unwrap_or_default(), text.as_deref().unwrap_or_default());
    if args.dry_run {
        talk::show(args, client, &difference);
    } else if asks && !talk::ask_to_write(client, &difference) {
        report.is_refused = true;
    } else {
        report.backup = file.replace(text.as_deref())?;
    }
    Ok(report)
}

/// Mends entries, each named by its client and its name, in the way of `setup CLIENT --name NAME`, without asking: their
/// program becomes this executable, and what else they say stays. Says what was done, and what could not be.
///
/// # Errors
/// When none could be mended: like those of setup.
pub(crate) fn mend(entries: &[(String, String)]) -> Result<String> {
    let places = Places::here()?;
    let entry = Entry::new(&EndpointArgs::default())?;
    let (mut done, mut failed) = (Vec::new(), Vec::new());
    for (client, name) in entries {
        match mend_one(&places, &entry, client, name) {
            Ok(what) => done.push(what),
            Err(error) => failed.push(format!("{client}'s entry {name:?}: {error:#}")),
        }
    }
    ensure!(!done.is_empty(), "{}", failed.join("; "));
    done.extend(failed.into_iter().map(|why| format!("could not mend {why}")));
    done.extend(entry.warning().map(|warning| format!("warning: {warning}")));
    Ok(done.join("; "))
}

fn mend_one(places: &Places, entry: &Entry, client: &str, name: &str) -> Result<String> {
    let client = Client::all(places).find(|known| known.name() == client).context("no such client")?;
    let file = File::read(&client.place.file)?;
    let Plan { text, .. } = plan::put(&client, &file, name, entry, false)?;
    file.check_writable()?;
    let backup = file.replace(text.as_deref())?;
    let kept = backup.map_or_else(String::new, |path| format!("; the file as it was is kept: {}", path.display()));
    Ok(format!("set up {}'s entry {name:?} anew{kept}", client.label))
}
