// SPDX-License-Identifier: GPL-3.0-or-later
//! Words made to be taken for something else: names in tool arguments as code or as paths, texts in the log as lines of
//! ours or as commands to the terminal.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use blendwire_e2e::{Blender, Environment, Flavour, Gate, McpSession, Settings, wait_until};
use serde_json::{Value, json};

use super::ensure_unharmed;
use crate::suite::Suite;

pub(crate) fn add(suite: &mut Suite) {
    for flavour in [Flavour::Bpy50, Flavour::Bpy52, Flavour::Windowed] {
        suite.own(&format!("{}::attacks::names_in_tool_arguments_stay_names", flavour.name()), move |environment| {
            tool_arguments(environment, flavour)
        });
    }
    for flavour in [Flavour::Bpy50, Flavour::Bpy52, Flavour::Windowed] {
        suite.own(&format!("{}::attacks::paths_in_tool_arguments_harm_no_file", flavour.name()), move |environment| {
            paths(environment, flavour)
        });
    }
    suite
        .own("bpy_5_2::attacks::nothing_a_client_sends_forges_the_log", |environment| log(environment, Flavour::Bpy52));
    suite.own("windowed::attacks::nothing_a_client_sends_forges_the_log", |environment| {
        log(environment, Flavour::Windowed)
    });
    suite.own("attacks::nothing_a_script_says_moves_the_cursor_of_status", status);
}

/// Sets the marker in whatever way of quoting it escapes from.
const MARK: &str = "__import__('bpy').app.driver_namespace.update(intruder=True)";

fn hostile_names() -> Vec<String> {
    let double = MARK.replace('\'', "\\x27");
    let mut names: Vec<String> = vec![
        "../../../etc/passwd".to_owned(),
        "/etc/passwd".to_owned(),
        "//../secret.blend".to_owned(),
        "..\\..\\windows".to_owned(),
        "file:///etc/passwd".to_owned(),
        "a\0b".to_owned(),
        "\0".to_owned(),
        String::new(),
        " ".to_owned(),
        "\n".to_owned(),
        "\r\n\u{2028}\u{2029}\u{85}".to_owned(),
        "\u{feff}\u{202e}\u{200b}".to_owned(),
        "\\".to_owned(),
        "\\\"".to_owned(),
        "'''".to_owned(),
        "\"\"\"".to_owned(),
        "{name}".to_owned(),
        "%s%n%(name)s".to_owned(),
        "$(touch intruder)`touch intruder`; touch intruder".to_owned(),
        "\u{1b}[2J\u{1b}]0;intruder\u{7}".to_owned(),
        "😀".to_owned() + &"é".repeat(100),
        "x".repeat(1_000_000),
        "\\".repeat(99_999),
        "\"".repeat(100_000),
    ];
    for (before, after) in [
        ("\"); ", " #"),
        ("'); ", " #"),
        ("\n", "\n"),
        ("\\\"); ", " #"),
        ("\"\"\"\n", "\n\"\"\""),
        ("\\u0022); ", " #"),
        ("\\", "\n"),
        ("{", "}"),
        ("\u{2028}", "\u{2028}"),
    ] {
        names.push(format!("{before}{MARK}{after}"));
        names.push(format!("{before}{double}{after}"));
    }
    names
}

