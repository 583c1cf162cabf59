// SPDX-License-Identifier: GPL-3.0-or-later
//! The tools that carry the names of Blender's official connector, in front of real Blenders: summaries of the open file
//! and of others. `screen` has those that need a window, `renders` those that write pictures.

mod renders;
mod screen;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use blendwire_e2e::{Blender, Environment, Flavour, Gate, McpSession, Settings, wait_until};
use serde_json::{Value, json};

use super::session;
use crate::suite::{EVERYWHERE, Suite};

/// A background Blender is there within this time, on a busy machine too.
const SOON: Duration = Duration::from_mins(1);

pub(crate) fn add(suite: &mut Suite) {
    screen::add(suite);
    renders::add(suite);
    // In a window its rules are preferences.
    for flavour in [Flavour::Bpy50, Flavour::Bpy52] {
        let name = format!("{}::official_tools::a_background_blender_is_a_process_to_the_guard", flavour.name());
        suite.own(&name, move |environment| guarded(environment, flavour));
    }
    for flavour in EVERYWHERE {
        let mut own = |name: &str, test: fn(&Environment, Flavour) -> Result<()>| {
            let name = format!("{}::official_tools::{name}", flavour.name());
            suite.own(&name, move |environment| test(environment, flavour));
        };
        own("summaries_tell_what_is_in_the_file", summaries);
        own("objects_are_told_of_broken_ones_too", objects);
        own("another_file_is_looked_into_and_the_open_one_stays", another_file);
        own("a_cancelled_look_into_another_file_ends_its_blender", cancelled);
        own("a_background_blender_ends_with_the_one_that_wanted_it", orphaned);
    }
}

pub(super) fn start(environment: &Environment, flavour: Flavour) -> Result<(Blender, McpSession)> {
    start_with(environment, flavour, &Settings::default())
}

fn start_with(environment: &Environment, flavour: Flavour, settings: &Settings) -> Result<(Blender, McpSession)> {
    let blender = Blender::start(environment, flavour, settings)?;
    let session = session(environment, blender.port)?;
    Ok((blender, session))
}

/// The structured result of a call that must succeed.
pub(super) fn value(session: &McpSession, tool: &str, arguments: Value) -> Result<Value> {
    let call = session.call(tool, arguments)?;
    ensure!(!call.is_error(), "{tool}: {}", call.text());
    Ok(call.value())
}

/// What a call that must fail says.
pub(super) fn failure(session: &McpSession, tool: &str, arguments: Value) -> Result<String> {
    let call = session.call(tool, arguments)?;
    ensure!(call.is_error(), "{tool} did not fail: {}", call.text());
    Ok(call.text())
}

/// Saves a file that links from another, refers to a picture that is not there, and has a text and a backup; opens it.
const MAKE: &str = "import os
folder = os.path.dirname(FILE)
bpy.ops.wm.save_as_mainfile(filepath=os.path.join(folder, 'library.blend'), copy=True)
bpy.ops.wm.read_factory_settings(use_empty=True)
with bpy.data.libraries.load(os.path.join(folder, 'library.blend'), link=True) as (there, here):
    here.objects = ['Cube']
bpy.context.scene.collection.objects.link(here.objects[0])
image = bpy.data.images.new('gone', 8, 8)
image.source, image.filepath, image.use_fake_user = 'FILE', '//gone.png', True
bpy.data.texts.new('tool.py')
bpy.ops.wm.save_as_mainfile(filepath=FILE)
bpy.ops.wm.save_as_mainfile(filepath=FILE)";

fn make(blender: &Blender, file: &Path) -> Result<()> {
    // Loading takes the variables' Blender data with it, not the variables.
    blender.result(&format!("FILE = {:?}\n{MAKE}", file.display().to_string())).map(drop)
}

