// SPDX-License-Identifier: GPL-3.0-or-later
//! API documentation from real Blenders: what artists and scripters ask is found, names are looked up, and neither the
//! user's file nor their patience is touched.

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use blendwire_e2e::{Blender, Environment, Flavour, McpSession, Settings, resident_kib};
use serde_json::{Value, json};

use crate::suite::{EVERYWHERE, Suite};

/// What people ask, and which entries answer it: one of them is to be among the first three.
const QUESTIONS: [(&str, &[&str]); 46] = [
    ("bevel modifier segments", &["bpy.types.BevelModifier.segments"]),
    ("set keyframe interpolation", &["bpy.types.Keyframe.interpolation"]),
    ("principled bsdf input names", &["bpy.types.ShaderNodeBsdfPrincipled"]),
    ("add cube", &["bpy.ops.mesh.primitive_cube_add"]),
    ("parent object keep transform", &["bpy.ops.object.parent_set"]),
    (
        "render resolution",
        &[
            "bpy.types.RenderSettings.resolution_x",
            "bpy.types.RenderSettings.resolution_y",
            "bpy.types.RenderSettings.resolution_percentage",
        ],
    ),
    ("apply modifier", &["bpy.ops.object.modifier_apply"]),
    ("uv unwrap", &["bpy.ops.uv.unwrap"]),
    ("shape key value", &["bpy.types.ShapeKey.value"]),
    ("camera focal length", &["bpy.types.Camera.lens"]),
    ("material slots of an object", &["bpy.types.Object.material_slots", "bpy.ops.object.material_slot_add"]),
    ("subdivision surface levels", &["bpy.types.SubsurfModifier.levels", "bpy.types.SubsurfModifier.render_levels"]),
    ("insert keyframe", &["bpy.types.bpy_struct.keyframe_insert", "bpy.ops.anim.keyframe_insert"]),
    ("animation start and end frame", &["bpy.types.Scene.frame_start", "bpy.types.Scene.frame_end"]),
    ("go to frame", &["bpy.types.Scene.frame_set", "bpy.types.Scene.frame_current"]),
    ("point light power", &["bpy.types.PointLight.energy", "bpy.types.Light.energy"]),
    ("sun light angle", &["bpy.types.SunLight.angle"]),
    ("join objects", &["bpy.ops.object.join"]),
    ("duplicate object", &["bpy.ops.object.duplicate"]),
    ("delete selected objects", &["bpy.ops.object.delete"]),
    ("shade smooth", &["bpy.ops.object.shade_smooth"]),
    (
        "vertex group weight",
        &["bpy.types.VertexGroup.weight", "bpy.types.VertexGroupElement.weight", "bpy.types.VertexGroup.add"],
    ),
    ("boolean modifier operation", &["bpy.types.BooleanModifier.operation"]),
    ("mirror modifier axis", &["bpy.types.MirrorModifier.use_axis"]),
    ("export gltf", &["bpy.ops.export_scene.gltf"]),
    ("import obj file", &["bpy.ops.wm.obj_import"]),
    ("cycles render samples", &["bpy.types.CyclesRenderSettings.samples"]),
    ("render image", &["bpy.ops.render.render"]),
    ("output file path", &["bpy.types.RenderSettings.filepath"]),
    ("track to constraint target", &["bpy.types.TrackToConstraint.target"]),
    ("child of constraint inverse matrix", &["bpy.types.ChildOfConstraint.inverse_matrix"]),
    ("pose bone rotation quaternion", &["bpy.types.PoseBone.rotation_quaternion"]),
    ("create mesh from vertices and faces", &["bpy.types.Mesh.from_pydata"]),
    ("vector cross product", &["mathutils.Vector.cross"]),
    ("bmesh extrude faces", &["bmesh.ops.extrude_discrete_faces", "bmesh.ops.extrude_face_region"]),
    ("ray cast scene", &["bpy.types.Scene.ray_cast"]),
    ("set origin to geometry", &["bpy.ops.object.origin_set"]),
    ("world background colour", &["bpy.types.World.color", "bpy.types.ShaderNodeBackground"]),
    ("driver expression", &["bpy.types.Driver.expression"]),
    ("3d cursor location", &["bpy.types.View3DCursor.location", "bpy.types.Scene.cursor"]),
    // By a value of an enumeration.
    ("bezier linear constant keyframe", &["bpy.types.Keyframe.interpolation"]),
    ("file format OPEN_EXR", &["bpy.types.ImageFormatSettings.file_format"]),
    ("rotation mode quaternion XYZ", &["bpy.types.Object.rotation_mode", "bpy.types.PoseBone.rotation_mode"]),
    ("shrinkwrap modifier project nearest vertex", &["bpy.types.ShrinkwrapModifier.wrap_method"]),
    ("boolean modifier difference union", &["bpy.types.BooleanModifier.operation"]),
    ("catmull-clark or simple subdivision", &["bpy.types.SubsurfModifier.subdivision_type"]),
];