fn tool_arguments(environment: &Environment, flavour: Flavour) -> Result<()> {
    let blender = Blender::start(environment, flavour, &Settings::default())?;
    let mut command = Command::new(&environment.blendwire);
    let folder = tempfile::tempdir()?;
    command.args(["mcp", "--port", &blender.port.to_string()]).current_dir(folder.path());
    let session = McpSession::start(command)?;
    let folders = [folder.path().to_owned(), blender.file("")];
    // The journal makes its folder with the first request, and before one that may do anything.
    blender.result("import os\nresult = os.getpid()")?;
    let before = listing(&folders)?;
    for name in hostile_names() {
        let call = session.call("get_object_detail_summary", json!({"name": name}))?;
        ensure!(call.is_error(), "{name:?}: {}", call.text());
        ensure!(!call.text().contains("root:") && call.text().len() < 2 * name.len() + 20_000, "{}", call.text());
        // Where the arguments are chosen from a list, what is not in it is refused.
        for (tool, arguments) in [
            ("get_viewport_image", json!({"view": name})),
            ("get_viewport_image", json!({"shading": name})),
            ("get_viewport_image", json!({"width": name})),
            ("undo", json!({"steps": name})),
            ("get_blender_status", json!({(name.as_str()): name})),
        ] {
            // Refused as a call or as its result; one that ignores arguments that it does not know may answer.
            let refused = session.call(tool, arguments).map_or(true, |call| call.is_error());
            ensure!(refused || tool == "get_blender_status", "{tool} took {name:?}");
        }
        let mut bare = blender.wire()?;
        bare.send(json!({"type": "get_object_info", "params": {"name": name}}).to_string().as_bytes())?;
        ensure!(bare.bare_reply()?["status"] == "error", "{name:?}");
        ensure_unharmed(&blender, &format!("{:?}", name.chars().take(80).collect::<String>()))?;
    }
    ensure!(listing(&folders)? == before, "files came or went: {:?}", listing(&folders)?);
    real_names(&blender, &session)
}

/// Each is answered before a person would wonder, and what was there is as it was.
const ANSWERED_WITHIN: Duration = Duration::from_secs(10);

/// Paths in `FOLDER` that lead to what is no .blend file, or to what nobody should wait for.
const NOTHING_TO_OPEN: [&str; 14] = [
    "",
    "relative.blend",
    "../relative.blend",
    "//beside.blend",
    "FOLDER",
    "FOLDER/",
    "FOLDER/nothing.blend",
    "FOLDER/pipe",
    "FOLDER/to-pipe.blend",
    "FOLDER/to-folder/../precious.png",
    "FOLDER/precious.png\0.blend",
    "/dev/zero",
    "/dev/tty",
    "/etc/passwd",
];

/// Paths that would have Blender write over `precious.png` or over what a link leads to, or that name no new picture.
const NO_NEW_PICTURE: [&str; 17] = [
    "",
    "relative/new.png",
    "../relative.png",
    "//beside.png",
    "FOLDER",
    "FOLDER/new.png/",
    "FOLDER/nowhere/new.png",
    "FOLDER/precious.png",
    "FOLDER/inner/../precious.png",
    "FOLDER/to-folder/../precious.png",
    "FOLDER\\precious.png",
    "FOLDER/precious.png\0new.png",
    "FOLDER/{blend_name}.png",
    "FOLDER/pipe.png",
    "FOLDER/to-precious.png",
    "FOLDER/to-nothing.png",
    "/dev/null",
];

#[cfg(unix)]
fn paths(environment: &Environment, flavour: Flavour) -> Result<()> {
    use std::os::unix::fs::symlink;
    let blender = Blender::start(environment, flavour, &Settings::default())?;
    let mut command = Command::new(&environment.blendwire);
    command.args(["mcp", "--port", &blender.port.to_string()]);
    let session = McpSession::start(command)?;
    let folder = blender.file("paths");
    fs_err::create_dir_all(folder.join("inner"))?;
    fs_err::create_dir_all(blender.file("elsewhere/inner"))?;
    for name in ["precious.png", "Unsaved.png", "untitled.png"] {
        fs_err::write(folder.join(name), "precious")?;
    }
    for name in ["pipe", "pipe.png"] {
        ensure!(Command::new("mkfifo").arg(folder.join(name)).status()?.success(), "no pipe could be made");
    }
    for (to, name) in [
        ("precious.png", "to-precious.png"),
        ("nothing", "to-nothing.png"),
        ("pipe", "to-pipe.blend"),
        ("../elsewhere/inner", "to-folder"),
    ] {
        symlink(to, folder.join(name))?;
    }
    let before = listing(&[folder.clone(), blender.file("elsewhere")])?;
    let refuse = |tool: &str, arguments: Value| -> Result<()> {
        let begun = std::time::Instant::now();
        let call = session.call(tool, arguments.clone())?;
        ensure!(call.is_error() && !call.text().contains("Traceback"), "{tool} {arguments}: {}", call.text());
        ensure!(!call.text().contains("root:"), "{}", call.text());
        ensure!(begun.elapsed() < ANSWERED_WITHIN, "{tool} {arguments} took {:?}", begun.elapsed());
        Ok(())
    };
    let there = folder.display().to_string();
    for path in NOTHING_TO_OPEN.map(|path| path.replace("FOLDER", &there)) {
        refuse("get_blendfile_summary_datablocks", json!({"blend_file": path}))?;
        refuse("execute_blender_code", json!({"code": "result = 1", "blend_file": path}))?;
        refuse("render_image", json!({"blend_file": path}))?;
    }
    for path in NO_NEW_PICTURE.map(|path| path.replace("FOLDER", &there)) {
        refuse("render_thumbnail_to_path", json!({"output_path": path}))?;
        refuse("render_viewport_to_path", json!({"output_path": path}))?;
    }
    refuse("render_thumbnail_to_path", json!({"output_path": format!("{there}/{}.png", "x/".repeat(600))}))?;
    for name in ["precious.png", "Unsaved.png", "untitled.png"] {
        ensure!(fs_err::read(folder.join(name))? == b"precious", "{name} was written over");
    }
    let after = listing(&[folder, blender.file("elsewhere")])?;
    ensure!(after == before, "files came or went: {after:?}");
    ensure_unharmed(&blender, "paths")
}

