// SPDX-License-Identifier: GPL-3.0-or-later
//! `get_viewport_image` from any side: contact sheets, single objects, directions, and a limit of bytes.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use blendwire_e2e::{Blender, Environment, Flavour, McpSession, Picture, Settings};
use serde_json::{Value, json};

use super::official_tools::{failure, start};
use crate::suite::{EVERYWHERE, Suite};

pub(crate) fn add(suite: &mut Suite) {
    for flavour in EVERYWHERE {
        suite.own(&format!("{}::viewport::shows_what_is_asked_for", flavour.name()), move |environment| {
            shows(environment, flavour)
        });
        suite.own(&format!("{}::viewport::each_side_shows_its_own_colour", flavour.name()), move |environment| {
            sides(environment, flavour)
        });
        let name = format!("{}::viewport::focus_shows_the_place_of_what_has_no_shape", flavour.name());
        suite.own(&name, move |environment| places(environment, flavour));
        let name = format!("{}::viewport::stereo_is_one_picture", flavour.name());
        suite.own(&name, move |environment| stereo(environment, flavour));
    }
    suite.own("windowed::viewport::another_windows_scene_is_not_mistaken_for_this", other_window);
    suite.own("windowed::viewport::current_is_what_the_user_sees", current);
    #[cfg(target_os = "linux")]
    suite.own("bpy_5_2::viewport::without_a_graphics_driver_it_is_refused", without_driver);
}

#[cfg(target_os = "linux")]
/// As on a server that nobody has installed a graphics driver on: Blender itself would crash.
fn without_driver(environment: &Environment) -> Result<()> {
    let variables = vec![("__EGL_VENDOR_LIBRARY_DIRS".to_owned(), "/nonexistent".to_owned())];
    let blender = Blender::start(environment, Flavour::Bpy52, &Settings { variables, ..Settings::default() })?;
    let mut command = Command::new(&environment.blendwire);
    command.args(["mcp", "--port", &blender.port.to_string()]);
    let session = McpSession::start(command)?;
    for arguments in [json!({}), json!({"view": "sheet"}), json!({"shading": "wireframe"})] {
        let said = failure(&session, "get_viewport_image", arguments)?;
        ensure!(said.contains("no graphics driver") && said.contains("libegl-mesa0"), "{said}");
    }
    // EEVEE, what others draw for Cycles, and a scene that another one shows as a strip.
    for more in [
        "",
        "bpy.context.scene.render.engine = 'CYCLES'\nbpy.ops.object.grease_pencil_add(type='MONKEY')",
        "scene = bpy.context.scene\nother = bpy.data.scenes.new('Other')\nother.render.engine = 'BLENDER_WORKBENCH'\n\
         scene.sequence_editor_create().strips.new_scene('other', other, 1, 1)\n\
         bpy.data.objects.remove(bpy.context.object)",
    ] {
        blender.result(more)?;
        let path = blender.file("none.png");
        for (tool, arguments) in [
            ("render_viewport_to_path", json!({"output_path": path})),
            ("render_thumbnail_to_path", json!({"output_path": path})),
            ("render_image", json!({"width": 64})),
        ] {
            let said = failure(&session, tool, arguments)?;
            ensure!(said.contains("no graphics driver") && said.contains("libegl-mesa0"), "{tool}, {more}: {said}");
        }
        ensure!(!path.exists(), "it was rendered all the same");
    }
    blender.result("bpy.context.scene.sequence_editor_clear()")?;
    let mut bare = blender.wire()?;
    let path = blender.file("bare.png").display().to_string();
    bare.send(json!({"type": "get_viewport_screenshot", "params": {"filepath": path}}).to_string().as_bytes())?;
    let reply = bare.bare_reply()?;
    ensure!(reply["status"] == "error" && reply.to_string().contains("no graphics driver"), "{reply}");
    let mut doctor = Command::new(&environment.blendwire);
    doctor.args(["doctor", "--json", "--port", &blender.port.to_string(), "screenshot"]);
    let found = String::from_utf8_lossy(&doctor.output()?.stdout).into_owned();
    ensure!(found.contains("no graphics driver") && found.contains("libgl1-mesa-dri"), "{found}");
    // Cycles needs none.
    blender.result("bpy.context.scene.render.engine = 'CYCLES'\nbpy.context.scene.cycles.samples = 1")?;
    let (bytes, said) = picture(&session, json!({"shading": "rendered", "width": 64, "height": 64}))?;
    ensure!(bytes.starts_with(b"\x89PNG"), "{said}");
    Ok(())
}

