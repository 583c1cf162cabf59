// SPDX-License-Identifier: GPL-3.0-or-later
//! `get_viewport_image` from any side: contact sheets, single objects, directions, and a limit of bytes.

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use blendwire_e2e::{Environment, Flavour, McpSession};
use serde_json::{Value, json};

use super::official_tools::{failure, start};
use crate::suite::{EVERYWHERE, Suite};

pub(crate) fn add(suite: &mut Suite) {
    for flavour in EVERYWHERE {
        suite.own(&format!("{}::viewport::shows_what_is_asked_for", flavour.name()), move |environment| {
            shows(environment, flavour)
        });
    }
}

fn picture(session: &McpSession, arguments: Value) -> Result<(Vec<u8>, String)> {
    let call = session.call("get_viewport_image", arguments)?;
    let data = call.image_base64().with_context(|| format!("no picture: {}", call.text()))?;
    Ok((base64::engine::general_purpose::STANDARD.decode(data)?, call.text()))
}

fn shows(environment: &Environment, flavour: Flavour) -> Result<()> {
    let (blender, session) = start(environment, flavour)?;
    blender.result("bpy.ops.mesh.primitive_monkey_add(location=(3, 1, 1))\nbpy.context.object.name = 'Monkey'")?;
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
