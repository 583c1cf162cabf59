// SPDX-License-Identifier: GPL-3.0-or-later
//! Blender's official MCP connector, as it comes from PyPI, in front of our add-on.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use blendwire_e2e::{Blender, Environment, Flavour, McpSession, Settings, free_port};
use serde_json::{Value, json};

use crate::suite::Suite;

pub(crate) fn add(suite: &mut Suite) {
    suite.own("windowed::connector::official_tools_answer", |environment| official(environment, Flavour::Windowed));
    suite.own("bpy_5_2::connector::official_tools_answer", |environment| official(environment, Flavour::Bpy52));
    suite.own("connector::what_it_takes_our_tools_take", same_tools);
}

/// What is found in no Blender: pages of a manual on the web.
const NOT_OURS: [&str; 1] = ["search_manual_docs"];

/// Parameters that ours take and make nothing of: another manual's, and the place in a list that ours does not cut so.
const OF_NO_USE: [(&str, &str); 2] = [("search_api_docs", "context"), ("search_api_docs", "index")];

/// Its tools that look into another file, where ours have a parameter.
const OF_A_FILE: &str = "_for_cli";

/// Whoever has learnt its tools may call ours in the same way.
fn same_tools(environment: &Environment) -> Result<()> {
    let mut connector = Command::new(&environment.connector);
    connector.args(["-m", "blmcp"]);
    let official = McpSession::start(connector)?.tools()?;
    let mut command = Command::new(&environment.blendwire);
    command.args(["mcp", "--port", &free_port()?.to_string()]);
    let ours = McpSession::start(command)?.tools()?;
    let mut compared = 0;
    for tool in official.iter().filter(|tool| !NOT_OURS.contains(&tool.name.as_ref())) {
        let theirs = serde_json::to_value(&tool.input_schema)?;
        let name = tool.name.strip_suffix(OF_A_FILE).unwrap_or(&tool.name);
        let found = ours.iter().find(|tool| tool.name == name).with_context(|| format!("{name} is missing"))?;
        let found = serde_json::to_value(&found.input_schema)?;
        for (parameter, theirs) in theirs["properties"].as_object().into_iter().flatten() {
            if OF_NO_USE.contains(&(name, parameter)) {
                continue;
            }
            let own = &found["properties"][parameter];
            let (own_types, mut their_types) = (types(own), types(theirs));
            if own_types.contains("number") {
                their_types.remove("integer");
            }
            ensure!(own.is_object() && their_types.is_subset(&own_types), "{name}, {parameter}: {theirs} and {own}");
        }
        for needed in found["required"].as_array().into_iter().flatten() {
            let is_needed = theirs["required"].as_array().is_some_and(|theirs| theirs.contains(needed));
            ensure!(is_needed, "{name} wants {needed}, and theirs does not");
        }
        compared += 1;
    }
    let twins = official.iter().filter(|tool| tool.name.ends_with(OF_A_FILE)).count();
    ensure!(compared >= 25 && twins >= 6, "{compared} tools, {twins} of them for a file");
    Ok(())
}

/// What a parameter may be, null aside: what may be null may be left out.
fn types(schema: &Value) -> BTreeSet<String> {
    let any_of = schema["anyOf"].as_array().map_or_else(|| vec![schema], |all| all.iter().collect());
    let named = any_of.into_iter().flat_map(|one| match &one["type"] {
        Value::Array(all) => all.clone(),
        one => vec![one.clone()],
    });
    named.filter_map(|named| named.as_str().map(str::to_owned)).filter(|named| named != "null").collect()
}

fn official(environment: &Environment, flavour: Flavour) -> Result<()> {
    let blender = Blender::start(environment, flavour, &Settings::default())?;
    // A small picture: the point is the deferred answer, not the render. Debian's Blender has no denoiser.
    blender.result(
        "scene = bpy.context.scene\nscene.render.engine = 'CYCLES'\nscene.cycles.samples = 4\n\
         scene.cycles.use_denoising = False\n\
         scene.render.resolution_x, scene.render.resolution_y = 160, 120",
    )?;
    let mut command = Command::new(&environment.connector);
    command.args(["-m", "blmcp"]);
    command.env("BLENDER_MCP_HOST", "127.0.0.1").env("BLENDER_MCP_PORT", blender.port.to_string());
    let session = McpSession::start(command)?;
    ensure!(session.tools()?.len() > 20, "the connector lists its tools");

    let run = session.call("execute_blender_code", json!({"code": "result = {'version': bpy.app.version_string}"}))?;
    let version = blender.result("result = bpy.app.version_string")?;
    ensure!(run.value()["result"]["version"] == version, "{}", run.text());
    for (tool, arguments, words) in [
        ("get_objects_summary", json!({}), "Cube"),
        ("get_object_detail_summary", json!({"name": "Cube"}), "MESH"),
        ("get_blendfile_summary_datablocks", json!({}), "ok"),
        ("get_blendfile_summary_path_info", json!({}), "ok"),
    ] {
        let answer = session.call(tool, arguments)?;
        ensure!(!answer.is_error() && answer.text().contains(words), "{tool}: {}", answer.text());
    }
    if flavour == Flavour::Bpy52 {
        // Its code needs `bpy.data.file_path_foreach`, which Blender 4.3 does not have.
        let missing = session.call("get_blendfile_summary_missing_files", json!({}))?;
        ensure!(missing.text().contains("ok"), "{}", missing.text());
    }
    if flavour == Flavour::Windowed {
        let shot = session.call("get_screenshot_of_window_as_image", json!({}))?;
        ensure!(shot.image_base64().is_some(), "{}", shot.text());
        let tab = session.call("jump_to_tab_by_name", json!({"name": "Modeling"}))?;
        ensure!(!tab.is_error(), "{}", tab.text());
    }
    for tool in ["render_thumbnail_to_path", "render_viewport_to_path"] {
        let answer = session.call(tool, json!({"output_path": format!("{tool}.png")}))?;
        let path = rendered(&answer.value()).with_context(|| format!("{tool}: {}", answer.text()))?;
        let bytes = fs_err::read(&path)?;
        ensure!(bytes.starts_with(b"\x89PNG"), "{tool} left no picture at {}", path.display());
    }
    ensure!(blender.result("result = 1")? == 1);
    Ok(())
}

/// The path that a render tool names in its reply.
fn rendered(reply: &Value) -> Result<PathBuf> {
    ensure!(reply["result"]["status"] == "ok", "{reply}");
    let path = reply["result"]["filepath"].as_str().context("no path")?;
    Ok(Path::new(path).to_owned())
}
