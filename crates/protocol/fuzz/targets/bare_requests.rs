// SPDX-License-Identifier: GPL-3.0-or-later
//! Fuzzes how text becomes a request of the bare dialect: `cargo xtask fuzz bare-requests`.

#![no_main]

#[path = "../properties/mod.rs"]
#[expect(dead_code, reason = "each target tries its own part")]
mod properties;

libfuzzer_sys::fuzz_target!(|data: &[u8]| properties::bare_requests(data));