/// Where an answer still counts as found.
const FIRST: usize = 3;

/// Names as people write them, the path that they mean, and something that its description has.
const NAMES: [(&str, &str, &str); 20] = [
    ("bpy.types.BevelModifier", "bpy.types.BevelModifier", "segments"),
    ("BevelModifier.segments", "bpy.types.BevelModifier.segments", "1000"),
    ("BevelModifier.show_viewport", "bpy.types.Modifier.show_viewport", "viewport"),
    ("bpy.ops.mesh.bevel", "bpy.ops.mesh.bevel", "offset_type"),
    ("MESH_OT_bevel", "bpy.ops.mesh.bevel", "offset_type"),
    ("bpy.ops.mesh.bevel.segments", "bpy.ops.mesh.bevel.segments", "1000"),
    ("mathutils.Vector.cross", "mathutils.Vector.cross", "cross product"),
    ("Vector.cross", "mathutils.Vector.cross", "cross product"),
    ("ShaderNodeBsdfPrincipled", "bpy.types.ShaderNodeBsdfPrincipled", "Roughness"),
    ("GeometryNodeMeshCube", "bpy.types.GeometryNodeMeshCube", "Vertices X"),
    ("bpy.data.objects[\"Cube\"].location", "bpy.types.Object.location", "LENGTH"),
    ("bpy.data.objects.new()", "bpy.types.BlendDataObjects.new", "object_data"),
    ("bpy.context.object.modifiers.new", "bpy.types.ObjectModifiers.new", "name"),
    ("bpy.context.scene.render.resolution_x", "bpy.types.RenderSettings.resolution_x", "65536"),
    ("bpy.context.scene.cycles.samples", "bpy.types.CyclesRenderSettings.samples", "Number of samples"),
    ("Object.keyframe_insert", "bpy.types.bpy_struct.keyframe_insert", "data_path"),
    ("Mesh.vertices.foreach_get", "bpy.types.bpy_prop_collection.foreach_get", "foreach_get"),
    ("Keyframe.interpolation", "bpy.types.Keyframe.interpolation", "BEZIER"),
    ("bpy.app.handlers.frame_change_post", "bpy.app.handlers.frame_change_post", "frame change"),
    ("bmesh.ops.bevel", "bmesh.ops.bevel", "segments"),
];

/// What is told of a name in detail, by a JSON pointer: the same in every version that the tests have.
const DETAILS: [(&str, &str, &str); 8] = [
    ("BevelModifier.segments", "/signature", "\"segments: int = 1, 1 to 1000\""),
    ("BevelModifier.segments", "/default", "1"),
    ("BevelModifier.segments", "/range", "[1,1000]"),
    ("BevelModifier.segments", "/soft_range", "[1,100]"),
    ("bpy.ops.mesh.primitive_cube_add", "/parameters/size/default", "2.0"),
    ("bpy.ops.mesh.primitive_cube_add", "/parameters/size/unit", "\"LENGTH\""),
    (
        "bpy.ops.mesh.primitive_cube_add",
        "/parameters/align/items/WORLD",
        "\"World: Align the new object to the world\"",
    ),
    ("Mesh.from_pydata", "/signature", "\"from_pydata(vertices, edges, faces, shade_flat=True)\""),
];

