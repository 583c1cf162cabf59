// SPDX-License-Identifier: GPL-3.0-or-later
//! One number for the content of each data-block of a file, which does not depend on where things lay in memory, nor on
//! the names of data-blocks. `lib` compares those of two files.

use std::collections::HashMap;

use xxhash_rust::xxh3::xxh3_64;

use crate::Error;
use crate::bytes::u64_at;
use crate::dna::POINTER;
use crate::file::{Block, File, Id};
use crate::plan::{Plan, Plans};
use crate::reach::{Fate, Reach, counts, elements};
use crate::rules::INTERFACE;

/// What tells data-blocks of a file apart: the letters of the type, and the name.
pub(crate) type Key<'a> = ([u8; 2], &'a str);

/// The digests of all data-blocks that are this file's own and no interface. `rename` gives the name under which a
/// data-block is to be known; an empty one for one that is not to be known.
pub(crate) fn digests<'a>(file: &File<'a>, rename: impl Fn(Key<'a>) -> &'a str) -> Result<Vec<(Key<'a>, u64)>, Error> {
    let ids = file.ids()?;
    let plans = Plans::of(file)?;
    let mut digester =
        Digester { names: names(file, &ids, &rename), reach: Reach::new(file, &plans), buffer: Vec::new() };
    let own = ids.iter().filter(|id| id.library == 0 && !INTERFACE.contains(&id.code));
    let own = own.map(|id| (id, rename((id.code, id.name)))).filter(|(_, name)| !name.is_empty());
    Ok(own.map(|(id, name)| ((id.code, name), digester.digest(id, &plans))).collect())
}

/// For the address of each data-block a number that stands for its type, name and library, sorted by address.
fn names<'a>(file: &File<'a>, ids: &[Id<'a>], rename: impl Fn(Key<'a>) -> &'a str) -> Vec<(u64, u64)> {
    let address = |id: &Id| file.blocks[id.blocks.start].address;
    let libraries: HashMap<u64, &str> =
        ids.iter().filter(|id| &id.code == b"LI").map(|id| (address(id), id.name)).collect();
    let mut text = Vec::new();
    let mut names: Vec<(u64, u64)> = ids
        .iter()
        .map(|id| {
            let name = if id.library == 0 { rename((id.code, id.name)) } else { id.name };
            text.clear();
            text.extend_from_slice(&id.code);
            text.extend_from_slice(name.as_bytes());
            text.push(0);
            if id.library != 0 {
                text.extend_from_slice(libraries.get(&id.library).unwrap_or(&"").as_bytes());
            }
            (address(id), xxh3_64(&text))
        })
        .collect();
    names.sort_unstable();
    names
}

struct Digester<'f, 'a> {
    names: Vec<(u64, u64)>,
    reach: Reach<'f, 'a>,
    /// The content of one data-block, made independent of memory.
    buffer: Vec<u8>,
}

impl Digester<'_, '_> {
    fn digest(&mut self, id: &Id, plans: &Plans) -> u64 {
        self.reach.look_at(id.blocks.clone());
        self.buffer.clear();
        let mut ordinals = Vec::with_capacity(id.blocks.len());
        let mut next = 0;
        for fate in &self.reach.fates {
            next += u64::from(!matches!(fate, Fate::Nothing | Fate::Token(_)));
            ordinals.push(next);
        }
        for place in 0..ordinals.len() {
            let block = self.reach.block(place);
            match self.reach.fates[place] {
                Fate::Nothing | Fate::Token(_) => continue,
                Fate::Bytes(length) => self.raw(&block.data[..length.min(block.data.len())]),
                Fate::Pointers => {
                    let start = self.start(block.data);
                    self.pointers(start, (0..block.data.len() / POINTER).map(|index| index * POINTER), &ordinals);
                }
                Fate::Content => match plans.get(block.layout) {
                    Some(plan) => self.structs(block, plan, &ordinals),
                    None => self.raw(block.data),
                },
            }
            // So that what is at the end of one block is not the same at the start of the next.
            self.buffer.extend_from_slice(&(block.layout as u64).to_le_bytes());
        }
        xxh3_64(&self.buffer)
    }

    fn start(&mut self, bytes: &[u8]) -> usize {
        let start = self.buffer.len();
        self.buffer.extend_from_slice(bytes);
        start
    }

    fn raw(&mut self, data: &[u8]) {
        // More than this costs less to digest than to copy.
        const LARGE: usize = 256;
        self.buffer.extend_from_slice(&(data.len() as u64).to_le_bytes());
        if data.len() > LARGE {
            self.buffer.extend_from_slice(&xxh3_64(data).to_le_bytes());
        } else {
            self.buffer.extend_from_slice(data);
        }
    }

    fn structs(&mut self, block: &Block, plan: &Plan, ordinals: &[u64]) {
        if plan.is_plain() {
            return self.raw(block.data);
        }
        for element in elements(block, plan).filter(|element| counts(element, plan)) {
            let start = self.start(element);
            for (offset, length) in &plan.blanks {
                self.buffer[start + offset..start + offset + length].fill(0);
            }
            for (number, keep) in &plan.masks {
                let bytes = &mut self.buffer[start + number.offset..start + number.offset + number.width];
                bytes.iter_mut().zip(keep.to_le_bytes()).for_each(|(byte, keep)| *byte &= keep);
            }
            self.pointers(start, plan.pointers.iter().copied(), ordinals);
        }
    }

    /// Puts what the pointers stand for in their place.
    fn pointers(&mut self, start: usize, offsets: impl Iterator<Item = usize>, ordinals: &[u64]) {
        for offset in offsets {
            let Some(address) = u64_at(&self.buffer, start + offset).filter(|address| *address != 0) else { continue };
            let token = match self.reach.place(address) {
                Some(place) => match self.reach.fates[place] {
                    Fate::Nothing => 0,
                    Fate::Token(token) => token,
                    _ => ordinals[place],
                },
                None => self.name(address),
            };
            self.buffer[start + offset..start + offset + POINTER].copy_from_slice(&token.to_le_bytes());
        }
    }

    /// What stands for the data-block at an address. 0 for an address of nothing in the file, as pointers to runtime
    /// data are; also for one inside another data-block, as Blender does not keep such pointers.
    fn name(&self, address: u64) -> u64 {
        let index = self.names.partition_point(|(other, _)| *other < address);
        self.names.get(index).filter(|(other, _)| *other == address).map_or(0, |(_, token)| *token)
    }
}
