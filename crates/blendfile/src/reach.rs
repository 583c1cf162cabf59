// SPDX-License-Identifier: GPL-3.0-or-later
//! Follows the pointers of one data-block that lead to blocks which have to be read in a way of their own, and says for
//! each block how. `digest` asks it before it reads.
//!
//! It is needed because Blender writes up to three bytes of unrelated memory behind an odd number of bytes, because
//! arrays of pointers are marked as raw data, and because the layers of a mesh come in an order of their own.

use std::ops::Range;

use xxhash_rust::xxh3::xxh3_64;

use crate::bytes::{size_at, u64_at};
use crate::file::{Block, File};
use crate::layers::Shapes;
use crate::plan::{Number, Plan, Plans, Target};

/// How a block is to be read.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Fate {
    /// By its struct; raw data as it is.
    Content,
    /// So many bytes of it.
    Bytes(usize),
    /// As an array of pointers.
    Pointers,
    /// Not at all.
    Nothing,
    /// Not at all: who points to it takes this instead.
    Token(u64),
}

/// See the module. Kept from one data-block to the next for its memory.
pub(crate) struct Reach<'f, 'a> {
    file: &'f File<'a>,
    plans: &'f Plans,
    shapes: Shapes,
    blocks: Range<usize>,
    /// Addresses of the data-block's own blocks, sorted, with their places among them.
    places: Vec<(u64, usize)>,
    pub(crate) fates: Vec<Fate>,
}

impl<'f, 'a> Reach<'f, 'a> {
    pub(crate) fn new(file: &'f File<'a>, plans: &'f Plans) -> Self {
        let shapes = Shapes::of(&file.dna);
        Self { file, plans, shapes, blocks: 0..0, places: Vec::new(), fates: Vec::new() }
    }

    /// Looks at one data-block.
    pub(crate) fn look_at(&mut self, blocks: Range<usize>) {
        self.places.clear();
        self.places
            .extend(self.file.blocks[blocks.clone()].iter().enumerate().map(|(place, one)| (one.address, place)));
        self.places.sort_unstable();
        self.fates.clear();
        self.fates.resize(blocks.len(), Fate::Content);
        self.blocks = blocks;
        for place in 0..self.fates.len() {
            let block = self.block(place);
            let Some(plan) = self.plans.get(block.layout) else { continue };
            if plan.is_left_out || !elements(block, plan).any(|element| counts(element, plan)) {
                self.fates[place] = Fate::Nothing;
            }
            for element in elements(block, plan).filter(|_| !plan.leads.is_empty()) {
                self.follow(element, plan);
            }
        }
    }

    /// Where among the data-block's own blocks the one with this address is. Of several the first: Blender does not
    /// write two that are alive under one address.
    pub(crate) fn place(&self, address: u64) -> Option<usize> {
        let index = self.places.partition_point(|(other, _)| *other < address);
        self.places.get(index).filter(|(other, _)| *other == address && address != 0).map(|(_, place)| *place)
    }

    pub(crate) fn block(&self, place: usize) -> &'f Block<'a> {
        &self.file.blocks[self.blocks.start + place]
    }

    fn follow(&mut self, element: &[u8], plan: &Plan) {
        for lead in &plan.leads {
            let Some(place) = u64_at(element, lead.offset).and_then(|address| self.place(address)) else { continue };
            // The first that leads to it says how it is read, so that nothing is read over and over.
            if self.fates[place] == Fate::Content {
                self.fates[place] = self.fate(element, lead.target, place);
            }
        }
    }

    fn fate(&mut self, element: &[u8], target: Target, place: usize) -> Fate {
        let number = |number: Number| size_at(element, number.offset, number.width).unwrap_or(0);
        let block = self.block(place);
        let is_raw = block.layout == 0;
        match target {
            Target::Nothing => Fate::Nothing,
            Target::Pointers if is_raw => Fate::Pointers,
            Target::Text if is_raw => Fate::Bytes(text_length(block.data)),
            Target::Bytes(length) if is_raw => Fate::Bytes(number(length)),
            Target::Property(start) if is_raw => self.shapes.property(&element[start..]),
            Target::Attributes(count) => Fate::Token(self.attributes(block, number(count))),
            Target::Layers(length) => Fate::Token(self.layers(block, length.map(number))),
            _ => Fate::Content,
        }
    }

