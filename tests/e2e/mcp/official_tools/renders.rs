// SPDX-License-Identifier: GPL-3.0-or-later
//! The tools that render into a file.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use blendwire_e2e::{Environment, Flavour, wait_until};
use serde_json::json;

use super::{SOON, failure, start, value};
use crate::suite::{EVERYWHERE, Suite};

const VIEWPORT: &str = "render_viewport_to_path";
const THUMBNAIL: &str = "render_thumbnail_to_path";

pub(super) fn add(suite: &mut Suite) {
    for flavour in EVERYWHERE {
        let mut own = |name: &str, test: fn(&Environment, Flavour) -> Result<()>| {
            let name = format!("{}::official_tools::{name}", flavour.name());
            suite.own(&name, move |environment| test(environment, flavour));
        };
        own("renders_write_what_the_path_says_and_change_no_setting", renders);
        own("paths_that_are_none_are_refused", refused);
    }
    suite.own("bpy_5_2::official_tools::a_cancelled_render_lets_go", cancelled);
    suite.own("windowed::official_tools::a_render_that_goes_on_is_not_disturbed", disturbed);
}

/// Cycles, since it renders everywhere; every setting that a render could leave changed.
const SET_UP: &str = "scene = bpy.context.scene
scene.render.engine = 'CYCLES'
scene.cycles.samples, scene.cycles.use_denoising = 4, False
scene.render.resolution_x, scene.render.resolution_y, scene.render.resolution_percentage = 640, 480, 50
bpy.ops.mesh.primitive_monkey_add(size=3, rotation=(0, 0, 0.8))";
const SETTINGS: &str = "render, image = bpy.context.scene.render, bpy.context.scene.render.image_settings
result = [render.filepath, render.resolution_x, render.resolution_y, render.resolution_percentage, render.use_simplify,
    render.simplify_subdivision_render, render.use_file_extension, image.file_format, image.color_mode,
    image.color_depth, bpy.context.scene.cycles.samples, bpy.context.scene.cycles.use_denoising]";

fn size(path: &Path) -> Result<(u32, u32)> {
    let reader = png::Decoder::new(std::io::BufReader::new(fs_err::File::open(path)?)).read_info()?;
    Ok((reader.info().width, reader.info().height))
}

fn renders(environment: &Environment, flavour: Flavour) -> Result<()> {
    let (blender, session) = start(environment, flavour)?;
    blender.result(SET_UP)?;
    let before = blender.result(SETTINGS)?;
    let full = blender.file("full.png");
    let told = value(&session, VIEWPORT, json!({"output_path": full}))?;
    ensure!(told["filepath"] == json!(full) && told["width"] == 320 && told["height"] == 240, "{told}");
    ensure!(size(&full)? == (320, 240), "{:?}", size(&full)?);
    let small = blender.file("small.png");
    let told = value(&session, THUMBNAIL, json!({"output_path": small}))?;
    ensure!(told["width"] == 320 && size(&small)? == (320, 240), "{told}");
    // What it made itself it may make anew.
    value(&session, THUMBNAIL, json!({"output_path": small}))?;
    // A mere name is enough.
    let told = value(&session, THUMBNAIL, json!({"output_path": "mere name.png"}))?;
    let placed = Path::new(told["filepath"].as_str().context("no path")?);
    ensure!(placed.starts_with(blender.result("result = bpy.app.tempdir")?.as_str().context("no folder")?), "{told}");
    ensure!(size(placed)? == (320, 240), "{told}");
    for (path, kept) in [(&full, "full"), (&small, "small")] {
        fs_err::copy(path, environment.artefacts.join(format!("render-{}-{kept}.png", flavour.name())))?;
    }
    // Not what somebody has put in its place since.
    fs_err::write(&small, "mine")?;
    let said = failure(&session, THUMBNAIL, json!({"output_path": small}))?;
    ensure!(said.contains("is there already") && fs_err::read(&small)? == b"mine", "{said}");
    for (name, begin) in [("a.jpg", &b"\xff\xd8\xff"[..]), ("a.exr", b"v/1\x01"), ("A.JPEG", b"\xff\xd8\xff")] {
        let path = blender.file(name);
        value(&session, THUMBNAIL, json!({"output_path": path}))?;
        ensure!(fs_err::read(&path)?.starts_with(begin), "{name} is something else");
    }
    ensure!(blender.result(SETTINGS)? == before, "{} was {before}", blender.result(SETTINGS)?);
    Ok(())
}

