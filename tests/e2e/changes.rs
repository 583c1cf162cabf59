// SPDX-License-Identifier: GPL-3.0-or-later
//! What a request did to the file is told exactly, nobody notices how that was found out, and where it cannot be, the
//! reason is given. Drives the add-on's `changes` by ordinary requests.

mod edits;

use anyhow::{Context as _, Result, ensure};
use blendwire_e2e::{Blender, Flavour};
use serde_json::{Value, json};

use crate::suite::{EVERYWHERE, Suite};
use edits::{NO_EDITS, PRELUDE, SETUP, edits};

pub(crate) fn add(suite: &mut Suite) {
    for (name, code, expected) in edits() {
        suite.shared(&EVERYWHERE, &format!("changes::{name}"), move |blender| told(blender, code, &expected));
    }
    for (name, code) in NO_EDITS {
        suite.shared(&EVERYWHERE, &format!("changes::no::{name}"), move |blender| told(blender, code, &json!({})));
    }
    suite.shared(&EVERYWHERE, "changes::are_found_out_unnoticed", unnoticed);
    suite.shared(&EVERYWHERE, "changes::another_file_is_said", another_file);
    suite.shared(&EVERYWHERE, "changes::no_room_is_said", no_room);
    suite.shared(&EVERYWHERE, "changes::a_huge_file_is_said", huge);
    suite.shared(&EVERYWHERE, "changes::cost", cost);
    suite.shared(&[Flavour::Windowed], "changes::undo_is_unaffected", undo);
}

/// The add-on's module, whatever package it is installed as.
pub(crate) const FIND: &str = "
import importlib, sys
changes = importlib.import_module(next(name for name in sys.modules if name.endswith('blendwire.bridge'))[:-6] + 'changes')
";

/// A disk that stalls once would have the add-on do without changes for good.
pub(crate) const PATIENT: &str = "
changes.LONGEST_SAVE_SECS, changes._slow = 60.0, None
";

/// Makes the file that edits start from.
fn set_up(blender: &Blender) -> Result<()> {
    blender.result(SETUP).context("the setup")?;
    Ok(())
}

/// Operators want to know in which part of which window they are; a request that follows the opening of a file is in none.
const IN_WINDOW: &str = "
def in_window():
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == 'VIEW_3D':
                region = next(one for one in area.regions if one.type == 'WINDOW')
                return bpy.context.temp_override(window=window, area=area, region=region)
    return bpy.context.temp_override()
with in_window():
";

/// What is told about `code`.
fn changes(blender: &Blender, code: &str) -> Result<Value> {
    let indented = code.replace('\n', "\n    ");
    let code = format!(
        "{FIND}{PATIENT}{PRELUDE}\nstate = changes.before()\n{IN_WINDOW}    {indented}\nresult = changes.after(state)\n"
    );
    blender.result(&code)
}

fn told(blender: &Blender, code: &str, expected: &Value) -> Result<()> {
    set_up(blender)?;
    let told = changes(blender, code)?;
    ensure!(told == *expected, "told {told}, expected {expected}");
    // Nothing but what was done: the next look finds nothing.
    let later = blender.result(&format!("{FIND}result = changes.after(changes.before())"))?;
    ensure!(later == json!({}), "told later, of nothing: {later}");
    Ok(())
}

/// Everything that a save of the user's would have touched.
const TRACES: &str = "
import glob, os
def traces():
    known = bpy.app.handlers
    recent = os.path.join(bpy.utils.user_resource('CONFIG'), 'recent-files.txt')
    preferences = bpy.context.preferences
    return {
        'path': data.filepath,
        'dirty': data.is_dirty,
        'saved': data.is_saved,
        'autopack': data.use_autopack,
        'packed': [image.packed_file is not None for image in data.images],
        'image paths': [image.filepath for image in data.images],
        'handlers': [[id(one) for one in getattr(known, name)] for name in ('save_pre', 'save_post', 'load_post')],
        'recent': open(recent).read() if os.path.exists(recent) else None,
        'preview': preferences.filepaths.file_preview_type,
        'preferences': preferences.is_dirty,
        'compress': preferences.filepaths.use_file_compression,
        'left': glob.glob(os.path.join(bpy.app.tempdir, 'blendwire-*')),
        'beside': sorted(os.listdir(os.path.dirname(data.filepath))),
        'output': [sys.stdout, sys.stderr],
    }
called = []
def handler(*_): called.append(1)
";

fn unnoticed(blender: &mut Blender) -> Result<()> {
    let folder = blender.folder.path().join("unnoticed");
    fs_err::create_dir_all(&folder)?;
    set_up(blender)?;
    blender.result(&format!(
        "folder = {:?}\n\
         image = bpy.data.images.new('Outside', 4, 4)\n\
         image.filepath_raw, image.file_format = folder + '/outside.png', 'PNG'\n\
         image.save()\n\
         image.use_fake_user = True\n\
         bpy.ops.wm.save_as_mainfile(filepath=folder + '/scene.blend')\n\
         image.filepath = '//outside.png'\n",
        folder.display().to_string()
    ))?;
    for dirty in ["pass", "bpy.data.use_autopack = True", "bpy.ops.wm.save_mainfile()"] {
        let code = format!(
            "{FIND}{PRELUDE}{TRACES}\n{dirty}\n\
             bpy.app.handlers.save_pre.append(handler)\n\
             bpy.app.handlers.save_post.append(handler)\n\
             earlier = traces()\n\
             state = changes.before()\n\
             told = changes.after(state)\n\
             later = traces()\n\
             bpy.app.handlers.save_pre.remove(handler)\n\
             bpy.app.handlers.save_post.remove(handler)\n\
             bpy.data.use_autopack = False\n\
             result = [told, called, [(key, earlier[key], later[key]) for key in earlier if earlier[key] != later[key]]]"
        );
        let reply = blender.wire()?.execute(&code)?;
        ensure!(reply["result"] == json!([{}, [], []]), "{dirty}: {reply}");
        // The save that the script itself does prints its own line.
        let printed = reply["stdout"].as_str().unwrap_or_default();
        ensure!(!printed.contains("copy") && printed.lines().count() <= usize::from(dirty.contains("save")), "{reply}");
    }
    Ok(())
}

