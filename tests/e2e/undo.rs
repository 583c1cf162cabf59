// SPDX-License-Identifier: GPL-3.0-or-later
//! Undo steps and undoing over the wire: what the assistant did is undone by the user, one request at a time.
//! `rollback` has the rollbacks, `noticed` what counts as an edit.

mod noticed;
mod rollback;

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use blendwire_e2e::{Blender, Environment, Flavour, Settings, Wire, wait_until};
use serde_json::{Value, json};

use crate::suite::{EVERYWHERE, Suite};

/// Long enough for software rendering on a busy machine.
const SOON: Duration = Duration::from_mins(1);

/// Gives a file's content as data.
const SNAPSHOT: &str = include_str!("undo/snapshot.py");

/// Requests that change the file, each another kind of edit.
const EDITS: [(&str, &str); 12] = [
    ("move", "bpy.data.objects['Cube'].location.x += 1.5"),
    ("add", "bpy.ops.mesh.primitive_uv_sphere_add(segments=8, ring_count=4, location=(3, 0, 0))"),
    ("parent", "bpy.data.objects['Light'].parent = bpy.data.objects['Cube']"),
    ("mesh", "bpy.data.objects['Cube'].data.vertices[0].co.z = 4\nbpy.data.objects['Cube'].data.update()"),
    (
        "material",
        "m = bpy.data.materials.new('Red')\nm.use_nodes = True\nt = m.node_tree\n\
         n = t.nodes.new('ShaderNodeValue')\n\
         n.outputs[0].default_value = 0.3\nshader = next(n for n in t.nodes if n.type == 'BSDF_PRINCIPLED')\n\
         t.links.new(n.outputs[0], shader.inputs['Roughness'])\n\
         bpy.data.objects['Cube'].data.materials.append(m)",
    ),
    (
        "collection",
        "c = bpy.data.collections.new('Kept')\nbpy.context.scene.collection.children.link(c)\n\
         c.objects.link(bpy.data.objects['Cube'])",
    ),
    ("custom property", "bpy.data.objects['Cube']['weight'] = 2.5"),
    ("text", "bpy.data.texts.new('notes').write('remember')"),
    ("marker", "bpy.context.scene.timeline_markers.new('here', frame=7)"),
    ("selection", "bpy.ops.object.select_all(action='SELECT')\nbpy.context.scene.frame_end = 99"),
    ("keys", "bpy.data.objects['Cube'].keyframe_insert('location', frame=5)"),
    ("delete", "bpy.data.objects.remove(bpy.data.objects['Camera'])"),
];

pub(crate) fn add(suite: &mut Suite) {
    suite.own("undo::each_request_is_one_step", one_step_each);
    suite.own("undo::readers_make_no_step_and_do_not_disturb_the_users", readers);
    suite.own("undo::follows_the_preference_and_cleared_handlers", preference);
    suite.own("undo::in_edit_mode_takes_back_other_data_too", edit_mode);
    suite.own("undo::leaves_the_mode_alone_while_a_render_goes_on", render);
    suite.shared(&[Flavour::Bpy50, Flavour::Bpy52], "undo::is_refused_in_the_background", refused);
    suite.shared(&EVERYWHERE, "undo::every_script_that_may_edit_is_watched", noticed::watched);
    suite.own("undo::silent_edits_make_steps", noticed::silent);
    rollback::add(suite);
}

pub(crate) fn ask(wire: &mut Wire, request: &Value) -> Result<Value> {
    wire.send((request.to_string() + "\0").as_bytes())?;
    wire.reply()
}

/// A file to begin with, the same in every Blender.
pub(crate) fn fresh(blender: &Blender) -> Result<Wire> {
    let mut wire = blender.wire()?;
    // What nothing uses is not saved, and so would not be there any more after a save and a load.
    wire.result("bpy.ops.wm.read_homefile(use_factory_startup=True)\nbpy.data.orphans_purge(do_recursive=True)")?;
    has_window(&mut wire)?;
    Ok(wire)
}

/// Waits until Blender has come round after loading a file: until then its scripts have no window.
pub(crate) fn has_window(wire: &mut Wire) -> Result<()> {
    wait_until("Blender to have a window", SOON, || {
        (wire.result("result = bpy.app.background or bpy.context.window is not None").ok()? == true).then_some(())
    })
}

