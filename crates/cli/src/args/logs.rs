// SPDX-License-Identifier: GPL-3.0-or-later
//! `blendwire logs`

use jiff::Timestamp;
use jiff::civil::{DateTime, Time};
use jiff::{Span, Zoned};

/// `blendwire logs`
#[expect(clippy::struct_excessive_bools, reason = "each is one option")]
#[derive(clap::Args, Debug)]
#[command(after_help = "\
The audit journal holds every request that ran in a Blender of yours: when, who, its code, how it ended, which files it \
wrote, which processes it started, which hosts it contacted. It is read from its files; no Blender needs to run. The \
folder is blendwire/journal below $XDG_STATE_HOME (~/.local/state; on Windows %LOCALAPPDATA%), or journal in \
BLENDWIRE_STATE_DIR.

Examples:
  blendwire logs                              the last 20 requests
  blendwire logs --follow                     and those that come
  blendwire logs --failed --since 2h --code   what went wrong in the last two hours
  blendwire logs --json | jq -r 'select(.files_written) | .files_written[]'
  blendwire logs --py > replay.py             a script that does the same again

Exit status: 0 done, 1 there is no journal or it cannot be read.")]
pub(crate) struct LogsArgs {
    /// How many requests, the latest, or "all" [default: 20; all with --since, --instance or --py]
    #[arg(long, value_name = "N", value_parser = last)]
    pub(crate) last: Option<usize>,
    /// Only since then: 30min, 2h, 3d, 14:30, 2026-11-22 or 2026-11-22T14:30
    #[arg(long, value_name = "WHEN", value_parser = since)]
    pub(crate) since: Option<Timestamp>,
    /// Only of this start of a server: its instance as `blendwire status` shows it, or the beginning of that
    #[arg(long, value_name = "ID")]
    pub(crate) instance: Option<String>,
    /// Only those that failed, were cancelled, or did not end
    #[arg(long)]
    pub(crate) failed: bool,
    /// Show the code too
    #[arg(long, conflicts_with_all = ["json", "py"])]
    pub(crate) code: bool,
    /// Go on with what comes, until Ctrl-C
    #[arg(long, conflicts_with = "py")]
    pub(crate) follow: bool,
    /// Print the lines of the journal as they are: JSON, a begin and an end for each request
    #[arg(long, conflicts_with = "py")]
    pub(crate) json: bool,
    /// Print a Python script that runs again what went well, of the last server unless others are named
    #[arg(long)]
    pub(crate) py: bool,
}

fn last(text: &str) -> Result<usize, String> {
    if text == "all" {
        return Ok(usize::MAX);
    }
    text.parse().map_err(|_| "a number, or \"all\"".to_owned())
}

/// A moment, a time of today, or a while ago.
fn since(text: &str) -> Result<Timestamp, String> {
    let now = Zoned::now();
    let local = |moment: DateTime| moment.to_zoned(now.time_zone().clone()).ok().map(|moment| moment.timestamp());
    let ago = || now.checked_sub(text.parse::<Span>().ok()?).ok().map(|moment| moment.timestamp());
    let today = || local(now.date().to_datetime(text.parse::<Time>().ok()?));
    let moment = text.parse::<Timestamp>().ok();
    let moment = moment.or_else(|| local(text.parse().ok()?)).or_else(ago).or_else(today);
    moment
        .ok_or_else(|| "a while such as 30min, 2h or 3d, a time such as 14:30, or a date such as 2026-11-22".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_understood_as_people_write_them() {
        let now = Timestamp::now();
        let secs_ago = |text| now.duration_since(since(text).unwrap()).as_secs();
        for (text, wanted) in [("90s", 90), ("30min", 1800), ("2h", 7200), ("2 hours", 7200)] {
            assert!((secs_ago(text) - wanted).abs() <= 2, "{text}: {}", secs_ago(text));
        }
        assert!((secs_ago("3d") - 3 * 86400).abs() <= 3602);
        assert_eq!(since("2026-11-22T10:00:00Z").unwrap().to_string(), "2026-11-22T10:00:00Z");
        assert!(since("2026-11-22").is_ok() && since("2026-11-22T14:30").is_ok() && since("14:30").is_ok());
        assert!(since("yesterday").unwrap_err().contains("2026-11-22"));
    }
}
