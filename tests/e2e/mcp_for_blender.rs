// SPDX-License-Identifier: GPL-3.0-or-later
//! The dialect of mcp-for-blender: its bytes, and its MCP server as it comes from PyPI in front of our add-on.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use blendwire_e2e::{Blender, Environment, Flavour, Gate, McpSession, Picture, Settings, Wire, http, wait_until};
use serde_json::{Value, json};

use crate::suite::{EVERYWHERE, Suite};

pub(crate) fn add(suite: &mut Suite) {
    suite.shared(&EVERYWHERE, "bare::core_commands_answer_as_its_client_expects", core_commands);
    suite.shared(&EVERYWHERE, "bare::sent_code_prints_and_raises", sent_code);
    suite.shared(&EVERYWHERE, "bare::nothing_follows_the_closing_brace", exact_bytes);
    suite.shared(&EVERYWHERE, "bare::pieces_and_pipelined_requests", pieces);
    suite.shared(&EVERYWHERE, "bare::what_needs_no_blender_is_answered_while_it_is_busy", while_busy);
    suite.shared(&EVERYWHERE, "bare::a_framed_request_whose_nul_is_late_is_not_taken_for_bare", late_nul);
    suite.shared(&EVERYWHERE, "bare::malformed_requests_cost_one_answer_each", malformed);
    suite.shared(&EVERYWHERE, "bare::twenty_megabytes_each_way", large);
    suite.shared(&[Flavour::Bpy52], "bare::too_large_a_request_is_refused_in_words", too_large);
    suite.shared(&EVERYWHERE, "bare::both_dialects_at_the_same_time", both_dialects);
    suite.own("windowed::bare::a_screenshot_is_what_the_viewport_shows", |environment| {
        screenshots(environment, Flavour::Windowed)
    });
    suite.own("bpy_5_2::bare::a_screenshot_is_rendered_where_there_is_no_window", |environment| {
        screenshots(environment, Flavour::Bpy52)
    });
    suite.own("windowed::mcp_for_blender::its_server_works", |environment| its_server(environment, Flavour::Windowed));
    suite.own("bpy_5_2::mcp_for_blender::its_server_works", |environment| its_server(environment, Flavour::Bpy52));
}

fn message(command: &str, params: &Value) -> Vec<u8> {
    json!({"type": command, "params": params}).to_string().into_bytes()
}

fn ask(wire: &mut Wire, command: &str, params: &Value) -> Result<Value> {
    wire.send(&message(command, params))?;
    wire.bare_reply().with_context(|| format!("no answer to {command}"))
}

/// The result of a command that must succeed.
fn result(wire: &mut Wire, command: &str, params: &Value) -> Result<Value> {
    let mut reply = ask(wire, command, params)?;
    ensure!(reply["status"] == "success", "{command}: {reply}");
    Ok(reply["result"].take())
}

/// The message of a command that must fail.
fn failure(wire: &mut Wire, command: &str, params: &Value) -> Result<String> {
    let reply = ask(wire, command, params)?;
    ensure!(reply["status"] == "error", "{command}: {reply}");
    Ok(reply["message"].as_str().context("no message")?.to_owned())
}