pub(crate) fn snapshot(wire: &mut Wire) -> Result<Value> {
    wire.result(SNAPSHOT)
}

/// Says where two snapshots differ.
pub(crate) fn same(what: &str, now: &Value, before: &Value) -> Result<()> {
    let (Value::Object(now), Value::Object(before)) = (now, before) else { anyhow::bail!("{what}: no snapshots") };
    let keys = now.keys().chain(before.keys().filter(|key| !now.contains_key(*key)));
    let differing: Vec<String> = keys
        .filter(|key| now.get(*key) != before.get(*key))
        .map(|key| difference(key, now.get(key), before.get(key)))
        .collect();
    ensure!(differing.is_empty(), "{what}: not as before:\n{}", differing.join("\n"));
    Ok(())
}

fn difference(at: &str, now: Option<&Value>, before: Option<&Value>) -> String {
    match (now, before) {
        (Some(Value::Array(now)), Some(Value::Array(before))) if now.len() == before.len() => {
            let pairs = now.iter().zip(before).enumerate().filter(|(_, (now, before))| now != before);
            pairs.map(|(i, (now, before))| difference(&format!("{at}[{i}]"), Some(now), Some(before))).collect()
        }
        (Some(Value::Object(now)), Some(Value::Object(before))) => {
            let keys = now.keys().filter(|key| now.get(*key) != before.get(*key));
            keys.map(|key| difference(&format!("{at}.{key}"), now.get(key), before.get(key))).collect()
        }
        _ => format!("{at}: {now:?}, before: {before:?}; ").chars().take(600).collect(),
    }
}

/// What a script of ours needs to look into the add-on.
pub(crate) const ADDON: &str = "import sys\n\
    addon = next(m for m in sys.modules if m.endswith('blendwire.history')).removesuffix('history')\n";

/// The name of the step that Blender is at.
fn active_step(wire: &mut Wire) -> Result<String> {
    let code = format!("{ADDON}step = sys.modules[addon + 'undo_stack'].active()\nresult = step.name if step else ''");
    Ok(wire.result(&code)?.as_str().unwrap_or_default().to_owned())
}

/// The names of all steps.
pub(crate) fn steps(wire: &mut Wire) -> Result<Vec<String>> {
    let names = format!("{ADDON}result = [step.name for step in sys.modules[addon + 'undo_stack'].steps()]");
    Ok(serde_json::from_value(wire.result(&names)?)?)
}

/// Has Blender run something a moment later, as a user's own deed: outside any request.
fn as_user(wire: &mut Wire, code: &str) -> Result<()> {
    let code = serde_json::to_string(code)?;
    wire.result(&format!(
        "def deed():\n    exec({code}, {{'bpy': bpy}})\n    bpy.app.driver_namespace['is_done'] = True\n\
         bpy.app.driver_namespace['is_done'] = False\nbpy.app.timers.register(deed, first_interval=0.0)"
    ))?;
    wait_until("the user's deed", SOON, || {
        (wire.result("result = bpy.app.driver_namespace['is_done']").ok()? == true).then_some(())
    })
}

fn undoes_as_user(wire: &mut Wire) -> Result<()> {
    as_user(wire, "bpy.ops.ed.undo()")
}

fn edit(wire: &mut Wire, title: &str, code: &str) -> Result<()> {
    let reply = ask(wire, &json!({"type": "execute", "code": code, "title": title}))?;
    ensure!(reply["status"] == "ok", "{title}: {reply}");
    Ok(())
}