fn check_summaries(session: &McpSession, file: &Path, more: &Value) -> Result<()> {
    let summary = |name: &str| value(session, &format!("get_blendfile_summary_{name}"), more.clone());
    let datablocks = summary("datablocks")?;
    ensure!(datablocks["datablock_counts"]["objects"] == 1 && datablocks["scene_name"] == "Scene", "{datablocks}");
    ensure!(datablocks["workspaces"].as_array().is_some_and(|names| !names.is_empty()), "{datablocks}");
    ensure!(datablocks["render_engine"].as_str().is_some_and(|name| name.contains("EEVEE")), "{datablocks}");

    let missing = summary("missing_files")?;
    let gone = json!([{"id_type": "Image", "id_name": "gone", "path": file.with_file_name("gone.png")}]);
    ensure!(missing["missing_files"] == gone && missing["total_checked"] == 2, "{missing}");

    let libraries = summary("of_linked_libraries")?;
    let library = &libraries["direct_libraries"][0];
    ensure!(library["filepath"] == "//library.blend" && libraries["total_library_count"] == 1, "{libraries}");
    ensure!(library["linked_datablocks_count"] == 3 && libraries["indirect_libraries"] == json!([]), "{libraries}");

    let path = summary("path_info")?;
    ensure!(path["filepath"] == json!(file) && path["is_saved"] == true, "{path}");
    ensure!(path["file_size_bytes"] == fs_err::metadata(file)?.len(), "{path}");
    ensure!(path["age_seconds"].as_f64().is_some_and(|age| (0.0..600.0).contains(&age)), "{path}");
    ensure!(path["backups"][0]["path"] == format!("{}1", file.display()), "{path}");

    let guess = summary("usage_guess")?["usage_guesses"].take();
    ensure!(guess.as_object().is_some_and(|uses| uses.len() == 11), "{guess}");
    ensure!(guess["Scripting"] == json!({"score": 88, "certainty": 90}), "{guess}");
    ensure!(guess["Motion Tracking"]["score"] == 0, "{guess}");
    Ok(())
}

fn summaries(environment: &Environment, flavour: Flavour) -> Result<()> {
    let (blender, session) = start(environment, flavour)?;
    let new = value(&session, "get_blendfile_summary_path_info", json!({}))?;
    let absent = [&new["age_seconds"], &new["file_size_bytes"], &new["backups"]];
    ensure!(new["is_saved"] == false && absent.iter().all(|value| value.is_null()), "{new}");
    let file = blender.file("summed up.blend");
    make(&blender, &file)?;
    check_summaries(&session, &file, &json!({}))?;
    let active = value(&session, "get_blendfile_summary_datablocks", json!({}))?["active_workspace"].take();
    ensure!(active.is_string(), "{active}");
    // Blender tells of every path since 5.0; before, what was not looked at is said.
    let tells = blender.result("result = bpy.app.version >= (5, 0)")? == true;
    let missing = value(&session, "get_blendfile_summary_missing_files", json!({}))?;
    let said = missing["message"].as_str().unwrap_or_default();
    ensure!(said.is_empty() == tells && said.contains("modifiers") != tells, "{missing}");
    Ok(())
}

/// Something of everything that is told of an object.
const RICH: &str = "cube = bpy.data.objects['Cube']
cube.rotation_mode = 'QUATERNION'
cube.rotation_quaternion = (0.5 ** 0.5, 0.5 ** 0.5, 0, 0)
cube.location, cube.scale = (1, 2, 3), (2, 1, 1)
bevel = cube.modifiers.new('Edges', 'BEVEL')
bevel.show_render = False
follow = cube.constraints.new('TRACK_TO')
follow.name, follow.target, follow.enabled = 'Look', bpy.data.objects['Camera'], False
cube.data.materials.append(None)
props = bpy.data.collections.new('Props')
bpy.context.scene.collection.children.link(props)
props.objects.link(cube)
child = bpy.data.objects.new('Child', None)
props.objects.link(child)
child.parent, cube.parent = cube, bpy.data.objects['Light']
cube.hide_render = True
inner = bpy.data.collections.new('Inner')
inner.objects.link(bpy.data.objects.new('Within', None))
props.children.link(inner)
instance = bpy.data.objects.new('Instance', None)
instance.instance_type, instance.instance_collection = 'COLLECTION', inner
props.objects.link(instance)
bpy.context.view_layer.update()
cube.hide_set(True)
child.select_set(True)
bpy.context.view_layer.objects.active = child
bpy.context.view_layer.layer_collection.children['Props'].children['Inner'].exclude = True";