fn core_commands(blender: &mut Blender) -> Result<()> {
    let version = blender.result(
        "bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=False)\nresult = bpy.app.version_string",
    )?;
    let mut wire = blender.wire()?;
    let info = result(&mut wire, "get_addon_info", &json!({}))?;
    ensure!(info["protocol_version"] == 15 && info["blender_version"] == version, "{info}");
    let scene = result(&mut wire, "get_scene_info", &json!({}))?;
    ensure!(scene["object_count"] == 3 && scene["name"] == "Scene", "{scene}");
    ensure!(scene["objects"].to_string().contains(r#""name":"Cube","type":"MESH""#), "{scene}");
    let status: Value = serde_json::from_str(&http(blender.port, "GET /status", "")?.1)?;
    ensure!(status["last"]["title"] == "get_scene_info" && status["last"]["ok"] == true, "{status}");

    let cube = result(&mut wire, "get_object_info", &json!({"name": "Cube"}))?;
    ensure!(cube["mesh"] == json!({"vertices": 8, "edges": 12, "polygons": 6}) && cube["visible"] == true, "{cube}");
    ensure!(cube["world_bounding_box"] == json!([[-1.0, -1.0, -1.0], [1.0, 1.0, 1.0]]), "{cube}");
    let light = result(&mut wire, "get_object_info", &json!({"name": "Light"}))?;
    ensure!(light["type"] == "LIGHT" && light.get("mesh").is_none(), "{light}");
    let unknown = failure(&mut wire, "get_object_info", &json!({"name": "Cub'\"\n"}))?;
    ensure!(unknown.starts_with("Object not found: 'Cub\\'\"\\n'") && unknown.contains("'Cube'"), "{unknown}");
    let params = failure(&mut wire, "get_object_info", &json!({}))?;
    ensure!(params.contains("missing field `name`"), "{params}");
    Ok(())
}

fn sent_code(blender: &mut Blender) -> Result<()> {
    let mut wire = blender.wire()?;
    let ran = result(&mut wire, "execute_code", &json!({"code": "x = 'ü'\nprint(x)\nprint(bpy.app.background)"}))?;
    let background = if blender.flavour == Flavour::Windowed { "False" } else { "True" };
    ensure!(ran == json!({"executed": true, "result": format!("ü\n{background}\n")}), "{ran}");
    let failed = failure(&mut wire, "execute_code", &json!({"code": "print('before')\nraise ValueError('why')"}))?;
    let detail: Value = serde_json::from_str(&failed).context("its client unpacks JSON")?;
    ensure!(detail["exception_type"] == "ValueError" && detail["message"] == "why", "{detail}");
    let traceback = detail["traceback"].as_str().unwrap_or_default();
    ensure!(traceback.contains("line 2") && traceback.contains("raise ValueError('why')"), "{detail}");
    ensure!(detail["stdout"] == "before\n", "{detail}");
    let ended = failure(&mut wire, "execute_code", &json!({"code": "raise SystemExit(3)"}))?;
    ensure!(ended.contains("SystemExit"), "{ended}");
    ensure!(result(&mut wire, "execute_code", &json!({"code": ""}))?["result"] == "");
    Ok(())
}

fn exact_bytes(blender: &mut Blender) -> Result<()> {
    let mut wire = blender.wire()?;
    for command in ["get_telemetry_consent", "get_scene_info", "no_such_command"] {
        ask(&mut wire, command, &json!({}))?;
        ensure!(wire.is_silent_for(Duration::from_millis(200))?, "something follows the reply to {command}");
    }
    wire.send(&message("get_telemetry_consent", &json!({})))?;
    wire.finish_sending()?;
    let all = wire.read_to_end()?;
    let expected = br#"{"status": "success", "result": {"consent":false}}"#;
    ensure!(all == expected, "{:?}", String::from_utf8_lossy(&all));
    Ok(())
}

fn pieces(blender: &mut Blender) -> Result<()> {
    let mut wire = blender.wire()?;
    let code = message("execute_code", &json!({"code": "print('a}\"{')"}));
    for piece in code.chunks(3) {
        wire.send(piece)?;
        std::thread::sleep(Duration::from_millis(5));
    }
    ensure!(wire.bare_reply()?["result"]["result"] == "a}\"{\n");
    let all: Vec<u8> = (0..50).flat_map(|n| message("execute_code", &json!({"code": format!("print({n})")}))).collect();
    for piece in all.chunks(700) {
        wire.send(piece)?;
    }
    for number in 0..50 {
        let reply = wire.bare_reply()?;
        ensure!(reply["result"]["result"] == format!("{number}\n"), "{reply} instead of {number}");
    }
    // Pipelined from the first byte on, and with white space between.
    let mut wire = blender.wire()?;
    wire.send(b" {\"type\": \"get_telemetry_consent\"}{\"type\": \"ping\"}\r\n {\"type\": \"get_meshy_status\"}")?;
    ensure!(wire.bare_reply()?["result"]["consent"] == false);
    ensure!(wire.bare_reply()?["result"]["pong"] == true);
    ensure!(wire.bare_reply()?["result"]["enabled"] == false);
    Ok(())
}

/// The main thread is kept until all are answered.
fn while_busy(blender: &mut Blender) -> Result<()> {
    let gate = Gate::closed(blender.file("bare-while-busy"));
    let mut busy = blender.wire()?;
    busy.ask(&json!({"type": "execute", "id": "busy", "code": format!("{}\nresult = 1", gate.wait())}))?;
    wait_until("the main thread to be kept", Duration::from_mins(1), || {
        let status = blender.wire().ok()?.answer(&json!({"type": "status"})).ok()?;
        (status["result"]["running"]["id"] == "busy").then_some(())
    })?;
    let mut wire = blender.wire()?;
    for command in ["get_addon_info", "get_telemetry_consent", "get_polyhaven_status", "get_hyper3d_status"] {
        result(&mut wire, command, &json!({}))?;
    }
    for command in ["search_sketchfab_models", "create_rodin_job", "a_command_of_a_later_version"] {
        let message = failure(&mut wire, command, &json!({"uid": "x"}))?;
        ensure!(message.contains(command) && message.contains("Blendwire"), "{message}");
        // Its client would take these words for an old add-on and have the user install another one.
        ensure!(!message.contains("Unknown command type"), "{message}");
    }
    let refused = failure(&mut wire, "set_telemetry_consent", &json!({"consent": true}))?;
    ensure!(refused.contains("nobody agreed"), "{refused}");
    ensure!(result(&mut wire, "set_telemetry_consent", &json!({"consent": false}))?["consent"] == false);
    gate.open()?;
    ensure!(busy.reply()?["result"] == 1);
    Ok(())
}

fn late_nul(blender: &mut Blender) -> Result<()> {
    for request in [
        r#"{"type": "execute", "code": "result = 'pong'"}"#,
        r#"{"type": "execute", "code": "result = 'pong'", "params": {}}"#,
        r#"{"type": "ping"}"#,
        r#"{"type": "ping", "params": {}}"#,
        r#"{"params": {"type": "get_scene_info"}, "type": "ping"}"#,
    ] {
        let mut wire = blender.wire()?;
        wire.send(request.as_bytes())?;
        ensure!(wire.is_silent_for(Duration::from_millis(300))?, "answered before its end: {request}");
        wire.send(b"\0")?;
        let reply = wire.reply()?;
        ensure!(reply["status"] == "ok" && reply["result"] == "pong", "{reply} to {request}");
        // A connection that speaks framed JSON goes on to.
        wire.send(br#"{"type": "get_scene_info", "params": {}}"#)?;
        ensure!(wire.is_silent_for(Duration::from_millis(100))?, "it has become bare: {request}");
        wire.send(b"\0")?;
        ensure!(wire.reply()?["message"].as_str().unwrap_or_default().contains("unknown request type"));
    }
    Ok(())
}

fn malformed(blender: &mut Blender) -> Result<()> {
    let mut wire = blender.wire()?;
    ask(&mut wire, "ping_first", &json!({}))?;
    for (bytes, words) in [
        (&b"{\"type\": }"[..], "not valid JSON"),
        (b"{\"type\": \"get_scene_info\xff\"}", "not valid JSON"),
        (b"{\"type\": 5}", "no \"type\""),
        (b"{}", "no \"type\""),
        (b"{\"type\": \"execute_code\", \"params\": {\"code\": 7}}", "invalid type: integer"),
        (b"{\"type\": \"execute_code\", \"params\": \"x\"}", "\"execute_code\" cannot be done"),
        (b"{\"type\": \"execute\", \"code\": \"result = 1\"}", "\"execute\" is not served"),
        (b"{\"type\": \"get_scene_info\0", "not valid JSON"),
    ] {
        wire.send(bytes)?;
        let reply = wire.bare_reply()?;
        let message = reply["message"].as_str().unwrap_or_default();
        ensure!(reply["status"] == "error" && message.contains(words), "{reply} for {bytes:?}");
    }
    ensure!(result(&mut wire, "get_scene_info", &json!({}))?["name"].is_string());
    wire.send(b"hello")?;
    let reply: Value = serde_json::from_slice(&wire.read_to_end()?)?;
    ensure!(reply["message"].as_str().unwrap_or_default().contains("a request is a JSON object"), "{reply}");
    // The end in the middle of a request.
    let mut wire = blender.wire()?;
    ask(&mut wire, "ping_first", &json!({}))?;
    wire.send(b"{\"type\": \"get_scene")?;
    wire.finish_sending()?;
    ensure!(wire.bare_reply()?["message"].as_str().unwrap_or_default().contains("in the middle of a request"));
    Ok(())
}

fn large(blender: &mut Blender) -> Result<()> {
    const BYTES: usize = 20_000_000;
    let mut wire = blender.wire()?;
    let code = format!("data = '{}'\nprint(len(data), data[-3:])", "x".repeat(BYTES - 3) + "end");
    let told = result(&mut wire, "execute_code", &json!({"code": code}))?;
    ensure!(told["result"] == format!("{BYTES} end\n"), "{told}");
    let printed = result(&mut wire, "execute_code", &json!({"code": format!("print('ab' * {})", BYTES / 2)}))?;
    let text = printed["result"].as_str().context("not a string")?;
    ensure!(text.len() == BYTES + 1 && text.bytes().step_by(2).take(BYTES / 2).all(|byte| byte == b'a'), "not whole");
    // The first request of a connection may be as long as any.
    let mut wire = blender.wire()?;
    wire.send(&vec![b' '; 100_000])?;
    let told = result(&mut wire, "execute_code", &json!({"code": code}))?;
    ensure!(told["result"] == format!("{BYTES} end\n"), "{told}");
    Ok(())
}

fn too_large(blender: &mut Blender) -> Result<()> {
    let mut wire = blender.wire()?;
    result(&mut wire, "get_telemetry_consent", &json!({}))?;
    // The server may have closed before everything was sent.
    let _ = wire.send(&message("execute_code", &json!({"code": "x".repeat(65 << 20)})));
    let reply: Value = serde_json::from_slice(&wire.read_to_end()?)?;
    let why = reply["message"].as_str().unwrap_or_default();
    ensure!(reply["status"] == "error" && why.contains("67108864 bytes"), "{reply}");
    Ok(())
}

fn both_dialects(blender: &mut Blender) -> Result<()> {
    let port = blender.port;
    let clients: Vec<_> = (0..16)
        .map(|client| {
            std::thread::spawn(move || -> Result<()> {
                let mut wire = Wire::connect(port)?;
                for number in 0..25 {
                    if client % 2 == 0 {
                        let code = json!({"code": format!("print({client}, {number})")});
                        let ran = result(&mut wire, "execute_code", &code)?;
                        ensure!(ran["result"] == format!("{client} {number}\n"), "{ran}");
                    } else {
                        ensure!(wire.result(&format!("result = [{client}, {number}]"))? == json!([client, number]));
                    }
                }
                Ok(())
            })
        })
        .collect();
    for client in clients {
        client.join().map_err(|_| anyhow::anyhow!("a client panicked"))??;
    }
    Ok(())
}

/// A red wall in front of the camera and of the viewport.
const RED_WALL: &str = "
bpy.ops.mesh.primitive_cube_add(size=6)
bpy.context.object.name = 'Wall'
red = bpy.data.materials.new('Red')
red.diffuse_color = (0.8, 0.0, 0.0, 1.0)
bpy.context.object.data.materials.append(red)
print('built')
";

/// How much of a picture is red, from 0 to 1.
fn redness(picture: &Picture) -> f64 {
    let is_red = |pixel: &&[u8]| pixel[0] > 60 && u16::from(pixel[0]) > 2 * u16::from(pixel[1].max(pixel[2]));
    let red = picture.rgb.chunks_exact(3).filter(is_red).count();
    let share = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    share(red) / share(picture.width * picture.height)
}

fn screenshots(environment: &Environment, flavour: Flavour) -> Result<()> {
    let blender = Blender::start(environment, flavour, &Settings::default())?;
    let mut wire = blender.wire()?;
    result(&mut wire, "execute_code", &json!({"code": RED_WALL}))?;
    let path = blender.file("shot's \"ü\".png");
    let before = blender.result("result = [len(bpy.data.images), len(bpy.data.scenes)]")?;
    let params = json!({"max_size": 300, "filepath": path, "format": "png"});
    let told = result(&mut wire, "get_viewport_screenshot", &params)?;
    let picture = Picture::from_png(&fs_err::read(&path)?)?;
    picture.save(&environment.artefacts.join(format!("bare-{}.png", flavour.name())))?;
    ensure!(picture.width.max(picture.height) == 300, "{}×{}", picture.width, picture.height);
    ensure!(told["width"] == picture.width && told["height"] == picture.height, "{told}");
    ensure!(redness(&picture) > 0.1, "{} of the picture is red; {told}", redness(&picture));
    ensure!(blender.result("result = [len(bpy.data.images), len(bpy.data.scenes)]")? == before, "something stays");

    let jpeg = blender.file("shot.jpg");
    result(&mut wire, "get_viewport_screenshot", &json!({"filepath": jpeg, "format": "jpg"}))?;
    ensure!(fs_err::read(&jpeg)?.starts_with(b"\xff\xd8\xff"), "not a JPEG");
    for (params, words) in [
        (json!({"filepath": blender.file("no/such/folder/x.png")}), "there is no folder"),
        (json!({"filepath": path, "format": "docx"}), "known are png"),
        (json!({"max_size": 100}), "missing field `filepath`"),
    ] {
        let why = failure(&mut wire, "get_viewport_screenshot", &params)?;
        ensure!(why.contains(words) && !why.contains("Traceback"), "{why}");
    }
    if flavour != Flavour::Windowed {
        blender.result("bpy.context.scene.camera = None")?;
        let why = failure(&mut wire, "get_viewport_screenshot", &params)?;
        ensure!(why.contains("bpy.context.scene.camera"), "{why}");
    }
    Ok(())
}

/// Its server as people start it, with its data collection off and all that it writes in the test's own folder.
fn session(environment: &Environment, blender: &Blender) -> Result<McpSession> {
    let home = blender.folder.path();
    let mut command = Command::new(&environment.mcp_for_blender);
    // What its console script does. `-m` would load the module twice.
    command.args(["-c", "from blender_mcp.server import main; main()"]);
    command.env("BLENDER_HOST", "localhost").env("BLENDER_PORT", blender.port.to_string());
    command.env("DISABLE_TELEMETRY", "true").env("BLENDERMCP_NO_UPDATE_CHECK", "1");
    command.env("HOME", home).env("XDG_DATA_HOME", home).env("XDG_CONFIG_HOME", home).env("TMPDIR", home);
    let log = environment.artefacts.join(format!("mcp-for-blender-{}.log", blender.flavour.name()));
    McpSession::start_with_log(command, &log)
}

fn its_server(environment: &Environment, flavour: Flavour) -> Result<()> {
    let blender = Blender::start(environment, flavour, &Settings::default())?;
    let session = session(environment, &blender)?;
    let tools: Vec<String> = session.tools()?.iter().map(|tool| tool.name.to_string()).collect();
    ensure!(tools.iter().any(|tool| tool == "execute_blender_code"), "{tools:?}");

    let status: Value = serde_json::from_str(&session.call("get_addon_status", json!({}))?.text())?;
    ensure!(status["up_to_date"] == true && status["warning"].is_null(), "{status}");
    ensure!(status["source"] == "native" && status["telemetry_consent"] == false, "{status}");
    for (_, state) in ["libraries", "generators"].iter().filter_map(|kind| status[kind].as_object()).flatten() {
        ensure!(state.as_str().is_some_and(|state| state.starts_with("off")), "{status}");
    }

    let run = session.call("execute_blender_code", json!({"code": RED_WALL}))?;
    ensure!(run.text() == "Code executed successfully: built\n", "{}", run.text());
    let failed = session.call("execute_blender_code", json!({"code": "x = 1\nraise ValueError('why')"}))?;
    ensure!(failed.text().contains("line 2") && failed.text().contains("ValueError"), "{}", failed.text());

    let scene = session.call("get_scene_info", json!({}))?;
    ensure!(scene.text().contains("Wall") && scene.text().contains("2 mesh"), "{}", scene.text());
    let wall = session.resource("blender://object/Wall")?;
    ensure!(wall["type"] == "MESH" && wall["materials"] == json!(["Red"]), "{wall}");

    let look = session.call("look", json!({"max_size": 400}))?;
    let data = look.image_base64().with_context(|| format!("no picture: {}", look.text()))?;
    let picture = Picture::from_png(&base64::engine::general_purpose::STANDARD.decode(data)?)?;
    picture.save(&environment.artefacts.join(format!("mcp-for-blender-{}.png", flavour.name())))?;
    ensure!(picture.width.max(picture.height) == 400, "{}×{}", picture.width, picture.height);
    ensure!(redness(&picture) > 0.1, "{} of the picture is red", redness(&picture));

    let before = Instant::now();
    let search = session.call("search_assets", json!({"source": "polyhaven", "query": "wood"}))?;
    ensure!(search.text().contains("Blendwire"), "{}", search.text());
    ensure!(before.elapsed() < Duration::from_secs(5), "not served, but it took {:?}", before.elapsed());
    let again = session.call("execute_blender_code", json!({"code": "print('still there')"}))?;
    ensure!(again.text().contains("still there"), "{}", again.text());
    ensure!(blender.result("result = 1")? == 1);
    Ok(())
}
