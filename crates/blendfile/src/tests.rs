// SPDX-License-Identifier: GPL-3.0-or-later
//! Small files made here, of both formats. That it understands what Blender writes is tested in real Blenders, in
//! `tests/e2e/changes.rs`.

mod builder;

use builder::{BASE, Builder, FORMATS, Format, Object, RAW, THING, thing};
use proptest::prelude::*;

use crate::{Error, Renamed, modified};

const CUBE: u64 = 0x1000;
const LIGHT: u64 = 0x2000;

/// Two objects, the second with all kinds of pointers; everything lies `shift` further in memory.
fn file(format: Format, shift: u64, change: impl Fn(&mut Object, &mut Object)) -> Builder {
    let at = |address: u64| address + shift;
    let mut cube = Object { address: at(CUBE), name: "Cube", ..Object::default() };
    let mut light = Object {
        address: at(LIGHT),
        name: "Light",
        parent: at(CUBE),
        things: at(0x2100),
        friends: at(0x2200),
        note: at(0x2300),
        base: at(0x2400),
        ..Object::default()
    };
    change(&mut cube, &mut light);
    let friends = [cube.address.to_le_bytes(), light.address.to_le_bytes()].concat();
    Builder::new(format)
        .block(b"REND", RAW, 1, b"what this is does not matter")
        .block(b"DATA", RAW, 2, b"and neither does this")
        .object(&cube)
        .object(&light)
        .block(b"DATA", THING, at(0x2100), &thing(at(0x2110), 1))
        .block(b"DATA", THING, at(0x2110), &thing(0, 2))
        .block(b"DATA", RAW, at(0x2200), &friends)
        .block(b"DATA", RAW, at(0x2300), b"a note\0")
        .block(b"DATA", BASE, at(0x2400), &thing(0, 3))
}

fn plain(format: Format) -> Vec<u8> {
    file(format, 0, |_, _| {}).build()
}

fn names(before: &[u8], after: &[u8], renamed: &[(&str, &str)]) -> Vec<String> {
    let renamed: Vec<Renamed> =
        renamed.iter().map(|(from, to)| ("objects".into(), (*from).into(), (*to).into())).collect();
    let found = modified(before, after, &renamed).unwrap();
    found
        .into_iter()
        .map(|(kind, name)| {
            assert_eq!(kind, "objects");
            name
        })
        .collect()
}

#[test]
fn the_same_elsewhere_in_memory_is_no_change() {
    for format in FORMATS {
        assert!(names(&plain(format), &file(format, 0x7_0000_0000, |_, _| {}).build(), &[]).is_empty());
    }
}

#[test]
fn values_are_changes_of_their_own_data_block_alone() {
    for format in FORMATS {
        let after = file(format, 0x100_0000, |cube, _| cube.x = 1.0).build();
        assert_eq!(names(&plain(format), &after, &[]), ["Cube"]);
        let after = file(format, 0, |_, light| light.x = 1.0).build();
        assert_eq!(names(&plain(format), &after, &[]), ["Light"]);
    }
}

#[test]
fn pointers_are_compared_by_what_they_lead_to() {
    for format in FORMATS {
        let changes: [fn(&mut Object, &mut Object); 4] = [
            |_, light| light.parent = LIGHT,
            |_, light| light.parent = 0,
            |_, light| light.things = 0x2110,
            |cube, _| cube.parent = LIGHT,
        ];
        for (change, name) in changes.into_iter().zip(["Light", "Light", "Light", "Cube"]) {
            assert_eq!(names(&plain(format), &file(format, 0, change).build(), &[]), [name]);
        }
        // Addresses of nothing in the file are of things that only lived in memory.
        let after = file(format, 0, |cube, _| (cube.inside, cube.things) = (0xbad0, 0xbad8)).build();
        assert!(names(&plain(format), &after, &[]).is_empty());
    }
}

