// SPDX-License-Identifier: GPL-3.0-or-later
//! Who speaks at a port that is no Blender's: what comes back to a request of HTTP, and to the greeting
//! of TLS.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

/// Servers of other kinds answer in milliseconds.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// What is enough to know a language by.
const LONGEST_BYTES: usize = 4096;

const HTTP: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// What a server speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Speaks {
    Http,
    Tls,
    /// This comes before anything was asked, or as an answer.
    Other(String),
    /// Nothing at all.
    Nothing,
}

/// The beginning of TLS 1.2 without extensions: a server of any version answers it, be it with an alert. Most of OpenSSL's say
/// nothing to anything else.
fn client_hello() -> Vec<u8> {
    const RANDOM: [u8; 32] = [0x42; 32];
    // Version; of no session; ECDHE-RSA and RSA with AES-128-GCM; uncompressed.
    let hello = [&[3, 3][..], &RANDOM, &[0], &[0, 4, 0xc0, 0x2f, 0, 0x9c], &[1, 0]].concat();
    let length = u8::try_from(hello.len()).unwrap_or_default();
    [&[0x16, 3, 1, 0, length + 4, 1, 0, 0, length][..], &hello].concat()
}

/// What is said at the first of these addresses that says anything. All are asked at once, in both languages: two that are
/// silent, one after the other, would take longer than a check may.
pub(super) fn ask(addresses: &[SocketAddr]) -> Speaks {
    let hello = client_hello();
    let questions: Vec<_> = [HTTP, &hello].iter().flat_map(|asked| addresses.iter().map(|to| (*to, *asked))).collect();
    let told: Vec<_> = thread::scope(|scope| {
        let asked: Vec<_> = questions.iter().map(|(to, asked)| scope.spawn(|| ask_one(*to, asked))).collect();
        asked.into_iter().filter_map(|asked| asked.join().ok()).collect()
    });
    let (told, greeted) = told.split_at(addresses.len());
    // What another program makes of the greeting is nothing to know it by.
    let greeted = greeted.iter().find(|speaks| **speaks == Speaks::Tls);
    told.iter().find(|speaks| **speaks != Speaks::Nothing).or(greeted).cloned().unwrap_or(Speaks::Nothing)
}

/// What it says until that is enough, or has ended, or takes too long.
fn ask_one(address: SocketAddr, question: &[u8]) -> Speaks {
    let mut answer = Vec::new();
    let Ok(mut stream) = TcpStream::connect_timeout(&address, ANSWER_WITHIN) else { return Speaks::Nothing };
    let end = Instant::now() + ANSWER_WITHIN;
    // One that does not listen may still have spoken.
    let _ = stream.write_all(question);
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
    classified(&answer)
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
    if answer.is_empty() { Speaks::Nothing } else { Speaks::Other(text.chars().take(60).collect()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_are_known_by_their_first_bytes() {
        assert_eq!(classified(b"HTTP/1.0 404 Not Found"), Speaks::Http);
        assert_eq!(classified(&[0x15, 3, 3, 0, 2, 2, 10]), Speaks::Tls);
        assert_eq!(classified(b"SSH-2.0-OpenSSH_9.9\r\n"), Speaks::Other("SSH-2.0-OpenSSH_9.9\r\n".to_owned()));
        assert_eq!(classified(b""), Speaks::Nothing);
    }
}