    /// The attributes of a mesh, curves or points in files of Blender 5, whatever their order.
    fn attributes(&mut self, block: &'f Block<'a>, count: usize) -> u64 {
        let size = self.shapes.attribute_size.max(1);
        let mut sum = 0_u64;
        for attribute in block.data.chunks_exact(size).take(count) {
            let shape = self.shapes.attribute(attribute);
            let name = self.claim(shape.name).map_or(&[][..], |block| &block.data[..text_length(block.data)]);
            let holder = self.claim(shape.data);
            let array = holder.and_then(|holder| self.shapes.array(holder, &shape));
            let data = array.and_then(|array| self.claim_data(array.data, array.length, array.one));
            if !Shapes::is_selection(name) {
                sum = sum.wrapping_add(mix(&[xxh3_64(name), shape.kind, data.unwrap_or(0)]));
            }
        }
        sum
    }

    /// The layers of a mesh, or what has been left to them, whatever their order.
    fn layers(&mut self, block: &'f Block<'a>, elements: Option<usize>) -> u64 {
        let size = self.shapes.layer_size.max(1);
        let mut sum = 0_u64;
        for layer in block.data.chunks_exact(size) {
            let shape = self.shapes.layer(layer);
            let place = self.place(shape.data);
            if Shapes::is_selection(shape.name) {
                if let Some(place) = place {
                    self.fates[place] = Fate::Nothing;
                }
                continue;
            }
            let is_plain = place.is_some_and(|place| {
                let layout = self.block(place).layout;
                layout == 0 || self.plans.get(layout).is_some_and(Plan::is_plain)
            });
            let length = elements.filter(|_| shape.is_bytes).unwrap_or(usize::MAX);
            let data = if is_plain { self.claim_data(shape.data, length, 0) } else { None };
            sum = sum.wrapping_add(mix(&[xxh3_64(shape.name), shape.kind, shape.is_rendered, data.unwrap_or(0)]));
        }
        sum
    }

    /// A block that is read here and nowhere else.
    fn claim(&mut self, address: u64) -> Option<&'f Block<'a>> {
        let place = self.place(address)?;
        // Not what is known already, so that nothing is read over and over.
        if !matches!(self.fates[place], Fate::Token(_)) {
            self.fates[place] = Fate::Nothing;
        }
        Some(self.block(place))
    }

    /// The digest of so many bytes. An array of equal elements, each of `one` bytes, counts as one of them: Blender
    /// writes it in either way.
    fn claim_data(&mut self, address: u64, length: usize, one: usize) -> Option<u64> {
        let place = self.place(address)?;
        if let Fate::Token(known) = self.fates[place] {
            return Some(known);
        }
        let data = self.block(place).data;
        let data = &data[..length.min(data.len())];
        let is_even = one > 0 && data.len() > one && data[one..] == data[..data.len() - one];
        let token = xxh3_64(if is_even { &data[..one] } else { data });
        self.fates[place] = Fate::Token(token);
        Some(token)
    }
}

/// The structs in a block.
pub(crate) fn elements<'a>(block: &Block<'a>, plan: &Plan) -> std::slice::ChunksExact<'a, u8> {
    block.data.chunks_exact(plan.size)
}

/// Whether an element counts.
pub(crate) fn counts(element: &[u8], plan: &Plan) -> bool {
    plan.gate.is_none_or(|(number, bits)| {
        element[number.offset..number.offset + number.width]
            .iter()
            .zip(bits.to_le_bytes())
            .any(|(byte, bits)| byte & bits != 0)
    })
}

/// Without the NUL, which is among the last four bytes, and what happens to be behind it.
fn text_length(data: &[u8]) -> usize {
    let tail = data.len().saturating_sub(4);
    data[tail..].iter().position(|byte| *byte == 0).map_or(data.len(), |nul| tail + nul)
}

fn mix(parts: &[u64]) -> u64 {
    let mut bytes = [0; 32];
    for (into, part) in bytes.chunks_exact_mut(8).zip(parts) {
        into.copy_from_slice(&part.to_le_bytes());
    }
    xxh3_64(&bytes)
}
