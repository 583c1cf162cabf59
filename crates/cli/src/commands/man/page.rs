// SPDX-License-Identifier: GPL-3.0-or-later
//! One page. What stands below the options in the help becomes sections of its own, as manuals have them: examples line
//! by line, the exit status, and notes.

use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

/// What begins the examples, and the line about the exit status.
const EXAMPLES: &str = "Examples:";
const EXIT_STATUS: &str = "Exit status: ";

/// What lines begin with that stand as they are.
const INDENT: &str = "  ";

/// The page's name: `blendwire-exec` for `blendwire exec`.
pub(super) fn name(command: &clap::Command) -> &str {
    command.get_display_name().unwrap_or(command.get_name())
}

/// The page as `man` reads it.
pub(super) fn of(command: &clap::Command) -> String {
    let man = Man::new(command.clone());
    let (prose, rest) = below(command);
    let when = |is_there: bool, part: String| if is_there { part } else { String::new() };
    let parts = [
        preamble(),
        title(command),
        section(|text| man.render_name_section(text)),
        section(|text| man.render_synopsis_section(text)),
        section(|text| man.render_description_section(text)),
        prose,
        when(command.get_arguments().next().is_some(), section(|text| man.render_options_section(text))),
        when(command.has_subcommands(), section(|text| man.render_subcommands_section(text))),
        rest,
        see_also(command),
    ];
    parts.concat()
}

/// Without a date, so that the same version has the same pages whenever they are made. Written by hand: the empty field
/// needs its quotes.
fn title(command: &clap::Command) -> String {
    format!(".TH {} 1 \"\" \"blendwire {}\" \"Blendwire\"\n", name(command), env!("CARGO_PKG_VERSION"))
}

fn section(render: impl FnOnce(&mut dyn std::io::Write) -> std::io::Result<()>) -> String {
    let mut text = Vec::new();
    // Memory takes whatever is written, and it is text.
    let _ = render(&mut text);
    without_preamble(&String::from_utf8_lossy(&text))
}

/// Each part begins with what the page needs once.
fn without_preamble(text: &str) -> String {
    text.strip_prefix(&preamble()).unwrap_or(text).to_owned()
}

/// What defines how apostrophes are written.
fn preamble() -> String {
    Roff::new().render()
}

/// What the help has below the options: what belongs to the description, and the sections.
fn below(command: &clap::Command) -> (String, String) {
    let text = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let (prose, rest) = text.split_at(text.find(EXAMPLES).unwrap_or(text.len()));
    (lines(prose), lines(rest))
}

/// Lines that are indented stand as they are, the others flow.
fn lines(text: &str) -> String {
    let mut roff = Roff::new();
    let (mut section, mut is_apart, mut as_is) = ("", true, false);
    for line in text.lines() {
        if line.trim().is_empty() {
            is_apart = true;
            continue;
        }
        let is_indented = line.starts_with(INDENT);
        if is_indented != as_is {
            roff.control(if is_indented { "nf" } else { "fi" }, []);
            as_is = is_indented;
        }
        let status = line.strip_prefix(EXIT_STATUS);
        let heading = match (line, status) {
            (EXAMPLES, _) => "EXAMPLES",
            (_, Some(_)) => "EXIT STATUS",
            _ if is_indented || section.is_empty() => section,
            _ => "NOTES",
        };
        if heading != section {
            roff.control("SH", [heading]);
            section = heading;
        } else if is_apart && !is_indented {
            roff.control("PP", []);
        }
        is_apart = false;
        if line != EXAMPLES {
            roff.text([roman(status.unwrap_or(line.strip_prefix(INDENT).unwrap_or(line)))]);
        }
    }
    if as_is {
        roff.control("fi", []);
    }
    without_preamble(&roff.render())
}

/// A command's page leads to that of the whole.
fn see_also(command: &clap::Command) -> String {
    if name(command) == "blendwire" {
        return String::new();
    }
    let mut roff = Roff::new();
    roff.control("SH", ["SEE ALSO"]);
    roff.text([bold("blendwire"), roman("(1)")]);
    without_preamble(&roff.render())
}
