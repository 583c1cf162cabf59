// SPDX-License-Identifier: GPL-3.0-or-later
//! `blendwire man`: the manual, made of the same text as the help. `page` lays out one page.

mod page;

use std::path::Path;

use anyhow::{Context as _, Result, anyhow};
use clap::CommandFactory as _;

use crate::args::{Args, ManArgs};
use crate::exit::{Ended, Failure};
use crate::printer;

pub(crate) fn run(args: &ManArgs) -> Ended {
    let mut whole = Args::command().disable_help_subcommand(true);
    whole.build();
    if let Some(folder) = &args.output {
        let count = write(&whole, folder).map_err(Failure::failed)?;
        printer::talk(&format!("wrote {count} pages to {}", folder.display()));
        return Ok(());
    }
    let command = named(&whole, &args.command).map_err(Failure::could_not_start)?;
    printer::data(page::of(command).trim_end())
}

/// The command that these words lead to.
fn named<'a>(whole: &'a clap::Command, words: &[String]) -> Result<&'a clap::Command> {
    words.iter().try_fold(whole, |command, word| {
        command.find_subcommand(word).ok_or_else(|| {
            let names: Vec<_> = shown(command).map(clap::Command::get_name).collect();
            anyhow!("{word:?} is no command: {}", names.join(", "))
        })
    })
}

/// A page for each command and each of its own. Gives how many.
fn write(command: &clap::Command, folder: &Path) -> Result<usize> {
    let file = folder.join(format!("{}.1", page::name(command)));
    let made = fs_err::create_dir_all(folder).and_then(|()| fs_err::write(&file, page::of(command)));
    made.context("the manual cannot be written")?;
    shown(command).try_fold(1, |count, command| Ok(count + write(command, folder)?))
}

fn shown(command: &clap::Command) -> impl Iterator<Item = &clap::Command> {
    command.get_subcommands().filter(|command| !command.is_hide_set())
}
