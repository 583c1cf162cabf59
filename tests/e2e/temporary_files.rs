// SPDX-License-Identifier: GPL-3.0-or-later
//! The disk of the temporary files is full, or becomes full on the way: what needs copies of the open file says why it
//! could not be done, all else goes on, nothing is left there, and all is well when there is room again.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use blendwire_e2e::{Blender, Environment, Flavour, McpSession, Settings, Wire};
use serde_json::{Value, json};

use crate::disk::Disk;
use crate::suite::Suite;
use crate::undo::{fresh, has_window};

pub(crate) fn add(suite: &mut Suite) {
    for flavour in [Flavour::Bpy50, Flavour::Bpy52, Flavour::Windowed] {
        suite.own(&format!("{}::temporary_files::no_room_is_said_and_survived", flavour.name()), move |environment| {
            no_room(environment, flavour)
        });
    }
    suite.own("temporary_files::a_picture_without_room_is_said", picture);
    suite.own("temporary_files::the_reason_is_the_missing_room", reasons);
}

/// What failing scripts do, and what to look at to see whether it was taken back.
const DEEDS: [(&str, &str, &str); 3] = [
    ("edit", "list(bpy.data.objects['Cube'].location)", "bpy.data.objects['Cube'].location.x += 7"),
    ("operator", "len(bpy.data.objects)", "bpy.ops.mesh.primitive_cube_add()"),
    ("load", "sorted(o.name for o in bpy.data.objects)", "bpy.ops.wm.read_homefile(use_empty=True)"),
];

/// What is on the disk, Blender's own folders aside.
fn files(folder: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs_err::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
            if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("blender_")) {
                continue;
            }
        }
        found.push(path.display().to_string());
    }
    found.sort();
    Ok(found)
}

fn start(environment: &Environment, flavour: Flavour, disk: &Disk) -> Result<Blender> {
    let folder = disk.path().display().to_string();
    let variables = vec![("TMPDIR".to_owned(), folder.clone())];
    let blender = Blender::start(environment, flavour, &Settings { variables, ..Settings::default() })?;
    // Nothing of Blender's own comes to lie there meanwhile.
    let used = blender.result(
        "import tempfile\nbpy.context.preferences.filepaths.use_auto_save_temporary_files = False\n\
         result = [bpy.app.tempdir, tempfile.gettempdir()]",
    )?;
    for used in [&used[0], &used[1]] {
        ensure!(used.as_str().is_some_and(|used| used.starts_with(&folder)), "{used} is not in {folder}");
    }
    Ok(blender)
}

/// How long a copy of the open file is.
fn copy_bytes(wire: &mut Wire) -> Result<u64> {
    let length = wire.result(
        "import os\npath = bpy.app.tempdir + 'copy.blend'\n\
         bpy.ops.wm.save_as_mainfile(filepath=path, copy=True, compress=False)\n\
         result = os.path.getsize(path)\nos.remove(path)",
    )?;
    length.as_u64().context("no length")
}

/// Runs a script that does something and fails.
fn failing(wire: &mut Wire, code: &str) -> Result<Value> {
    let code = format!("{code}\nraise ValueError('on purpose')");
    let reply = wire.answer(&json!({"type": "execute", "code": code, "on_error": "rollback", "changes": true}))?;
    ensure!(reply["error"]["type"] == "ValueError", "{reply}");
    Ok(reply)
}

/// With room for all copies.
fn all_is_well(blender: &Blender) -> Result<()> {
    let mut wire = fresh(blender)?;
    let reply =
        wire.answer(&json!({"type": "execute", "code": "bpy.data.objects['Cube'].location.x = 3", "changes": true}))?;
    ensure!(reply["changes"]["modified"]["objects"] == json!(["Cube"]), "{reply}");
    for (name, look, code) in DEEDS {
        let before = wire.result(&format!("result = {look}"))?;
        let reply = failing(&mut wire, code)?;
        ensure!(
            reply["rolled_back"] == true && reply["changes"].get("skipped").is_none_or(|_| name == "load"),
            "{reply}"
        );
        has_window(&mut wire)?;
        ensure!(wire.result(&format!("result = {look}"))? == before, "{name}: {reply}");
    }
    Ok(())
}