fn check_rich(session: &McpSession) -> Result<()> {
    let detail = value(session, "get_object_detail_summary", json!({"name": "Cube"}))?;
    let hidden = json!({"hide_viewport": false, "hide_render": true, "hide_get": true});
    for (key, wanted) in [
        ("type", json!("MESH")),
        ("location", json!([1.0, 2.0, 3.0])),
        ("scale", json!([2.0, 1.0, 1.0])),
        ("rotation_mode", json!("QUATERNION")),
        ("parent", json!("Light")),
        ("children", json!(["Child"])),
        ("modifiers", json!([{"name": "Edges", "type": "BEVEL", "show_viewport": true, "show_render": false}])),
        ("constraints", json!([{"name": "Look", "type": "TRACK_TO", "enabled": false}])),
        ("materials", json!(["Material", null])),
        ("visibility", hidden),
        ("data_name", json!("Cube")),
        ("collections", json!(["Collection", "Props"])),
    ] {
        ensure!(detail[key] == wanted, "{key} is {} and not {wanted}", detail[key]);
    }
    // A quarter turn about X, as Euler angles.
    for (key, wanted) in [("rotation", [std::f64::consts::FRAC_PI_2, 0.0, 0.0]), ("dimensions", [4.0, 2.0, 2.0])] {
        let found: Vec<f64> = detail[key].as_array().into_iter().flatten().filter_map(Value::as_f64).collect();
        let is_near = found.len() == 3 && found.iter().zip(wanted).all(|(found, wanted)| (found - wanted).abs() < 1e-3);
        ensure!(is_near, "{key} is {found:?} and not {wanted:?}");
    }

    let summary = value(session, "get_objects_summary", json!({}))?;
    ensure!(summary["active_object"] == "Child" && summary["camera_object"] == "Camera", "{summary}");
    let inside = |within: &Value, list: &str, name: &str| {
        let all = within[list].as_array().cloned().unwrap_or_default();
        all.into_iter().find(|entry| entry["name"] == name).with_context(|| format!("no {name} in {within}"))
    };
    let props = inside(&summary["collections"][0], "children", "Props")?;
    let cube = inside(&props, "objects", "Cube")?;
    ensure!(cube["hide_viewport"] == true && cube["visible"] == false && cube["parent"] == "Light", "{cube}");
    ensure!(inside(&props, "objects", "Child")?["selected"] == true, "{props}");
    ensure!(inside(&props, "objects", "Instance")?["instance_collection"] == "Inner", "{props}");
    let inner = inside(&props, "children", "Inner")?;
    ensure!(inner["exclude"] == true && inside(&inner, "objects", "Within")?["visible"] == false, "{inner}");
    Ok(())
}

/// JSON has no number for NaN and infinities: null stands for them.
fn objects(environment: &Environment, flavour: Flavour) -> Result<()> {
    let (blender, session) = start(environment, flavour)?;
    blender.result(RICH)?;
    check_rich(&session)?;
    blender.result("bpy.ops.wm.read_factory_settings()")?;
    let values =
        "cube = bpy.data.objects['Cube']\ncube.location.x = float('nan')\ncube.rotation_euler.y = float('nan')";
    blender.result(values)?;
    let detail = value(&session, "get_object_detail_summary", json!({"name": "Cube"}))?;
    ensure!(detail["location"] == json!([null, 0.0, 0.0]) && detail["rotation"][1].is_null(), "{detail}");
    if flavour == Flavour::Windowed {
        let window = value(&session, "get_screenshot_of_window_as_json", json!({}))?;
        ensure!(window["active_object"]["location"] == json!([null, 0.0, 0.0]), "{window}");
        let shown = value(&session, "jump_to_view3d_object_by_name", json!({"name": "Cube"}))?;
        ensure!(shown["location"] == json!([null, 0.0, 0.0]), "{shown}");
    }
    Ok(())
}

/// What of the open file would tell that it was touched.
const OPEN: &str = "result = [bpy.data.filepath, sorted(bpy.data.objects.keys()), bpy.data.is_dirty]";

