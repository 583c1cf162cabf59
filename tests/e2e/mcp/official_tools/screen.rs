// SPDX-License-Identifier: GPL-3.0-or-later
//! The tools that show the window to the model, and something else to the user.

use std::collections::HashSet;

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use blendwire_e2e::{Blender, Environment, Flavour, McpSession, Settings};
use serde_json::{Value, json};

use super::{failure, start, start_with, value};
use crate::suite::Suite;

pub(super) fn add(suite: &mut Suite) {
    let mut own = |name: &str, test: fn(&Environment) -> Result<()>| {
        suite.own(&format!("windowed::official_tools::{name}"), test);
    };
    own("screenshots_show_the_window_and_each_editor", screenshots);
    own("a_screenshot_is_scaled_until_it_fits", scaled);
    own("the_window_is_described", described);
    own("workspaces_are_switched_to", tabs);
    own("objects_are_framed", objects);
    own("another_client_may_load_a_file_meanwhile", loaded_meanwhile);
    for flavour in [Flavour::Bpy50, Flavour::Bpy52] {
        let name = format!("{}::official_tools::without_a_window_it_is_said_what_to_use", flavour.name());
        suite.own(&name, move |environment| without_window(environment, flavour));
    }
}

fn large(environment: &Environment) -> Result<(Blender, McpSession)> {
    start_with(environment, Flavour::Windowed, &Settings { large_window: true, ..Settings::default() })
}

/// A picture as it crossed the wire, and the text beside it.
struct Shot {
    png: Vec<u8>,
    width: u32,
    height: u32,
    caption: String,
    colours: usize,
}

fn shot(environment: &Environment, session: &McpSession, name: &str, tool: &str, arguments: Value) -> Result<Shot> {
    let call = session.call(tool, arguments)?;
    let data = call.image_base64().with_context(|| format!("no picture: {}", call.text()))?;
    let png = base64::engine::general_purpose::STANDARD.decode(data)?;
    fs_err::write(environment.artefacts.join(format!("{name}.png")), &png)?;
    let mut reader = png::Decoder::new(std::io::Cursor::new(&png)).read_info()?;
    let mut pixels = vec![0; reader.output_buffer_size().context("too large")?];
    let info = reader.next_frame(&mut pixels)?;
    let colours = pixels.chunks(info.color_type.samples()).map(|pixel| &pixel[..3]).collect::<HashSet<_>>().len();
    Ok(Shot { width: info.width, height: info.height, caption: call.text(), colours, png })
}

const WINDOW: &str = "get_screenshot_of_window_as_image";
const AREA: &str = "get_screenshot_of_area_as_image";

fn screenshots(environment: &Environment) -> Result<()> {
    let (_blender, session) = large(environment)?;
    // What was changed just before is on it.
    let before = shot(environment, &session, "screenshot-window-before", WINDOW, json!({}))?;
    ensure!((before.width, before.height) == (1600, 1000), "{}", before.caption);
    ensure!(before.caption == "window, 1600×1000 pixels, not scaled", "{}", before.caption);
    ensure!(before.colours > 500, "{} colours", before.colours);
    let code = "bpy.ops.mesh.primitive_monkey_add(size=6)\nbpy.context.object.name = 'Suzanne Before You'";
    value(&session, "execute_blender_code", json!({"code": code}))?;
    let after = shot(environment, &session, "screenshot-window-after", WINDOW, json!({}))?;
    ensure!(after.png != before.png, "the picture is an old one");

    for (ui_type, says) in
        [("VIEW_3D", "VIEW_3D editor"), ("OUTLINER", "OUTLINER editor"), ("PROPERTIES", "PROPERTIES editor")]
    {
        let name = format!("screenshot-area-{ui_type}");
        let area = shot(environment, &session, &name, AREA, json!({"area_ui_type": ui_type}))?;
        ensure!(area.caption.starts_with(says) && area.width < 1600 && area.height < 1000, "{}", area.caption);
        ensure!(area.colours > 20, "{ui_type}: {} colours", area.colours);
    }
    let absent = failure(&session, AREA, json!({"area_ui_type": "SPREADSHEET"}))?;
    ensure!(absent.contains("OUTLINER") && absent.contains("jump_to_tab_by_space_type"), "{absent}");
    Ok(())
}

