// SPDX-License-Identifier: GPL-3.0-or-later
//! `"on_error": "rollback"`: what a failed request did is taken back whatever it was, or the reply says why not.

use anyhow::{Result, ensure};
use blendwire_e2e::{Blender, Environment, Flavour, Settings, Wire, wait_until};
use serde_json::{Value, json};

use super::{EDITS, SOON, active_step, ask, edit, fresh, has_window, same, snapshot, steps};
use crate::suite::{EVERYWHERE, Suite};

/// Modes in which a request may find Blender.
const MODES: [&str; 5] = ["OBJECT", "EDIT", "SCULPT", "WEIGHT_PAINT", "TEXTURE_PAINT"];

/// Edits beyond [`EDITS`] that are hard to take back.
const HARD: [(&str, &str); 11] = [
    ("the edited object is deleted", "bpy.data.objects.remove(bpy.data.objects['Cube'])"),
    (
        "an edit-mesh",
        "import bmesh\nbpy.ops.object.mode_set(mode='EDIT')\nb = bmesh.from_edit_mesh(bpy.context.object.data)\n\
         for v in b.verts: v.co.x += 7\nbpy.data.objects['Light'].location.x = 1",
    ),
    ("another mode", "bpy.ops.object.mode_set(mode='SCULPT')\nbpy.data.objects['Light'].location.x = 2"),
    (
        "edits in edit mode and out of it",
        "bpy.ops.object.mode_set(mode='EDIT')\nbpy.ops.mesh.select_all(action='SELECT')\n\
         bpy.ops.mesh.delete(type='VERT')\nbpy.ops.object.mode_set(mode='OBJECT')",
    ),
    (
        "steps of the script's own",
        "for i in range(5):\n    bpy.data.objects['Light'].location.x = i\n    bpy.ops.ed.undo_push(message='own')",
    ),
    ("undo by the script", "bpy.data.objects['Light'].location.x = 3\nbpy.ops.ed.undo_push()\nbpy.ops.ed.undo()"),
    (
        "too much undo by the script",
        "if bpy.app.background: bpy.ops.ed.undo_push()\nbpy.ops.ed.undo_push()\nbpy.ops.ed.undo()\nbpy.ops.ed.undo()\n\
         bpy.data.objects['Light'].location.x = 3",
    ),
    ("everything is removed", "for o in list(bpy.data.objects): bpy.data.objects.remove(o)\nbpy.data.orphans_purge()"),
    ("another scene", "s = bpy.data.scenes.new('S')\nbpy.data.objects['Light'].name = 'Lamp'\ns.frame_end = 3"),
    ("an interruption by itself", "bpy.data.objects['Light'].location.x = 4\nraise KeyboardInterrupt"),
    (
        "an operator that fails half-way",
        "def fails(*_): raise RuntimeError('half-way')\nbpy.app.handlers.depsgraph_update_pre.append(fails)\n\
         bpy.ops.mesh.primitive_cube_add()\nbpy.ops.transform.translate(value=(1, 2, 3))\n\
         bpy.app.handlers.depsgraph_update_pre.remove(fails)",
    ),
];

/// Edits that Blender's undo leaves alone, or some versions' does: how to look at each, and the edit.
const BEYOND_UNDO: [(&str, &str, &str); 14] = [
    ("cursor", "list(bpy.context.scene.cursor.location)", "bpy.context.scene.cursor.location = (9, 8, 7)"),
    (
        "cursor's rotation",
        "[bpy.context.scene.cursor.rotation_mode, list(bpy.context.scene.cursor.rotation_quaternion)]",
        "c = bpy.context.scene.cursor\nc.rotation_mode = 'QUATERNION'\nc.rotation_quaternion = (0, 1, 0, 0)",
    ),
    ("use_snap", "bpy.context.scene.tool_settings.use_snap", "bpy.context.scene.tool_settings.use_snap = True"),
    (
        "snap elements",
        "sorted(bpy.context.scene.tool_settings.snap_elements)",
        "bpy.context.scene.tool_settings.snap_elements = {'VERTEX', 'EDGE'}",
    ),
    (
        "proportional_size",
        "bpy.context.scene.tool_settings.proportional_size",
        "bpy.context.scene.tool_settings.proportional_size = 7",
    ),
    ("autopack", "bpy.data.use_autopack", "bpy.data.use_autopack = not bpy.data.use_autopack"),
    ("new palette", "sorted(p.name for p in bpy.data.palettes)", "bpy.data.palettes.new('Q').use_fake_user = True"),
    ("palette's colour", "len(bpy.data.palettes['P'].colors)", "bpy.data.palettes['P'].colors.new()"),
    ("new brush", "sorted(b.name for b in bpy.data.brushes)", "bpy.data.brushes.new('BB', mode='SCULPT')"),
    ("brush", "bpy.data.brushes['B'].size", "bpy.data.brushes['B'].size += 5"),
    ("pixels", "round(bpy.data.images['I'].pixels[0], 2)", "bpy.data.images['I'].pixels[:] = [0.75] * 64"),
    (
        "pixels of a file",
        "round(bpy.data.images['F'].pixels[0], 2)",
        "i = bpy.data.images['F']\ni.pixels[:] = [0.75] * 64",
    ),
    (
        "an image without its pixels",
        "['I' in bpy.data.images, 'I' in bpy.data.images and round(bpy.data.images['I'].pixels[0], 2)]",
        "bpy.data.images.remove(bpy.data.images['I'])",
    ),
    (
        "a library",
        "[sorted(l.name for l in bpy.data.libraries), len(bpy.data.lights)]",
        "with bpy.data.libraries.load(bpy.app.tempdir + 'lib.blend', link=True) as (there, here): here.lights = there.lights",
    ),
];

