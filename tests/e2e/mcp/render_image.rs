// SPDX-License-Identifier: GPL-3.0-or-later
//! `render_image`: a picture of a real render, made aside so that the open Blender stays free.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use blendwire_e2e::{Environment, Flavour, McpSession, wait_until};
use serde_json::{Value, json};

use super::official_tools::{background_blender, failure, runs, start, value};
use crate::suite::{EVERYWHERE, Suite};

/// A background Blender renders something small within this time, on a busy machine too.
const SOON: Duration = Duration::from_mins(1);

/// Has Cycles take every sample that it is told to, also where it is built without the denoiser.
pub(super) const ALL_SAMPLES: &str = "scene = bpy.context.scene\nscene.render.engine = 'CYCLES'
scene.cycles.use_denoising = scene.cycles.use_adaptive_sampling = False";

pub(crate) fn add(suite: &mut Suite) {
    for flavour in EVERYWHERE {
        let mut own = |name: &str, test: fn(&Environment, Flavour) -> Result<()>| {
            let name = format!("{}::render_image::{name}", flavour.name());
            suite.own(&name, move |environment| test(environment, flavour));
        };
        own("shows_the_open_file_and_leaves_it_alone", shows);
        own("takes_long_and_keeps_nobody_from_working", long);
        own("says_what_cannot_be_rendered", wrong);
        own("writes_no_other_file_and_tells_what_is_different", different);
    }
}

fn picture(session: &McpSession, arguments: Value) -> Result<(Vec<u8>, String)> {
    let call = session.call("render_image", arguments)?;
    let data = call.image_base64().with_context(|| format!("no picture: {}", call.text()))?;
    Ok((base64::engine::general_purpose::STANDARD.decode(data)?, call.text()))
}

fn shows(environment: &Environment, flavour: Flavour) -> Result<()> {
    let (blender, session) = start(environment, flavour)?;
    // Not saved: it is the open file that is rendered, and not one on the disk.
    let code = "scene = bpy.context.scene\nscene.render.engine = 'CYCLES'\nscene.cycles.samples = 8\n\
        scene.cycles.use_denoising = False\nbpy.ops.mesh.primitive_torus_add(location=(0, 0, 2))\n\
        bpy.ops.object.camera_add(location=(0, 0, 12))\nbpy.context.object.name = 'Above'";
    blender.result(code)?;
    let look = "scene = bpy.context.scene\nresult = [scene.render.resolution_x, scene.camera.name, scene.frame_current, \
        scene.cycles.samples, bpy.data.filepath, bpy.data.is_dirty, len(bpy.data.images)]";
    let before = blender.result(look)?;
    let (bytes, said) = picture(&session, json!({"width": 320}))?;
    ensure!(bytes.starts_with(b"\x89PNG"), "no PNG");
    ensure!(said.contains("frame 1, 320×180 pixels, CYCLES") && !said.contains("sent with"), "{said}");
    fs_err::write(environment.artefacts.join(format!("render-image-{}.png", flavour.name())), &bytes)?;
    let other = json!({"width": 200, "height": 100, "camera": "Above", "frame": 7, "samples": 2});
    let (above, said) = picture(&session, other)?;
    ensure!(said.contains("frame 7, 200×100 pixels") && above != bytes, "{said}");
    fs_err::write(environment.artefacts.join(format!("render-image-above-{}.png", flavour.name())), &above)?;
    let after = blender.result(look)?;
    ensure!(after == before, "{before} became {after}");

    // Noise as large as this does not fit into an answer as it is.
    let (small, said) = picture(&session, json!({"width": 2600, "height": 1800, "samples": 1}))?;
    ensure!(small.len() <= 700_000 && small.starts_with(b"\xff\xd8"), "{} bytes, {said}", small.len());
    Ok(())
}

fn long(environment: &Environment, flavour: Flavour) -> Result<()> {
    let (blender, session) = start(environment, flavour)?;
    blender.result(ALL_SAMPLES)?;
    let begun = value(&session, "render_image", json!({"samples": 1_000_000, "wait_secs": 0}))?;
    ensure!(begun["status"] == "running", "{begun}");
    let job = json!({"job": begun["job"], "wait_secs": 0.5});
    wait_until("the render to say how far it is", SOON, || {
        let now = value(&session, "get_job", job.clone()).ok()?;
        (now["progress"]["message"].as_str()?.starts_with("sample ")).then_some(())
    })?;
    // Blender is free meanwhile, for others and for who waits for the picture.
    ensure!(blender.result("result = 'free'")? == "free");
    let own = json!({"code": "result = 'free too'", "wait_secs": SOON.as_secs()});
    let own = session.call("execute_blender_code", own)?.value();
    ensure!(own["result"] == "free too", "{own}");
    let other = background_blender(blender.process.pid()).context("no background Blender renders")?;
    value(&session, "cancel_job", json!({"job": begun["job"]}))?;
    wait_until("the render to end", Duration::from_secs(20), || (!runs(other)).then_some(()))?;
    let gone = failure(&session, "get_job", job)?;
    ensure!(gone.contains("there is no job"), "{gone}");
    Ok(())
}

