// SPDX-License-Identifier: GPL-3.0-or-later
//! Fuzzes how text becomes a framed request, and what our clients write is read: `cargo xtask fuzz request-parser`.

#![no_main]

#[path = "../properties/mod.rs"]
#[expect(dead_code, reason = "each target tries its own part")]
mod properties;

libfuzzer_sys::fuzz_target!(|data: &[u8]| properties::request_parser(data));