/// What [`BEYOND_UNDO`] changes.
const CHANGED: &str = "p = bpy.data.palettes.new('P')\np.use_fake_user = True\n\
    b = bpy.data.brushes.new('B', mode='SCULPT')\nb.use_fake_user = True\n\
    def image(name):\n    i = bpy.data.images.new(name, 4, 4)\n    i.pixels[:] = [0.25] * 64\n    \
        i.use_fake_user = True\n    return i\n\
    image('I')\ni = image('F')\ni.filepath_raw = bpy.app.tempdir + 'F.png'\ni.file_format = 'PNG'\ni.save()\n\
    bpy.data.libraries.write(bpy.app.tempdir + 'lib.blend', set(bpy.data.lights))";

/// Ways to open another file.
const LOADING: [&str; 3] = [
    "bpy.ops.wm.read_homefile(use_empty=True)",
    "bpy.ops.wm.read_homefile(use_factory_startup=True)\nbpy.data.objects.remove(bpy.data.objects['Cube'])",
    "bpy.ops.wm.open_mainfile(filepath=OTHER)",
];

pub(super) fn add(suite: &mut Suite) {
    suite.shared(&EVERYWHERE, "undo::rollback::restores_whatever_was_edited_in_every_mode", every_edit);
    suite.shared(&EVERYWHERE, "undo::rollback::after_a_time_limit_and_a_cancel", interrupted);
    suite.shared(&EVERYWHERE, "undo::rollback::after_another_file_was_loaded", loading);
    suite.shared(&EVERYWHERE, "undo::rollback::never_claims_what_did_not_happen", honest);
    suite.shared(&EVERYWHERE, "undo::rollback::takes_back_or_tells_what_blenders_undo_leaves", beyond_undo);
    suite.shared(&EVERYWHERE, "undo::rollback::after_the_script_has_saved", saving);
    suite.own("undo::rollback::without_a_standard_output", without_output);
    suite.own("undo::rollback::leaves_one_useful_undo", leaves_one_undo);
}

fn failing(wire: &mut Wire, code: &str) -> Result<Value> {
    ask(
        wire,
        &json!({"type": "execute", "code": format!("{code}\nraise ValueError('on purpose')"), "on_error": "rollback"}),
    )
}

fn every_edit(blender: &mut Blender) -> Result<()> {
    for mode in MODES {
        let mut wire = fresh(blender)?;
        wire.result(&format!(
            "bpy.context.view_layer.objects.active = bpy.data.objects['Cube']\nbpy.ops.object.mode_set(mode='{mode}')"
        ))?;
        let before = snapshot(&mut wire)?;
        for (name, code) in EDITS.iter().chain(&HARD) {
            let what = format!("{mode}: {name}");
            let reply = failing(&mut wire, code)?;
            ensure!(reply["status"] == "error", "{what}: {reply}");
            ensure!(reply["rolled_back"] == true, "{what}: {reply}");
            same(&what, &snapshot(&mut wire)?, &before)?;
        }
    }
    fresh(blender).map(drop)
}