/// Without room for the second copy at least.
fn is_said(blender: &Blender) -> Result<()> {
    let mut wire = fresh(blender)?;
    let reply =
        wire.answer(&json!({"type": "execute", "code": "bpy.data.texts.new('T')\nresult = 'ran'", "changes": true}))?;
    let skipped = reply["changes"]["skipped"].as_str().unwrap_or_default();
    ensure!(reply["result"] == "ran" && skipped.contains("temporary folder must be writable"), "{reply}");
    println!("{}: {skipped}", blender.flavour.name());
    for (name, look, code) in DEEDS {
        let mut wire = fresh(blender)?;
        let look = format!("result = {look}");
        let before = wire.result(&look)?;
        let reply = failing(&mut wire, code)?;
        println!("{}: {name}: {} {}", blender.flavour.name(), reply["rolled_back"], reply["not_rolled_back_because"]);
        has_window(&mut wire)?;
        let is_as_before = wire.result(&look)? == before;
        ensure!(reply["changes"]["skipped"].is_string(), "{name}: {reply}");
        let is_claimed = reply["rolled_back"] == true;
        ensure!(!is_claimed || is_as_before, "{name} was not taken back: {reply}");
        let why = reply["not_rolled_back_because"].as_str().unwrap_or_default();
        ensure!(is_claimed == why.is_empty(), "{name}: {reply}");
        let is_said = why.contains("no copy of the file could be made first");
        ensure!(name != "load" || is_claimed || is_said, "{reply}");
    }
    if blender.flavour == Flavour::Windowed {
        let mut wire = fresh(blender)?;
        let look = "result = bpy.data.objects['Cube'].location.x";
        wire.result("bpy.data.objects['Cube'].location.x = 5")?;
        let reply = wire.answer(&json!({"type": "undo"}))?;
        ensure!(reply["status"] == "ok" && wire.result(look)? == 0.0, "{reply}");
    }
    ensure!(blender.result("print('x' * 1_000_000)\nresult = 6 * 7")? == 42);
    Ok(())
}

fn no_room(environment: &Environment, flavour: Flavour) -> Result<()> {
    let disk = Disk::mount("64m")?;
    let mut blender = start(environment, flavour, &disk)?;
    all_is_well(&blender).context("before")?;
    let copy = copy_bytes(&mut fresh(&blender)?)?;
    let before = files(disk.path())?;
    // None at all, some for a piece of a copy, and enough for the first one of two.
    for left in [0, copy / 2, copy + copy / 2] {
        let filler = disk.fill(left)?;
        is_said(&blender).with_context(|| format!("{left} bytes left, a copy has {copy}"))?;
        fs_err::remove_file(&filler)?;
        let after = files(disk.path())?;
        ensure!(after == before, "with {left} bytes left: there is {after:?} and was {before:?}");
        all_is_well(&blender).with_context(|| format!("after {left} bytes were left"))?;
    }
    ensure!(blender.process.try_wait().is_none(), "Blender has ended");
    let status = blender.wire()?.answer(&json!({"type": "status"}))?;
    ensure!(status["result"]["counters"]["panics"] == 0, "{status}");
    Ok(())
}

