// SPDX-License-Identifier: GPL-3.0-or-later
//! The letters of a type in the file, and the collection of `bpy.data` that holds such data-blocks.

/// Blender 5.0 gave the name of the old grease pencil's collection to the new one's.
const RENAMED_IN: u32 = 500;

const KINDS: &[([u8; 2], &str)] = &[
    (*b"AC", "actions"),
    (*b"AR", "armatures"),
    (*b"BR", "brushes"),
    (*b"CA", "cameras"),
    (*b"CF", "cache_files"),
    (*b"CU", "curves"),
    (*b"CV", "hair_curves"),
    (*b"GR", "collections"),
    (*b"IM", "images"),
    (*b"KE", "shape_keys"),
    (*b"LA", "lights"),
    (*b"LI", "libraries"),
    (*b"LP", "lightprobes"),
    (*b"LS", "linestyles"),
    (*b"LT", "lattices"),
    (*b"MA", "materials"),
    (*b"MB", "metaballs"),
    (*b"MC", "movieclips"),
    (*b"ME", "meshes"),
    (*b"MS", "masks"),
    (*b"NT", "node_groups"),
    (*b"OB", "objects"),
    (*b"PA", "particles"),
    (*b"PC", "paint_curves"),
    (*b"PL", "palettes"),
    (*b"PT", "pointclouds"),
    (*b"SC", "scenes"),
    (*b"SK", "speakers"),
    (*b"SO", "sounds"),
    (*b"TE", "textures"),
    (*b"TX", "texts"),
    (*b"VF", "fonts"),
    (*b"VO", "volumes"),
    (*b"WO", "worlds"),
];

/// The collection's name, in a file of this version; `None` for a type that no collection holds.
pub(crate) fn collection(code: [u8; 2], version: u32) -> Option<&'static str> {
    match (&code, version >= RENAMED_IN) {
        (b"GD", true) => Some("annotations"),
        (b"GD", false) | (b"GP", true) => Some("grease_pencils"),
        (b"GP", false) => Some("grease_pencils_v3"),
        _ => KINDS.iter().find(|(other, _)| *other == code).map(|(_, name)| *name),
    }
}
