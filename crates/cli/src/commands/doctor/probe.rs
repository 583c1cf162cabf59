// SPDX-License-Identifier: GPL-3.0-or-later
//! Who speaks at a port that is not ours: a few bytes in the languages that are met there, each over a connection of its
//! own, and what comes back.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// Servers of this kind answer in milliseconds; mcp-for-blender's takes its turn on Blender's main thread.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// What is enough to know a language by.
const LONGEST_BYTES: usize = 4096;

/// The first request of mcp-for-blender's own server: it asks and changes nothing. No terminator: its add-on has none.
const BARE: &[u8] = br#"{"type": "get_addon_info", "params": {}}"#;

const HTTP: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// What a server speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Speaks {
    /// mcp-for-blender's JSON without an end mark.
    Bare,
    Http,
    Tls,
    /// This comes before anything was asked, or as an answer.
    Other(String),
    /// Nothing at all.
    Nothing,
}

/// Asks in each language at once. What says most wins.
pub(super) fn ask(address: SocketAddr) -> Speaks {
    let asked = [BARE, HTTP].map(|request| thread::spawn(move || exchange(address, request)));
    let answers: Vec<_> = asked.into_iter().map(|asked| asked.join().unwrap_or_default()).collect();
    let told = answers.iter().map(|answer| classified(answer));
    // Another's error text about a request that it did not understand says less than one that it did.
    told.min_by_key(|speaks| match speaks {
        Speaks::Bare => 0,
        Speaks::Http => 1,
        Speaks::Tls => 2,
        Speaks::Other(_) => 3,
        Speaks::Nothing => 4,
    })
    .unwrap_or(Speaks::Nothing)
}

/// What it says until it is enough, or has ended, or takes too long.
fn exchange(address: SocketAddr, request: &[u8]) -> Vec<u8> {
    let mut answer = Vec::new();
    let Ok(mut stream) = TcpStream::connect_timeout(&address, ANSWER_WITHIN) else { return answer };
    let end = Instant::now() + ANSWER_WITHIN;
    // One that does not listen may still have spoken.
    let _ = stream.write_all(request);
    let mut read = [0; LONGEST_BYTES];
    while answer.len() < LONGEST_BYTES && classified(&answer) == Speaks::Nothing {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() || stream.set_read_timeout(Some(left)).is_err() {
            break;
        }
        match stream.read(&mut read) {
            Ok(0) | Err(_) => break,
            Ok(count) => answer.extend_from_slice(&read[..count]),
        }
    }
    answer
}

fn classified(answer: &[u8]) -> Speaks {
    /// Types of TLS' records that a server begins with: an alert, a handshake. Then its major version.
    const TLS: [[u8; 2]; 2] = [[0x15, 3], [0x16, 3]];
    let text = String::from_utf8_lossy(answer);
    if text.starts_with("HTTP/") {
        return Speaks::Http;
    }
    if TLS.iter().any(|start| answer.starts_with(start)) {
        return Speaks::Tls;
    }
    let reply: Option<Value> = serde_json::from_str(text.trim_end_matches('\0').trim()).ok();
    let status = reply.as_ref().and_then(|reply| reply.get("status")).and_then(Value::as_str);
    match status {
        Some("success" | "error") if !answer.contains(&0) => Speaks::Bare,
        _ if answer.is_empty() => Speaks::Nothing,
        _ => Speaks::Other(text.chars().take(60).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_are_known_by_their_first_bytes() {
        assert_eq!(classified(b"HTTP/1.0 404 Not Found"), Speaks::Http);
        assert_eq!(classified(&[0x15, 3, 3, 0, 2, 2, 10]), Speaks::Tls);
        assert_eq!(classified(br#"{"status": "success", "result": {}}"#), Speaks::Bare);
        assert_eq!(classified(br#"{"status": "error", "message": "Unknown command type"}"#), Speaks::Bare);
        assert_eq!(classified(b"SSH-2.0-OpenSSH_9.9\r\n"), Speaks::Other("SSH-2.0-OpenSSH_9.9\r\n".to_owned()));
        assert_eq!(classified(b""), Speaks::Nothing);
    }
}
