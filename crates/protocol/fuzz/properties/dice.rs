// SPDX-License-Identifier: GPL-3.0-or-later
//! Values from the bytes of an input, so that the fuzzer can steer them.

/// What is left of an input; when nothing is left, all that is drawn is zero, empty or none.
pub(crate) struct Dice<'a>(&'a [u8]);

impl<'a> Dice<'a> {
    pub(crate) fn new(data: &'a [u8]) -> Self {
        Self(data)
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    pub(crate) fn bool(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    pub(crate) fn number(&mut self) -> u32 {
        u32::from_be_bytes([self.byte(), self.byte(), self.byte(), self.byte()])
    }

    /// Mostly short, at times longer than any limit of ours on names.
    pub(crate) fn text(&mut self) -> String {
        let length = match self.byte() {
            length @ 0..=199 => usize::from(length) % 24,
            length => usize::from(length) * 2,
        };
        let (text, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        String::from_utf8_lossy(text).into_owned()
    }

    pub(crate) fn maybe<T>(&mut self, draw: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.bool().then(|| draw(self))
    }
}