#[cfg(not(unix))]
fn paths(_environment: &Environment, _flavour: Flavour) -> Result<()> {
    Ok(())
}

/// Objects that really have such names are found by them, whatever they look like.
fn real_names(blender: &Blender, session: &McpSession) -> Result<()> {
    for name in hostile_names() {
        let make = format!(
            "import json\nmesh = bpy.data.meshes.new('m')\nobject = bpy.data.objects.new('x', mesh)\n\
             bpy.context.collection.objects.link(object)\nobject.name = json.loads({})\nresult = object.name",
            serde_json::to_string(&serde_json::to_string(&name)?)?
        );
        // Blender cuts names, and gives one to what has none: whatever it has become.
        let reply = blender.wire()?.execute(&make)?;
        let Some(real) = reply["result"].as_str() else {
            ensure!(reply["message"].as_str().is_some_and(|said| said.contains("Error")), "{name:?}: {reply}");
            continue;
        };
        let detail = session.call("get_object_detail_summary", json!({"name": real}))?;
        ensure!(!detail.is_error() && detail.value()["name"] == real, "{real:?}: {}", detail.text());
        let mut bare = blender.wire()?;
        bare.send(json!({"type": "get_object_info", "params": {"name": real}}).to_string().as_bytes())?;
        ensure!(bare.bare_reply()?["result"]["name"] == real, "{real:?}");
    }
    let summary = session.call("get_objects_summary", json!({}))?;
    ensure!(!summary.is_error(), "{}", summary.text());
    ensure_unharmed(blender, "objects with such names")
}

fn listing(folders: &[std::path::PathBuf]) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for folder in folders {
        for entry in fs_err::read_dir(folder)? {
            names.push(entry?.path().display().to_string());
        }
    }
    names.sort();
    Ok(names)
}

/// A colour, a title, a bell, a cleared screen and a line that looks like one of ours.
const FORGERY: &str =
    "\u{1b}[31mred\u{1b}[0m\u{1b}]0;title\u{7}\u{9b}2J\u{8}\rblendwire: info: FORGED\nblendwire: info: FORGED";

/// The add-on's log, whatever its package is called.
const LOGS: &str = "import sys\n\
    logs = next(module for name, module in sys.modules.items() if name.endswith('blendwire.logs'))\n";

