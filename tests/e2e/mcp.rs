// SPDX-License-Identifier: GPL-3.0-or-later
//! Our MCP server over stdio, driven by the SDK's own client, in front of real Blenders.

mod api_docs;
mod clients;
mod concurrent;
mod conformance;
mod consent;
mod docs_of_addons;
pub(crate) mod http;
mod http_command;
mod notifications;
mod official_tools;
mod render_image;
mod resources;
mod viewport;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use blendwire_e2e::{Blender, Display, Environment, Flavour, Gate, McpSession, Settings, free_port, wait_until};
use serde_json::json;

pub(crate) use self::http::HttpClient;
pub(crate) use self::viewport::sides as each_side;
use crate::suite::Suite;

const SOON: Duration = Duration::from_secs(20);

const TOOLS: [&str; 29] = [
    "cancel_job",
    "execute_blender_code",
    "get_blender_status",
    "get_blendfile_summary_datablocks",
    "get_blendfile_summary_missing_files",
    "get_blendfile_summary_of_linked_libraries",
    "get_blendfile_summary_path_info",
    "get_blendfile_summary_usage_guess",
    "get_job",
    "get_object_detail_summary",
    "get_objects_summary",
    "get_python_api_docs",
    "get_screenshot_of_area_as_image",
    "get_screenshot_of_window_as_image",
    "get_screenshot_of_window_as_json",
    "get_viewport_image",
    "jump_to_tab_by_name",
    "jump_to_tab_by_space_type",
    "jump_to_view3d_object_by_name",
    "jump_to_view3d_object_data_by_name",
    "launch_blender",
    "list_blender_instances",
    "redo",
    "render_image",
    "render_thumbnail_to_path",
    "render_viewport_to_path",
    "search_api_docs",
    "select_blender_instance",
    "undo",
];

pub(crate) fn add(suite: &mut Suite) {
    for flavour in [Flavour::Bpy42, Flavour::Bpy50, Flavour::Bpy52, Flavour::Windowed] {
        suite.own(&format!("{}::mcp::every_tool_answers", flavour.name()), move |environment| {
            every_tool(environment, flavour)
        });
    }
    official_tools::add(suite);
    render_image::add(suite);
    viewport::add(suite);
    api_docs::add(suite);
    docs_of_addons::add(suite);
    suite.own("mcp::a_cancelled_call_stops_blender", cancelled);
    suite.own("windowed::mcp::a_cancelled_undo_undoes_nothing", cancelled_undo);
    suite.own("mcp::starts_with_blender_closed_and_finds_it_later", starts_closed);
    suite.own("mcp::launch_blender_starts_one_and_drives_it", |environment| launches(environment, true));
    suite.own("mcp::launch_blender_needs_no_port", |environment| launches(environment, false));
    suite.own("windowed::mcp::launch_blender_opens_a_file_in_a_window", with_a_window);
    suite.own("mcp::launch_blender_leaves_it_at_the_one_that_runs", one_runs);
    conformance::add(suite);
    clients::add(suite);
    concurrent::add(suite);
    consent::add(suite);
    http::add(suite);
    http_command::add(suite);
    notifications::add(suite);
    resources::add(suite);
}

fn session(environment: &Environment, port: u16) -> Result<McpSession> {
    let mut command = Command::new(&environment.blendwire);
    command.args(["mcp", "--port", &port.to_string()]);
    McpSession::start(command)
}

