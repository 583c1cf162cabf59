// SPDX-License-Identifier: GPL-3.0-or-later
//! One socket by its addresses, out of `/proc/net/tcp` and `tcp6` (`man 5 proc_pid_net`). Reads the table of all: several
//! microseconds for each socket of the machine.

use std::fs::File;
use std::io::{self, BufReader};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use super::Row;

/// The socket that has the address `of` and is connected to `to`; for a listening one `to` has port 0.
///
/// # Errors
/// The system's, when it has no such table.
pub(super) fn row(of: SocketAddr, to: SocketAddr) -> io::Result<Option<Row>> {
    if let Some(row) = row_in(BufReader::with_capacity(1 << 16, File::open("/proc/net/tcp")?), of, to)? {
        return Ok(Some(row));
    }
    // A program with an IPv6 socket that connects to an IPv4 address is listed there. Without IPv6 there is no table.
    let Ok(table) = File::open("/proc/net/tcp6") else { return Ok(None) };
    row_in(BufReader::with_capacity(1 << 16, table), of, to)
}

fn row_in(mut table: impl io::BufRead, of: SocketAddr, to: SocketAddr) -> io::Result<Option<Row>> {
    let mut line = String::new();
    while table.read_line(&mut line)? > 0 {
        if let Some(row) = parse(&line, of, to) {
            return Ok(Some(row));
        }
        line.clear();
    }
    Ok(None)
}

/// The row of this line, if it is of the socket in question.
fn parse(line: &str, of: SocketAddr, to: SocketAddr) -> Option<Row> {
    let mut fields = line.split_ascii_whitespace();
    let (local, remote) = (fields.nth(1)?, fields.next()?);
    if !is(local, of)? || !is(remote, to)? {
        return None;
    }
    let state = u8::from_str_radix(fields.next()?, 16).ok()?;
    // Past queues, timer and retransmits; between uid and inode stands a timeout.
    let uid = fields.nth(3)?.parse().ok()?;
    Some(Row { uid, inode: fields.nth(1)?.parse().ok()?, state })
}

/// Whether `text`, as in `0100007F:2694`, is this address. The port is looked at first: it tells most of them apart.
fn is(text: &str, address: SocketAddr) -> Option<bool> {
    let (host, port) = text.split_once(':')?;
    Some(u16::from_str_radix(port, 16).ok()? == address.port() && host_of(host)? == address.ip().to_canonical())
}

/// Each group of eight digits is a number of 32 bits of the network's byte order, read in the machine's own.
fn host_of(digits: &str) -> Option<IpAddr> {
    let word = |at: usize| Some(u32::from_str_radix(digits.get(at..at + 8)?, 16).ok()?.to_ne_bytes());
    match digits.len() {
        8 => Some(IpAddr::from(word(0)?)),
        32 => {
            let octets: [u8; 16] = [word(0)?, word(8)?, word(16)?, word(24)?].concat().try_into().ok()?;
            Some(Ipv6Addr::from(octets).to_canonical())
        }
        _ => None,
    }
}

#[cfg(test)]
#[cfg(target_endian = "little")]
mod tests {
    use super::*;

    const HEAD: &str =
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";

    fn found(table: &str, of: &str, to: &str) -> Option<Row> {
        row_in(format!("{HEAD}{table}").as_bytes(), of.parse().unwrap(), to.parse().unwrap()).unwrap()
    }

    #[test]
    fn ipv4() {
        let table = "\
   0: 0100007F:2694 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 5123 1 0000000000000000 100 0 0 10 0
   1: 0100007F:2694 0100007F:D431 01 00000000:00000000 00:00000000 00000000  1000        0 5125 1 0000000000000000 20 4 30 10 -1
   2: 0100007F:D431 0100007F:2694 01 00000000:00000000 02:000005D5 00000000  1001        0 5124 2 0000000000000000 20 4 30 10 -1
   3: 0100007F:D432 0100007F:2694 05 00000000:00000000 03:000005D5 00000000     0        0 0 3 0000000000000000\n";
        let peer = Row { uid: 1001, inode: 5124, state: 1 };
        assert_eq!(found(table, "127.0.0.1:54321", "127.0.0.1:9876"), Some(peer));
        assert_eq!(found(table, "127.0.0.1:9876", "127.0.0.1:54321"), Some(Row { uid: 1000, inode: 5125, state: 1 }));
        assert_eq!(found(table, "127.0.0.1:9876", "0.0.0.0:0"), Some(Row { uid: 1000, inode: 5123, state: 10 }));
        assert_eq!(found(table, "127.0.0.1:54322", "127.0.0.1:9876"), Some(Row { uid: 0, inode: 0, state: 5 }));
        assert_eq!(found(table, "127.0.0.2:54321", "127.0.0.1:9876"), None);
    }

    #[test]
    fn ipv6_and_ipv4_in_an_ipv6_socket() {
        let table = "\
   0: 00000000000000000000000001000000:D431 00000000000000000000000001000000:2694 01 00000000:00000000 00:00000000 00000000  1001        0 61 2 0000000000000000 20 4 30 10 -1
   1: 0000000000000000FFFF00000100007F:D432 0000000000000000FFFF00000100007F:2694 01 00000000:00000000 00:00000000 00000000  1002        0 62 2 0000000000000000 20 4 30 10 -1\n";
        assert_eq!(found(table, "[::1]:54321", "[::1]:9876"), Some(Row { uid: 1001, inode: 61, state: 1 }));
        assert_eq!(found(table, "127.0.0.1:54322", "127.0.0.1:9876"), Some(Row { uid: 1002, inode: 62, state: 1 }));
    }

    #[test]
    fn lines_of_another_form_are_passed_over() {
        for line in
            ["", "\n", "0: x", "0: 0100007F:D431 0100007F:2694\n", "0: 0100007F 0100007F 01 a b c d\n", "ü ü ü\n"]
        {
            assert_eq!(found(line, "127.0.0.1:54321", "127.0.0.1:9876"), None, "{line:?}");
        }
    }
}