fn log(environment: &Environment, flavour: Flavour) -> Result<()> {
    let blender = Blender::start(environment, flavour, &Settings::default())?;
    blender.result(&format!("{LOGS}logs.set_level('debug')"))?;
    for request in [
        json!({"type": FORGERY}),
        json!({"type": "execute", "code": 1, "id": FORGERY}),
        json!({"type": "execute", "code": "1 / 0", "id": FORGERY, "title": FORGERY, "session": FORGERY}),
        json!({"type": "execute", "code": "", "on_error": FORGERY}),
        json!({"type": "cancel", "id": FORGERY}),
        json!({"type": "hello", "protocol_version": 1, "features": [FORGERY], "token": FORGERY}),
        json!({(FORGERY): FORGERY}),
    ] {
        blender.wire()?.answer(&request)?;
    }
    for bytes in [
        format!("{FORGERY}\n"),
        format!("{{{FORGERY}\0"),
        format!("{{\"type\": \"{FORGERY}\"}}\0"),
        format!("{{\"type\": \"x\", \"params\": {{\"{FORGERY}\": 1}}}}"),
        format!("GET /{FORGERY} HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        format!("GET /health HTTP/1.1\r\nHost: {FORGERY}\r\n\r\n"),
        format!("GET /health HTTP/1.1\r\nHost: localhost\r\nOrigin: {FORGERY}\r\n\r\n"),
        format!("\u{16}\u{3}\u{1}{FORGERY}"),
    ] {
        super::all_of(&blender, bytes.as_bytes())?;
    }
    // Where a title stands in a message: what the add-on itself logs of a request.
    let title = serde_json::to_string(FORGERY)?;
    blender.result(&format!(
        "{LOGS}logs.write('warning', 'no undo step for “' + {title} + '”')\nlogs.flush()\nlogs.say('the end')"
    ))?;
    let told = wait_until("the log", Duration::from_secs(30), || {
        let told = blender.process.output();
        told.contains("blendwire: the end").then_some(told)
    })?;
    // The control: all of it was logged.
    for words in ["unknown request type", "no undo step for", "neither JSON nor HTTP", "broke: invalid"] {
        ensure!(told.contains(words), "{words:?} is not in the log:\n{told}");
    }
    let strange: Vec<char> = told.chars().filter(|character| character.is_control() && *character != '\n').collect();
    ensure!(strange.is_empty(), "{strange:?} in the log:\n{told:?}");
    ensure!(!told.lines().any(|line| line.starts_with("blendwire: info: FORGED")), "{told}");
    ensure_unharmed(&blender, "forged lines")
}

/// `blendwire status` shows what other people's scripts call themselves and print.
fn status(environment: &Environment) -> Result<()> {
    let blender = Blender::start(environment, Flavour::Bpy52, &Settings::default())?;
    let gate = Gate::closed(blender.file("go"));
    let said = serde_json::to_string(FORGERY)?;
    let code = format!("import blendwire\nprint({said})\nblendwire.progress(0.5, {said})\n{}", gate.wait());
    let mut wire = blender.wire()?;
    wire.ask(&json!({"type": "execute", "code": code, "title": FORGERY, "id": FORGERY}))?;
    let show = || -> Result<String> {
        let mut command = Command::new(&environment.blendwire);
        command.args(["status", "--port", &blender.port.to_string()]);
        // As at a terminal: colours of ours are wanted.
        let output = command.env("CLICOLOR_FORCE", "1").output()?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let shown = wait_until("the status to tell of it", Duration::from_secs(30), || {
        show().ok().filter(|shown| shown.contains("50 %") && shown.contains("printed"))
    })?;
    gate.open()?;
    let reply = wire.reply()?;
    ensure!(reply["status"] == "ok", "{reply}");
    for text in [shown, show()?] {
        ensure!(text.contains("FORGED") && text.contains("red"), "the control: {text:?}");
        ensure!(!text.lines().any(|line| line.starts_with("blendwire: info")), "{text:?}");
        // Bold and the colours of states are ours.
        let ours = text
            .replace("\u{1b}[1m", "")
            .replace("\u{1b}[0m", "")
            .replace("\u{1b}[32m", "")
            .replace("\u{1b}[33m", "")
            .replace("\u{1b}[39m", "");
        let strange: Vec<char> =
            ours.chars().filter(|character| character.is_control() && *character != '\n').collect();
        ensure!(strange.is_empty(), "{strange:?} in {text:?}");
    }
    let _: Value = blender.result("result = 1").context("it still answers")?;
    Ok(())
}
