// SPDX-License-Identifier: GPL-3.0-or-later
//! What must hold for the protocol's readers whatever the bytes are, once for both that try it: the targets of
//! `cargo xtask fuzz`, and `tests/properties.rs` on every machine.
//!
//! Each function takes one input and panics when something does not hold. The first bytes of an input choose limits,
//! cuts and orders, the rest is what comes over the wire. Nothing here is written after the code that it checks:
//! models follow `docs/protocol.md`.

mod bare;
mod client;
mod dice;
mod frames;
mod object;
mod requests;

use self::dice::Dice;

/// Length limit (0: none that matters), then a seed for the cuts, then a stream.
pub(crate) fn frame_decoder(data: &[u8]) {
    let Some((&[limit, cuts], stream)) = data.split_first_chunk::<2>() else { return };
    let limit = if limit == 0 { 1 << 20 } else { usize::from(limit) };
    frames::framed(limit, cuts, stream);
    frames::bare(limit, cuts, stream);
    frames::look(limit, cuts, stream);
}

/// A seed for the order of keys, then the text of a message, which also says what a client of ours writes.
pub(crate) fn request_parser(data: &[u8]) {
    let Some((order, text)) = data.split_first() else { return };
    requests::text(text, *order);
    client::request(&mut Dice::new(text));
    client::reply(&mut Dice::new(text));
}

/// A seed for the order of keys, then the text of a message, which is also what a script printed.
pub(crate) fn bare_requests(data: &[u8]) {
    let Some((order, text)) = data.split_first() else { return };
    bare::text(text, *order);
    bare::replies(&String::from_utf8_lossy(text));
}

/// A text for a person who is stuck: there is one, it is one line, and it does not give back all that was sent.
fn assert_readable(message: &str) {
    assert!(!message.trim().is_empty(), "a refusal without words");
    assert!(message.len() < 1000, "a refusal of {} bytes: {message:.200}…", message.len());
    assert!(!message.contains(['\n', '\0']), "a refusal of several lines: {message:?}");
}