fn one_step_each(environment: &Environment) -> Result<()> {
    let blender = Blender::start(environment, Flavour::Windowed, &Settings::default())?;
    let mut wire = fresh(&blender)?;
    let mut states = vec![snapshot(&mut wire)?];
    for (title, code) in EDITS {
        edit(&mut wire, &format!("Assistant: {title}"), code)?;
        ensure!(active_step(&mut wire)? == format!("Assistant: {title}"), "{title} is no step of that name");
        states.push(snapshot(&mut wire)?);
        ensure!(states[states.len() - 1] != states[states.len() - 2], "{title} does not show in the snapshot");
    }
    // What Edit > Undo History shows, as Blender prints it for developers.
    blender.result("import ctypes\nbpy.context.window_manager.print_undo_steps()\nctypes.CDLL(None).fflush(None)")?;
    for (title, _) in EDITS {
        wait_until("the step's name", SOON, || {
            blender.process.output().contains(&format!("name='Assistant: {title}'")).then_some(())
        })?;
    }
    let last = EDITS.len();
    for at in (0..last).rev() {
        undoes_as_user(&mut wire)?;
        same(&format!("the user's undo of {}", EDITS[at].0), &snapshot(&mut wire)?, &states[at])?;
    }
    for (at, (title, _)) in EDITS.iter().enumerate() {
        let reply = ask(&mut wire, &json!({"type": "redo"}))?;
        ensure!(reply["result"]["steps"] == 1, "{reply}");
        same(&format!("redo of {title}"), &snapshot(&mut wire)?, &states[at + 1])?;
    }
    for at in (0..last).rev() {
        ask(&mut wire, &json!({"type": "undo", "steps": 1}))?;
        same(&format!("undo of {} over the wire", EDITS[at].0), &snapshot(&mut wire)?, &states[at])?;
    }
    let redone = ask(&mut wire, &json!({"type": "redo", "steps": last}))?;
    ensure!(redone["result"]["steps"] == last, "{redone}");
    same("redo of all", &snapshot(&mut wire)?, &states[last])?;
    let nothing = ask(&mut wire, &json!({"type": "redo"}))?;
    ensure!(nothing["error"]["code"] == "not_found", "{nothing}");
    let undone = ask(&mut wire, &json!({"type": "undo", "steps": last}))?;
    ensure!(undone["result"]["steps"] == last, "{undone}");
    same("undo of all", &snapshot(&mut wire)?, &states[0])?;
    pictures_leave_redo(&mut wire, last)?;
    nothing_is_left(&mut wire)?;
    stale_references(&mut wire)?;
    undone_by_script(&mut wire)
}

/// A picture is taken by way of an image that comes and goes; a step for that would take the user's redo away.
fn pictures_leave_redo(wire: &mut Wire, steps: usize) -> Result<()> {
    wire.result(&format!(
        "{ADDON}h = sys.modules[addon + 'history']\ndef picture():\n    \
            request = h.begin('picture', 'bpy.data.images.new()', False, False, False)\n    \
            images = bpy.data.images\n    getattr(images, 'remove')(getattr(images, 'new')('picture', 8, 8))\n    h.end(request, False)\n    \
            bpy.app.driver_namespace['is_done'] = True\n\
         bpy.app.driver_namespace['is_done'] = False\nbpy.app.timers.register(picture, first_interval=0.0)"
    ))?;
    wait_until("the picture", SOON, || {
        (wire.result("result = bpy.app.driver_namespace['is_done']").ok()? == true).then_some(())
    })?;
    let redone = ask(wire, &json!({"type": "redo", "steps": steps}))?;
    ensure!(redone["result"]["steps"] == steps, "{redone}");
    let undone = ask(wire, &json!({"type": "undo", "steps": steps}))?;
    ensure!(undone["result"]["steps"] == steps, "{undone}");
    Ok(())
}

fn nothing_is_left(wire: &mut Wire) -> Result<()> {
    while ask(wire, &json!({"type": "undo", "steps": 100}))?["status"] == "ok" {}
    let reply = ask(wire, &json!({"type": "undo"}))?;
    let message = reply["message"].as_str().unwrap_or_default();
    ensure!(reply["error"]["code"] == "not_found" && message.contains("nothing to undo"), "{reply}");
    Ok(())
}

/// A session goes on after an undo; what it holds of the file raises, and Blender lives.
fn stale_references(wire: &mut Wire) -> Result<()> {
    let step = |code: &str| json!({"type": "execute", "code": code, "session": "stale"});
    ask(wire, &step("o = bpy.data.objects.new('Mine', None)\nbpy.context.scene.collection.objects.link(o)\nn = 5"))?;
    let undone = ask(wire, &json!({"type": "undo"}))?;
    ensure!(undone["result"]["steps"] == 1, "{undone}");
    let reply = ask(wire, &step("result = o.name"))?;
    ensure!(reply["error"]["type"] == "ReferenceError", "{reply}");
    let reply = ask(wire, &step("result = [n, len(bpy.data.objects) > 0]"))?;
    ensure!(reply["result"] == json!([5, true]), "{reply}");
    Ok(())
}

