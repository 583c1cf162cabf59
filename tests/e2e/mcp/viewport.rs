// SPDX-License-Identifier: GPL-3.0-or-later
//! `get_viewport_image` from any side: contact sheets, single objects, directions, and a limit of bytes.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use blendwire_e2e::{Blender, Environment, Flavour, McpSession, Settings};
use serde_json::{Value, json};

use super::official_tools::{failure, start};
use crate::suite::{EVERYWHERE, Suite};

pub(crate) fn add(suite: &mut Suite) {
    for flavour in EVERYWHERE {
        suite.own(&format!("{}::viewport::shows_what_is_asked_for", flavour.name()), move |environment| {
            shows(environment, flavour)
        });
    }
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