pub(crate) fn every_tool(environment: &Environment, flavour: Flavour) -> Result<()> {
    let blender = Blender::start(environment, flavour, &Settings::default())?;
    let session = session(environment, blender.port)?;
    let mut names: Vec<String> = session.tools()?.iter().map(|tool| tool.name.to_string()).collect();
    names.sort();
    ensure!(names == TOOLS, "{names:?}");

    let code = "import bpy\nprint('made')\nbpy.ops.mesh.primitive_uv_sphere_add(location=(1, 2, 3))\n\
        bpy.context.object.name = 'Ball'\nresult = {'objects': len(bpy.data.objects)}";
    let made = session.call("execute_blender_code", json!({"code": code}))?;
    ensure!(made.value()["result"]["objects"] == 4 && made.value()["stdout"] == "made\n", "{}", made.value());
    let added = &made.value()["changes"]["added"];
    ensure!(*added == json!({"meshes": ["Sphere"], "objects": ["Ball"]}), "{}", made.value());
    let idle = session.call("execute_blender_code", json!({"code": "result = 1"}))?;
    ensure!(idle.value()["changes"] == json!({}), "{}", idle.value());
    let failed = session.call("execute_blender_code", json!({"code": "x = 1\nraise ValueError('why')"}))?;
    ensure!(
        failed.is_error() && failed.text().contains("line 2") && failed.text().contains("ValueError: why"),
        "{}",
        failed.text()
    );

    let half = json!({"code": "bpy.data.objects['Ball'].location.x = 7\n1 / 0", "rollback": true});
    let taken_back = session.call("execute_blender_code", half)?;
    ensure!(taken_back.is_error() && taken_back.text().contains("was taken back"), "{}", taken_back.text());
    travels(&session, flavour)?;

    let status = session.call("get_blender_status", json!({}))?;
    ensure!(status.value()["pid"] == blender.process.pid(), "{}", status.value());

    let objects = session.call("get_objects_summary", json!({}))?;
    ensure!(objects.text().contains("Ball"), "{}", objects.text());
    let detail = session.call("get_object_detail_summary", json!({"name": "Ball"}))?.value();
    ensure!(detail["type"] == "MESH" && detail["location"] == json!([1.0, 2.0, 3.0]), "{detail}");
    let unknown = session.call("get_object_detail_summary", json!({"name": "Bal"}))?;
    ensure!(unknown.is_error() && unknown.text().contains("Ball"), "{}", unknown.text());

    for arguments in [json!({}), json!({"view": "front", "shading": "wireframe", "width": 320, "height": 200})] {
        let image = session.call("get_viewport_image", arguments.clone())?;
        let data = image.image_base64().with_context(|| format!("no picture: {}", image.text()))?;
        let bytes = base64::engine::general_purpose::STANDARD.decode(data)?;
        ensure!(bytes.starts_with(b"\x89PNG\r\n\x1a\n"), "not a PNG");
        let view = arguments["view"].as_str().unwrap_or("default");
        fs_err::write(environment.artefacts.join(format!("viewport-{}-{view}.png", flavour.name())), bytes)?;
    }
    Ok(())
}

/// In a window each call is one step; in the background there are none, which is said.
fn travels(session: &McpSession, flavour: Flavour) -> Result<()> {
    let undone = session.call("undo", json!({}))?;
    if flavour != Flavour::Windowed {
        ensure!(undone.is_error() && undone.text().contains("without a window"), "{}", undone.text());
        return Ok(());
    }
    ensure!(undone.value()["steps"] == 1, "{}", undone.text());
    let code = json!({"code": "result = 'Ball' in bpy.data.objects"});
    ensure!(session.call("execute_blender_code", code.clone())?.value()["result"] == false, "it was not undone");
    ensure!(session.call("redo", json!({"steps": 1}))?.value()["steps"] == 1);
    ensure!(session.call("execute_blender_code", code)?.value()["result"] == true, "it was not redone");
    Ok(())
}

/// `notifications/cancelled` ends the script in Blender, not only the wait for it.
fn cancelled(environment: &Environment) -> Result<()> {
    let blender = Blender::start(environment, Flavour::Bpy52, &Settings::default())?;
    let session = session(environment, blender.port)?;
    let last_line = || -> Option<String> {
        let (_, status) = blendwire_e2e::http(blender.port, "GET /status", "").ok()?;
        let status: serde_json::Value = serde_json::from_str(&status).ok()?;
        Some(status["running"]["last_output_line"].as_str().unwrap_or("nothing runs").to_owned())
    };
    let code = "print('turning')\nwhile True: pass";
    session.call_and_cancel("execute_blender_code", json!({"code": code}), || {
        wait_until("the script to run", SOON, || last_line().filter(|line| line == "turning").map(drop))
    })?;
    wait_until("the script to be interrupted", SOON, || last_line().filter(|line| line == "nothing runs"))?;
    let next = session.call("execute_blender_code", json!({"code": "result = 1"}))?;
    ensure!(next.value()["result"] == 1, "{}", next.text());
    Ok(())
}