fn wrong(environment: &Environment, flavour: Flavour) -> Result<()> {
    let (blender, session) = start(environment, flavour)?;
    let said = failure(&session, "render_image", json!({"camera": "Camra"}))?;
    ensure!(said.contains("no camera of the scene named 'Camra'; similar names: 'Camera'"), "{said}");
    let said = failure(&session, "render_image", json!({"width": 0}))?;
    ensure!(said.contains("width must be 1 to"), "{said}");
    let said = failure(&session, "render_image", json!({"blend_file": "/nowhere/at/all.blend"}))?;
    ensure!(said.contains("cannot open /nowhere/at/all.blend"), "{said}");
    blender.result("bpy.data.objects.remove(bpy.data.objects['Camera'])")?;
    let said = failure(&session, "render_image", json!({"width": 64}))?;
    ensure!(said.contains("no camera: add one"), "{said}");
    Ok(())
}

/// A compositor that writes into the folder FOLDER, also by a group of nodes within; and a driver that is a script.
const COMPOSITOR: &str = "import os
scene = bpy.context.scene
scene.render.engine, scene.cycles.samples, scene.cycles.use_denoising = 'CYCLES', 1, False
scene.render.resolution_x, scene.render.resolution_y, scene.render.resolution_percentage = 200, 100, 100
scene.render.use_border = scene.render.use_crop_to_border = True
scene.render.border_min_x, scene.render.border_max_x = 0.25, 0.75
scene.render.border_min_y, scene.render.border_max_y = 0.5, 1
def writes(tree, source):
    output = tree.nodes.new('CompositorNodeOutputFile')
    if hasattr(output, 'directory'):
        output.directory, output.file_name = FOLDER, tree.name
        output.file_output_items.new('RGBA', 'Image')
    else:
        output.base_path = os.path.join(FOLDER, tree.name)
    tree.links.new(source.outputs[0], output.inputs[0])
inner = bpy.data.node_groups.new('inner', 'CompositorNodeTree')
writes(inner, inner.nodes.new('CompositorNodeBoxMask'))
if hasattr(scene, 'compositing_node_group'):
    scene.compositing_node_group = tree = bpy.data.node_groups.new('outer', 'CompositorNodeTree')
    tree.interface.new_socket('Image', in_out='OUTPUT', socket_type='NodeSocketColor')
    end = tree.nodes.new('NodeGroupOutput')
else:
    scene.use_nodes = True
    tree = scene.node_tree
    tree.nodes.clear()
    end = tree.nodes.new('CompositorNodeComposite')
layers = tree.nodes.new('CompositorNodeRLayers')
tree.links.new(layers.outputs[0], end.inputs[0])
tree.nodes.new('CompositorNodeGroup').node_tree = inner
writes(tree, layers)
driver = bpy.data.objects['Cube'].driver_add('location', 0).driver
driver.expression = 'bpy.app.background * 3'";

/// It only looks: what a render would write over stays as it is.
fn different(environment: &Environment, flavour: Flavour) -> Result<()> {
    let (blender, session) = start(environment, flavour)?;
    let folder = blender.file("outputs");
    fs_err::create_dir(&folder)?;
    blender.result(&format!("FOLDER = {:?}\n{COMPOSITOR}", folder.display().to_string()))?;
    let (bytes, said) = picture(&session, json!({}))?;
    ensure!(said.contains("100×50 pixels"), "the caption tells another size than the picture has: {said}");
    let reader = png::Decoder::new(std::io::Cursor::new(&bytes)).read_info()?;
    ensure!((reader.info().width, reader.info().height) == (100, 50), "{said}");
    ensure!(said.contains("scripts of the file") && said.contains("bpy.app.background"), "{said}");
    ensure!(fs_err::read_dir(&folder)?.next().is_none(), "it has written files of its own");
    // So that this can fail: the open Blender does write there.
    blender.result("bpy.ops.render.render()")?;
    ensure!(fs_err::read_dir(&folder)?.next().is_some(), "nothing would have been written anyhow");
    Ok(())
}
