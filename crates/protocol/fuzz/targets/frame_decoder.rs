// SPDX-License-Identifier: GPL-3.0-or-later
//! Fuzzes how bytes become messages: `cargo xtask fuzz frame-decoder`.

#![no_main]

#[path = "../properties/mod.rs"]
#[expect(dead_code, reason = "each target tries its own part")]
mod properties;

libfuzzer_sys::fuzz_target!(|data: &[u8]| properties::frame_decoder(data));
