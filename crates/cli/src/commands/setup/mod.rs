// SPDX-License-Identifier: GPL-3.0-or-later
//! `blendwire setup`: writes the entry that starts `blendwire mcp` into the configuration of MCP clients.
//!
//! This file decides the order; `clients` and `places` know the clients, `entry` what is written, `plan` makes a new text
//! of the old one by way of `document` (`json`, `toml`), `file` puts it on the disk, `talk` says and asks.

mod clients;
mod diff;
mod document;
mod entry;
mod file;
mod json;
mod places;
mod plan;
mod talk;
mod toml;

use anyhow::{Result, anyhow};

use self::clients::Client;
use self::entry::Entry;
use self::file::File;
use self::places::Places;
use self::plan::{Change, Plan};
use self::talk::Report;
use crate::args::SetupArgs;
use crate::exit::{Ended, Failure};
use crate::printer;

pub(crate) fn run(args: &SetupArgs) -> Ended {
    let places = Places::here().map_err(Failure::could_not_start)?;
    let entry = Entry::new(&args.endpoint).map_err(Failure::could_not_start)?;
    let clients = chosen(args, &places).map_err(Failure::failed)?;
    let asks = !args.yes && !args.json && !args.dry_run && args.clients.is_empty() && talk::can_ask();
    if asks {
        talk::found(&clients);
    }
    if let Some(warning) = entry.warning().filter(|_| !args.remove) {
        printer::talk(&format!("warning: {warning}"));
    }
    let done: Vec<_> = clients.iter().map(|client| (client, set_up(args, &entry, client, asks))).collect();
    talk::tell(args, &entry, &done)?;
    if done.iter().any(|(_, result)| result.is_err()) { Err(Failure::Told) } else { Ok(()) }
}

/// The clients that were named, else those that are here.
fn chosen(args: &SetupArgs, places: &Places) -> Result<Vec<Client>> {
    if !args.clients.is_empty() {
        let mut names = Vec::new();
        args.clients.iter().for_each(|name| {
            if !names.contains(name) {
                names.push(*name)
            }
        });
        return Ok(names.into_iter().map(|name| Client::new(name, places)).collect());
    }
    let found: Vec<_> = Client::all(places).into_iter().filter(Client::is_found).collect();
    if found.is_empty() {
        return Err(anyhow!(
            "no MCP client was found on this machine: name one, for instance `blendwire setup claude-desktop` (`blendwire \
             setup --help` lists them), or write the entry by hand: docs/setup.md"
        ));
    }
    Ok(found)
}

/// One client. What goes wrong with it is no reason to leave the others.
fn set_up(args: &SetupArgs, entry: &Entry, client: &Client, asks: bool) -> Result<Report> {
    let file = plan::in_file(client, File::read(&client.place.file))?;
    let retires = !args.remove
        && (args.retire || asks && talk::ask_to_retire(client, &plan::in_file(client, plan::rivals(client, &file))?));
    let planned = if args.remove {
        plan::take(client, &file, &args.name)
    } else {
        plan::put(client, &file, &args.name, entry, retires)
    };
    let Plan { change, text, rivals } = plan::in_file(client, planned)?;
    let mut report = Report { change, rivals, retired: retires, is_refused: false, backup: None };
    if change == Change::None {
        return Ok(report);
    }
    plan::in_file(client, file.check_writable())?;
    let difference = diff::text(file.text.as_deref().unwrap_or_default(), text.as_deref().unwrap_or_default());
    if args.dry_run {
        talk::show(args, client, &difference);
    } else if asks && !talk::ask_to_write(client, &difference) {
        report.is_refused = true;
    } else {
        report.backup = plan::in_file(client, file.replace(text.as_deref()))?;
    }
    Ok(report)
}