fn picture(session: &McpSession, arguments: Value) -> Result<(Vec<u8>, String)> {
    let call = session.call("get_viewport_image", arguments)?;
    let data = call.image_base64().with_context(|| format!("no picture: {}", call.text()))?;
    Ok((base64::engine::general_purpose::STANDARD.decode(data)?, call.text()))
}

fn shows(environment: &Environment, flavour: Flavour) -> Result<()> {
    let (blender, session) = start(environment, flavour)?;
    blender.result(
        "bpy.ops.mesh.primitive_monkey_add(location=(3, 1, 1))\nbpy.context.object.name = 'Monkey'\n\
         red = bpy.data.materials.new('red')\nred.use_nodes = True\n\
         red.node_tree.nodes['Principled BSDF'].inputs['Base Color'].default_value = (0.8, 0.02, 0.01, 1)\n\
         bpy.data.objects['Cube'].data.materials.clear()\nbpy.data.objects['Cube'].data.materials.append(red)\n\
         bpy.context.scene.render.engine = 'CYCLES'\nbpy.context.scene.cycles.samples = 4",
    )?;
    let count = "result = [len(bpy.data.images), len(bpy.data.scenes), len(bpy.data.cameras), len(bpy.data.objects)]";
    let before = blender.result(count)?;
    let small = |rest: Value| {
        let mut arguments = json!({"width": 320, "height": 240});
        arguments.as_object_mut().into_iter().for_each(|all| all.extend(rest.as_object().cloned().unwrap_or_default()));
        arguments
    };
    let mut pictures = Vec::new();
    for (name, arguments, words) in [
        ("sheet", json!({"view": "sheet"}), "from left to right and top to bottom: front, right, top, isometric"),
        ("direction", json!({"view": "custom", "direction": [1, -0.3, 0.4]}), "custom view"),
        ("front", json!({"view": "front"}), "front view"),
        ("focus", json!({"view": "front", "focus": "Monkey"}), "front view"),
        ("selected", json!({"focus": "selected"}), "focus frames objects"),
        ("back", json!({"view": "back"}), "back view"),
        ("left", json!({"view": "left"}), "left view"),
        ("bottom", json!({"view": "bottom"}), "bottom view"),
        ("camera", json!({"view": "camera"}), "camera view"),
        ("material", json!({"view": "camera", "shading": "material"}), "camera view"),
        ("rendered", json!({"view": "camera", "shading": "rendered"}), "camera view"),
    ] {
        let (bytes, said) = picture(&session, small(arguments))?;
        ensure!(bytes.starts_with(b"\x89PNG") && said.contains("320×240 pixels") && said.contains(words), "{said}");
        fs_err::write(environment.artefacts.join(format!("view-{name}-{}.png", flavour.name())), &bytes)?;
        ensure!(!pictures.contains(&bytes), "{name} shows what another one showed");
        pictures.push(bytes);
    }
    let (bytes, said) =
        picture(&session, json!({"view": "isometric", "width": 1600, "height": 1200, "max_bytes": 20_000}))?;
    ensure!(bytes.len() <= 20_000 && bytes.starts_with(b"\xff\xd8"), "{} bytes: {said}", bytes.len());
    ensure!(said.contains("to fit 20000 bytes"), "{said}");
    fs_err::write(environment.artefacts.join(format!("view-small-{}.jpg", flavour.name())), &bytes)?;

    for (wrong, words) in [
        (json!({"view": "custom"}), "needs a direction"),
        (json!({"direction": [0, 0, 0]}), "must lead somewhere"),
        (json!({"focus": "Nope"}), "there is no object of the view layer named 'Nope'"),
        (json!({"view": "isometric", "width": 320, "height": 240, "max_bytes": 10}), "allow more"),
    ] {
        let said = failure(&session, "get_viewport_image", wrong)?;
        ensure!(said.contains(words), "{said}");
    }
    let after = blender.result(count)?;
    ensure!(after == before, "{before} became {after}");
    Ok(())
}

/// Paints each side of the cube in another colour, red, green and blue of 0 or 1.
const PAINT: &str = "cube = bpy.data.objects['Cube']
cube.data.materials.clear()
SIDES = {'front': ((0, -1, 0), (1, 0, 0)), 'back': ((0, 1, 0), (0, 1, 0)), 'left': ((-1, 0, 0), (0, 0, 1)),
    'right': ((1, 0, 0), (1, 1, 0)), 'top': ((0, 0, 1), (0, 1, 1)), 'bottom': ((0, 0, -1), (1, 0, 1))}
