// SPDX-License-Identifier: GPL-3.0-or-later
//! For each struct that occurs in a file: where its pointers are, what does not count, and which of its pointers lead to
//! blocks that have to be read in a way of their own. Worked out once per file from its DNA and from `rules`.

use crate::Error;
use crate::dna::{Dna, Layout, Member, POINTER};
use crate::file::File;
use crate::rules::{LAYER_LENGTHS, MEMBERS, Rule, STRUCTS};

/// A whole number inside a struct.
#[derive(Clone, Copy)]
pub(crate) struct Number {
    pub(crate) offset: usize,
    pub(crate) width: usize,
}

/// What a pointer leads to.
#[derive(Clone, Copy)]
pub(crate) enum Target {
    /// Nothing that counts.
    Nothing,
    /// A text with a NUL at its end.
    Text,
    /// An array of pointers.
    Pointers,
    /// So many bytes.
    Bytes(Number),
    /// The value of an `IDProperty`, which itself starts at this offset.
    Property(usize),
    /// The attributes of an `AttributeStorage`, so many.
    Attributes(Number),
    /// The layers of a `CustomData`; in a struct that is known, how many elements each has.
    Layers(Option<Number>),
}

/// A pointer that is followed.
#[derive(Clone, Copy)]
pub(crate) struct Lead {
    pub(crate) offset: usize,
    pub(crate) target: Target,
}

/// See the module. Everything lies within `size`, which is not 0.
#[derive(Default)]
pub(crate) struct Plan {
    pub(crate) size: usize,
    /// Offsets of all pointers that count.
    pub(crate) pointers: Vec<usize>,
    /// Offset and length of what does not count.
    pub(crate) blanks: Vec<(usize, usize)>,
    /// Numbers of which some bits count.
    pub(crate) masks: Vec<(Number, u64)>,
    pub(crate) leads: Vec<Lead>,
    /// An element counts only where one of these bits is set.
    pub(crate) gate: Option<(Number, u64)>,
    /// Nothing of this struct counts.
    pub(crate) is_left_out: bool,
}

impl Plan {
    /// Whether its bytes are its content.
    pub(crate) fn is_plain(&self) -> bool {
        self.pointers.is_empty() && self.blanks.is_empty() && self.masks.is_empty() && self.leads.is_empty()
    }

    fn entries(&self) -> usize {
        self.pointers.len() + self.blanks.len() + self.masks.len() + self.leads.len()
    }

    fn blank(&mut self, offset: usize, size: usize) {
        match self.blanks.last_mut() {
            Some((start, length)) if *start + *length == offset => *length += size,
            _ if size > 0 => self.blanks.push((offset, size)),
            _ => {}
        }
    }

    /// Takes in a struct that lies inside this one.
    fn nest(&mut self, inner: &Self, by: usize) {
        let moved = |number: Number| Number { offset: number.offset + by, ..number };
        self.pointers.extend(inner.pointers.iter().map(|offset| offset + by));
        for (offset, length) in &inner.blanks {
            self.blank(offset + by, *length);
        }
        self.masks.extend(inner.masks.iter().map(|(number, keep)| (moved(*number), *keep)));
        self.leads.extend(inner.leads.iter().map(|lead| {
            let target = match lead.target {
                Target::Bytes(number) => Target::Bytes(moved(number)),
                Target::Attributes(number) => Target::Attributes(moved(number)),
                Target::Layers(number) => Target::Layers(number.map(moved)),
                Target::Property(start) => Target::Property(start + by),
                target => target,
            };
            Lead { offset: lead.offset + by, target }
        }));
    }
}

/// The plans of all structs in a file.
pub(crate) struct Plans(Vec<Option<Plan>>);

impl Plans {
    pub(crate) fn of(file: &File) -> Result<Self, Error> {
        let mut builder = Builder { dna: &file.dna, left: MOST_ENTRIES };
        let mut plans: Vec<Option<Plan>> = file.dna.layouts.iter().map(|_| None).collect();
        for block in file.blocks.iter().filter(|block| block.layout > 0) {
            let layout = file.dna.layouts.get(block.layout).ok_or(Error::Malformed("the struct of a block"))?;
            if let Some(plan @ None) = plans.get_mut(block.layout)
                && layout.size > 0
            {
                *plan = Some(builder.plan(layout, 0)?);
            }
        }
        Ok(Self(plans))
    }

    /// `None` for raw data, and for a struct without size.
    pub(crate) fn get(&self, layout: usize) -> Option<&Plan> {
        self.0.get(layout)?.as_ref()
    }
}

