// SPDX-License-Identifier: GPL-3.0-or-later
//! Ports that Windows keeps for itself: a server that asks for one is refused, though nobody listens there.

use std::ops::RangeInclusive;

#[cfg(windows)]
use super::context::Context;
use super::finding::Finding;

#[cfg(windows)]
pub(super) fn reserved_port(context: &Context) -> Finding {
    if !super::network::is_here(context) {
        return Finding::ok("not asked: it is on another machine");
    }
    let mut command = std::process::Command::new("netsh");
    command.args(["interface", "ipv4", "show", "excludedportrange", "protocol=tcp"]).stdin(std::process::Stdio::null());
    match command.output() {
        Ok(output) => among(&ranges(&String::from_utf8_lossy(&output.stdout)), context.endpoint().port),
        Err(error) => Finding::ok(format!("not known: netsh does not start ({error})")),
    }
}

/// The finding for a port and the ranges that the system keeps.
fn among(ranges: &[RangeInclusive<u16>], port: u16) -> Finding {
    let Some(range) = ranges.iter().find(|range| range.contains(&port)) else {
        return Finding::ok(format!(
            "port {port} is in none of the {} ranges that Windows keeps for itself",
            ranges.len()
        ));
    };
    Finding::warning(
        format!("port {port} is in the range {} to {} that Windows keeps for itself", range.start(), range.end()),
        "no program may listen there, and the error is that access is forbidden; Hyper-V, WSL and Docker take such ranges anew at \
         each start of Windows",
    )
    .remedy(format!(
        "in a Command Prompt as administrator: net stop winnat & netsh interface ipv4 add excludedportrange protocol=tcp startport={port} \
         numberofports=1 & net start winnat (the port is then Blender's to take, for good)"
    ))
    .remedy("blendwire launch: takes the first port that is free")
    .remedy("set another port in the add-on's preferences, and give it with --port or BLENDWIRE_PORT")
}

/// What netsh lists. Its words are in the system's language, its numbers are not. Ranges with a star are the
/// administrator's: they are kept from Windows, and programs may ask for them.
fn ranges(listed: &str) -> Vec<RangeInclusive<u16>> {
    let range = |line: &str| match line.split_whitespace().collect::<Vec<_>>().as_slice() {
        [start, end] => Some(start.parse().ok()?..=end.parse().ok()?),
        _ => None,
    };
    listed.lines().filter_map(range).collect()
}

#[cfg(test)]
mod tests {
    use super::super::finding::State;
    use super::*;

    const ENGLISH: &str = "\r
Protocol tcp Port Exclusion Ranges\r
\r
Start Port    End Port      \r
----------    --------      \r
        80          80      \r
      5357        5357      \r
      9837        9936      \r
     50000       50059     *\r
\r
* - Administered port exclusions.\r
\r
";

    /// The console's code page is not UTF-8.
    const GERMAN: &[u8] = b"\r\nProtokoll tcp Portausschlussbereiche\r\n\r\nStartport     Endport      \r\n\
        ----------    --------      \r\n      2869        2869      \r\n      9837        9936      \r\n\r\n\
        * - Verwaltete Portausschl\x81sse.\r\n\r\n";

    #[test]
    fn the_systems_ranges_are_read_in_any_language() {
        assert_eq!(ranges(ENGLISH), [80..=80, 5357..=5357, 9837..=9936]);
        assert_eq!(ranges(&String::from_utf8_lossy(GERMAN)), [2869..=2869, 9837..=9936]);
        assert!(ranges("").is_empty());
    }

    #[test]
    fn a_port_in_one_of_them_is_told_with_the_way_out() {
        let found = among(&ranges(ENGLISH), 9876);
        assert!(found.state == State::Warning && found.seen.contains("9837 to 9936"), "{}", found.seen);
        assert!(found.remedies[0].contains("net stop winnat") && found.remedies[0].contains("startport=9876"));
        assert_eq!(among(&ranges(ENGLISH), 50001).state, State::Ok);
        assert_eq!(among(&ranges(ENGLISH), 9937).state, State::Ok);
    }
}