for at, (side, (normal, color)) in enumerate(SIDES.items()):
    material = bpy.data.materials.new(side)
    material.use_nodes = True
    material.diffuse_color = (*color, 1)
    material.node_tree.nodes['Principled BSDF'].inputs['Base Color'].default_value = (*color, 1)
    cube.data.materials.append(material)
    for polygon in cube.data.polygons:
        if sum(one * other for one, other in zip(polygon.normal, normal)) > 0.9:
            polygon.material_index = at
";

const BACKGROUND: [bool; 3] = [false; 3];

/// Which of red, green and blue a pixel of a picture has, by its place in hundredths from the upper left. Grey, as the
/// background is, has none.
fn colour(picture: &Picture, x: usize, y: usize) -> [bool; 3] {
    let start = 3 * (y * picture.height / 100 * picture.width + x * picture.width / 100);
    let pixel = [0, 1, 2].map(|channel| picture.rgb[start + channel]);
    let (least, most) = (pixel.into_iter().min().unwrap_or_default(), pixel.into_iter().max().unwrap_or_default());
    // Light and shade leave far more between the two on all sides.
    pixel.map(|channel| most - least > 40 && channel > least.midpoint(most))
}

fn seen(session: &McpSession, arguments: Value) -> Result<(Picture, String)> {
    let (bytes, said) = picture(session, arguments)?;
    Ok((Picture::from_png(&bytes)?, said))
}

pub(crate) fn sides(environment: &Environment, flavour: Flavour) -> Result<()> {
    let (blender, session) = start(environment, flavour)?;
    blender.result(PAINT)?;
    let sides = [
        ("front", [true, false, false]),
        ("back", [false, true, false]),
        ("left", [false, false, true]),
        ("right", [true, true, false]),
        ("top", [false, true, true]),
        ("bottom", [true, false, true]),
    ];
    for shading in ["solid", "material"] {
        for (view, wanted) in sides {
            let arguments = json!({"view": view, "shading": shading, "focus": "Cube", "width": 96, "height": 64});
            let (picture, said) = seen(&session, arguments)?;
            let found = colour(&picture, 50, 50);
            ensure!(found == wanted, "{shading}, {view}: {found:?} and not {wanted:?}; {said}");
            ensure!(colour(&picture, 2, 50) == BACKGROUND, "{shading}, {view}: it is not framed; {said}");
        }
    }
    // A sheet has front and right in its upper row, top and a corner below.
    let (sheet, said) = seen(&session, json!({"view": "sheet", "focus": "Cube", "width": 192, "height": 128}))?;
    for (x, y, side) in [(25, 25, 0), (75, 25, 3), (25, 75, 4)] {
        ensure!(colour(&sheet, x, y) == sides[side].1, "{} is elsewhere on the sheet; {said}", sides[side].0);
    }
    Ok(())
}

const SPACE: &str = "space = next(a for a in bpy.context.screen.areas if a.type == 'VIEW_3D').spaces.active";

/// As the user has turned and shaded the viewport, EEVEE's included; and what a wireframe leaves out.
fn current(environment: &Environment) -> Result<()> {
    let (blender, session) = start(environment, Flavour::Windowed)?;
    blender.result(PAINT)?;
    let sides = [
        ("(1, 1, 0, 0)", [true, false, false]),
        ("(0.5, 0.5, 0.5, 0.5)", [true, true, false]),
        ("(1, 0, 0, 0)", [false, true, true]),
    ];
    // Without a graphics card EEVEE takes seconds for each.
    for (shading, sides) in [("SOLID", &sides[..]), ("MATERIAL", &sides[..2]), ("RENDERED", &sides[2..])] {
        for (rotation, wanted) in sides {
            // Bright all around, so that each side shows its colour.
            blender.result(&format!(
                "{SPACE}\nfrom mathutils import Quaternion\nview = space.region_3d\nview.view_perspective = 'ORTHO'\n\
                 view.view_location, view.view_distance = (0, 0, 0), 3\n\
                 view.view_rotation = Quaternion({rotation}).normalized()\nspace.shading.type = '{shading}'\n\
                 bpy.context.scene.eevee.taa_samples = 1\n\
                 bpy.context.scene.world.node_tree.nodes['Background'].inputs['Strength'].default_value = 10"
            ))?;
            let seen = || -> Result<([bool; 3], String)> {
                let (picture, said) = seen(&session, json!({"width": 96, "height": 64}))?;
                // In the middle is the mark of the cube's origin.
                Ok((colour(&picture, 46, 44), said))
            };
            // EEVEE draws grey until it has compiled the materials.
            let mut last = (BACKGROUND, String::new());
            let shown = blendwire_e2e::wait_until("the viewport to show the side", Duration::from_mins(2), || {
                last = seen().ok()?;
                (last.0 == *wanted).then_some(())
            });
            shown.with_context(|| format!("{shading}, {rotation}: {last:?}"))?;
            ensure!(last.1.contains("current view") && last.1.contains("drawn by viewport"), "{shading}: {}", last.1);
        }
        let kept =
            blender.result(&format!("{SPACE}\nresult = [space.shading.type, space.region_3d.view_perspective]"))?;
        ensure!(kept == json!([shading, "ORTHO"]), "{kept}");
    }
    sizes(environment, &blender, &session)?;
    let front =
        |shading: &str| json!({"view": "front", "shading": shading, "focus": "Cube", "width": 96, "height": 64});
    for (shading, within) in [("solid", [true, false, false]), ("wireframe", BACKGROUND)] {
        let (picture, said) = seen(&session, front(shading))?;
        ensure!(colour(&picture, 44, 44) == within, "{shading} shows the wrong inside; {said}");
    }
    Ok(())
}