/// What must be as it was afterwards.
const FILE: &str = "import bpy\n\
    ids = sorted((i.rna_type.identifier, i.name, i.users) for i in bpy.data.user_map())\n\
    result = [ids, bpy.data.is_dirty, bpy.ops.ed.undo.poll(), bpy.ops.ed.redo.poll()]";

/// What share of the whole reading another's request may wait: for a part of some milliseconds, for the window, which draws in
/// between and takes long without a graphics card, and for other programs of a busy machine, which hold up both alike.
/// The third longest wait counts: two may have been unlucky.
const LONGEST_WAIT_SHARE: u32 = 3;

pub(crate) fn add(suite: &mut Suite) {
    for flavour in [&[Flavour::Bpy42][..], &EVERYWHERE].concat() {
        suite.own(&format!("{}::mcp::api_docs", flavour.name()), move |environment| docs(environment, flavour));
    }
}

fn docs(environment: &Environment, flavour: Flavour) -> Result<()> {
    let blender = Blender::start(environment, flavour, &Settings::default())?;
    let before = blender.result(FILE)?;
    let mut command = Command::new(&environment.blendwire);
    command.args(["mcp", "--port", &blender.port.to_string()]);
    let session = McpSession::start(command)?;
    let memory = || session.pid.and_then(|pid| resident_kib(pid).ok());
    let before_reading = memory();
    read_once(&blender, &session)?;
    if let (Some(before), Some(after)) = (before_reading, memory()) {
        println!("{}: the server has {} KiB more for it", flavour.name(), after.saturating_sub(before));
    }
    questions(flavour, &session)?;
    names(&session)?;
    unknown(&session)?;
    changes(&blender)?;
    let after = blender.result(FILE)?;
    ensure!(before == after, "the file was {before}, and is {after}");
    Ok(())
}

/// Two searches at once read the API once, others' requests go in between, and the next search reads nothing.
fn read_once(blender: &Blender, session: &McpSession) -> Result<()> {
    let is_over = AtomicBool::new(false);
    let search = || session.call("search_api_docs", json!({"query": "bevel", "wait_secs": 120}));
    let (both, waits) = std::thread::scope(|scope| {
        let other = scope.spawn(|| waits_of_others(blender, &is_over));
        let second = scope.spawn(search);
        let before = Instant::now();
        let both = search().and_then(|first| Ok((first, second.join().expect("a search does not panic")?)));
        let took = before.elapsed();
        is_over.store(true, Ordering::Relaxed);
        anyhow::Ok((both.map(|both| (both, took))?, other.join().expect("waiting does not panic")?))
    })?;
    let ((first, second), took) = both;
    for call in [&first, &second] {
        ensure!(call.value()["hits"].as_array().is_some_and(|hits| !hits.is_empty()), "{}", call.text());
    }
    let apart = first.took.abs_diff(second.took);
    let again = search()?;
    println!(
        "read in {took:?}, the second of two at once {apart:?} apart; others waited {:?} at most; again {:?}",
        waits.get(..3),
        again.took
    );
    ensure!(apart < took / 2, "each of two searches at once read the API: {:?} and {:?}", first.took, second.took);
    ensure!(again.took < took / 4, "the next search took {:?} again", again.took);
    let [first, second, third, ..] = waits[..] else {
        anyhow::bail!("others' requests waited {waits:?} of {took:?}, and no others were answered meanwhile");
    };
    ensure!(third < took / LONGEST_WAIT_SHARE, "others' requests waited {first:?}, {second:?}, {third:?} of {took:?}");
    ensure!(
        first + second < took * 3 / 4,
        "the API was read in two parts: others waited {first:?}, {second:?} of {took:?}"
    );
    Ok(())
}

/// What small requests took until it was over, the longest first.
fn waits_of_others(blender: &Blender, is_over: &AtomicBool) -> Result<Vec<Duration>> {
    let mut wire = blender.wire()?;
    let mut waits = Vec::new();
    while !is_over.load(Ordering::Relaxed) {
        let before = Instant::now();
        wire.result("result = 1")?;
        waits.push(before.elapsed());
        std::thread::sleep(Duration::from_millis(7));
    }
    waits.sort_unstable_by(|one, other| other.cmp(one));
    Ok(waits)
}

