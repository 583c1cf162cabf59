// SPDX-License-Identifier: GPL-3.0-or-later
//! Fuzzes connections that begin as TLS: `cargo xtask fuzz tls-entry`. The record's type is given, all else is not.

#![no_main]

#[path = "../server.rs"]
mod server;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let said = server::talk(&[&[0x16], data].concat());
    // Records of TLS: an alert, a handshake, or what follows it.
    assert!(said.first().is_none_or(|kind| (0x14..=0x17).contains(kind)), "{said:?}");
});
