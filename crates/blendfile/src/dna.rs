// SPDX-License-Identifier: GPL-3.0-or-later
//! The DNA1 block: how the structs in this file are laid out. `file` finds it, `plan` asks it.
//!
//! It is what makes one reader fit every Blender: offsets are looked up by the names of struct and member. Members
//! that Blender renamed in its sources keep their old name here, for good.

use std::collections::HashMap;

use crate::Error;
use crate::bytes::{i32_at, u16_at, until_nul};

/// One member of a struct.
pub(crate) struct Member<'a> {
    /// Without stars and brackets: `*rect[2]` is `rect`.
    pub(crate) name: &'a str,
    /// The name of its type: `ListBase`, `char`.
    pub(crate) kind: &'a str,
    /// Bytes from the start of the struct.
    pub(crate) offset: usize,
    /// Bytes, all elements of an array together.
    pub(crate) size: usize,
    /// How many elements an array has; 1 for others.
    pub(crate) count: usize,
    /// How many stars: 0 is the value itself. A pointer to a function has one.
    pub(crate) stars: usize,
}

/// One struct.
pub(crate) struct Layout<'a> {
    pub(crate) name: &'a str,
    pub(crate) size: usize,
    pub(crate) members: Vec<Member<'a>>,
}

/// See the module. Structs are numbered as blocks number them.
pub(crate) struct Dna<'a> {
    pub(crate) layouts: Vec<Layout<'a>>,
    by_name: HashMap<&'a str, usize>,
}

/// The pointers of the 64-bit files that are read here, in bytes.
pub(crate) const POINTER: usize = 8;

impl<'a> Dna<'a> {
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        Self::parts(bytes).ok_or(Error::Malformed("its DNA1 block"))
    }

    fn parts(bytes: &'a [u8]) -> Option<Self> {
        let mut cursor = Cursor { bytes, at: 0 };
        cursor.tag(b"SDNA")?;
        let names = cursor.strings(b"NAME")?;
        let types = cursor.strings(b"TYPE")?;
        cursor.tag(b"TLEN")?;
        let sizes: Vec<usize> = types.iter().map(|_| cursor.u16()).collect::<Option<_>>()?;
        cursor.align();
        cursor.tag(b"STRC")?;
        let count = cursor.count()?;
        let mut layouts = Vec::new();
        for _ in 0..count {
            layouts.push(cursor.layout(&names, &types, &sizes)?);
        }
        let by_name = layouts.iter().enumerate().map(|(index, layout)| (layout.name, index)).collect();
        Some(Self { layouts, by_name })
    }

    /// The number of the struct of this name.
    pub(crate) fn index(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// A member, by the names of struct and member.
    pub(crate) fn member(&self, layout: &str, member: &str) -> Option<&Member<'a>> {
        self.layouts.get(self.index(layout)?)?.members.iter().find(|one| one.name == member)
    }
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn tag(&mut self, tag: &[u8]) -> Option<()> {
        (self.bytes.get(self.at..)?.get(..tag.len())? == tag).then(|| self.at += tag.len())
    }

    fn count(&mut self) -> Option<usize> {
        let count = usize::try_from(i32_at(self.bytes, self.at)?).ok()?;
        self.at += 4;
        // Every entry takes a byte at least.
        (count <= self.bytes.len()).then_some(count)
    }

    fn u16(&mut self) -> Option<usize> {
        let value = u16_at(self.bytes, self.at)?;
        self.at += 2;
        Some(value.into())
    }

    fn align(&mut self) {
        self.at = self.at.next_multiple_of(4);
    }

    fn strings(&mut self, tag: &[u8]) -> Option<Vec<&'a str>> {
        self.tag(tag)?;
        let count = self.count()?;
        let mut strings = Vec::new();
        for _ in 0..count {
            let text = until_nul(self.bytes.get(self.at..)?);
            self.at += text.len() + 1;
            strings.push(std::str::from_utf8(text).ok()?);
        }
        self.align();
        Some(strings)
    }

    fn layout(&mut self, names: &[&'a str], types: &[&'a str], sizes: &[usize]) -> Option<Layout<'a>> {
        let kind = self.u16()?;
        let (name, size) = (*types.get(kind)?, *sizes.get(kind)?);
        let count = self.u16()?;
        let (mut members, mut offset) = (Vec::new(), 0);
        for _ in 0..count {
            let kind = self.u16()?;
            let member = member(names.get(self.u16()?)?, types.get(kind)?, *sizes.get(kind)?, offset)?;
            offset += member.size;
            members.push(member);
        }
        // Everything that follows counts on it that members lie inside their struct.
        (offset <= size).then_some(Layout { name, size, members })
    }
}

/// A struct is at most 64 KiB, and so is a member.
const LARGEST: usize = u16::MAX as usize;

fn member<'a>(declared: &'a str, kind: &'a str, one: usize, offset: usize) -> Option<Member<'a>> {
    let stars = declared.bytes().filter(|byte| *byte == b'*').count();
    let bare = declared.trim_start_matches(['(', '*']);
    let name = bare.split([')', '[']).next().unwrap_or_default();
    let mut count = 1_usize;
    for part in declared.split('[').skip(1) {
        count = count.checked_mul(part.split(']').next()?.parse().ok()?)?;
    }
    let size = count.checked_mul(if stars > 0 { POINTER } else { one })?;
    (size <= LARGEST).then_some(Member { name, kind, offset, size, count, stars })
}