fn interrupted(blender: &mut Blender) -> Result<()> {
    let mut wire = fresh(blender)?;
    let before = snapshot(&mut wire)?;
    let code = format!("{}\n{}\nwhile True: pass", EDITS[0].1, EDITS[4].1);
    let mut request =
        json!({"type": "execute", "code": code, "on_error": "rollback", "id": "limit", "timeout_secs": 3});
    let reply = ask(&mut wire, &request)?;
    ensure!(reply["error"]["code"] == "timeout" && reply["rolled_back"] == true, "{reply}");
    same("a time limit", &snapshot(&mut wire)?, &before)?;
    request["id"] = "cancel".into();
    request["timeout_secs"] = 60.into();
    wire.send((request.to_string() + "\0").as_bytes())?;
    let mut other = blender.wire()?;
    wait_until("the script to run", SOON, || {
        ask(&mut other, &json!({"type": "status"})).ok()?["result"]["running"].is_object().then_some(())
    })?;
    ask(&mut other, &json!({"type": "cancel", "id": "cancel"}))?;
    let reply = wire.reply()?;
    ensure!(reply["error"]["code"] == "cancelled" && reply["rolled_back"] == true, "{reply}");
    same("a cancel", &snapshot(&mut wire)?, &before)
}

fn loading(blender: &mut Blender) -> Result<()> {
    let other = format!("{:?}", blender.file("other.blend").display().to_string());
    let own = format!("{:?}", blender.file("own.blend").display().to_string());
    let mut wire = fresh(blender)?;
    wire.result(&format!("bpy.ops.wm.save_as_mainfile(filepath={other})"))?;
    for is_saved in [false, true] {
        let mut wire = fresh(blender)?;
        if is_saved {
            wire.result(&format!("bpy.ops.wm.save_as_mainfile(filepath={own})"))?;
        }
        wire.result("bpy.data.objects['Cube'].location.x = 9\nbpy.data.objects['Cube']['unsaved'] = 1")?;
        let before = snapshot(&mut wire)?;
        for code in LOADING {
            let reply = failing(&mut wire, &format!("OTHER = {other}\n{code}"))?;
            ensure!(reply["rolled_back"] == true, "{code}: {reply}");
            has_window(&mut wire)?;
            same(code, &snapshot(&mut wire)?, &before)?;
            wait_until("Blender to know of something to save", SOON, || {
                (wire.result("result = bpy.data.is_dirty").ok()? == true).then_some(())
            })?;
        }
        let hidden = failing(&mut wire, "getattr(bpy.ops.wm, 'read_home' + 'file')(use_factory_startup=True)")?;
        let why = hidden["not_rolled_back_because"].as_str().unwrap_or_default();
        ensure!(hidden["rolled_back"] == false && why.contains("loaded another file"), "{hidden}");
    }
    Ok(())
}

fn honest(blender: &mut Blender) -> Result<()> {
    let mut wire = fresh(blender)?;
    let refused = |reply: &Value, words: &str| {
        let why = reply["not_rolled_back_because"].as_str().unwrap_or_default();
        ensure!(reply["rolled_back"] == false && why.contains(words), "{words}: {reply}");
        Ok(())
    };
    let prefs = "bpy.context.preferences.edit";
    wire.result(&format!("{prefs}.use_global_undo = False"))?;
    let reply = failing(&mut wire, EDITS[0].1);
    wire.result(&format!("{prefs}.use_global_undo = True"))?;
    refused(&reply?, "Global Undo is off")?;
    wire.result(&format!("{prefs}.undo_steps = 0"))?;
    let reply = failing(&mut wire, EDITS[0].1);
    wire.result(&format!("{prefs}.undo_steps = 2"))?;
    refused(&reply?, "Undo Steps is 0")?;
    let before = snapshot(&mut wire)?;
    let few = failing(&mut wire, EDITS[0].1);
    wire.result(&format!("{prefs}.undo_steps = 32"))?;
    ensure!(few?["rolled_back"] == true, "two steps are enough");
    same("two steps", &snapshot(&mut wire)?, &before)?;
    let many = "for i in range(50):\n    bpy.data.objects['Light'].location.x = i\n    bpy.ops.ed.undo_push()";
    refused(&failing(&mut wire, many)?, "is gone")?;
    let deferred = "bpy.data.objects['Light'].location.x = 1\ndef check_is_finished(): raise ValueError('late')";
    let reply = ask(&mut wire, &json!({"type": "execute", "code": deferred, "on_error": "rollback"}))?;
    refused(&reply, "deferred")?;
    // What did not run has changed nothing.
    let reply = ask(&mut wire, &json!({"type": "execute", "code": "this is no Python", "on_error": "rollback"}))?;
    ensure!(reply["rolled_back"] == true, "{reply}");
    Ok(())
}