/// Scripts that undo by Blender's operator get as far as they ask.
fn undone_by_script(wire: &mut Wire) -> Result<()> {
    let before = snapshot(wire)?;
    for (title, code) in &EDITS[..3] {
        edit(wire, title, code)?;
    }
    for _ in 0..3 {
        wire.result("bpy.ops.ed.undo()")?;
    }
    same("undo by three scripts", &snapshot(wire)?, &before)
}

/// What clients ask that only want to know.
const READERS: [&str; 8] = [
    "result = [o.name for o in bpy.data.objects]",
    "out = {}\nfor o in bpy.data.objects:\n    out[o.name] = list(o.location)\nresult = out",
    "d = {}\nd['a'] = {}\nd['a']['b'] = 1\nfor o in bpy.data.objects:\n    d.setdefault(o.type, []).append(o.name)\nresult = d",
    "def add(d, key, value):\n    d[key] = value\nout = {}\nfor o in bpy.data.objects:\n    add(out, o.name, o.type)\nresult = out",
    "rows = []\nfor o in bpy.data.objects:\n    row = {'name': o.name}\n    row['type'] = o.type\n    rows.append(row)\nresult = rows",
    "g = bpy.context.evaluated_depsgraph_get()\nresult = {}\nfor o in bpy.data.objects:\n    if o.type == 'MESH':\n        \
        e = o.evaluated_get(g)\n        m = e.to_mesh()\n        result[o.name] = len(m.polygons)\n        e.to_mesh_clear()",
    "import bmesh\nb = bmesh.new()\nb.from_mesh(bpy.data.meshes[0])\nfor v in b.verts:\n    v.co.x = 0\nresult = len(b.faces)\nb.free()",
    "s = bpy.context.scene\nnow = s.frame_current\nt = {}\nfor f in (1, 5):\n    s.frame_set(f)\n    \
        t[f] = list(s.objects[0].matrix_world.translation)\ns.frame_set(now)\nresult = t",
];

fn readers(environment: &Environment) -> Result<()> {
    const BURST: usize = 200;
    let blender = Blender::start(environment, Flavour::Windowed, &Settings::default())?;
    let mut wire = fresh(&blender)?;
    let where_is = "result = bpy.data.objects['Cube'].location.x";
    let before = wire.result(where_is)?;
    as_user(&mut wire, "bpy.data.objects['Cube'].location.x += 3\nbpy.ops.ed.undo_push(message='mine')")?;
    for rollback in [false, true] {
        let started = Instant::now();
        for at in 0..BURST {
            let mut request = json!({"type": "execute", "code": READERS[at % READERS.len()]});
            if rollback {
                request["on_error"] = "rollback".into();
            }
            wire.send((request.to_string() + "\0").as_bytes())?;
        }
        for _ in 0..BURST {
            let reply = wire.reply()?;
            ensure!(reply["status"] == "ok", "{reply}");
        }
        println!("{BURST} readers, rollback {rollback}: {:?}", started.elapsed());
        // A rollback needs a step to come back to: one for all of them.
        let steps = steps(&mut wire)?;
        let after_mine = steps.iter().rev().take_while(|step| *step != "mine").count();
        ensure!(after_mine == usize::from(rollback), "{steps:?}");
    }
    ask(&mut wire, &json!({"type": "undo"}))?;
    undoes_as_user(&mut wire)?;
    ensure!(wire.result(where_is)? == before, "the user's undo did not undo the user's edit");
    Ok(())
}

fn preference(environment: &Environment) -> Result<()> {
    let blender = Blender::start(environment, Flavour::Windowed, &Settings::default())?;
    let mut wire = fresh(&blender)?;
    let set = |wanted: &str| {
        format!(
            "module = next(m for m in bpy.context.preferences.addons.keys() if m.endswith('blendwire'))\n\
             bpy.context.preferences.addons[module].preferences.undo_steps = {wanted}"
        )
    };
    edit(&mut wire, "first", EDITS[0].1)?;
    wire.result(&set("False"))?;
    edit(&mut wire, "second", EDITS[0].1)?;
    ensure!(active_step(&mut wire)? == "first", "a step in spite of the preference");
    wire.result(&set("True"))?;
    edit(&mut wire, "third", EDITS[0].1)?;
    ensure!(active_step(&mut wire)? == "third");
    let clear = "for name in dir(bpy.app.handlers):\n    handlers = getattr(bpy.app.handlers, name)\n    \
        isinstance(handlers, list) and handlers.clear()";
    wire.result(clear)?;
    edit(&mut wire, "after clearing", EDITS[0].1)?;
    let step = active_step(&mut wire)?;
    ensure!(step == "after clearing", "{step}");
    edit(&mut wire, "clears and edits", &format!("{clear}\n{}", EDITS[0].1))?;
    let step = active_step(&mut wire)?;
    ensure!(step == "clears and edits", "{step}");
    Ok(())
}

