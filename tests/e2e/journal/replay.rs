// SPDX-License-Identifier: GPL-3.0-or-later
//! `blendwire logs`: what people and programs see of the journal, and the script that does the same again.

use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use blendwire_e2e::{Blender, Environment, Flavour, Settings, wait_until};
use serde_json::json;

use super::{SOON, logs, run, told};
use crate::suite::Suite;

pub(super) fn add(suite: &mut Suite) {
    for flavour in [Flavour::Bpy50, Flavour::Bpy52, Flavour::Windowed] {
        suite.own(&format!("{}::journal::a_replay_rebuilds_the_scene", flavour.name()), move |environment| {
            replay(environment, flavour)
        });
    }
    suite.own("journal::is_followed", follow);
    suite.own("journal::whoever_has_none_is_told_where_it_would_be", none);
}

/// What was built, for comparison.
const DUMP: &str = "import json\nresult = json.dumps([[o.name, [round(c, 5) for c in o.matrix_world.translation], \
    len(o.data.vertices) if o.type == 'MESH' else 0] for o in sorted(bpy.data.objects, key=lambda o: o.name)] \
    + sorted(m.name for m in bpy.data.materials))";

/// Requests that make a scene, some of them in ways that a script of strings must not break.
const BUILD: [&str; 8] = [
    "bpy.ops.mesh.primitive_monkey_add(location=(1, 2, 3))\nbpy.context.object.name = 'It\\'s \"\"\"quoted\"\"\"'",
    "# a comment\\\nname = '''three\nlines\\\\'''\nbpy.data.materials.new(name.replace('\\n', '|'))",
    "bpy.data.materials.new('tab\\there, ünïcode → 🐒 and \\x41')",
    "this is no Python \"\"\" at all \\",
    "bpy.data.materials.new('never')\nraise ValueError('after it made something')",
    "import blendwire\nblendwire.progress(0.5, 'half')\ndef check_is_finished():\n    return True",
    "for n in range(3):\n\tbpy.ops.mesh.primitive_cube_add(location=(n, 0, 0))\n",
    "bpy.data.materials.new(\"ends with a quote\").name += \"\\\"\"",
];

fn replay(environment: &Environment, flavour: Flavour) -> Result<()> {
    let blender = Blender::start(environment, flavour, &Settings::default())?;
    let mut wire = blender.wire()?;
    for code in BUILD {
        let rollback = if code.contains("raise") { "rollback" } else { "keep" };
        wire.answer(&json!({"type": "execute", "code": code, "on_error": rollback}))?;
    }
    for code in ["base = 'kept'", "bpy.data.objects.new(base + ' in a session', None)"] {
        wire.answer(&json!({"type": "execute", "code": code, "session": "s"}))?;
    }
    wire.answer(&json!({"type": "execute", "code": "result = 'a\\0b'.upper()", "title": "nul", "id": "last"}))?;
    told(&blender, "last")?;
    let built = blender.result(DUMP)?;
    // Only what was built, not the look at it.
    let script = logs(environment, &blender.state, &["--py", "--last", "12"])?;
    let (script, _) = script.split_once("# 12:").context("no look at the scene")?;
    let path = blender.file("replay.py");
    let output = blender.file("replayed.json").display().to_string();
    fs_err::write(&path, format!("{script}\nrun(0, {DUMP:?} + \"\\nopen('{output}', 'w').write(result)\")\n"))?;
    for python in [&environment.bpy_5_0, &environment.bpy_5_2] {
        let done = Command::new(python).arg(&path).current_dir(blender.folder.path()).stdin(Stdio::null()).output()?;
        ensure!(done.status.success(), "{}\n{script}", String::from_utf8_lossy(&done.stderr));
        let replayed = fs_err::read_to_string(&output)?;
        ensure!(built == replayed.as_str(), "{built}\n{replayed}");
        fs_err::remove_file(&output)?;
    }
    Ok(())
}

fn follow(environment: &Environment) -> Result<()> {
    let blender = Blender::start(environment, Flavour::Bpy52, &Settings::default())?;
    let mut command = Command::new(&environment.blendwire);
    command.args(["logs", "--follow"]).env("BLENDWIRE_STATE_DIR", &blender.state).stdin(Stdio::null());
    let mut following = blendwire_e2e::Process::start(&mut command, &blender.file("follow.log"))?;
    run(&blender, "one", "one = 1")?;
    run(&blender, "two", "raise ValueError('two')")?;
    let said = wait_until("both to be shown", SOON, || {
        Some(following.output()).filter(|said| said.contains("ValueError: two"))
    })?;
    ensure!(said.matches("one = 1").count() == 1 && said.matches("process ").count() == 1, "{said}");
    ensure!(following.try_wait().is_none(), "it has ended");
    Ok(())
}

fn none(environment: &Environment) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut command = Command::new(&environment.blendwire);
    command.arg("logs").env("BLENDWIRE_STATE_DIR", folder.path()).stdin(Stdio::null());
    let output = command.output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.code() == Some(1) && output.stdout.is_empty(), "{}: {said}", output.status);
    let place = folder.path().join("journal").display().to_string();
    ensure!([&place[..], "Audit Journal", "--no-journal"].iter().all(|words| said.contains(words)), "{said}");
    Ok(())
}
