// SPDX-License-Identifier: GPL-3.0-or-later
//! The server's clock beside ours.

use std::time::{Duration, Instant};

use blendwire_client::Outcome;
use jiff::{SignedDuration, Timestamp, Unit};

use super::context::Context;
use super::finding::Finding;
use super::inside;

/// Nobody notices less.
const OFF_BY: SignedDuration = SignedDuration::from_secs(60);

/// Not the header `Date` of HTTP: after the clock was set back that stands still for as long.
const TIME: &str = "import time\nresult = time.time()";

pub(super) fn clock(context: &Context) -> Finding {
    if inside::is_other_host(context) {
        return Finding::ok(inside::NOT_ASKED);
    }
    let since = Instant::now();
    let asked = inside::run(context, TIME, inside::TOLD_WITHIN);
    let here = Timestamp::now();
    let told = match &asked {
        Ok(Outcome::Finished { result, .. }) => result
            .get()
            .parse()
            .ok()
            .and_then(|secs| Timestamp::UNIX_EPOCH.checked_add(SignedDuration::try_from_secs_f64(secs).ok()?).ok()),
        _ => None,
    };
    match told {
        // It was told somewhere between question and answer.
        Some(there) => beside(there, here, since.elapsed()),
        None => Finding::warning("Blender did not tell its time", "whether the clocks agree is not known")
            .remedy("blendwire exec -c \"import time; result = time.time()\": shows why"),
    }
}

/// The finding for the time there and here, where that is known but for so much.
fn beside(there: Timestamp, here: Timestamp, within: Duration) -> Finding {
    let ahead = there.duration_since(here);
    if ahead.abs() <= OFF_BY {
        let by = ahead.abs().as_secs_f64().max(within.as_secs_f64());
        return Finding::ok(format!("the server's is the same as here, within {by:.3} s"));
    }
    let by = ahead.abs().round(Unit::Minute).unwrap_or(ahead.abs());
    let direction = if ahead.is_positive() { "ahead of" } else { "behind" };
    let [there, here] = [there, here].map(|time| time.round(Unit::Second).unwrap_or(time));
    Finding::warning(
        format!("the server's clock is {by:#} {direction} this machine's: {there} there, {here} here"),
        "certificates begin and end, and what the journal tells happened, by clocks that do not agree",
    )
    .remedy(format!("where this machine's is wrong: {}", own_remedy()))
    .remedy(format!(
        "where that of Blender's machine is wrong, there: {LINUX} (Linux), {WINDOWS} (Windows), {MACOS} (macOS)"
    ))
}

const LINUX: &str = "sudo timedatectl set-ntp true";
// Off a domain the service mostly stands still.
const WINDOWS: &str = "net start w32time, then w32tm /resync";
const MACOS: &str = "sudo sntp -sS time.apple.com";

/// What sets this system's clock by a time server.
fn own_remedy() -> String {
    match std::env::consts::OS {
        "windows" => format!("{WINDOWS}, in a terminal that was started as administrator"),
        "macos" => MACOS.to_owned(),
        _ => LINUX.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::State;
    use super::*;

    #[test]
    fn a_clock_that_is_off_is_told_by_how_much_and_which_way() {
        let told = |there: &str| {
            beside(there.parse().unwrap(), "2026-11-22T18:00:00.9Z".parse().unwrap(), Duration::from_millis(1))
        };
        assert_eq!(told("2026-11-22T18:00:59Z").state, State::Ok);
        let ahead = told("2026-11-22T19:30:01.1Z");
        assert_eq!(ahead.state, State::Warning);
        assert_eq!(
            ahead.seen,
            "the server's clock is 1h 30m ahead of this machine's: 2026-11-22T19:30:01Z there, 2026-11-22T18:00:01Z here"
        );
        assert!(told("2026-11-22T17:00:00Z").seen.contains(" 1h behind this machine's"));
    }
}
