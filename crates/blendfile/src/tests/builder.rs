// SPDX-License-Identifier: GPL-3.0-or-later
//! Writes small .blend files of both formats, with a DNA of a few structs.

/// Which format.
#[derive(Clone, Copy, Debug)]
pub(super) enum Format {
    Blender4,
    Blender5,
}

pub(super) const FORMATS: [Format; 2] = [Format::Blender4, Format::Blender5];

/// Numbers of the structs.
pub(super) const RAW: usize = 0;
pub(super) const OBJECT: usize = 2;
pub(super) const THING: usize = 3;
pub(super) const BASE: usize = 4;

/// Fields of the structs in the file; a name in a format of its own length is `{name}`.
const STRUCTS: [(&str, &[(&str, &str)]); 5] = [
    ("raw_data", &[]),
    ("ID", &[("void", "*next"), ("ID", "*lib"), ("char", "{name}"), ("short", "flag"), ("int", "recalc")]),
    (
        "Object",
        &[
            ("ID", "id"),
            ("Object", "*parent"),
            ("Thing", "*things"),
            ("Object", "**friends"),
            ("char", "*note"),
            ("float", "loc[3]"),
            ("int", "mode"),
            ("Thing", "inside[2]"),
            ("Base", "*base"),
        ],
    ),
    ("Thing", &[("Thing", "*next"), ("int", "value"), ("char", "_pad[4]")]),
    ("Base", &[("Base", "*next"), ("int", "value"), ("char", "_pad[4]")]),
];

/// A file in the making.
pub(super) struct Builder {
    format: Format,
    blocks: Vec<u8>,
}

/// What differs between objects.
#[derive(Clone, Default)]
pub(super) struct Object<'a> {
    pub(super) address: u64,
    pub(super) name: &'a str,
    pub(super) library: u64,
    pub(super) recalc: i32,
    pub(super) mode: i32,
    pub(super) parent: u64,
    pub(super) things: u64,
    pub(super) friends: u64,
    pub(super) note: u64,
    pub(super) base: u64,
    pub(super) x: f32,
    pub(super) inside: u64,
}

impl Builder {
    pub(super) fn new(format: Format) -> Self {
        Self { format, blocks: Vec::new() }
    }

    fn name_size(&self) -> usize {
        match self.format {
            Format::Blender4 => 66,
            Format::Blender5 => 258,
        }
    }

    /// A block.
    pub(super) fn block(mut self, code: &[u8], layout: usize, address: u64, data: &[u8]) -> Self {
        let data = [data, &vec![0x5a; data.len().next_multiple_of(4) - data.len()]].concat();
        let mut padded = [0; 4];
        padded[..code.len()].copy_from_slice(code);
        self.blocks.extend_from_slice(&padded);
        let layout = i32::try_from(layout).unwrap().to_le_bytes();
        match self.format {
            Format::Blender4 => {
                self.blocks.extend_from_slice(&i32::try_from(data.len()).unwrap().to_le_bytes());
                self.blocks.extend_from_slice(&address.to_le_bytes());
                self.blocks.extend_from_slice(&layout);
                self.blocks.extend_from_slice(&1_i32.to_le_bytes());
            }
            Format::Blender5 => {
                self.blocks.extend_from_slice(&layout);
                self.blocks.extend_from_slice(&address.to_le_bytes());
                self.blocks.extend_from_slice(&(data.len() as u64).to_le_bytes());
                self.blocks.extend_from_slice(&1_i64.to_le_bytes());
            }
        }
        self.blocks.extend_from_slice(&data);
        self
    }

    pub(super) fn object(self, object: &Object) -> Self {
        let mut data = Vec::new();
        data.extend_from_slice(&0xdead_u64.to_le_bytes());
        data.extend_from_slice(&object.library.to_le_bytes());
        data.extend_from_slice(b"OB");
        data.extend_from_slice(object.name.as_bytes());
        data.resize(16 + self.name_size(), 0);
        data.extend_from_slice(&0_i16.to_le_bytes());
        data.extend_from_slice(&object.recalc.to_le_bytes());
        for pointer in [object.parent, object.things, object.friends, object.note] {
            data.extend_from_slice(&pointer.to_le_bytes());
        }
        for part in [object.x, 0.0, 0.0] {
            data.extend_from_slice(&part.to_le_bytes());
        }
        data.extend_from_slice(&object.mode.to_le_bytes());
        for _ in 0..2 {
            data.extend_from_slice(&thing(object.inside, 4));
        }
        data.extend_from_slice(&object.base.to_le_bytes());
        let address = object.address;
        self.block(b"OB", OBJECT, address, &data)
    }

    /// The whole file.
    pub(super) fn build(self) -> Vec<u8> {
        let mut file = match self.format {
            Format::Blender4 => b"BLENDER-v403".to_vec(),
            Format::Blender5 => b"BLENDER17-01v0502".to_vec(),
        };
        let dna = self.dna();
        let with_dna = self.block(b"DNA1", RAW, 1, &dna).block(b"ENDB", RAW, 0, &[]);
        file.extend_from_slice(&with_dna.blocks);
        file
    }

    fn dna(&self) -> Vec<u8> {
        let name = format!("name[{}]", self.name_size());
        let mut types: Vec<&str> = vec!["void", "char", "short", "int", "float"];
        let mut sizes: Vec<usize> = vec![0, 1, 2, 4, 4];
        let mut names: Vec<&str> = Vec::new();
        types.extend(STRUCTS.iter().map(|(name, _)| *name));
        // In the order of their nesting: Thing before Object.
        sizes.extend([0, 8 + 8 + self.name_size() + 6, 0, 16, 16]);
        sizes[7] = sizes[6] + 4 * 8 + 12 + 4 + 2 * 16 + 8;
        let mut structs = Vec::new();
        let short = |number: usize| u16::try_from(number).unwrap().to_le_bytes();
        for (kind, members) in STRUCTS {
            let place = |of: &str| types.iter().position(|one| *one == of).unwrap();
            structs.extend_from_slice(&short(place(kind)));
            structs.extend_from_slice(&short(members.len()));
            for (member_kind, member) in members {
                let member = if *member == "{name}" { name.as_str() } else { member };
                names.push(member);
                structs.extend_from_slice(&short(place(member_kind)));
                structs.extend_from_slice(&short(names.len() - 1));
            }
        }
        let mut dna = b"SDNA".to_vec();
        for (tag, texts) in [(b"NAME", &names), (b"TYPE", &types)] {
            dna.extend_from_slice(tag);
            dna.extend_from_slice(&i32::try_from(texts.len()).unwrap().to_le_bytes());
            for text in texts {
                dna.extend_from_slice(&[text.as_bytes(), &[0]].concat());
            }
            dna.resize(dna.len().next_multiple_of(4), 0);
        }
        dna.extend_from_slice(b"TLEN");
        for size in sizes {
            dna.extend_from_slice(&short(size));
        }
        dna.resize(dna.len().next_multiple_of(4), 0);
        dna.extend_from_slice(b"STRC");
        dna.extend_from_slice(&i32::try_from(STRUCTS.len()).unwrap().to_le_bytes());
        dna.extend_from_slice(&structs);
        dna
    }
}

/// A `Thing` or a `Base`.
pub(super) fn thing(next: u64, value: i32) -> Vec<u8> {
    // Padding is not always cleared.
    [&next.to_le_bytes()[..], &value.to_le_bytes(), &[7; 4]].concat()
}