fn refused(environment: &Environment, flavour: Flavour) -> Result<()> {
    let (blender, session) = start(environment, flavour)?;
    blender.result(SET_UP)?;
    let before = blender.result(SETTINGS)?;
    let mine = blender.file("mine.png");
    fs_err::write(&mine, "mine")?;
    blender.result("import os\nopen(os.path.join(bpy.app.tempdir, 'mine.png'), 'w').close()")?;
    for (path, says) in [
        ("mine.png", "is there already"),
        ("picture", "must end with"),
        ("", "absolute path"),
        ("folder/picture.png", "absolute path"),
        ("//picture.png", "absolute path"),
        ("~/picture.png", "absolute path"),
        ("/no/such/folder/picture.png", "there is no folder /no/such/folder"),
        (blender.file("picture").to_str().context("no text")?, "must end with"),
        (blender.folder.path().to_str().context("no text")?, "must end with"),
        (blender.file("film.mp4").to_str().context("no text")?, "must end with"),
        (mine.to_str().context("no text")?, "is there already"),
    ] {
        for tool in [VIEWPORT, THUMBNAIL] {
            let said = failure(&session, tool, json!({"output_path": path}))?;
            ensure!(said.contains(says), "{path}: {said}");
        }
    }
    ensure!(fs_err::read(&mine)? == b"mine", "it was overwritten");
    blender.result("bpy.context.scene.camera = None")?;
    let blind = failure(&session, VIEWPORT, json!({"output_path": blender.file("blind.png")}))?;
    ensure!(blind.contains("camera"), "{blind}");
    ensure!(blender.result(SETTINGS)? == before, "{} was {before}", blender.result(SETTINGS)?);
    Ok(())
}

/// The answer is dropped at once and Blender is free when the render has come back from C, as with any script.
fn cancelled(environment: &Environment) -> Result<()> {
    let (blender, session) = start(environment, Flavour::Bpy52)?;
    blender.result(&format!("{SET_UP}\nscene.cycles.samples = 100\nscene.cycles.use_adaptive_sampling = False"))?;
    let before = blender.result(SETTINGS)?;
    let state = || -> Option<bool> {
        let (_, status) = blendwire_e2e::http(blender.port, "GET /status", "").ok()?;
        let status: serde_json::Value = serde_json::from_str(&status).ok()?;
        Some(status["running"]["title"] == VIEWPORT)
    };
    session.call_and_cancel(VIEWPORT, json!({"output_path": blender.file("long.png")}), || {
        wait_until("the render to run", SOON, || state().filter(|runs| *runs).map(drop))
    })?;
    wait_until("the render to be let go", Duration::from_mins(3), || state().filter(|runs| !runs).map(drop))?;
    ensure!(blender.result(SETTINGS)? == before, "settings stay changed");
    Ok(())
}

/// The user's own render, or a script's, whose threads read the scene: tools that would copy it, change its modes or render
/// besides say so, and those that only look go on.
fn disturbed(environment: &Environment) -> Result<()> {
    let (blender, session) = start(environment, Flavour::Windowed)?;
    blender.result(&format!(
        "{SET_UP}\nscene.cycles.samples, scene.cycles.use_adaptive_sampling = 1_000_000, False\n\
         bpy.context.preferences.view.render_display_type = 'NONE'\nbpy.data.objects['Light'].hide_set(True)\n\
         bpy.ops.object.mode_set(mode='EDIT')"
    ))?;
    let look = "result = [bpy.context.mode, bpy.context.window.workspace.name, len(bpy.data.scenes), \
        bpy.data.objects['Light'].hide_get(), bpy.context.scene.render.filepath]";
    let before = blender.result(look)?;
    blender.result("bpy.ops.render.render('INVOKE_DEFAULT')")?;
    let renders = || blender.result("result = bpy.app.is_job_running('RENDER')");
    ensure!(renders()? == true, "it was no render in the background");
    let path = blender.file("never.png");
    for (tool, arguments) in [
        ("get_viewport_image", json!({"view": "camera", "shading": "rendered", "width": 64, "height": 64})),
        ("get_viewport_image", json!({"view": "front", "shading": "material", "width": 64, "height": 64})),
        (VIEWPORT, json!({"output_path": path})),
        (THUMBNAIL, json!({"output_path": path})),
        ("jump_to_view3d_object_by_name", json!({"name": "Camera"})),
        ("jump_to_view3d_object_by_name", json!({"name": "Light", "allow_edits": true})),
        ("jump_to_tab_by_name", json!({"name": "Sculpting"})),
    ] {
        let said = failure(&session, tool, arguments)?;
        ensure!(
            said.contains("Blender renders right now") && said.contains("is_job_running('RENDER')"),
            "{tool}: {said}"
        );
    }
    ensure!(blender.result(look)? == before, "{} was {before}", blender.result(look)?);
    let picture = session.call("get_viewport_image", json!({"view": "front", "width": 64, "height": 64}))?;
    ensure!(picture.image_base64().is_some(), "{}", picture.text());
    // Of the same mode.
    value(&session, "jump_to_tab_by_name", json!({"name": "Rendering"}))?;
    ensure!(renders()? == true && !path.exists(), "the render has ended");
    Ok(())
}