fn leaves_one_undo(environment: &Environment) -> Result<()> {
    let blender = Blender::start(environment, Flavour::Windowed, &Settings::default())?;
    let mut wire = fresh(&blender)?;
    edit(&mut wire, "first", EDITS[0].1)?;
    let before = snapshot(&mut wire)?;
    // Once more, without a look: what a script reads through `getattr` may make data in Blender.
    let mut wire = fresh(&blender)?;
    edit(&mut wire, "first", EDITS[0].1)?;
    let request = json!({"type": "execute", "code": EDITS[3].1, "title": "second", "on_error": "rollback"});
    ensure!(ask(&mut wire, &request)?["status"] == "ok");
    ensure!(active_step(&mut wire)? == "second");
    ask(&mut wire, &json!({"type": "undo"}))?;
    same("one undo", &snapshot(&mut wire)?, &before)?;
    let steps = steps(&mut wire)?;
    ensure!(!steps.iter().any(|step| step == "Before: second"), "a step too many: {steps:?}");
    Ok(())
}

fn beyond_undo(blender: &mut Blender) -> Result<()> {
    let mut wire = fresh(blender)?;
    wire.result(CHANGED)?;
    for (at, (name, look, code)) in BEYOND_UNDO.iter().enumerate() {
        let look = format!("result = {look}");
        let before = wire.result(&look)?;
        let reply = failing(&mut wire, code)?;
        ensure!(reply["error"]["type"] == "ValueError", "{name}: {reply}");
        let is_as_before = wire.result(&look)? == before;
        let why = reply["not_rolled_back_because"].as_str().unwrap_or_default();
        ensure!(reply["rolled_back"] == is_as_before, "{name}: as before: {is_as_before}, yet {reply}");
        ensure!(is_as_before || why.contains("Blender's undo does not take these back: "), "{name}: {reply}");
        ensure!(is_as_before || at > 5, "{name} was not put back");
    }
    // Whoever asks for changes gets those that stayed.
    let request = json!({"type": "execute", "code": format!("{}\n0 / 0", BEYOND_UNDO[7].2), "on_error": "rollback", "changes": true});
    let reply = ask(&mut wire, &request)?;
    ensure!(reply["rolled_back"] == false && reply["changes"] == json!({"modified": {"palettes": ["P"]}}), "{reply}");
    fresh(blender).map(drop)
}

fn saving(blender: &mut Blender) -> Result<()> {
    let own = format!("{:?}", blender.file("saved.blend").display().to_string());
    let copy = format!("{:?}", blender.file("copy.blend").display().to_string());
    let mut wire = fresh(blender)?;
    wire.result(&format!("bpy.ops.wm.save_as_mainfile(filepath={own})"))?;
    let before = snapshot(&mut wire)?;
    let reply = failing(&mut wire, &format!("{}\nbpy.ops.wm.save_mainfile()", EDITS[0].1))?;
    let why = reply["not_rolled_back_because"].as_str().unwrap_or_default();
    ensure!(
        reply["rolled_back"] == false && why.contains("the script has saved ") && why.contains("saved.blend"),
        "{reply}"
    );
    same("after saving", &snapshot(&mut wire)?, &before)?;
    wait_until("Blender to know of something to save", SOON, || {
        (wire.result("result = bpy.data.is_dirty").ok()? == true).then_some(())
    })?;
    // A copy elsewhere is no more than any other file that a script writes.
    let reply =
        failing(&mut wire, &format!("{}\nbpy.ops.wm.save_as_mainfile(filepath={copy}, copy=True)", EDITS[0].1))?;
    ensure!(reply["rolled_back"] == true, "{reply}");
    let reply = failing(
        &mut wire,
        &format!("bpy.app.handlers.save_post.clear()\nbpy.ops.wm.save_as_mainfile(filepath={copy})"),
    )?;
    let why = reply["not_rolled_back_because"].as_str().unwrap_or_default();
    ensure!(reply["rolled_back"] == false && why.contains("now the open file's name"), "{reply}");
    fresh(blender).map(drop)
}

/// Blender then does not tell its steps.
fn without_output(environment: &Environment) -> Result<()> {
    let blender = Blender::start(environment, Flavour::Bpy52, &Settings::default())?;
    let mut wire = fresh(&blender)?;
    wire.result("import os\nos.close(1)")?;
    let before = snapshot(&mut wire)?;
    let reply = failing(&mut wire, "bpy.data.objects['Cube'].location.x = 5")?;
    if reply["rolled_back"] == true {
        same("without an output", &snapshot(&mut wire)?, &before)?;
    }
    let code = "bpy.data.objects['Cube'].location.x = 5\nbpy.ops.mesh.primitive_cube_add('EXEC_DEFAULT', True)";
    let reply = failing(&mut wire, code)?;
    let why = reply["not_rolled_back_because"].as_str().unwrap_or_default();
    ensure!(reply["rolled_back"] == false && why.contains("no standard output"), "{reply}");
    Ok(())
}
