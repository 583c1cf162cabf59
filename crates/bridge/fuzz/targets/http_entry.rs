// SPDX-License-Identifier: GPL-3.0-or-later
//! Fuzzes connections that begin as HTTP: `cargo xtask fuzz http-entry`. The first byte chooses the method, and
//! from 128 on the first request brings the token, so that what it asks for is read.

#![no_main]

#[path = "../server.rs"]
mod server;

const METHODS: [&[u8]; 5] = [b"POST ", b"GET ", b"PUT ", b"OPTIONS ", b"HEAD "];

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((choice, rest)) = data.split_first() else { return };
    let method = METHODS[usize::from(*choice & 0x7f) % METHODS.len()];
    let bytes = [method, rest].concat();
    let said = if choice & 0x80 == 0 { server::talk(&bytes) } else { server::talk_as_friend(&bytes) };
    // Whatever follows on the connection, it is never taken for another dialect.
    assert!(said.is_empty() || said.starts_with(b"HTTP/1."), "{:?}", String::from_utf8_lossy(&said));
});