fn another_file(environment: &Environment, flavour: Flavour) -> Result<()> {
    let (blender, session) = start(environment, flavour)?;
    let file = blender.file("another one.blend");
    make(&blender, &file)?;
    blender.result("bpy.ops.wm.read_factory_settings()\nbpy.data.objects['Light'].name = 'Lamp'")?;
    let before = blender.result(OPEN)?;
    check_summaries(&session, &file, &json!({"blend_file": file}))?;
    // One that lacks what it links is opened all the same.
    fs_err::remove_file(file.with_file_name("library.blend"))?;
    let missing = value(&session, "get_blendfile_summary_missing_files", json!({"blend_file": file}))?;
    ensure!(missing["missing_files"].as_array().is_some_and(|files| files.len() == 2), "{missing}");

    // Its main thread is free meanwhile: the other one waits until it has answered.
    let gate = Gate::closed(blender.file("answered"));
    let code = format!(
        "print('there')\n{}\nbpy.data.objects[0].hide_render = True\n\
         result = {{'objects': len(bpy.data.objects), 'file': bpy.data.filepath}}",
        gate.wait()
    );
    let job = begin(&session, json!({"code": code, "blend_file": file}), "there\n")?;
    for number in 0..10 {
        ensure!(blender.result(&format!("result = {number}"))? == number);
    }
    let meanwhile = value(&session, "get_job", json!({"job": job, "wait_secs": 0}))?;
    ensure!(meanwhile["status"] == "running", "it was not free before the other one had ended: {meanwhile}");
    gate.open()?;
    let answered = value(&session, "get_job", json!({"job": job}))?;
    ensure!(answered["result"] == json!({"objects": 1, "file": file}) && answered["stdout"] == "there\n", "{answered}");
    let raised = json!({"code": "x = 1\nraise ValueError('why')", "blend_file": file});
    let raised = failure(&session, "execute_blender_code", raised)?;
    ensure!(raised.contains("line 2, in <module>") && raised.contains("ValueError: why"), "{raised}");
    ends_at_its_time_limit(&session, &file)?;
    wait_until("it to end", SOON, || background_blender(blender.process.pid()).is_none().then_some(()))?;

    let crash = json!({"code": "import os\nprint('last words')\nos.abort()", "blend_file": file});
    let crashed = failure(&session, "execute_blender_code", crash)?;
    ensure!(crashed.contains("signal 6") && crashed.contains("before it had an answer"), "{crashed}");
    ensure!(crashed.contains("last words"), "{crashed}");
    // What it prints is there before it ends.
    let gate = Gate::closed(blender.file("shown"));
    let code = format!("print('half of it, ü', end='')\n{}\nprint(' and the rest')", gate.wait());
    let job = begin(&session, json!({"code": code, "blend_file": file}), "half of it, ü")?;
    gate.open()?;
    let whole = value(&session, "get_job", json!({"job": job}))?;
    ensure!(whole["stdout"] == "half of it, ü and the rest\n", "{whole}");
    fs_err::write(blender.file("broken.blend"), "BLENDER-v402 and no more")?;
    let refused = |path: &Path| failure(&session, "get_blendfile_summary_datablocks", json!({"blend_file": path}));
    for (path, says) in [
        (blender.file("nowhere.blend").as_path(), "No such file"),
        (blender.folder.path(), "directory"),
        (Path::new("relative.blend"), "absolute path"),
        (blender.file("blender.log").as_path(), "is not a .blend file"),
        (blender.file("broken.blend").as_path(), "cannot open"),
    ] {
        let said = refused(path)?;
        ensure!(said.contains(says), "{}: {said}", path.display());
    }
    ensure!(blender.result(OPEN)? == before, "the open file was touched");
    let left = "import os\nresult = [name for name in os.listdir(bpy.app.tempdir) if name.startswith('blendwire-')]";
    ensure!(blender.result(left)? == json!([]), "something was left");
    Ok(())
}

/// Begins a job, and waits until it shows that it has printed this and goes on.
fn begin(session: &McpSession, mut arguments: Value, printed: &str) -> Result<Value> {
    arguments["wait_secs"] = 0.into();
    let job = value(session, "execute_blender_code", arguments)?["job"].clone();
    wait_until("the job to show what it has printed", SOON, || {
        let shown = value(session, "get_job", json!({"job": job, "wait_secs": 0})).ok()?;
        (shown["status"] == "running" && shown["output"] == printed).then_some(())
    })?;
    Ok(job)
}