/// Blender's own steps of Edit Mode hold the mesh and nothing else.
fn edit_mode(environment: &Environment) -> Result<()> {
    let blender = Blender::start(environment, Flavour::Windowed, &Settings::default())?;
    let mut wire = fresh(&blender)?;
    edit(&mut wire, "enter", "bpy.ops.object.mode_set(mode='EDIT')")?;
    let mesh = "import bmesh\nme = bpy.context.object.data\nb = bmesh.from_edit_mesh(me)\n\
        for v in b.verts: v.co.x += 1\nbmesh.update_edit_mesh(me)";
    let both = format!("{mesh}\nbpy.data.objects['Light'].location.x += 1");
    let codes = [mesh, "bpy.data.objects['Light'].location.x += 1", mesh, "bpy.data.objects['Light']['k'] = 1", &both];
    // Undoing a step of the whole file leads to Object Mode, so this looks into both modes' meshes.
    let look = "import bmesh\nlight, me = bpy.data.objects['Light'], bpy.data.meshes['Cube']\n\
        vertices = bmesh.from_edit_mesh(me).verts if me.is_editmode else me.vertices\n\
        result = [light.location.x, light.get('k'), [list(v.co) for v in vertices]]";
    let mut states = vec![wire.result(look)?];
    for (at, code) in codes.iter().enumerate() {
        edit(&mut wire, &format!("step {at}"), code)?;
        states.push(wire.result(look)?);
    }
    for (at, state) in states.iter().enumerate().take(codes.len()).rev() {
        let undone = ask(&mut wire, &json!({"type": "undo"}))?;
        let now = wire.result(look)?;
        ensure!(undone["result"]["steps"] == 1 && now == *state, "undo of step {at}: {now}, before: {state}");
    }
    Ok(())
}

/// A mode that changes under a render's threads has Blender crash, about each third time.
fn render(environment: &Environment) -> Result<()> {
    const ROUNDS: usize = 6;
    let blender = Blender::start(environment, Flavour::Windowed, &Settings::default())?;
    let mut wire = fresh(&blender)?;
    edit(
        &mut wire,
        "enter",
        "scene = bpy.context.scene\nscene.render.engine = 'CYCLES'\nscene.cycles.samples = 4\n\
         scene.cycles.use_denoising = False\nscene.render.resolution_x = scene.render.resolution_y = 64\n\
         bpy.ops.object.mode_set(mode='EDIT')",
    )?;
    for round in 0..ROUNDS {
        // An edit of other data than the mesh, which calls for a step of the whole file.
        let rendered = wire.result(&format!(
            "bpy.data.objects['Light']['round'] = {round}\nbpy.ops.render.render('INVOKE_DEFAULT')\n\
             result = {{'is_rendering': bpy.app.is_job_running('RENDER')}}\n\
             def check_is_finished():\n    return None if bpy.app.is_job_running('RENDER') else result"
        ))?;
        ensure!(rendered["is_rendering"] == true, "it was no render in the background: {rendered}");
    }
    let kinds = format!("{ADDON}result = [step.kind for step in sys.modules[addon + 'undo_stack'].steps()]");
    let kinds: Vec<String> = serde_json::from_value(wire.result(&kinds)?)?;
    ensure!(kinds.iter().rev().take(ROUNDS).all(|kind| kind == "Edit Mesh"), "not steps of the mode: {kinds:?}");
    ensure!(wire.result("result = bpy.context.mode")? == "EDIT_MESH");
    Ok(())
}

fn refused(blender: &mut Blender) -> Result<()> {
    let mut wire = fresh(blender)?;
    edit(&mut wire, "move", EDITS[0].1)?;
    let before = snapshot(&mut wire)?;
    for kind in ["undo", "redo"] {
        let reply = ask(&mut wire, &json!({"type": kind}))?;
        let message = reply["message"].as_str().context("no message")?;
        ensure!(reply["error"]["code"] == "not_found" && message.contains("without a window"), "{reply}");
    }
    same("a refused undo", &snapshot(&mut wire)?, &before)
}