/// EEVEE has a projection of its own: what it draws is as large as in the other shadings, in a picture of any shape. Through
/// a camera it shows the camera's frame.
fn sizes(environment: &Environment, blender: &Blender, session: &McpSession) -> Result<()> {
    let seen = "[space.lens, space.region_3d.view_perspective, space.region_3d.view_camera_zoom]";
    for (perspective, width, height) in [("ORTHO", 120, 160), ("PERSP", 240, 120), ("CAMERA", 240, 120)] {
        let before = blender.result(&format!(
            "{SPACE}\ncamera = bpy.data.objects['Camera']\ncamera.location, camera.rotation_euler = (0, 0, 7), (0, 0, 0)\n\
             camera.hide_set(True)\nspace.region_3d.view_perspective = '{perspective}'\n\
             space.region_3d.view_camera_zoom = 10\nresult = {seen}"
        ))?;
        let cube = |shading: &str, view: &str| -> Result<usize> {
            blender.result(&format!("{SPACE}\nspace.shading.type = '{shading}'"))?;
            let (bytes, said) = picture(session, json!({"width": width, "height": height, "view": view}))?;
            let file = format!("view-{view}-{perspective}-{shading}.png");
            fs_err::write(environment.artefacts.join(file), &bytes)?;
            ensure!(said.contains("camera's frame") == (perspective == "CAMERA" && shading == "RENDERED"), "{said}");
            let picture = Picture::from_png(&bytes)?;
            Ok((0..100).filter(|x| colour(&picture, *x, 47) != BACKGROUND).count())
        };
        let solid = cube("SOLID", if perspective == "CAMERA" { "camera" } else { "current" })?;
        let rendered = cube("RENDERED", "current")?;
        ensure!(
            (20..90).contains(&solid) && solid.abs_diff(rendered) <= 2,
            "{perspective}: the cube takes {solid} % of the width, and {rendered} % where it is rendered"
        );
        let after = blender.result(&format!("{SPACE}\nresult = {seen}"))?;
        ensure!(after == before, "{perspective}: {before} became {after}");
    }
    Ok(())
}