fn scaled(environment: &Environment) -> Result<()> {
    let (blender, session) = large(environment)?;
    for limit in [120_000_u32, 30_000] {
        let call = session.call(WINDOW, json!({"size_limit_in_bytes": limit}))?;
        let data = call.image_base64().with_context(|| format!("no picture: {}", call.text()))?;
        let jpeg = base64::engine::general_purpose::STANDARD.decode(data)?;
        fs_err::write(environment.artefacts.join(format!("screenshot-within-{limit}.jpg")), &jpeg)?;
        let (width, height) = jpeg_size(&jpeg).context("no JPEG")?;
        ensure!(jpeg.len() <= limit as usize && width <= 1600, "{} bytes, {width}×{height}", jpeg.len());
        let scale = f64::from(width) / 1600.0;
        let says = if width == 1600 { "not scaled".to_owned() } else { format!("by {scale:.2} to {width}×{height}") };
        ensure!(call.text().contains(&says), "{width}×{height}: {}", call.text());
        // Not wastefully small either.
        ensure!(jpeg.len() * 3 > limit as usize, "{} of {limit} bytes", jpeg.len());
    }
    let too_few = failure(&session, WINDOW, json!({"size_limit_in_bytes": 100}))?;
    ensure!(too_few.contains("allow more"), "{too_few}");
    let left = "import os\nresult = [name for name in os.listdir(bpy.app.tempdir) if name.startswith('blendwire-')]";
    ensure!(blender.result(left)? == json!([]), "something was left");
    Ok(())
}

/// Width and height, as the header of its frame has them.
fn jpeg_size(jpeg: &[u8]) -> Option<(u16, u16)> {
    let mut at = 2;
    loop {
        let [0xff, marker, length @ ..] = jpeg.get(at..at + 9)? else { return None };
        if matches!(marker, 0xc0..=0xc2) {
            let height = u16::from_be_bytes([length[3], length[4]]);
            return Some((u16::from_be_bytes([length[5], length[6]]), height));
        }
        at += 2 + usize::from(u16::from_be_bytes([length[0], length[1]]));
    }
}

fn described(environment: &Environment) -> Result<()> {
    let (_blender, session) = large(environment)?;
    let told = value(&session, "get_screenshot_of_window_as_json", json!({}))?;
    ensure!(told["window_width"] == 1600 && told["window_height"] == 1000, "{told}");
    ensure!(told["workspace"] == "Layout" && told["scene"] == "Scene", "{told}");
    let areas = told["areas"].as_array().context("no areas")?;
    let viewport = areas.iter().find(|area| area["type"] == "VIEW_3D").context("no viewport")?;
    ensure!(viewport["space"]["shading_type"] == "SOLID" && viewport["space"]["show_overlays"] == true, "{viewport}");
    let main = |region: &&Value| region["type"] == "WINDOW";
    let region = viewport["regions"].as_array().and_then(|regions| regions.iter().find(main)).context("no region")?;
    ensure!(region["width"].as_u64().is_some_and(|width| width > 500), "{viewport}");
    ensure!(told["active_object"]["name"] == "Cube" && told["active_object"]["mode"] == "OBJECT", "{told}");
    ensure!(told["selected_objects"] == json!([{"name": "Cube", "type": "MESH"}]), "{told}");
    Ok(())
}

