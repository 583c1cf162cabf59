// SPDX-License-Identifier: GPL-3.0-or-later
//! Our command and MCP server in front of an add-on that is not ours: mcp-for-blender's, as its package brings it, in a
//! Blender with a window, which it needs; and what the official connector's does on the wire.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use blendwire_e2e::{Blender, Environment, Flavour, McpSession, Process, Settings, free_port, wait_until};
use serde_json::{Value, json};

use crate::suite::Suite;

pub(crate) fn add(suite: &mut Suite) {
    suite.own("windowed::foreign::scripts_run_under_mcp_for_blenders_add_on_and_what_it_lacks_is_said", with_theirs);
    suite.own("bpy_5_2::foreign::tools_work_through_the_official_add_on_and_what_it_lacks_is_said", with_official);
}

/// Starts it at a port of its own, beside ours.
const START: &str = r"
import importlib.util, sys
spec = importlib.util.spec_from_file_location('their_addon', PATH)
module = sys.modules['their_addon'] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
module.register()
bpy.types.their_server = module.BlenderMCPServer(port=PORT)
bpy.types.their_server.start()
";

const SCRIPT: &str = "\
import bpy, math
print('on its way')
bpy.data.objects['Cube'].name = 'Würfel'
result = {'names': [o.name for o in bpy.data.objects], 'odd': [math.nan, {1: bpy.data}], 'text': 'ä\\n\"\u{1F9CA}'}
";

/// The add-on of mcp-for-blender, as its package has it: one file.
pub(crate) fn theirs(environment: &Environment) -> Result<PathBuf> {
    let mut command = Command::new(&environment.mcp_for_blender);
    command.args(["-c", "import blender_mcp.bundled as b; print(b.__path__[0])"]);
    Ok(Path::new(String::from_utf8(command.output()?.stdout)?.trim()).join("addon.py"))
}

fn with_theirs(environment: &Environment) -> Result<()> {
    let blender = Blender::start(environment, Flavour::Windowed, &Settings::default())?;
    let port = free_port()?;
    let path = blender.file("addon.py");
    fs_err::copy(theirs(environment)?, &path)?;
    blender.result(&START.replace("PATH", &json!(path).to_string()).replace("PORT", &port.to_string()))?;

    let run = |arguments: &[&str]| -> Result<Output> {
        let mut command = Command::new(&environment.blendwire);
        command.args(arguments).args(["--port", &port.to_string()]);
        Ok(command.env("BLENDWIRE_STATE_DIR", &blender.state).output()?)
    };
    let output = run(&["exec", "-c", SCRIPT])?;
    let (told, said) = (String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?);
    let said: String = said.split_inclusive('\n').filter(|line| !line.starts_with("still waiting")).collect();
    ensure!(output.status.success() && said == "on its way\n", "{told}{said}");
    let told: serde_json::Value = serde_json::from_str(&told)?;
    ensure!(told["names"].to_string().contains("Würfel") && told["text"] == "ä\n\"\u{1F9CA}", "{told}");
    ensure!(told["odd"][0] == "nan" && told["odd"][1]["1"].to_string().contains("BlendData"), "{told}");

    let output = run(&["exec", "-c", "print('before')\nx = 1\nraise SystemExit('enough')"])?;
    let said = String::from_utf8(output.stderr)?;
    ensure!(output.status.code() == Some(1), "{said}");
    ensure!(
        said.starts_with("before\n") && said.contains("line 3") && said.ends_with("SystemExit: enough\n"),
        "{said}"
    );

    let output = run(&["exec", "--rollback", "-c", "1"])?;
    let said = String::from_utf8(output.stderr)?;
    ensure!(said.contains("the add-on of mcp-for-blender") && said.contains("has no rollback"), "{said}");
    let output = run(&["status"])?;
    let said = String::from_utf8(output.stderr)?;
    ensure!(said.contains("has no status"), "{said}");
    let found = protocol(environment, &blender.state, port, "warning")?;
    ensure!(found["seen"].to_string().contains("mcp-for-blender"), "{found}");
    ensure!(found["remedies"][0].to_string().contains("blendwire addon install --disable-others"), "{found}");
    its_tools(environment, &blender, port)
}