#[test]
fn runtime_state_selection_and_padding_do_not_count() {
    for format in FORMATS {
        let after = file(format, 0, |cube, light| (cube.recalc, light.mode) = (9219, 1)).build();
        assert!(names(&plain(format), &after, &[]).is_empty());
        let extra = |value, padding: &[u8]| {
            let base = Object { address: 0x3000, name: "Third", base: 0x3100, note: 0x3200, ..Object::default() };
            let file = file(format, 0, |_, _| {}).object(&base);
            let file = file.block(b"DATA", BASE, 0x3100, &thing(0, value));
            file.block(b"DATA", RAW, 0x3200, padding).build()
        };
        assert!(names(&extra(1, b"end\0\x01\x02"), &extra(2, b"end\0\x01\x02"), &[]).is_empty());
        assert!(names(&extra(1, b"theend\0\x01"), &extra(1, b"theend\0\x02"), &[]).is_empty());
        assert_eq!(names(&extra(1, b"theend\0\x01"), &extra(1, b"theenD\0\x01"), &[]), ["Third"]);
    }
}

#[test]
fn blocks_belong_to_the_data_block_before_them() {
    for format in FORMATS {
        let with = |value| file(format, 0, |_, _| {}).block(b"DATA", THING, 0x2500, &thing(0, value)).build();
        assert_eq!(names(&with(1), &with(2), &[]), ["Light"]);
        let apart = |value| {
            let file = file(format, 0, |_, _| {}).block(b"GLOB", RAW, 3, b"settings");
            file.block(b"DATA", THING, 0x2500, &thing(0, value)).build()
        };
        assert!(names(&apart(1), &apart(2), &[]).is_empty());
    }
}

#[test]
fn a_rename_is_no_change_of_what_points_there() {
    for format in FORMATS {
        let after = file(format, 0x5000, |cube, _| cube.name = "Box").build();
        assert!(names(&plain(format), &after, &[("Cube", "Box")]).is_empty());
        let after = file(format, 0x5000, |cube, _| (cube.name, cube.x) = ("Box", 1.0)).build();
        assert_eq!(names(&plain(format), &after, &[("Cube", "Box")]), ["Box"]);
        let after = file(format, 0x5000, |cube, light| (cube.name, light.name) = ("Light", "Cube")).build();
        assert!(names(&plain(format), &after, &[("Cube", "Light"), ("Light", "Cube")]).is_empty());
    }
}

#[test]
fn another_of_the_same_name_is_another() {
    for format in FORMATS {
        assert_eq!(names(&plain(format), &plain(format), &[("Cube", "")]), ["Light"]);
    }
}

#[test]
fn linked_data_blocks_are_left_out() {
    for format in FORMATS {
        let with = |x| file(format, 0, |cube, _| (cube.library, cube.x) = (0x9000, x)).build();
        assert!(names(&with(1.0), &with(2.0), &[]).is_empty());
    }
}

#[test]
fn other_files_are_refused_in_words() {
    let compressed = [0x28, 0xb5, 0x2f, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    for bytes in
        [&b""[..], b"BLENDER", b"BLENDER_v279......", b"BLENDER-V403......", b"BLENDER18-01v0502..", &compressed]
    {
        assert!(matches!(modified(bytes, bytes, &[]), Err(Error::Unsupported(_))), "{bytes:?}");
    }
    let error = modified(b"PK", b"PK", &[]).unwrap_err().to_string();
    assert_eq!(error, "this is no uncompressed .blend file");
}

#[test]
fn files_cut_off_anywhere_are_errors() {
    for format in FORMATS {
        let whole = plain(format);
        // Only the last word of the end block may be missing: it has no content.
        for length in 0..whole.len() - 24 {
            assert!(modified(&whole[..length], &whole, &[]).is_err(), "{length} of {}", whole.len());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn random_bytes_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..600), large: bool) {
        let header: &[u8] = if large { b"BLENDER17-01v0502" } else { b"BLENDER-v403" };
        let bytes = [header, &bytes].concat();
        let _ = modified(&bytes, &bytes, &[]);
    }

    #[test]
    fn damaged_files_do_not_panic(
        large: bool,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        cut in any::<prop::sample::Index>(),
        is_cut: bool,
    ) {
        let format = if large { Format::Blender5 } else { Format::Blender4 };
        let whole = plain(format);
        let mut bytes = whole.clone();
        for (place, byte) in damage {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        if is_cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let _ = modified(&bytes, &whole, &[]);
        let _ = modified(&whole, &bytes, &[]);
    }
}
