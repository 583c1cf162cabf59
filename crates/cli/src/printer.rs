// SPDX-License-Identifier: GPL-3.0-or-later
//! The only way out: data to stdout, talk to stderr. Colours fall away where they are not wanted or not shown.

use std::io::{self, IsTerminal as _, Write as _};

use owo_colors::OwoColorize as _;

use crate::exit::Failure;

/// The keys that end what is typed.
pub(crate) const END_OF_INPUT: &str = if cfg!(windows) { "Ctrl-Z and Enter" } else { "Ctrl-D" };

/// Writes one line of data, byte for byte.
pub(crate) fn data(line: &str) -> Result<(), Failure> {
    write_line(io::stdout().lock(), line)
}

/// Writes text for people, who may have redirected it: then without its colours.
pub(crate) fn table(text: &str) -> Result<(), Failure> {
    write_line(anstream::stdout().lock(), text)
}

fn write_line(mut out: impl io::Write, line: &str) -> Result<(), Failure> {
    let written = out.write_all(line.as_bytes()).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush());
    written.map_err(Failure::failed)
}

/// What a script or a client has said, for a place that has one line: line breaks and what a terminal would obey become
/// blanks.
pub(crate) fn one_line(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect()
}

/// A time in the unit of its size.
pub(crate) fn duration(secs: f64) -> String {
    match secs {
        secs if secs < 0.01 => format!("{:.1} ms", secs * 1000.0),
        secs if secs < 1.0 => format!("{:.0} ms", secs * 1000.0),
        secs if secs < 120.0 => format!("{secs:.1} s"),
        secs if secs < 7200.0 => format!("{:.0} min", secs / 60.0),
        secs => format!("{:.1} h", secs / 3600.0),
    }
}

/// Says something. Nobody listening is no reason to fail.
pub(crate) fn talk(line: &str) {
    let _ = writeln!(anstream::stderr().lock(), "{line}");
}

/// Shows what Python raised. Its frames are long: the colour makes their end stand out.
pub(crate) fn traceback(text: &str) {
    let (frames, last) = text.rsplit_once('\n').unwrap_or(("", text));
    let frames = if frames.is_empty() { String::new() } else { format!("{frames}\n") };
    talk(&format!("{frames}{}", last.red()));
}

/// Whether a person may be looking at what is said.
pub(crate) fn is_watched() -> bool {
    io::stderr().is_terminal()
}

/// Passes on what a script printed, byte for byte.
pub(crate) fn script_output(text: &str) {
    let mut err = io::stderr().lock();
    let _ = err.write_all(text.as_bytes()).and_then(|()| err.flush());
}

/// The same where what it prints is the data. A reader that has had enough is no reason to leave the script alone.
pub(crate) fn script_data(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Says what went wrong, with its causes.
pub(crate) fn error(error: &anyhow::Error) {
    talk(&format!("{} {error:#}", "error:".red().bold()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_the_unit_of_their_size() {
        assert_eq!(
            [0.00123, 0.0123, 12.34, 300.0, 9000.0].map(duration),
            ["1.2 ms", "12 ms", "12.3 s", "5 min", "2.5 h"]
        );
    }
}
