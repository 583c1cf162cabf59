// SPDX-License-Identifier: GPL-3.0-or-later
//! `blendwire logs`: the audit journal, for people, as JSON, or as a script that does the same again.
//!
//! This file decides what is read and for how long; `chosen` picks requests, `text` and `replay` show them.

mod chosen;
mod replay;
mod text;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use blendwire_journal::{Line, Reader};

use self::chosen::Chosen;
use self::text::Text;
use crate::args::LogsArgs;
use crate::exit::{Ended, Failure};
use crate::{env_vars, printer};

/// How often `--follow` looks: quick to a person, nothing to a disk.
const LOOK_EVERY: Duration = Duration::from_millis(250);

pub(crate) fn run(args: &LogsArgs) -> Ended {
    let folder = folder().map_err(Failure::failed)?;
    let mut reader = Reader::new(folder.clone());
    let mut lines = poll(&mut reader, args.follow).map_err(Failure::failed)?;
    let chosen = Chosen::from(args, &lines).map_err(Failure::failed)?;
    tell_of_unreadable(&reader, &folder);
    if args.py {
        return printer::data(&replay::script(&chosen.entries));
    }
    let mut text = Text::new(args.code);
    if args.json {
        print(chosen.lines(&lines).map(|line| line.text.clone()))?;
    } else {
        print(text.show(&chosen))?;
    }
    if chosen.is_empty() && !args.follow {
        printer::talk("no request in the journal is what was asked for");
    }
    if !args.follow {
        return Ok(());
    }
    let mut shown = Chosen::ended(&lines);
    loop {
        std::thread::sleep(LOOK_EVERY);
        let more = poll(&mut reader, true).map_err(Failure::failed)?;
        if more.is_empty() {
            continue;
        }
        if args.json {
            print(more.iter().filter(|line| chosen::is_of(args, line)).map(|line| line.text.clone()))?;
            continue;
        }
        let lost = chosen::lost_lines(&more).filter(|lost| chosen::is_named(args, &lost.instance)).cloned().collect();
        lines.extend(more);
        print(text.show(&Chosen { lost, ..Chosen::newly_ended(args, &lines, &mut shown) }))?;
    }
}

fn print(texts: impl IntoIterator<Item = String>) -> Ended {
    texts.into_iter().try_for_each(|text| printer::table(&text))
}

/// Where the journal is, or would be.
fn folder() -> Result<PathBuf> {
    let state = env_vars::read(env_vars::STATE_DIR).map(PathBuf::from);
    blendwire_state::folder(state.as_deref())
        .map(|state| blendwire_journal::folder_in(&state))
        .with_context(|| format!("no home folder; name the one that the journal is in with {}", env_vars::STATE_DIR))
}

fn poll(reader: &mut Reader, may_come: bool) -> Result<Vec<Line>> {
    match reader.poll() {
        Ok(lines) => Ok(lines),
        Err(error) if error.kind() == ErrorKind::NotFound && may_come => Ok(Vec::new()),
        Err(error) if error.kind() == ErrorKind::NotFound => bail!(none(&folder()?)),
        Err(error) => Err(anyhow!(error).context("the audit journal cannot be read")),
    }
}

fn none(folder: &Path) -> String {
    format!(
        "there is no audit journal: {} does not exist. A Blender of yours makes it when it runs its first request, unless \
         “Audit Journal” is off in the add-on's preferences or it was started with --no-journal. If it keeps its journal \
         elsewhere, name that place with {}",
        folder.display(),
        env_vars::STATE_DIR
    )
}

fn tell_of_unreadable(reader: &Reader, folder: &Path) {
    if reader.unreadable > 0 {
        let count = reader.unreadable;
        let lines = if count == 1 { "a line is" } else { "lines are" };
        printer::talk(&format!(
            "{count} {lines} not whole in {}: Blender was killed while it wrote, or the disk was full",
            folder.display()
        ));
    }
}