fn tabs(environment: &Environment) -> Result<()> {
    let (blender, session) = large(environment)?;
    let shown = || blender.result("result = bpy.context.window.workspace.name");
    let by_name = |name: &str| json!({"name": name});
    ensure!(value(&session, "jump_to_tab_by_name", by_name("Shading"))?["workspace"] == "Shading");
    ensure!(shown()? == "Shading", "it was not switched");
    shot(environment, &session, "tab-shading", WINDOW, json!({}))?;
    let unknown = failure(&session, "jump_to_tab_by_name", by_name("Shadings"))?;
    ensure!(unknown.contains("Scripting"), "{unknown}");

    let by_type = |name: &str, allow_edits: bool| json!({"space_type": name, "allow_edits": allow_edits});
    let text = value(&session, "jump_to_tab_by_space_type", by_type("TEXT_EDITOR", false))?;
    ensure!(text["workspace"] == "Scripting" && shown()? == "Scripting", "{text}");
    let nodes = value(&session, "jump_to_tab_by_space_type", by_type("GeometryNodeTree", true))?;
    ensure!(nodes["workspace"] == "Geometry Nodes" && nodes.get("created").is_none(), "{nodes}");
    let uv = value(&session, "jump_to_tab_by_space_type", by_type("UV", false))?;
    ensure!(uv["workspace"] == "UV Editing", "{uv}");
    value(&session, "jump_to_tab_by_name", by_name("Geometry Nodes"))?;
    let known = failure(&session, "jump_to_tab_by_space_type", by_type("TextureNodeTree", false))?;
    ensure!(known.contains("no workspace is made for 'TextureNodeTree'") && known.contains("allow_edits"), "{known}");
    let none = failure(&session, "jump_to_tab_by_space_type", by_type("NLA_EDITOR", false))?;
    ensure!(none.contains("allow_edits") && shown()? == "Geometry Nodes", "{none}");
    let made = value(&session, "jump_to_tab_by_space_type", by_type("NLA_EDITOR", true))?;
    ensure!(made["workspace"] == "Nla Editor" && made["created"] == true && shown()? == "Nla Editor", "{made}");
    let types = "result = [area.type for area in bpy.context.window.screen.areas]";
    ensure!(blender.result(types)?.as_array().is_some_and(|types| types.contains(&json!("NLA_EDITOR"))));
    shot(environment, &session, "tab-made", WINDOW, json!({}))?;
    let made = value(&session, "jump_to_tab_by_space_type", by_type("DRIVERS", true))?;
    ensure!(made["created"] == true, "{made}");
    let types = "result = [area.ui_type for area in bpy.context.window.screen.areas]";
    ensure!(blender.result(types)?.as_array().is_some_and(|types| types.contains(&json!("DRIVERS"))));
    let senseless = failure(&session, "jump_to_tab_by_space_type", by_type("NO_EDITOR", true))?;
    ensure!(senseless.contains("VIEW_3D"), "{senseless}");
    Ok(())
}

