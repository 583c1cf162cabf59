// SPDX-License-Identifier: GPL-3.0-or-later
//! Where things are in the structs that `reach` has to understand: attributes, layers, properties. What is not there in
//! this version of Blender reads as 0.

use crate::bytes::{size_at, u64_at, until_nul};
use crate::dna::Dna;
use crate::file::Block;
use crate::plan::Number;
use crate::reach::Fate;
use crate::rules::SELECTION_LAYERS;

/// See the module.
pub(crate) struct Shapes {
    pub(crate) attribute_size: usize,
    attribute_name: Number,
    attribute_type: Number,
    attribute_domain: Number,
    attribute_storage: Number,
    attribute_data: Number,
    array_data: Number,
    array_size: Number,
    array_is_single: Number,
    single_data: Number,
    pub(crate) layer_size: usize,
    layer_type: Number,
    layer_name: Number,
    layer_rendered: Number,
    layer_data: Number,
    property_type: Number,
    property_subtype: Number,
    property_length: Number,
}

/// One attribute.
pub(crate) struct Attribute {
    /// The address of its name.
    pub(crate) name: u64,
    /// Type and domain.
    pub(crate) kind: u64,
    /// The address of its `AttributeArray` or `AttributeSingle`.
    pub(crate) data: u64,
    is_single: bool,
    /// Bytes of an element; 0 where it is of an unknown type.
    one: usize,
}

/// The values of an attribute.
pub(crate) struct Array {
    pub(crate) data: u64,
    /// Bytes.
    pub(crate) length: usize,
    /// Bytes of an element; 0 where it is not known.
    pub(crate) one: usize,
}

/// One layer.
pub(crate) struct Layer<'a> {
    pub(crate) name: &'a [u8],
    pub(crate) kind: u64,
    /// Which layer of its type is rendered with.
    pub(crate) is_rendered: u64,
    pub(crate) data: u64,
    /// Whether an element is a byte.
    pub(crate) is_bytes: bool,
}

/// Bytes of an element, by Blender's `AttrType`: bool, int8, 2 × int16, int32, 2 × int32, float, 2, 3 and 4 × 4 × float,
/// colour in bytes, colour in floats, quaternion.
const ATTRIBUTE_SIZES: [usize; 12] = [1, 1, 4, 4, 8, 4, 8, 12, 64, 4, 16, 16];

/// Blender's `CD_PROP_INT8` and `CD_PROP_BOOL`.
const BYTE_LAYERS: [u64; 2] = [45, 50];

/// Blender's `IDP_STRING`, `IDP_ARRAY`, and of arrays `IDP_GROUP` and `IDP_BOOLEAN`.
const STRING: u64 = 0;
const ARRAY: u64 = 5;
const GROUP: u64 = 6;
const BOOLEAN: u64 = 10;

impl Shapes {
    pub(crate) fn of(dna: &Dna) -> Self {
        let size = |name: &str| dna.index(name).map_or(0, |index| dna.layouts[index].size);
        let number = |layout: &str, member: &str| {
            let member = dna.member(layout, member);
            member.map_or(Number { offset: 0, width: 0 }, |member| Number { offset: member.offset, width: member.size })
        };
        Self {
            attribute_size: size("Attribute"),
            attribute_name: number("Attribute", "name"),
            attribute_type: number("Attribute", "data_type"),
            attribute_domain: number("Attribute", "domain"),
            attribute_storage: number("Attribute", "storage_type"),
            attribute_data: number("Attribute", "data"),
            array_data: number("AttributeArray", "data"),
            array_size: number("AttributeArray", "size"),
            array_is_single: number("AttributeArray", "is_single"),
            single_data: number("AttributeSingle", "data"),
            layer_size: size("CustomDataLayer"),
            layer_type: number("CustomDataLayer", "type"),
            layer_name: number("CustomDataLayer", "name"),
            layer_rendered: number("CustomDataLayer", "active_rnd"),
            layer_data: number("CustomDataLayer", "data"),
            property_type: number("IDProperty", "type"),
            property_subtype: number("IDProperty", "subtype"),
            property_length: number("IDProperty", "len"),
        }
    }

    pub(crate) fn attribute(&self, bytes: &[u8]) -> Attribute {
        let kind = read(bytes, self.attribute_type);
        Attribute {
            name: read(bytes, self.attribute_name),
            kind: kind | read(bytes, self.attribute_domain) << 32,
            data: read(bytes, self.attribute_data),
            is_single: read(bytes, self.attribute_storage) == 1,
            one: usize::try_from(kind).ok().and_then(|kind| ATTRIBUTE_SIZES.get(kind)).copied().unwrap_or(0),
        }
    }

    /// The values behind an attribute.
    pub(crate) fn array(&self, holder: &Block, attribute: &Attribute) -> Option<Array> {
        let (bytes, one) = (holder.data, attribute.one);
        let (data, count) = if attribute.is_single {
            (read(bytes, self.single_data), 1)
        } else if read(bytes, self.array_is_single) != 0 {
            (read(bytes, self.array_data), 1)
        } else {
            (read(bytes, self.array_data), size_at(bytes, self.array_size.offset, self.array_size.width)?)
        };
        let length = if one > 0 { count.saturating_mul(one) } else { usize::MAX };
        Some(Array { data, length, one })
    }

    pub(crate) fn layer<'b>(&self, bytes: &'b [u8]) -> Layer<'b> {
        let kind = read(bytes, self.layer_type);
        let name = bytes.get(self.layer_name.offset..self.layer_name.offset + self.layer_name.width);
        Layer {
            name: name.map(until_nul).unwrap_or_default(),
            kind,
            is_rendered: read(bytes, self.layer_rendered),
            data: read(bytes, self.layer_data),
            is_bytes: BYTE_LAYERS.contains(&kind),
        }
    }

    /// How the value of a property is read, which starts with these bytes.
    pub(crate) fn property(&self, bytes: &[u8]) -> Fate {
        let length = size_at(bytes, self.property_length.offset, self.property_length.width).unwrap_or(usize::MAX);
        match (read(bytes, self.property_type), read(bytes, self.property_subtype)) {
            (STRING, _) | (ARRAY, BOOLEAN) => Fate::Bytes(length),
            (ARRAY, GROUP) => Fate::Pointers,
            _ => Fate::Content,
        }
    }

    /// Whether a layer or attribute of this name holds what is selected.
    pub(crate) fn is_selection(name: &[u8]) -> bool {
        SELECTION_LAYERS.iter().any(|start| name.starts_with(start.as_bytes()))
    }
}

fn read(bytes: &[u8], number: Number) -> u64 {
    match number.width {
        width @ 1..=3 => (0..width)
            .rev()
            .fold(0, |value, index| value << 8 | bytes.get(number.offset + index).copied().map_or(0, u64::from)),
        4 => size_at(bytes, number.offset, 4).map_or(0, |value| value as u64),
        _ => u64_at(bytes, number.offset).filter(|_| number.width >= 8).unwrap_or(0),
    }
}