/// Lights, empties and cameras once were framed as the origin of the world.
fn places(environment: &Environment, flavour: Flavour) -> Result<()> {
    let (blender, session) = start(environment, flavour)?;
    // Only beside what is looked for is there something green; the origin has the cube, red in front.
    blender.result(&format!(
        "{PAINT}\nmark = bpy.data.objects.new('Mark', None)\nlight = bpy.data.objects['Light']\n\
         camera = bpy.data.objects['Camera']\nbpy.context.scene.collection.objects.link(mark)\n\
         for at, item in enumerate([mark, light, camera]):\n    item.location = (40 * at + 40, 0, 0)\n    \
            beside = bpy.data.objects.new('Beside', cube.data.copy())\n    beside.data.materials.clear()\n    \
            beside.data.materials.append(bpy.data.materials['back'])\n    beside.scale = (0.4, 0.4, 0.4)\n    \
            beside.location = (40 * at + 41, 0, 0)\n    bpy.context.scene.collection.objects.link(beside)",
    ))?;
    let front = |focus: &str| json!({"view": "front", "focus": focus, "width": 64, "height": 64});
    for focus in ["Mark", "Light", "Camera"] {
        let (picture, said) = seen(&session, front(focus))?;
        // Two metres to each side are framed, and a little air.
        let found = colour(&picture, 72, 50);
        ensure!(found == [false, true, false], "{focus}: {found:?}; {said}");
        ensure!(colour(&picture, 30, 50) == BACKGROUND, "{focus} is not in the middle; {said}");
        ensure!(said.contains("no surface to be drawn"), "{said}");
    }
    blender.result("bpy.data.objects['Cube'].hide_set(True)")?;
    let (_, said) = seen(&session, front("Cube"))?;
    ensure!(said.contains("hidden in the viewport: Cube"), "{said}");
    blender.result("bpy.data.objects['Mark'].location.x = float('nan')")?;
    let said = failure(&session, "get_viewport_image", front("Mark"))?;
    ensure!(said.contains("focus is nowhere"), "{said}");
    // It does not keep others from being seen.
    blender.result("bpy.data.objects['Cube'].hide_set(False)")?;
    let (picture, said) = seen(&session, front("Cube"))?;
    ensure!(colour(&picture, 50, 50) == [true, false, false], "{said}");
    // A forest is measured in part, and that is said.
    blender.result(
        "points = bpy.data.meshes.new('points')\n\
         points.from_pydata([(at % 200, at // 200, 0) for at in range(21_000)], [], [])\n\
         forest = bpy.data.objects.new('Forest', points)\nforest.instance_type = 'VERTS'\n\
         bpy.context.scene.collection.objects.link(forest)\nbpy.data.objects['Cube'].parent = forest",
    )?;
    let (_, said) = seen(&session, json!({"view": "top", "width": 64, "height": 64}))?;
    ensure!(said.contains("first 20000 objects and instances"), "{said}");
    blender.result("for item in list(bpy.data.objects):\n    bpy.data.objects.remove(item)")?;
    let (_, said) = seen(&session, json!({"view": "front", "width": 64, "height": 64}))?;
    ensure!(said.contains("nothing that has a shape is visible"), "{said}");
    Ok(())
}

/// Blender writes several views, as stereo has them, into files of other names.
fn stereo(environment: &Environment, flavour: Flavour) -> Result<()> {
    let (blender, session) = start(environment, flavour)?;
    blender.result(&format!(
        "{PAINT}\nscene = bpy.context.scene\nscene.render.engine = 'CYCLES'\nscene.cycles.samples = 1\n\
         scene.cycles.use_denoising = False\nscene.render.use_multiview = True\n\
         scene.render.image_settings.views_format = 'INDIVIDUAL'"
    ))?;
    for shading in ["material", "rendered"] {
        let (picture, said) = seen(&session, json!({"view": "camera", "shading": shading, "width": 64, "height": 48}))?;
        ensure!((picture.width, picture.height) == (64, 48), "{said}");
    }
    let path = blender.file("one.png");
    super::official_tools::value(&session, "render_thumbnail_to_path", json!({"output_path": path}))?;
    ensure!(path.exists(), "it is written elsewhere");
    ensure!(blender.result("result = bpy.context.scene.render.use_multiview")? == true, "it stays off");
    let call = session.call("render_image", json!({"width": 64}))?;
    ensure!(call.image_base64().is_some() && call.text().contains("this is one"), "{}", call.text());
    Ok(())
}

/// Measured is one scene, and drawn was the one of the window with the largest viewport.
fn other_window(environment: &Environment) -> Result<()> {
    let (blender, session) = start(environment, Flavour::Windowed)?;
    let windows = "here = bpy.context.window\n\
        others = [window for window in bpy.context.window_manager.windows if window != here]";
    // One after another: Blender comes round in between, as it does for a user.
    for code in [
        &format!("{PAINT}\nbpy.ops.wm.window_new_main()"),
        "other = bpy.data.scenes.new('Other')\ngreen = bpy.data.objects.new('Green', bpy.data.meshes['Cube'].copy())\n\
         green.data.materials.clear()\ngreen.data.materials.append(bpy.data.materials['back'])\n\
         other.collection.objects.link(green)",
        "here.workspace = bpy.data.workspaces['Scripting']",
        "others[0].scene = bpy.data.scenes['Other']",
    ] {
        blender.result(&format!("{windows}\n{code}"))?;
    }
    let sizes = "areas = {w.scene.name: max((a.width * a.height for a in w.screen.areas if a.type == 'VIEW_3D'), default=0)\n    \
        for w in bpy.context.window_manager.windows}\nresult = bpy.context.scene.name == 'Scene' and areas['Scene'] < areas['Other']";
    blendwire_e2e::wait_until("the other viewport to be larger", Duration::from_mins(1), || {
        (blender.result(sizes).ok()? == true).then_some(())
    })?;
    let (picture, said) = seen(&session, json!({"view": "front", "shading": "solid", "width": 64, "height": 64}))?;
    ensure!(colour(&picture, 50, 50) == [true, false, false], "it shows the other scene; {said}");
    Ok(())
}