/// What `doctor` says of who speaks there, as soon as that is in this state: the check has a deadline of its own, which a busy
/// machine may miss.
fn protocol(environment: &Environment, blendwire_state: &Path, port: u16, state: &str) -> Result<Value> {
    let mut last = Ok(Value::Null);
    let looked = wait_until("doctor to see who speaks", Duration::from_mins(1), || {
        last = protocol_now(environment, blendwire_state, port);
        last.as_ref().ok().filter(|finding| finding["state"] == state).cloned()
    });
    looked.with_context(|| format!("{last:?}"))
}

fn protocol_now(environment: &Environment, state: &Path, port: u16) -> Result<Value> {
    let mut command = Command::new(&environment.blendwire);
    command.args(["doctor", "protocol", "--json", "--port", &port.to_string()]).env("BLENDWIRE_STATE_DIR", state);
    let output = command.stdin(Stdio::null()).output()?;
    let found: Vec<Value> = serde_json::from_slice(&output.stdout).with_context(|| format!("{output:?}"))?;
    found.into_iter().find(|finding| finding["id"] == "protocol").with_context(|| format!("{output:?}"))
}

fn its_tools(environment: &Environment, blender: &Blender, port: u16) -> Result<()> {
    let mut command = Command::new(&environment.blendwire);
    command.args(["mcp", "--port", &port.to_string()]).env("BLENDWIRE_STATE_DIR", &blender.state);
    let session = McpSession::start(command)?;
    let objects = session.call("get_objects_summary", json!({}))?;
    ensure!(objects.text().contains("Würfel"), "{}", objects.text());
    ensure!(
        objects.text().contains("the add-on of mcp-for-blender (formerly blender-mcp), and not"),
        "{}",
        objects.text()
    );
    let again = session.call("execute_blender_code", json!({"code": "result = 6 * 7"}))?;
    ensure!(again.text().contains("42") && !again.text().contains("mcp-for-blender"), "said twice: {}", again.text());
    let picture = session.call("get_viewport_image", json!({"view": "front", "width": 200, "height": 150}))?;
    ensure!(picture.image_base64().is_some(), "{}", picture.text());
    // What waits for its answer: the window drawn anew, a background Blender.
    let window = session.call("get_screenshot_of_window_as_image", json!({}))?;
    ensure!(window.image_base64().is_some(), "{}", window.text());
    let tab = session.call("jump_to_tab_by_name", json!({"name": "Modeling"}))?;
    ensure!(tab.text().contains("Modeling") && !tab.is_error(), "{}", tab.text());
    let rendered = session.call("render_image", json!({"width": 64, "height": 64, "samples": 1}))?;
    ensure!(rendered.image_base64().is_some(), "{}", rendered.text());
    let found = session.call("search_api_docs", json!({"query": "bevel modifier segments"}))?;
    ensure!(found.value()["hits"][0]["path"] == "bpy.types.BevelModifier.segments", "{}", found.text());
    let late = "import itertools\ncount = itertools.count()\nprint('once')\n\
        def check_is_finished():\n    print('look')\n    return 1 / (next(count) < 2) if next(count) > 0 else None";
    let failed = session.call("execute_blender_code", json!({"code": late}))?;
    ensure!(failed.is_error() && failed.text().contains("ZeroDivisionError"), "{}", failed.text());
    ensure!(failed.text().contains("once\nlook\nlook"), "{}", failed.text());
    let undo = session.call("undo", json!({}))?;
    ensure!(undo.text().contains("has no undo"), "{}", undo.text());

    // The user stops it and starts ours there: the same session goes on, with all that ours has.
    blender.result("bpy.types.their_server.stop()")?;
    let is_free = || std::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, port)).ok();
    wait_until("their port is free", Duration::from_secs(20), is_free)?;
    let settings = Settings { port: Some(port), ..Settings::default() };
    let ours = Blender::start(environment, Flavour::Bpy52, &settings)?;
    let found = protocol(environment, &ours.state, port, "ok")?;
    ensure!(found["seen"].to_string().contains("Blendwire"), "{found}");
    let made = session.call("execute_blender_code", json!({"code": "bpy.data.meshes.new('New')"}))?;
    ensure!(made.text().contains("meshes") && !made.text().contains("mcp-for-blender"), "{}", made.text());
    let status = session.call("get_blender_status", json!({}))?;
    ensure!(status.text().contains("idle"), "{}", status.text());
    Ok(())
}