/// Structs of Blender nest four deep.
const DEEPEST: usize = 16;

/// Blender's own structs together have about 30,000 pointers and exceptions; more than this is no file of Blender.
const MOST_ENTRIES: usize = 1_000_000;

struct Builder<'a> {
    dna: &'a Dna<'a>,
    left: usize,
}

impl Builder<'_> {
    fn plan(&mut self, layout: &Layout, depth: usize) -> Result<Plan, Error> {
        let mut plan = Plan { size: layout.size, is_left_out: STRUCTS.contains(&layout.name), ..Plan::default() };
        let rules = MEMBERS.iter().find(|(name, _)| *name == layout.name).map_or(&[][..], |(_, rules)| *rules);
        for member in &layout.members {
            let rule = rules.iter().find(|(name, _)| *name == member.name).map(|(_, rule)| *rule);
            self.member(&mut plan, layout, member, rule, depth)?;
        }
        let left = self.left.checked_sub(plan.entries() + 1);
        self.left = left.ok_or(Error::Malformed("its structs are too many"))?;
        Ok(plan)
    }

    fn member(
        &mut self,
        plan: &mut Plan,
        layout: &Layout,
        member: &Member,
        rule: Option<Rule>,
        depth: usize,
    ) -> Result<(), Error> {
        // Padding is not always cleared.
        if matches!(rule, Some(Rule::Skip)) || member.name.starts_with("_pad") {
            plan.blank(member.offset, member.size);
        } else if member.stars > 0 {
            let target = target(layout, member, rule);
            for offset in (member.offset..).step_by(POINTER).take(member.count) {
                plan.leads.extend(target.map(|target| Lead { offset, target }));
                plan.pointers.push(offset);
            }
        } else if let Some(Rule::Keep(bits) | Rule::Gate(bits)) = rule {
            let number = Number { offset: member.offset, width: member.size.min(8) };
            plan.masks.push((number, bits));
            plan.gate = matches!(rule, Some(Rule::Gate(_))).then_some((number, bits)).or(plan.gate);
        } else if let Some(inner) = self.dna.index(member.kind)
            && member.size > 0
        {
            let (dna, count) = (self.dna, member.count);
            let inner = &dna.layouts[inner];
            if depth >= DEEPEST || inner.size * count != member.size {
                return Err(Error::Malformed("a struct within a struct"));
            }
            let inner_plan = self.plan(inner, depth + 1)?;
            for index in (0..count).filter(|_| inner_plan.entries() > 0) {
                if plan.entries() > MOST_ENTRIES {
                    return Err(Error::Malformed("its structs are too many"));
                }
                plan.nest(&inner_plan, member.offset + index * inner.size);
            }
            if (layout.name, member.name) == ("IDProperty", "data") {
                plan.leads.push(Lead { offset: member.offset, target: Target::Property(0) });
            }
            self.set_length(plan, layout, member);
        }
        Ok(())
    }

    /// Tells the layers of a mesh how many elements they have, which is a member of the mesh.
    fn set_length(&self, plan: &mut Plan, layout: &Layout, member: &Member) {
        let known = LAYER_LENGTHS.iter().find(|(owner, layers, _)| *owner == layout.name && *layers == member.name);
        let Some(length) = known.and_then(|(owner, _, length)| self.dna.member(owner, length)) else { return };
        let number = Number { offset: length.offset, width: length.size };
        for lead in plan.leads.iter_mut().filter(|lead| lead.offset >= member.offset) {
            if let Target::Layers(unknown @ None) = &mut lead.target {
                *unknown = Some(number);
            }
        }
    }
}

/// What is behind a pointer, where that has to be known.
fn target(layout: &Layout, member: &Member, rule: Option<Rule>) -> Option<Target> {
    let number = |name: &str| {
        let member = layout.members.iter().find(|one| one.name == name && one.stars == 0)?;
        Some(Number { offset: member.offset, width: member.size })
    };
    match (rule, layout.name, member.name) {
        (Some(Rule::SkipTarget), ..) => Some(Target::Nothing),
        (Some(Rule::Sized(length)), ..) => number(length).map(Target::Bytes),
        (_, "AttributeStorage", "dna_attributes") => number("dna_attributes_num").map(Target::Attributes),
        (_, "CustomData", "layers") => Some(Target::Layers(None)),
        _ if member.stars > 1 => Some(Target::Pointers),
        _ if member.kind == "char" => Some(Target::Text),
        _ => None,
    }
}