fn objects(environment: &Environment) -> Result<()> {
    const OBJECT: &str = "jump_to_view3d_object_by_name";
    const DATA: &str = "jump_to_view3d_object_data_by_name";
    let (blender, session) = large(environment)?;
    blender.result(
        "bpy.ops.mesh.primitive_torus_add(location=(40, 0, 0))\nbpy.context.object.name = 'Ring'\n\
         bpy.context.object.data.name = 'Band'\nbpy.ops.mesh.primitive_cone_add(location=(0, 40, 0))\n\
         hidden = bpy.data.collections.new('Away')\nbpy.context.scene.collection.children.link(hidden)\n\
         item = bpy.context.object\nitem.users_collection[0].objects.unlink(item)\nhidden.objects.link(item)\n\
         bpy.context.view_layer.layer_collection.children['Away'].exclude = True\n\
         bpy.context.view_layer.objects.active = bpy.data.objects['Cube']\nbpy.ops.object.mode_set(mode='EDIT')",
    )?;
    let view = "areas = [a for a in bpy.context.window.screen.areas if a.type == 'VIEW_3D']\n\
        result = {'centre': [round(x) for x in areas[0].spaces.active.region_3d.view_location],\n\
        'selected': [o.name for o in bpy.context.selected_objects], 'mode': bpy.context.mode}";
    let ring = value(&session, OBJECT, json!({"name": "Ring"}))?;
    ensure!(
        ring["object"] == "Ring" && ring["type"] == "MESH" && ring["location"] == json!([40.0, 0.0, 0.0]),
        "{ring}"
    );
    let there = json!({"centre": [40, 0, 0], "selected": ["Ring"], "mode": "OBJECT"});
    ensure!(blender.result(view)? == there, "{}", blender.result(view)?);
    shot(environment, &session, "jump-to-ring", WINDOW, json!({}))?;

    let light = value(&session, OBJECT, json!({"name": "Light"}))?;
    ensure!(light["type"] == "LIGHT" && blender.result(view)?["selected"] == json!(["Light"]), "{light}");
    let by_data = value(&session, DATA, json!({"name": "Band"}))?;
    ensure!(by_data["object"] == "Ring" && by_data["data_name"] == "Band", "{by_data}");
    ensure!(blender.result(view)?["centre"] == json!([40, 0, 0]), "{}", blender.result(view)?);

    let hidden = failure(&session, OBJECT, json!({"name": "Cone"}))?;
    ensure!(hidden.contains("allow_edits=true"), "{hidden}");
    ensure!(blender.result(view)?["selected"] == json!(["Ring"]), "it was changed all the same");
    let revealed = value(&session, OBJECT, json!({"name": "Cone", "allow_edits": true}))?;
    ensure!(revealed["object"] == "Cone" && blender.result(view)?["centre"] == json!([0, 40, 0]), "{revealed}");
    // The user gets all that back.
    session.call("undo", json!({}))?;
    let excluded = blender.result("result = bpy.context.view_layer.layer_collection.children['Away'].exclude")?;
    ensure!(excluded == true, "it was not undone");

    let unknown = failure(&session, OBJECT, json!({"name": "Rings"}))?;
    ensure!(unknown.contains("'Ring'"), "{unknown}");
    let unknown = failure(&session, DATA, json!({"name": "Bands"}))?;
    ensure!(unknown.contains("'Band'"), "{unknown}");
    value(&session, OBJECT, json!({"name": "Ring"}))?;
    let local = "areas = [a for a in bpy.context.window.screen.areas if a.type == 'VIEW_3D']\n\
        with bpy.context.temp_override(area=areas[0], region=areas[0].regions[-1]):\n    bpy.ops.view3d.localview()";
    blender.result(local)?;
    let elsewhere = value(&session, OBJECT, json!({"name": "Cube"}))?;
    ensure!(elsewhere["message"].as_str().is_some_and(|message| message.contains("local view")), "{elsewhere}");
    Ok(())
}

/// The windows that a poll has seen before are gone then, and to touch them has Blender crash.
fn loaded_meanwhile(environment: &Environment) -> Result<()> {
    const ROUNDS: usize = 4;
    let (blender, session) = large(environment)?;
    let mut other = blender.wire()?;
    for round in 0..ROUNDS {
        let name = ["Shading", "Scripting"][round % 2];
        for (tool, arguments) in [
            (WINDOW, json!({})),
            (AREA, json!({"area_ui_type": "OUTLINER"})),
            ("jump_to_tab_by_name", json!({"name": name})),
        ] {
            // The load is there before the answer is.
            let answer = std::thread::scope(|scope| {
                let call = scope.spawn(|| session.call(tool, arguments));
                other.result("bpy.ops.wm.read_homefile(use_factory_startup=True)")?;
                call.join().ok().context("the call panicked")?
            })?;
            let said = answer.text();
            ensure!(
                !answer.is_error() || said.contains("another file loaded") || said.contains("no window"),
                "{tool}: {said}"
            );
        }
    }
    ensure!(blender.result("result = 'alive'")? == "alive");
    Ok(())
}

fn without_window(environment: &Environment, flavour: Flavour) -> Result<()> {
    let (_blender, session) = start(environment, flavour)?;
    for (tool, arguments, says) in [
        (WINDOW, json!({}), "get_viewport_image"),
        (AREA, json!({"area_ui_type": "VIEW_3D"}), "get_viewport_image"),
        ("get_screenshot_of_window_as_json", json!({}), "get_objects_summary"),
        ("jump_to_tab_by_name", json!({"name": "Shading"}), "no window"),
        ("jump_to_tab_by_space_type", json!({"space_type": "VIEW_3D"}), "no window"),
        ("jump_to_view3d_object_by_name", json!({"name": "Cube"}), "get_viewport_image"),
        ("jump_to_view3d_object_data_by_name", json!({"name": "Cube"}), "get_viewport_image"),
    ] {
        let said = failure(&session, tool, arguments)?;
        ensure!(said.contains(says), "{tool}: {said}");
    }
    Ok(())
}
