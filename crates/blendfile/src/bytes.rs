// SPDX-License-Identifier: GPL-3.0-or-later
//! Reads little-endian numbers out of bytes that nobody vouches for. Out of bounds is `None`, never a panic.

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

pub(crate) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_le_bytes)
}

pub(crate) fn i32_at(bytes: &[u8], at: usize) -> Option<i32> {
    array(bytes, at).map(i32::from_le_bytes)
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    array(bytes, at).map(u64::from_le_bytes)
}

/// A number that has to fit memory: negative ones do not.
pub(crate) fn size_at(bytes: &[u8], at: usize, width: usize) -> Option<usize> {
    match width {
        4 => usize::try_from(i32_at(bytes, at)?).ok(),
        8 => usize::try_from(u64_at(bytes, at)?).ok(),
        _ => None,
    }
}

/// What stands before the first NUL; all of it without one.
pub(crate) fn until_nul(bytes: &[u8]) -> &[u8] {
    &bytes[..memchr::memchr(0, bytes).unwrap_or(bytes.len())]
}