/// The user's work is not undone by a call that was taken back while it waited.
fn cancelled_undo(environment: &Environment) -> Result<()> {
    let blender = Blender::start(environment, Flavour::Windowed, &Settings::default())?;
    let session = session(environment, blender.port)?;
    let edited = json!({"code": "bpy.data.objects['Cube'].location.x = 5"});
    ensure!(!session.call("execute_blender_code", edited)?.is_error());
    let status = || -> Option<serde_json::Value> {
        let (_, status) = blendwire_e2e::http(blender.port, "GET /status", "").ok()?;
        serde_json::from_str(&status).ok()
    };
    let wait_for = |waiting: u64| move |status: serde_json::Value| (status["queue"]["length"] == waiting).then_some(());
    let gate = Gate::closed(blender.file("script"));
    let mut other = blender.wire()?;
    other.send(&blendwire_e2e::execute_request(&gate.wait()))?;
    wait_until("the script to run", SOON, || status().filter(|status| status["running"].is_object()))?;
    session.call_and_cancel("undo", json!({}), || {
        wait_until("the undo to wait", SOON, || status().and_then(wait_for(1)))
    })?;
    wait_until("the undo to be taken out", SOON, || status().and_then(wait_for(0)))?;
    gate.open()?;
    ensure!(other.reply()?["status"] == "ok");
    let there =
        session.call("execute_blender_code", json!({"code": "result = bpy.data.objects['Cube'].location.x"}))?;
    ensure!(there.value()["result"] == 5.0, "{}", there.text());
    Ok(())
}

/// A session that finds the tests' own Blenders and starts the windowed one.
fn launching(environment: &Environment, folder: &Path, arguments: &[&str]) -> Result<McpSession> {
    McpSession::start(launcher(environment, folder, arguments)?)
}

fn launcher(environment: &Environment, folder: &Path, arguments: &[&str]) -> Result<Command> {
    let mut command = Command::new(&environment.blendwire);
    command.arg("mcp").args(arguments);
    command
        .env("BLENDWIRE_BLENDER", &environment.blender)
        .env("BLENDER_USER_RESOURCES", folder.join("resources"))
        .env("BLENDWIRE_DATA_DIR", crate::command::data_folder(environment)?)
        .env("BLENDWIRE_STATE_DIR", folder.join("state"))
        .env("BLENDWIRE_CONFIG_DIR", folder.join("config"))
        .env("XDG_RUNTIME_DIR", folder);
    Ok(command)
}

fn with_a_window(environment: &Environment) -> Result<()> {
    let folder = tempfile::tempdir()?;
    // Saved by an older Blender than the one that is to open it.
    let file = crate::command::saved_scene(&environment.bpy_4_2, folder.path())?;
    let display = Display::start(&environment.xvfb)?;
    let port = free_port()?.to_string();
    let mut command = launcher(environment, folder.path(), &["--port", &port])?;
    command.env("DISPLAY", &display.name).env("LIBGL_ALWAYS_SOFTWARE", "1");
    let session = McpSession::start(command)?;
    let begun = session.call("launch_blender", json!({"file": file}))?;
    let pid = begun.value()["pid"].as_u64().with_context(|| begun.text())?;
    let looked = session.call(
        "execute_blender_code",
        json!({"code": "result = [bpy.data.filepath, 'Saved' in bpy.data.objects, len(bpy.context.window_manager.windows)]"}),
    );
    let picture = session.call("get_screenshot_of_window_as_image", json!({}));
    Command::new("kill").arg(pid.to_string()).status()?;
    ensure!(begun.value()["background"] == false, "{}", begun.text());
    ensure!(looked?.value()["result"] == json!([file, true, 1]), "another file, or no window");
    let picture = picture?;
    ensure!(picture.image_base64().is_some(), "{}", picture.text());
    Ok(())
}

