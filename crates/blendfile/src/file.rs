// SPDX-License-Identifier: GPL-3.0-or-later
//! A .blend file taken apart into blocks, and the blocks gathered into data-blocks. No meaning yet: that is `digest`.
//!
//! After the header come blocks: a code, a length, the address at which the content lay in Blender, the number of its
//! struct and how many of them. A code of two letters begins a data-block; the `DATA` blocks behind it are its own.

use std::ops::Range;

use crate::Error;
use crate::bytes::{size_at, u64_at, until_nul};
use crate::dna::Dna;

/// One block.
pub(crate) struct Block<'a> {
    code: [u8; 4],
    /// Where it lay in memory; in files of Blender 5 a number that stands for that.
    pub(crate) address: u64,
    /// The number of its struct; 0 is raw data.
    pub(crate) layout: usize,
    pub(crate) data: &'a [u8],
}

/// One data-block, embedded ones excepted: those are among the blocks of their owner.
pub(crate) struct Id<'a> {
    /// Two letters, as `OB`. Of a linked data-block, of which only the name is here, the letters of its type.
    pub(crate) code: [u8; 2],
    pub(crate) name: &'a str,
    /// The address of the library that it comes from; 0 for one of this file.
    pub(crate) library: u64,
    /// Its own block first.
    pub(crate) blocks: Range<usize>,
}

/// See the module.
pub(crate) struct File<'a> {
    /// 403 is Blender 4.3.
    pub(crate) version: u32,
    pub(crate) dna: Dna<'a>,
    pub(crate) blocks: Vec<Block<'a>>,
}

impl<'a> File<'a> {
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let header = Header::parse(bytes)?;
        let (mut blocks, mut dna, mut at) = (Vec::new(), None, header.length);
        loop {
            let (block, next) = header.block(bytes, at).ok_or(Error::Malformed("a block"))?;
            match &block.code {
                b"ENDB" => break,
                b"DNA1" => dna = Some(Dna::parse(block.data)?),
                _ => blocks.push(block),
            }
            at = next;
        }
        let dna = dna.ok_or(Error::Malformed("it has no DNA1 block"))?;
        Ok(Self { version: header.version, dna, blocks })
    }

    /// Its data-blocks, in the order of the file.
    pub(crate) fn ids(&self) -> Result<Vec<Id<'a>>, Error> {
        let name = self.dna.member("ID", "name").ok_or(Error::Malformed("ID has no name"))?;
        let library = self.dna.member("ID", "lib").ok_or(Error::Malformed("ID has no lib"))?;
        let mut ids: Vec<Id<'a>> = Vec::new();
        let mut is_inside = false;
        for (index, block) in self.blocks.iter().enumerate() {
            match block.code {
                [b'D', b'A', b'T', b'A'] => {
                    if let Some(id) = ids.last_mut().filter(|_| is_inside) {
                        id.blocks.end = index + 1;
                    }
                }
                [_, _, 0, 0] => {
                    let text = block.data.get(name.offset..name.offset + name.size).map(until_nul);
                    let library = u64_at(block.data, library.offset);
                    let text = text.and_then(|text| std::str::from_utf8(text).ok());
                    // The letters are in front of the name.
                    let (Some((code, name)), Some(library)) = (text.and_then(|text| text.split_at_checked(2)), library)
                    else {
                        return Err(Error::Malformed("the name of a data-block"));
                    };
                    let code = code.as_bytes().try_into().map_err(|_| Error::Malformed("the code of a data-block"))?;
                    ids.push(Id { code, name, library, blocks: index..index + 1 });
                    is_inside = true;
                }
                _ => is_inside = false,
            }
        }
        Ok(ids)
    }
}

struct Header {
    length: usize,
    version: u32,
    /// Whether its blocks have the larger heads of Blender 5.
    is_large: bool,
}

impl Header {
    /// `BLENDER-v403`, or `BLENDER17-01v0502` with its own length and a format number in front of the version.
    fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let rest = bytes.strip_prefix(b"BLENDER").ok_or(Error::Unsupported("no uncompressed .blend file"))?;
        let (length, sign, version, is_large) = match rest.get(..10) {
            Some([b'-', b'v', version @ .., _, _, _, _, _]) => (12, b'v', version, false),
            Some([b'1', b'7', b'-', b'0', b'1', sign, version @ ..]) => (17, *sign, version, true),
            _ => return Err(Error::Unsupported("no little-endian .blend file of 64 bits")),
        };
        let version = std::str::from_utf8(version).ok().and_then(|digits| digits.parse().ok());
        match version {
            Some(version) if sign == b'v' => Ok(Self { length, version, is_large }),
            _ => Err(Error::Unsupported("a .blend file of an unknown version")),
        }
    }

    /// The block at `at`, and where the next one is.
    fn block<'a>(&self, bytes: &'a [u8], at: usize) -> Option<(Block<'a>, usize)> {
        let (head, length, layout) = if self.is_large {
            (32, size_at(bytes, at + 16, 8)?, size_at(bytes, at + 4, 4)?)
        } else {
            (24, size_at(bytes, at + 4, 4)?, size_at(bytes, at + 16, 4)?)
        };
        let (code, address) = (bytes.get(at..at + 4)?.try_into().ok()?, u64_at(bytes, at + 8)?);
        let end = at.checked_add(head)?.checked_add(length)?;
        Some((Block { code, address, layout, data: bytes.get(at + head..end)? }, end))
    }
}