fn another_file(blender: &mut Blender) -> Result<()> {
    set_up(blender)?;
    let told = blender.result(&format!(
        "{FIND}state = changes.before()\nbpy.ops.wm.read_homefile()\nresult = changes.after(state)"
    ))?;
    ensure!(told["skipped"].as_str().unwrap_or_default().contains("opened another file"), "{told}");
    ensure!(told.as_object().is_some_and(|told| told.len() == 1), "{told}");
    set_up(blender)?;
    ensure!(changes(blender, "pass")? == json!({}), "the next request");
    Ok(())
}

fn no_room(blender: &mut Blender) -> Result<()> {
    const GONE: &str = "import shutil\nshutil.rmtree(bpy.app.tempdir)\n";
    const BACK: &str = "import os\nos.makedirs(bpy.app.tempdir, exist_ok=True)\n";
    set_up(blender)?;
    let code = format!(
        "{FIND}{GONE}try:\n    first = changes.after(changes.before())\nfinally:\n    {}",
        BACK.replace('\n', "\n    ")
    );
    let first = blender.result(&format!("{code}\nresult = first"))?;
    let second = changes(blender, &format!("{GONE}\nopen(bpy.app.tempdir.rstrip('/'), 'w').close()"));
    let restored = blender.result(&format!("import os\nos.remove(bpy.app.tempdir.rstrip('/'))\n{BACK}"));
    restored?;
    for told in [first, second?] {
        let reason = told["skipped"].as_str().unwrap_or_default();
        println!("{}: {reason}", blender.flavour.name());
        ensure!(reason.contains("temporary folder must be writable"), "{told}");
    }
    ensure!(changes(blender, "pass")? == json!({}), "with the folder back");
    Ok(())
}

fn huge(blender: &mut Blender) -> Result<()> {
    set_up(blender)?;
    let told = blender.result(&format!(
        "{FIND}\n\
         earlier, changes.LONGEST_SAVE_SECS = changes.LONGEST_SAVE_SECS, 0.0\n\
         result = [changes.after(changes.before()) for _ in range(3)]\n\
         changes.LONGEST_SAVE_SECS = earlier"
    ))?;
    ensure!(told[0] == json!({}) && told[1] == told[2], "{told}");
    ensure!(told[1]["skipped"].as_str().unwrap_or_default().contains("copying this file took"), "{told}");
    // Another file, or one that has become small, is tried again.
    let told =
        blender.result(&format!("{FIND}\nchanges._slow.size *= 100\nresult = changes.after(changes.before())"))?;
    ensure!(told == json!({}), "{told}");
    Ok(())
}

fn undo(blender: &mut Blender) -> Result<()> {
    set_up(blender)?;
    let told = blender.result(&format!(
        "{FIND}{IN_WINDOW}    \
             for x in 1, 2, 3:\n        bpy.data.objects['Cube'].location.x = x\n        \
                 bpy.ops.ed.undo_push(message=str(x))\n    \
             told = changes.after(changes.before())\n    \
             bpy.ops.ed.undo()\n    \
             back = bpy.data.objects['Cube'].location.x\n    \
             told = [told, changes.after(changes.before())]\n    \
             bpy.ops.ed.redo()\n    \
             result = [told, back, bpy.data.objects['Cube'].location.x]"
    ))?;
    ensure!(told == json!([[{}, {}], 2.0, 3.0]), "{told}");
    Ok(())
}

fn cost(blender: &mut Blender) -> Result<()> {
    const MANY: &str = "
meshes = [data.meshes.new(f'M{number}') for number in range(500)]
for mesh in meshes:
    mesh.from_pydata([(0, 0, 0), (1, 0, 0), (1, 1, 0)], [], [(0, 1, 2)])
for number in range(5000):
    scene.collection.objects.link(objects.new(f'O{number}', meshes[number % 500]))
layer.update()
";
    const MEASURE: &str = "
import os, time
times = []
for _ in range(5):
    began = time.perf_counter()
    state = changes.before()
    between = time.perf_counter()
    size = os.path.getsize(state.path)
    cube.location.x += 1
    told = changes.after(state)
    times.append((1000 * (between - began), 1000 * (time.perf_counter() - between), size))
result = [told, *map(min, zip(*times))]
";
    for (what, code) in [("the small scene", ""), ("5000 objects", MANY)] {
        set_up(blender)?;
        blender.result(&format!("{PRELUDE}{code}"))?;
        let measured = blender.result(&format!("{FIND}{PRELUDE}{MEASURE}"))?;
        ensure!(measured[0] == json!({"modified": {"objects": ["Cube"]}}), "{measured}");
        println!(
            "{}, {what}: before {:.1} ms, after {:.1} ms, file of {} bytes",
            blender.flavour.name(),
            measured[1].as_f64().unwrap_or_default(),
            measured[2].as_f64().unwrap_or_default(),
            measured[3],
        );
        // Far above what it takes: the figures are for people, this finds what has gone wrong altogether.
        ensure!(measured[2].as_f64().is_some_and(|after| after < 2000.0), "{measured}");
    }
    set_up(blender)
}
