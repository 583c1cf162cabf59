// SPDX-License-Identifier: GPL-3.0-or-later
//! Which requests of the journal were asked for.

use std::collections::HashSet;

use anyhow::{Result, bail};
use blendwire_journal::{Entry, Line, Lost, Record, State, entries};

use crate::args::LogsArgs;

/// As many are shown when nothing else is said: they fit a screen.
const DEFAULT_LAST: usize = 20;

/// A request, over all servers.
type Key = (String, u64);

/// See the module.
#[derive(Default)]
pub(super) struct Chosen {
    pub(super) entries: Vec<Entry>,
    pub(super) lost: Vec<Lost>,
}

impl Chosen {
    /// What `args` ask for.
    ///
    /// # Errors
    /// When there is no such server.
    pub(super) fn from(args: &LogsArgs, lines: &[Line]) -> Result<Self> {
        let all = entries(lines);
        let instance = match &args.instance {
            Some(wanted) => Some(instance(&all, wanted)?),
            None if args.py && args.since.is_none() => all.last().map(|entry| entry.begin.instance.clone()),
            None => None,
        };
        let is_of = |name: &str| instance.as_ref().is_none_or(|instance| instance == name);
        let mut entries: Vec<Entry> = all.into_iter().filter(|entry| is_of(&entry.begin.instance)).collect();
        entries.retain(|entry| is_wanted(args, entry));
        let is_narrowed = args.since.is_some() || args.instance.is_some() || args.py;
        let most = args.last.unwrap_or(if is_narrowed { usize::MAX } else { DEFAULT_LAST });
        let is_cut = entries.len() > most;
        entries.drain(..entries.len().saturating_sub(most));
        let from = if is_cut { entries.first().map(|entry| entry.begin.time) } else { args.since };
        let lost = lost_lines(lines).filter(|lost| is_of(&lost.instance) && from.is_none_or(|from| lost.time >= from));
        Ok(Self { lost: lost.cloned().collect(), entries })
    }

    /// The requests in `lines` that have ended.
    pub(super) fn ended(lines: &[Line]) -> HashSet<Key> {
        entries(lines).iter().filter(|entry| entry.end.is_some()).map(key).collect()
    }

    /// What `args` ask for of those that have ended since `shown` was looked at, which is brought up to date.
    pub(super) fn newly_ended(args: &LogsArgs, lines: &[Line], shown: &mut HashSet<Key>) -> Self {
        let mut entries = entries(lines);
        entries.retain(|entry| entry.end.is_some() && shown.insert(key(entry)));
        entries.retain(|entry| is_wanted(args, entry) && is_named(args, &entry.begin.instance));
        Self { entries, lost: Vec::new() }
    }

    /// Their lines.
    pub(super) fn lines<'a>(&self, lines: &'a [Line]) -> impl Iterator<Item = &'a Line> {
        let keys: HashSet<Key> = self.entries.iter().map(key).collect();
        let lost: Vec<_> = self.lost.clone();
        lines.iter().filter(move |line| match &line.record {
            Record::Begin(begin) => keys.contains(&(begin.instance.clone(), begin.number)),
            Record::End(end) => keys.contains(&(end.instance.clone(), end.number)),
            Record::Lost(line) => lost.contains(line),
        })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.lost.is_empty()
    }
}

/// Whether a line that has just come belongs to what `args` ask for, as far as one line tells.
pub(super) fn is_of(args: &LogsArgs, line: &Line) -> bool {
    let has_failed = !matches!(&line.record, Record::End(end) if end.outcome == "ok");
    is_named(args, line.record.instance()) && (!args.failed || has_failed)
}

/// What was told of lost lines.
pub(super) fn lost_lines(lines: &[Line]) -> impl Iterator<Item = &Lost> {
    lines.iter().filter_map(|line| if let Record::Lost(lost) = &line.record { Some(lost) } else { None })
}

pub(super) fn is_named(args: &LogsArgs, instance: &str) -> bool {
    args.instance.as_ref().is_none_or(|wanted| instance.starts_with(wanted))
}

fn is_wanted(args: &LogsArgs, entry: &Entry) -> bool {
    args.since.is_none_or(|since| entry.begin.time >= since) && (!args.failed || entry.state() != State::Ok)
}

fn key(entry: &Entry) -> Key {
    (entry.begin.instance.clone(), entry.begin.number)
}

/// The one server whose instance begins so.
fn instance(all: &[Entry], wanted: &str) -> Result<String> {
    const MOST_NAMED: usize = 5;
    let mut known: Vec<&str> = Vec::new();
    for entry in all.iter().rev() {
        if !known.contains(&entry.begin.instance.as_str()) {
            known.push(&entry.begin.instance);
        }
    }
    let found: Vec<_> = known.iter().filter(|instance| instance.starts_with(wanted)).collect();
    match found[..] {
        [instance] => Ok((*instance).to_owned()),
        [] => {
            let latest = known[..known.len().min(MOST_NAMED)].join(", ");
            bail!("no server in the journal has an instance that begins with {wanted:?}; the latest are {latest}")
        }
        _ => bail!("{} servers have an instance that begins with {wanted:?}; give more of it", found.len()),
    }
}