/// Without a window pictures are rendered, and rendering writes a file.
fn picture(environment: &Environment) -> Result<()> {
    let disk = Disk::mount("64m")?;
    let blender = start(environment, Flavour::Bpy52, &disk)?;
    fresh(&blender)?;
    let mut command = Command::new(&environment.blendwire);
    command.arg("mcp").env("BLENDWIRE_PORT", blender.port.to_string());
    let session = McpSession::start(command)?;
    let take = || session.call("get_viewport_image", json!({"view": "current", "width": 320, "height": 240}));
    ensure!(take()?.image_base64().is_some(), "no picture to begin with: {}", take()?.text());
    let (before, mut faults) = (files(disk.path())?, Vec::new());
    // None at all, and some for a piece of it.
    for left in [0, 4096] {
        let filler = disk.fill(left)?;
        let told = take()?;
        let png = base64::engine::general_purpose::STANDARD.decode(told.image_base64().unwrap_or_default())?;
        println!("{left} bytes left: {} bytes of a picture, and {}", png.len(), told.text());
        // What a whole one ends with.
        if !told.is_error() && !png.ends_with(b"IEND\xaeB`\x82") {
            faults.push(format!("{left} bytes left: {} bytes that are no picture: {}", png.len(), told.text()));
        }
        fs_err::remove_file(&filler)?;
        ensure!(files(disk.path())? == before, "{:?}", files(disk.path())?);
        ensure!(take()?.image_base64().is_some(), "none afterwards: {}", take()?.text());
    }
    ensure!(faults.is_empty(), "{}", faults.join("\n"));
    Ok(())
}

/// Deeds of scripts that fail, with the bytes that are left before: what Blender's undo leaves, the print of many steps
/// cut off, and a disk that the script itself fills.
const REASONS: [(&str, u64, &str, &str); 5] = [
    ("operator", 0, "len(bpy.data.objects)", "bpy.ops.mesh.primitive_cube_add()"),
    ("palette", 0, "len(bpy.data.palettes['P'].colors)", "bpy.data.palettes['P'].colors.new()"),
    ("load", 300_000, "len(bpy.data.objects)", "bpy.ops.wm.read_homefile(use_empty=True)"),
    ("many steps", 4096, "len(bpy.data.objects)", "bpy.ops.mesh.primitive_cube_add()"),
    ("filled", 2_000_000, "len(bpy.data.objects)", "bpy.ops.mesh.primitive_cube_add()\nFILL"),
];

const FILL: &str = "try:\n    with open(bpy.app.tempdir + 'more', 'wb') as file:\n        while True: file.write(bytes(4096))\n\
    except OSError: pass\n";

/// Whoever reads the reason knows what to mend; and nothing is claimed that could not be looked at.
fn reasons(environment: &Environment) -> Result<()> {
    let disk = Disk::mount("64m")?;
    let blender = start(environment, Flavour::Bpy52, &disk)?;
    let mut faults = Vec::new();
    for (name, left, look, code) in REASONS {
        let (mut wire, look) = (fresh(&blender)?, format!("result = {look}"));
        wire.result("bpy.data.palettes.new('P').use_fake_user = True\nbpy.ops.ed.undo_push(message='P')")?;
        if name == "many steps" {
            wire.result("bpy.context.preferences.edit.undo_steps = 200\nfor n in range(60): bpy.ops.ed.undo_push(message=str(n) * 30)")?;
        }
        let before = wire.result(&look)?;
        let filler = disk.fill(left)?;
        let reply = failing(&mut wire, &code.replace("FILL", FILL))?;
        fs_err::remove_file(&filler)?;
        wire.result("import os\nif os.path.exists(bpy.app.tempdir + 'more'): os.remove(bpy.app.tempdir + 'more')")?;
        has_window(&mut wire)?;
        let is_as_before = wire.result(&look)? == before;
        let why = reply["not_rolled_back_because"].as_str().unwrap_or_default();
        println!("{name}: as before: {is_as_before}, rolled back: {}, because: {why}", reply["rolled_back"]);
        let is_named = ["No space left", "no room", "temporary"].iter().any(|words| why.contains(words));
        let is_claimed = reply["rolled_back"] == true;
        if (is_claimed && !is_as_before) || !(is_claimed || is_named) {
            faults.push(format!("{name}: as before: {is_as_before}, yet {reply}"));
        }
    }
    ensure!(faults.is_empty(), "{}", faults.join("\n"));
    Ok(())
}