/// With what it printed until then. The limit holds for the start of its Blender too, which may take long.
fn ends_at_its_time_limit(session: &McpSession, file: &Path) -> Result<()> {
    let mut said = String::new();
    for timeout_secs in [6, 12, 24, 48] {
        let code = "print('turning')\nwhile True: pass";
        let endless = json!({"code": code, "blend_file": file, "timeout_secs": timeout_secs});
        said = failure(session, "execute_blender_code", endless)?;
        ensure!(said.contains("time limit"), "{said}");
        if said.contains("turning") {
            return Ok(());
        }
    }
    anyhow::bail!("what it printed is not told: {said}")
}

/// Number of the background Blender that some Blender has started.
pub(super) fn background_blender(of: u32) -> Option<u32> {
    let children = fs_err::read_to_string(format!("/proc/{of}/task/{of}/children")).ok()?;
    children.split_whitespace().filter_map(|number| number.parse().ok()).find(|number| {
        let told = std::fs::read(format!("/proc/{number}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&told).contains("loader.py")
    })
}

/// Whether a process of this number runs; one that has ended and was not waited for does not.
pub(super) fn runs(number: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{number}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap_or_default().trim_start().starts_with(['Z', 'X']))
}

pub(super) fn signal(name: &str, number: u32) -> Result<()> {
    ensure!(Command::new("kill").args([name, &number.to_string()]).status()?.success(), "no signal to {number}");
    Ok(())
}

fn saved(blender: &Blender) -> Result<std::path::PathBuf> {
    let file = blender.file("saved.blend");
    blender.result(&format!("bpy.ops.wm.save_as_mainfile(filepath={:?}, copy=True)", file.display().to_string()))?;
    Ok(file)
}

/// Also one that does not answer to anything any more.
fn cancelled(environment: &Environment, flavour: Flavour) -> Result<()> {
    let (blender, session) = start(environment, flavour)?;
    let arguments = json!({"blend_file": saved(&blender)?});
    let mut other = 0;
    session.call_and_cancel("get_blendfile_summary_datablocks", arguments, || {
        other = wait_until("a background Blender", SOON, || background_blender(blender.process.pid()))?;
        signal("-STOP", other)
    })?;
    wait_until("it to end", Duration::from_secs(10), || (!runs(other)).then_some(()))?;
    Ok(())
}

/// The rules of the user hold for it: it is refused where processes are, and its folder needs no leave.
fn guarded(environment: &Environment, flavour: Flavour) -> Result<()> {
    let ruled = |rule: &str| {
        let arguments = vec!["--guard".to_owned(), rule.to_owned()];
        let blender = Blender::start(environment, flavour, &Settings { arguments, ..Settings::default() })?;
        let session = session(environment, blender.port)?;
        anyhow::Ok((blender, session))
    };
    let (blender, without_processes) = ruled("processes=deny")?;
    let arguments = json!({"blend_file": saved(&blender)?});
    let refused = failure(&without_processes, "get_blendfile_summary_path_info", arguments.clone())?;
    ensure!(refused.contains("cannot run a background Blender") && refused.contains("“Deny”"), "{refused}");
    let (_other, without_files) = ruled("files=deny")?;
    value(&without_files, "get_blendfile_summary_path_info", arguments)?;
    Ok(())
}

fn orphaned(environment: &Environment, flavour: Flavour) -> Result<()> {
    let (blender, session) = start(environment, flavour)?;
    let arguments = json!({"code": "while True: pass", "blend_file": saved(&blender)?});
    let other = std::thread::scope(|scope| {
        let call = scope.spawn(|| session.call("execute_blender_code", arguments));
        let other = wait_until("a background Blender", SOON, || background_blender(blender.process.pid()))?;
        signal("-KILL", blender.process.pid())?;
        ensure!(call.join().ok().context("the call panicked")??.is_error(), "an answer of a dead Blender");
        Ok(other)
    })?;
    wait_until("it to end", SOON, || (!runs(other)).then_some(()))?;
    Ok(())
}
