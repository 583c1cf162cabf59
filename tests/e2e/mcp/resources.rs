// SPDX-License-Identifier: GPL-3.0-or-later
//! What a client reads of Blender without a tool, and the prompts, over the transport.

use anyhow::{Context as _, Result, ensure};
use blendwire_e2e::{Environment, Flavour, McpSession};
use serde_json::{Value, json};

use super::official_tools::start;
use crate::suite::{EVERYWHERE, Suite};

pub(super) fn add(suite: &mut Suite) {
    for flavour in EVERYWHERE {
        suite.own(&format!("{}::mcp::resources_show_the_open_file", flavour.name()), move |environment| {
            resources(environment, flavour)
        });
    }
}

fn resources(environment: &Environment, flavour: Flavour) -> Result<()> {
    let (blender, session) = start(environment, flavour)?;
    // Names as people give them: what an address has to escape, and what it has to leave alone.
    blender.result(
        "bpy.data.objects['Cube'].name = 'Würfel 1/2 %41'\ntext = bpy.data.texts.new('notes & ideas.txt')\n\
         text.write('first\\nzweite Zeile ü\\n')\nbpy.context.scene.frame_end = 77",
    )?;
    let scene = session.resource("blender://scene")?;
    ensure!(scene["scene"] == "Scene" && scene["frames"]["end"] == 77 && scene["camera"] == "Camera", "{scene}");
    let objects = session.resource_text("blender://objects")?;
    ensure!(objects.contains("Würfel 1/2 %41") && objects.contains("Light"), "{objects}");
    let object = session.resource("blender://object/W%C3%BCrfel%201%2F2%20%2541")?;
    ensure!(object["type"] == "MESH" && object["name"] == "Würfel 1/2 %41", "{object}");
    let texts = session.resource("blender://texts")?;
    ensure!(texts["texts"][0]["name"] == "notes & ideas.txt" && texts["texts"][0]["lines"] == 3, "{texts}");
    let text = session.resource_text("blender://text/notes%20%26%20ideas.txt")?;
    ensure!(text == "first\nzweite Zeile ü\n", "{text}");
    let log = session.resource_text("blender://log")?;
    ensure!(log.contains("listening on"), "{log}");
    for (address, says) in [
        ("blender://object/Ligt", "Light"),
        ("blender://text/none", "notes & ideas.txt"),
        ("blender://nothing", "resources/list"),
        ("blender://object/%FF", "UTF-8"),
    ] {
        let refused = session.resource_text(address).err().with_context(|| format!("{address} was read"))?;
        ensure!(format!("{refused:#}").contains(says), "{address}: {refused:#}");
    }
    large(&session)?;
    let prompt = session.prompt("material_setup", json!({"look": "wet {asphalt}"}))?;
    ensure!(prompt.contains("wet {asphalt}") && prompt.contains("the active object"), "{prompt}");
    let missing = session.prompt("material_setup", json!({})).err().context("no look was needed")?;
    ensure!(format!("{missing:#}").contains("needs the argument"), "{missing:#}");
    Ok(())
}

/// What no client could take at once comes in pages, and whole.
fn large(session: &McpSession) -> Result<()> {
    let fill = "text = bpy.data.texts.new('long')\ntext.write('zeile ü\\n' * 40_000)";
    ensure!(!session.call("execute_blender_code", json!({"code": fill}))?.is_error());
    let told = session.resource("blender://text/long")?["too_large"].take();
    let first = told["first_page"].as_str().with_context(|| told.to_string())?.to_owned();
    let address = first.strip_suffix('1').context("the first page is not number 1")?;
    let mut whole = String::new();
    for page in 1..=told["pages"].as_u64().context("no pages")? {
        whole += &session.resource_text(&format!("{address}{page}"))?;
    }
    ensure!(whole == "zeile ü\n".repeat(40_000) && told["bytes"] == whole.len(), "{} bytes of {told}", whole.len());
    let beyond: Value = session.resource("blender://scene")?;
    ensure!(beyond["too_large"].is_null(), "{beyond}");
    Ok(())
}