fn one_runs(environment: &Environment) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let settings = Settings { state: Some(folder.path().join("state")), ..Settings::default() };
    let other = Blender::start(environment, Flavour::Bpy52, &settings)?;
    let session = launching(environment, folder.path(), &[])?;
    let begun = session.call("launch_blender", json!({"background": true}))?;
    let at = format!(":{} already", other.port);
    ensure!(begun.is_error() && begun.text().contains(&at), "{}", begun.text());
    Ok(())
}

/// At the session's port, or wherever there is room.
fn launches(environment: &Environment, at_port: bool) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let port = free_port()?.to_string();
    let at: &[&str] = &["--port", &port];
    let session = launching(environment, folder.path(), if at_port { at } else { &[] })?;
    for round in 0..2 {
        let begun = wait_until("the Blender of before to have ended", SOON, || {
            let begun = session.call("launch_blender", json!({"background": true})).ok()?;
            (!begun.text().contains("already")).then_some(begun)
        })?;
        ensure!(!begun.is_error() && begun.value()["background"] == true, "{}", begun.text());
        let pid = session.call("execute_blender_code", json!({"code": "import os\nresult = os.getpid()"}))?;
        let pid = pid.value()["result"].clone();
        // Chosen by name, it is not missed when it has ended and another is started.
        let chosen = session.call("select_blender_instance", json!({"id": begun.value()["instance"]}))?;
        let ended = Command::new("kill").arg(pid.to_string()).status()?;
        ensure!(ended.success(), "the Blender that was launched, {pid}, had ended");
        ensure!(pid == begun.value()["pid"], "round {round}: {pid} answered");
        ensure!(chosen.value()["pid"] == pid, "{}", chosen.text());
    }
    let said = wait_until("that Blender to end", SOON, || {
        let no_file = session.call("launch_blender", json!({"file": "--python-expr=1", "background": true})).ok()?;
        (!no_file.text().contains("already")).then(|| no_file.text())
    })?;
    ensure!(said.contains("cannot open --python-expr=1"), "{said}");
    Ok(())
}

fn starts_closed(environment: &Environment) -> Result<()> {
    let port = free_port()?;
    let session = session(environment, port)?;
    let before = std::time::Instant::now();
    ensure!(session.tools()?.len() == TOOLS.len());
    let (handshake, listing) = (session.handshake, before.elapsed());
    println!("with Blender closed initialize took {handshake:?}, tools/list {listing:?}");
    // Milliseconds, on a machine that does nothing else besides.
    ensure!(handshake.max(listing) < Duration::from_secs(2), "initialize {handshake:?}, tools/list {listing:?}");
    let closed = session.call("get_objects_summary", json!({}))?;
    ensure!(closed.is_error() && closed.text().contains("call launch_blender"), "{}", closed.text());

    let settings = Settings { port: Some(port), ..Settings::default() };
    let blender = Blender::start(environment, Flavour::Bpy52, &settings)?;
    let open = session.call("execute_blender_code", json!({"code": "result = 1"}))?;
    ensure!(open.value()["result"] == 1, "{}", open.text());
    // Blender ends between two calls and comes back.
    drop(blender);
    let gone = session.call("execute_blender_code", json!({"code": "result = 2"}))?;
    ensure!(gone.is_error(), "{}", gone.text());
    let blender = Blender::start(environment, Flavour::Bpy52, &settings)?;
    let back = session.call("execute_blender_code", json!({"code": "result = 3"}))?;
    ensure!(back.value()["result"] == 3, "{}", back.text());
    // Now without a call that would have noticed.
    drop(blender);
    let _blender = Blender::start(environment, Flavour::Bpy52, &settings)?;
    let restarted = session.call("execute_blender_code", json!({"code": "result = 4"}))?;
    ensure!(restarted.value()["result"] == 4, "{}", restarted.text());
    Ok(())
}