fn questions(flavour: Flavour, session: &McpSession) -> Result<()> {
    let mut missed = Vec::new();
    let mut longest = Duration::ZERO;
    for (question, wanted) in QUESTIONS {
        let call = session.call("search_api_docs", json!({"query": question, "max_results": FIRST}))?;
        longest = longest.max(call.took);
        let reply = call.value();
        let hits = reply["hits"].as_array().with_context(|| call.text())?;
        let paths: Vec<&str> = hits.iter().filter_map(|hit| hit["path"].as_str()).collect();
        if !paths.iter().any(|path| wanted.contains(path)) {
            missed.push(format!("{question:?} wants {wanted:?} and gets {paths:?}"));
        }
    }
    let found = QUESTIONS.len() - missed.len();
    println!("{}: {found} of {} found, the slowest search took {longest:?}", flavour.name(), QUESTIONS.len());
    println!("{}", missed.join("\n"));
    ensure!(missed.is_empty(), "not among the first {FIRST}:\n{}", missed.join("\n"));
    Ok(())
}

fn names(session: &McpSession) -> Result<()> {
    for (name, path, has) in NAMES {
        let call = session.call("get_python_api_docs", json!({"identifier": name}))?;
        ensure!(!call.is_error(), "{name}: {}", call.text());
        let reply = call.value();
        ensure!(reply["path"] == path && reply.to_string().contains(has), "{name} wants {path} with {has:?}: {reply}");
    }
    for (name, at, wanted) in DETAILS {
        let reply = session.call("get_python_api_docs", json!({"identifier": name}))?.value();
        let told = reply.pointer(at).with_context(|| format!("{name} has no {at}: {reply}"))?.to_string();
        ensure!(told == wanted, "{at} of {name} is {told} and not {wanted}");
    }
    let list = session.call("get_python_api_docs", json!({"identifier": "bpy.ops.mesh.*"}))?.value();
    ensure!(list["names"].as_array().is_some_and(|names| names.contains(&"bevel".into())), "{list}");
    let object = session.call("get_python_api_docs", json!({"identifier": "bpy.types.Object"}))?.value();
    ensure!(object["more"].is_string() && object.to_string().len() < 16 * 1024, "{object}");
    Ok(())
}

fn unknown(session: &McpSession) -> Result<()> {
    let call = session.call("get_python_api_docs", json!({"identifier": "BevelModifier.segmets"}))?;
    ensure!(call.is_error() && call.text().contains("bpy.types.BevelModifier.segments"), "{}", call.text());
    let gone = session.call("get_python_api_docs", json!({"identifier": "Mesh.use_auto_smooth"}))?;
    ensure!(gone.is_error() && gone.text().contains("shade_auto_smooth"), "{}", gone.text());
    let there = session.call("get_python_api_docs", json!({"identifier": "Material.use_nodes"}))?;
    ensure!(there.value()["changes"][0].as_str().is_some_and(|note| note.contains("5.0")), "{}", there.text());
    let nothing = session.call("search_api_docs", json!({"query": "qwertzuiop"}))?.value();
    ensure!(
        nothing["hits"] == json!([]) && nothing["message"].as_str().is_some_and(|told| told.contains("Try")),
        "{nothing}"
    );
    Ok(())
}

/// What we say of versions is so in this one.
fn changes(blender: &Blender) -> Result<()> {
    let version = blender.result("import bpy\nresult = list(bpy.app.version)")?;
    let part = |index: usize| version[index].as_u64().unwrap_or_default();
    for ((major, minor), holds) in blendwire_mcp::api_changes() {
        let expected = (part(0), part(1)) >= (u64::from(major), u64::from(minor));
        let told = blender.result(&format!("import bpy\nresult = bool({holds})"))?;
        ensure!(told == Value::Bool(expected), "Blender {version}, change of {major}.{minor}: {holds} is {told}");
    }
    Ok(())
}