fn with_official(environment: &Environment) -> Result<()> {
    let port = free_port()?;
    let mut command = Command::new(&environment.bpy_5_2);
    command.arg(environment.workspace.join("tests/e2e/foreign/official_stand_in.py")).arg(port.to_string());
    let process = Process::start(&mut command, &environment.artefacts.join("official-stand-in.log"))?;
    wait_until("it listens", Duration::from_mins(1), || process.output().contains("listening").then_some(()))?;

    let folder = tempfile::tempdir()?;
    let mut command = Command::new(&environment.blendwire);
    command.args(["mcp", "--port", &port.to_string()]).env("BLENDWIRE_STATE_DIR", folder.path());
    let session = McpSession::start(command)?;
    let objects = session.call("get_objects_summary", json!({}))?;
    ensure!(objects.text().contains("Cube"), "{}", objects.text());
    ensure!(objects.text().contains("Blender's official MCP add-on"), "{}", objects.text());
    let again = session.call("execute_blender_code", json!({"code": "print('hi')\nresult = {1, 2}"}))?;
    ensure!(again.text().contains("{1, 2}") && again.text().contains("hi"), "{}", again.text());
    ensure!(!again.text().contains("official"), "said twice: {}", again.text());
    let failed = session.call("execute_blender_code", json!({"code": "1 / 0"}))?;
    ensure!(failed.text().contains("ZeroDivisionError"), "{}", failed.text());
    let late = "import itertools\ncount = itertools.count()\n\
        def check_is_finished():\n    return 'at last' if next(count) > 1 else None";
    let waited = session.call("execute_blender_code", json!({"code": late}))?;
    ensure!(waited.text().contains("at last"), "{}", waited.text());
    let picture = session.call("get_viewport_image", json!({"view": "front", "width": 64, "height": 64}))?;
    ensure!(picture.image_base64().is_some(), "{}", picture.text());
    // Hundreds of requests would take minutes here.
    let found = session.call("search_api_docs", json!({"query": "bevel modifier segments", "max_results": 300}))?;
    ensure!(found.value()["hits"][0]["path"] == "bpy.types.BevelModifier.segments", "{}", found.text());
    println!("the API was read through the official add-on and searched in {:?}", found.took);
    for tool in ["get_blender_status", "undo"] {
        let told = session.call(tool, json!({}))?;
        ensure!(told.text().contains("official connector"), "{tool}: {}", told.text());
    }
    let found = protocol(environment, folder.path(), port, "warning")?;
    ensure!(found["seen"].to_string().contains("official MCP add-on"), "{found}");
    ensure!(found["remedies"].to_string().contains("addon install --disable-others"), "{found}");
    // Ours in its place.
    drop(process);
    let settings = Settings { port: Some(port), ..Settings::default() };
    let ours = Blender::start(environment, Flavour::Bpy52, &settings)?;
    let found = protocol(environment, &ours.state, port, "ok")?;
    ensure!(found["seen"].to_string().contains("Blendwire"), "{found}");
    Ok(())
}
