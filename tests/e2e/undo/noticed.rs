// SPDX-License-Identifier: GPL-3.0-or-later
//! Which scripts are watched, and edits that Blender's dependency graph is not told of.

use anyhow::{Result, ensure};
use blendwire_e2e::{Blender, Environment, Flavour, Settings};

use super::{ADDON, active_step, edit, fresh};

/// Scripts that can change nothing but names of their own.
const HARMLESS: [&str; 7] = [
    "result = 1 + 1",
    "result = bpy.data.objects[0].name",
    "o = bpy.data.objects[0]\nresult = {'a': [o.name, *[1]], 'b': (2, 3), **{'c': -o.location.x}}",
    "a, *b = [1, 2, 3]\nresult = f'{a:>4} {b[0]!r}' if a else None",
    "def f(x):\n    return x\nn = (m := 3) * 2\nresult = n",
    "n = 0\nwhile n < 3 and not bpy.data.objects[0].hide_render: n = n + 1\nresult = bpy.data.objects[0:2]",
    "for o in bpy.data.objects:\n    if o.type == 'CAMERA':\n        result = o.name\n        break\nelse:\n    result = None",
];

/// Scripts that can change anything, each in another way.
const MAY_EDIT: [&str; 20] = [
    "bpy.context.scene.frame_end = 9",
    "bpy.context.scene.frame_end += 1",
    "for o in bpy.data.objects: o.pass_index = 1",
    "for bpy.context.scene.frame_end in (8, 9): pass",
    "bpy.context.scene['a'] = 1",
    "bpy.context.scene['a'] = 1\ndel bpy.context.scene['a']",
    "l = bpy.data.objects[0].location\nl *= 2",
    "l = bpy.data.objects[0].location\nl += l",
    "len([])",
    "print(*[1])",
    "dict(**{})",
    "@staticmethod\ndef f(): pass",
    "class A: pass",
    "from contextlib import suppress\nwith suppress(Exception): pass",
    "import json",
    "async def f():\n    async with x: pass",
    "async def f():\n    await g()",
    "def f():\n    def g():\n        bpy.context.scene.frame_end = 9",
    "f = lambda: bpy.ops.ed.undo_push()",
    "bpy.data.objects[0].location[0:1] = [1.0]",
];

/// Has the core's call of `begin` note the title of what is watched.
const SPY: &str = "h = sys.modules[addon + 'history']\n\
    if not hasattr(h, 'real_begin'): h.real_begin = h.begin\nh.noted = []\n\
    def begin(title, *rest):\n    h.noted.append(title)\n    return h.real_begin(title, *rest)\n\
    h.begin = begin";

pub(super) fn watched(blender: &mut Blender) -> Result<()> {
    let mut wire = fresh(blender)?;
    wire.result(&format!("{ADDON}{SPY}"))?;
    let scripts = HARMLESS.iter().map(|code| (code, false)).chain(MAY_EDIT.iter().map(|code| (code, true)));
    for (at, (code, _)) in scripts.clone().enumerate() {
        edit(&mut wire, &format!("script {at}"), code)?;
    }
    let noted =
        wire.result(&format!("{ADDON}h = sys.modules[addon + 'history']\nh.begin = h.real_begin\nresult = h.noted"))?;
    for (at, (code, may_edit)) in scripts.enumerate() {
        let title = format!("script {at}");
        let is_watched = noted.as_array().is_some_and(|noted| noted.iter().any(|one| *one == title));
        ensure!(is_watched == may_edit, "{code:?}: {}", if may_edit { "not watched" } else { "watched for nothing" });
    }
    Ok(())
}

/// What the dependency graph is not told of.
const SILENT: [&str; 18] = [
    "bpy.data.objects['Cube']['k'] = 1",
    "for i, o in enumerate(bpy.data.objects): o['i'] = i",
    "for o in [o for o in bpy.data.objects]: o['j'] = 1",
    "found = {o.name: o for o in bpy.data.objects}\nfound['Cube']['l'] = 1",
    "def tag(o):\n    o['m'] = 1\nfor o in bpy.data.objects: tag(o)",
    "bpy.data.objects['Cube']['d'] = {'a': 1}",
    "bpy.data.objects['Cube']['d'].update({'b': 2})",
    "bpy.data.objects['Cube'].pop('d')",
    "del bpy.data.objects['Cube']['k']",
    "bpy.data.texts[0].write('more')",
    "bpy.data.texts[0].clear()",
    "bpy.data.images['Tiny'].pixels[0] = 0.5",
    "bpy.data.images['Tiny'].pixels.foreach_set([0.25] * 64)",
    "bpy.data.materials[0].use_fake_user = True",
    "bpy.data.materials[0].asset_mark()",
    "bpy.context.scene.timeline_markers.new('N', frame=9)",
    "bpy.context.scene.timeline_markers.clear()",
    "bpy.context.scene.cycles.samples = 7",
];

pub(super) fn silent(environment: &Environment) -> Result<()> {
    let blender = Blender::start(environment, Flavour::Windowed, &Settings::default())?;
    let mut wire = fresh(&blender)?;
    wire.result("bpy.data.texts.new('T')\nbpy.data.images.new('Tiny', 4, 4)")?;
    for (at, code) in SILENT.iter().enumerate() {
        let title = format!("silent {at}");
        edit(&mut wire, &title, code)?;
        let step = active_step(&mut wire)?;
        ensure!(step == title, "{code:?} made no step: {step:?}");
    }
    Ok(())
}
