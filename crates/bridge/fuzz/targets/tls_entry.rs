// SPDX-License-Identifier: GPL-3.0-or-later
//! Fuzzes connections that begin as TLS: `cargo xtask fuzz tls-entry`. The first byte chooses: below 128 the record's
//! type is given and all else is not; below 192 the bytes are said inside TLS, after a handshake; above, the first
//! half of them inside and the others beneath it, as records.

#![no_main]

#[path = "../server.rs"]
mod server;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((choice, rest)) = data.split_first() else { return };
    match choice {
        0..128 => {
            let said = server::talk(&[&[0x16], rest].concat());
            // Records of TLS: an alert, a handshake, or what follows it.
            assert!(said.first().is_none_or(|kind| (0x14..=0x17).contains(kind)), "{said:?}");
        }
        128..192 => drop(server::talk_inside_tls(rest, b"")),
        192.. => {
            let (inside, beneath) = rest.split_at(rest.len() / 2);
            server::talk_inside_tls(inside, beneath);
        }
    }
});
