// SPDX-License-Identifier: GPL-3.0-or-later
//! The journal for people: a line for each request, and below it what it did outside of Blender.

use std::path::Path;

use blendwire_journal::{Begin, By, Consented, Deeds, Dialect, End, Entry, Lost, Reader, State};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use owo_colors::OwoColorize as _;

use super::chosen::Chosen;
use crate::printer::duration;

/// What stands before details, to set them off from the times.
const INDENT: &str = "    ";

/// See the module.
pub(super) struct Text {
    with_code: bool,
    /// The server whose requests are being told of.
    instance: String,
}

impl Text {
    pub(super) fn new(with_code: bool) -> Self {
        Self { with_code, instance: String::new() }
    }

    /// Pieces of text, by time.
    pub(super) fn show(&mut self, chosen: &Chosen) -> Vec<String> {
        let mut pieces: Vec<(Timestamp, String)> = Vec::new();
        for entry in &chosen.entries {
            let mut piece = String::new();
            if entry.begin.instance != self.instance {
                self.instance.clone_from(&entry.begin.instance);
                piece = format!("{}\n", server(&entry.begin).bold());
            }
            pieces.push((entry.begin.time, piece + &self.request(entry)));
        }
        pieces.extend(chosen.lost.iter().map(|lost| (lost.time, lost_lines(lost))));
        pieces.sort_by_key(|(time, _)| *time);
        pieces.into_iter().map(|(_, text)| text).collect()
    }

    fn request(&self, entry: &Entry) -> String {
        let begin = &entry.begin;
        let number = format!("#{}", begin.number);
        let title = if begin.title.trim().is_empty() { "(empty script)" } else { &begin.title };
        let (time, outcome, who) = (local(begin.time), outcome(entry), who(begin));
        let mut lines = vec![format!("{time}  {number:<5} {outcome}  {}  {}", plain(title), who.dimmed())];
        if entry.end.is_none() {
            lines.push(told_of_an_open_one(&entry.path, &begin.instance));
        }
        if let Some(id) = &begin.id {
            lines.push(detail("id", &id.as_str().map_or_else(|| id.to_string(), str::to_owned)));
        }
        if let Some(Consented { answer, by }) = &begin.consent {
            let by = if *by == By::Blender { "in Blender" } else { "by a client, for its user" };
            lines.push(detail("consent", &format!("“{answer}”, answered {by}")));
        }
        if let Some(end) = &entry.end {
            lines.extend(told_at_the_end(end));
        }
        if self.with_code {
            lines.extend(code(begin));
        }
        lines.join("\n")
    }
}

fn detail(name: &str, what: &str) -> String {
    format!("{INDENT}{:<8} {}", name.dimmed(), plain(what))
}

fn told_at_the_end(end: &End) -> Vec<String> {
    let error = end.error.as_ref().map(|error| detail("error", error));
    let never_began = end.never_began.then(|| detail("", "taken out of the queue; nothing of it was run"));
    let rolled_back = end.rolled_back.map(|is_whole| {
        let how = if is_whole { "was taken back" } else { "could not be taken back whole" };
        detail("", &format!("what it did to the file {how}"))
    });
    let mut lines: Vec<_> = [error, never_began, rolled_back].into_iter().flatten().collect();
    let Deeds { files_written, files_removed, processes, hosts, refused, .. } = &end.deeds;
    let kinds = [
        ("wrote", files_written, end.deeds.more_files_written),
        ("removed", files_removed, end.deeds.more_files_removed),
        ("started", processes, end.deeds.more_processes),
        ("host", hosts, end.deeds.more_hosts),
        ("refused", refused, end.deeds.more_refused),
    ];
    for (name, list, more) in kinds {
        lines.extend(list.iter().map(|what| detail(name, what)));
        lines.extend((more > 0).then(|| detail(name, &format!("… and {more} more"))));
    }
    lines
}

fn server(begin: &Begin) -> String {
    let Begin { blender, pid, instance, .. } = begin;
    format!("Blender {blender}, process {pid}, instance {instance}")
}

fn local(time: Timestamp) -> String {
    Zoned::new(time, TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// The longest outcome and the longest duration, so that titles stand below each other.
fn outcome(entry: &Entry) -> String {
    let (word, took) = match &entry.end {
        Some(end) if end.never_began => (end.outcome.as_str(), String::new()),
        Some(end) => (end.outcome.as_str(), duration(end.ran_secs)),
        None => ("no end", String::new()),
    };
    let word = format!("{word:<9}");
    let word = match entry.state() {
        State::Ok => word.green().to_string(),
        State::Failed => word.red().to_string(),
        State::Open => word.yellow().to_string(),
    };
    format!("{word} {took:>7}")
}

fn told_of_an_open_one(path: &Path, instance: &str) -> String {
    let words = match Reader::is_being_written(path, instance) {
        Some(true) => "it is still running",
        Some(false) => "Blender ended while it ran: it crashed, was killed, or the script ended it",
        None => "it is still running, or Blender ended meanwhile",
    };
    detail("", words)
}

fn who(begin: &Begin) -> String {
    let user = begin.uid.map(|uid| format!("(user {uid})"));
    let dialect = match begin.dialect {
        Dialect::Framed => None,
        Dialect::Bare => Some("as mcp-for-blender".to_owned()),
        Dialect::Http => Some("over HTTP".to_owned()),
        Dialect::Mcp => Some("over MCP".to_owned()),
    };
    let who: Vec<_> = [begin.client.clone(), begin.peer.clone(), user, dialect].into_iter().flatten().collect();
    plain(&who.join(" "))
}

fn code(begin: &Begin) -> Vec<String> {
    let line = |text: String| format!("{INDENT}{} {text}", "|".dimmed());
    let mut lines: Vec<_> = begin.code.lines().map(|text| line(plain(text))).collect();
    lines.extend(begin.code_bytes.map(|bytes| line(format!("… cut: {bytes} bytes in all"))));
    lines
}

fn lost_lines(lost: &Lost) -> String {
    let Lost { time, count, since, why, .. } = lost;
    let text = format!("{}  {count} lines are missing since {}: {}", local(*time), local(*since), plain(why));
    text.yellow().to_string()
}

/// What came from a script may hold anything; a terminal must not obey it.
fn plain(text: &str) -> String {
    let escape = |c: char| if c.is_control() && c != '\t' { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_obeys_no_script() {
        assert_eq!(plain("a\u{1b}[2Jb\tc\n\u{9b}d"), "a\\u{1b}[2Jb\tc\\n\\u{9b}d");
    }
}
