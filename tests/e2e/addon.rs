// SPDX-License-Identifier: GPL-3.0-or-later
//! The add-on's life in a windowed Blender: start, stop, restart, reload, disable, load, quit.

mod refusals;

use std::net::TcpListener;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use blendwire_e2e::{Blender, Environment, Flavour, PREFERENCES, Process, Settings, free_port, http, wait_until};
use serde_json::{Value, json};

use crate::suite::Suite;

/// Long enough for software rendering on a busy machine.
const SOON: Duration = Duration::from_mins(1);

pub(crate) fn add(suite: &mut Suite) {
    suite.own("addon::starts_by_itself_on_the_default_port", starts_by_itself);
    suite.own("addon::installs_as_a_legacy_addon_too", legacy);
    suite.own("addon::survives_restart_reload_disable_and_files", life);
    suite.own("addon::says_who_holds_the_port", port_taken);
    suite.own("addon::starts_when_told_where_it_is_not_to_start_by_itself", starts_when_told);
    suite.own("addon::moves_to_the_next_free_port_when_told", next_free_port);
    suite.own("addon::quits_cleanly_with_clients_connected", quits);
    suite.own("addon::validates_its_address", refuses_address);
    suite.own("addon::remembers_that_a_client_has_come", remembers_a_client);
    suite.own("addon::says_that_its_core_is_missing_or_of_another_version", other_core);
    refusals::add(suite);
}

fn started(environment: &Environment) -> Result<Blender> {
    Blender::start(environment, Flavour::Windowed, &Settings::default())
}

fn starts_by_itself(environment: &Environment) -> Result<()> {
    let blender = Blender::start(environment, Flavour::Windowed, &Settings { defaults: true, ..Settings::default() })?;
    ensure!(blender.port == 9876 && blender.result("result = bpy.app.background")? == false);
    let module = blender.result("result = [m for m in bpy.context.preferences.addons.keys() if 'blendwire' in m]")?;
    ensure!(module[0] == "bl_ext.user_default.blendwire", "{module}");
    Ok(())
}

fn legacy(environment: &Environment) -> Result<()> {
    let settings = Settings { legacy: true, ..Settings::default() };
    let blender = Blender::start(environment, Flavour::Windowed, &settings)?;
    let module = blender.result("result = [m for m in bpy.context.preferences.addons.keys() if 'blendwire' in m]")?;
    ensure!(module[0] == "blendwire", "{module}");
    Ok(())
}

/// Has Blender do something that its server may not survive as a request's own deed, a moment after the answer.
fn later(blender: &Blender, code: &str) -> Result<()> {
    let code = serde_json::to_string(code)?;
    let wrapped = format!(
        "def later():\n    exec({code}, {{'bpy': bpy}})\nbpy.app.timers.register(later, first_interval=0.3, persistent=True)"
    );
    blender.result(&wrapped).map(drop)
}

fn answers(blender: &mut Blender) -> Result<()> {
    blender.wait_until_ready()?;
    ensure!(blender.result("result = 1")? == 1);
    let listeners = listeners_of(blender)?;
    ensure!(listeners == 2, "{listeners} listening sockets: one for each loopback address is right");
    Ok(())
}

/// Listening sockets on the server's port, by the system's own tables.
fn listeners_of(blender: &Blender) -> Result<usize> {
    const LISTEN: &str = "0A";
    let port = format!("{:04X}", blender.port);
    let mut count = 0;
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let text = fs_err::read_to_string(table)?;
        let is_ours = |line: &&str| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            fields.get(1).is_some_and(|local| local.ends_with(&port)) && fields.get(3) == Some(&LISTEN)
        };
        count += text.lines().filter(is_ours).count();
    }
    Ok(count)
}

fn is_closed(blender: &Blender) -> Result<()> {
    wait_until("the server to stop", SOON, || http(blender.port, "GET /health", "").is_err().then_some(()))
}

const MODULE: &str = "module = next(m for m in bpy.context.preferences.addons.keys() if m.endswith('blendwire'))\n";

fn life(environment: &Environment) -> Result<()> {
    let mut blender = started(environment)?;
    answers(&mut blender)?;
    // Stop and start by the operators that the panel's buttons call; the file proves that Blender saw the stop.
    let marker = blender.file("stopped").display().to_string();
    later(
        &blender,
        &format!(
            "bpy.ops.blendwire.server_stop()\nopen({marker:?}, 'w').close()\n\
         bpy.app.timers.register(lambda: bpy.ops.blendwire.server_start() and None, first_interval=2.0)"
        ),
    )?;
    is_closed(&blender)?;
    // The port is closed before the operator has returned.
    wait_until("the operator to return", SOON, || blender.file("stopped").exists().then_some(()))?;
    answers(&mut blender)?;
    for _ in 0..3 {
        restarts(&mut blender, |blender| later(blender, "bpy.ops.blendwire.server_restart()"))?;
    }
    // Asked for by a request itself: it is answered, and the server comes back.
    let module = blender.result(&format!("{MODULE}result = module"))?;
    let module = module.as_str().context("no module")?.to_owned();
    let restart = format!("import sys\nsys.modules['{module}'].server_restart()");
    restarts(&mut blender, |blender| blender.result(&restart).map(drop))?;
    // Started twice: still one server.
    blender.result(&format!("import sys\nsys.modules['{module}'].server_start()"))?;
    answers(&mut blender)?;
    restarts(&mut blender, |blender| later(blender, "bpy.ops.script.reload()"))?;
    later(
        &blender,
        &format!(
            "bpy.ops.preferences.addon_disable(module='{module}')\n\
         bpy.app.timers.register(lambda: bpy.ops.preferences.addon_enable(module='{module}') and None, \
         first_interval=2.0)"
        ),
    )?;
    is_closed(&blender)?;
    answers(&mut blender)?;
    let file = blender.file("scene.blend");
    blender.result(&format!("bpy.ops.wm.save_as_mainfile(filepath={:?})", file.display().to_string()))?;
    blender.result(&format!("bpy.ops.wm.open_mainfile(filepath={:?})", file.display().to_string()))?;
    answers(&mut blender)?;
    let (_, status) = http(blender.port, "GET /status", "")?;
    let status: serde_json::Value = serde_json::from_str(&status)?;
    ensure!(status["file"] == file.display().to_string(), "{status}");
    let loaded = blender.file("loaded");
    later(
        &blender,
        &format!(
            "bpy.ops.wm.open_mainfile(filepath={:?})\nopen({:?}, 'w').close()",
            file.display().to_string(),
            loaded.display().to_string()
        ),
    )?;
    wait_until("the file to be loaded", SOON, || loaded.exists().then_some(()))?;
    answers(&mut blender)?;
    ensure!(!blender.process.output().contains("Traceback"), "{}", blender.process.output());
    Ok(())
}

/// Asks for what starts the server anew, and waits until the one that answers began after that.
fn restarts(blender: &mut Blender, ask: impl FnOnce(&Blender) -> Result<()>) -> Result<()> {
    let uptime = || -> Option<f64> {
        let status: serde_json::Value = serde_json::from_str(&http(blender.port, "GET /status", "").ok()?.1).ok()?;
        status["uptime_secs"].as_f64()
    };
    let asked = Instant::now();
    ask(blender)?;
    wait_until("a new server", SOON, || {
        let since = asked.elapsed().as_secs_f64();
        uptime().filter(|uptime| *uptime < since)
    })?;
    answers(blender)
}

/// Waits until the add-on's own status, written to a file by Blender, holds `words` and the name of the doctor's `check`.
fn problem(environment: &Environment, bind: &str, check: &str, words: &[&str]) -> Result<()> {
    let first = Blender::start(environment, Flavour::Windowed, &Settings::default())?;
    let (resources, report) = (first.resources.clone(), first.file("report"));
    let report_text = report.display().to_string();
    // A second Blender with the same settings, whose server cannot start.
    let code = format!(
        "import bpy, json, sys\n\
         def tell():\n    \
             module = next(m for m in bpy.context.preferences.addons.keys() if m.endswith('blendwire'))\n    \
             status = sys.modules[module].server_status()\n    \
             status and status['problem'] and open({report_text:?}, 'w').write(json.dumps(status))\n    \
             return 0.2\n\
         bpy.app.timers.register(tell, first_interval=1.0)"
    );
    let display = blendwire_e2e::Display::start(&environment.xvfb)?;
    let mut command = std::process::Command::new(&environment.blender);
    command.args(["--python-expr", &code]).env("DISPLAY", &display.name).env("LIBGL_ALWAYS_SOFTWARE", "1");
    command
        .env("BLENDER_USER_RESOURCES", resources)
        .env("BLENDWIRE_BIND", bind.replace("PORT", &first.port.to_string()));
    command.env("XDG_RUNTIME_DIR", first.folder.path());
    let second = Process::start(&mut command, &first.file("second.log"))?;
    let told = wait_until("the second Blender to tell its problem", SOON * 2, || {
        fs_err::read_to_string(&report).ok().filter(|text| text.ends_with('}'))
    });
    let told = told.with_context(|| second.output())?;
    let status: serde_json::Value = serde_json::from_str(&told)?;
    ensure!(status["findings"][0]["check"] == check && status["findings"][0]["text"] == status["problem"], "{status}");
    for word in words {
        let word = word.replace("PID", &first.process.pid().to_string()).replace("PORT", &first.port.to_string());
        ensure!(told.contains(&word), "{word:?} is not in {told}");
        wait_until("the same words in the log", SOON, || second.output().contains(&word).then_some(()))?;
    }
    ensure!(first.result("result = 1")? == 1, "the first Blender is not disturbed");
    Ok(())
}

fn port_taken(environment: &Environment) -> Result<()> {
    problem(environment, "localhost:PORT", "owner", &["port PORT is taken by", "(process PID)"])
}

fn refuses_address(environment: &Environment) -> Result<()> {
    problem(environment, "0.0.0.0:PORT", "online-access", &["0.0.0.0"])
}

fn next_free_port(environment: &Environment) -> Result<()> {
    // The port must stay taken while two Blenders start: one sets the preference, the other lives by it.
    let holder = TcpListener::bind(("127.0.0.1", free_port()?))?;
    let taken = holder.local_addr()?.port();
    let first = started(environment)?;
    first.result(&format!(
        "{MODULE}prefs = bpy.context.preferences.addons[module].preferences\n\
         prefs.port = {taken}\nprefs.next_free_port = True\nbpy.ops.wm.save_userpref()"
    ))?;
    let settings = Settings {
        defaults: true,
        port: Some(taken + 1),
        resources: Some(first.resources.clone()),
        ..Settings::default()
    };
    let second = Blender::start(environment, Flavour::Windowed, &settings)?;
    ensure!(second.result("result = 1")? == 1);
    Ok(())
}

fn starts_when_told(environment: &Environment) -> Result<()> {
    let port = free_port()?;
    let first = started(environment)?;
    first.result(&format!(
        "{MODULE}prefs = bpy.context.preferences.addons[module].preferences\n\
         prefs.port = {port}\nprefs.auto_start = False\nbpy.ops.wm.save_userpref()"
    ))?;
    let looked = first.file("looked");
    // Long after it would have started, the button is pressed.
    let press = format!(
        "import bpy, json, sys\ndef press():\n    {}    \
         with open({:?}, 'w') as file:\n        json.dump(sys.modules[module].server_status(), file)\n    \
         bpy.ops.blendwire.server_start()\nbpy.app.timers.register(press, first_interval=3.0)",
        MODULE,
        looked.display().to_string()
    );
    let settings = Settings {
        defaults: true,
        port: Some(port),
        resources: Some(first.resources.clone()),
        python_expr: Some(press),
        ..Settings::default()
    };
    let second = Blender::start(environment, Flavour::Windowed, &settings)?;
    let before: Value = serde_json::from_str(&fs_err::read_to_string(looked)?)?;
    ensure!(before["state"] == "stopped" && before["findings"] == json!([]), "it had started: {before}");
    ensure!(second.result("result = 1")? == 1);
    Ok(())
}

fn quits(environment: &Environment) -> Result<()> {
    let mut blender = started(environment)?;
    let mut idle = blender.wire()?;
    ensure!(idle.result("result = 1")? == 1);
    later(&blender, "bpy.ops.wm.quit_blender()")?;
    let status = blender.process.wait(SOON)?;
    ensure!(status.success(), "Blender ended with {status}:\n{}", blender.process.output());
    ensure!(idle.read_to_end()?.is_empty(), "the connection was closed");
    let output = blender.process.output();
    ensure!(!output.contains("Traceback") && !output.contains("panicked"), "{output}");
    TcpListener::bind(("127.0.0.1", blender.port)).context("the port is free again")?;
    Ok(())
}

/// How one is set up is told until then, in each Blender that is started: it is kept with the user's preferences.
fn remembers_a_client(environment: &Environment) -> Result<()> {
    let had_client = format!("result = {PREFERENCES}.had_client");
    let mut first = started(environment)?;
    ensure!(first.result(&had_client)? == false, "nobody had anything run before");
    wait_until("it to be remembered", SOON, || first.result(&had_client).is_ok_and(|had| had == true).then_some(()))?;
    // As a user does, or Blender where preferences were changed by hand, as by enabling the add-on.
    first.result("bpy.ops.wm.save_userpref()")?;
    later(&first, "bpy.ops.wm.quit_blender()")?;
    first.process.wait(SOON)?;
    let settings = Settings { resources: Some(first.resources.clone()), ..Settings::default() };
    let second = Blender::start(environment, Flavour::Windowed, &settings)?;
    ensure!(second.result(&had_client)? == true, "it was forgotten");
    Ok(())
}

/// What Blender shows of the add-on in this folder, and whether its halves belong together.
const SHOWN: &str = "
import json, sys
sys.path.insert(0, sys.argv[1])
import bpy, blendwire
blendwire.register()
status = blendwire.server_start()
version = blendwire.server.bridge.version_finding()
with open(sys.argv[2], 'w') as file:
    json.dump({'state': status['state'], 'findings': status['findings'], 'version': version and version._asdict()}, file)
blendwire.server_stop()
";

/// A zip of another system, and an update while the earlier core is loaded: said so, until the right one is there.
fn other_core(environment: &Environment) -> Result<()> {
    let folder = refusals::unpacked(environment)?;
    let shown = || -> Result<Value> {
        let mut command = refusals::python(environment, &format!("localhost:{}", free_port()?), folder.path());
        let output = command.args(["-B", "-c", SHOWN, ".", "shown.json"]).output()?;
        ensure!(output.status.success(), "{output:?}");
        Ok(serde_json::from_str(&fs_err::read_to_string(folder.path().join("shown.json"))?)?)
    };
    let addon = folder.path().join("blendwire");
    let mut files = fs_err::read_dir(&addon)?.filter_map(|file| Some(file.ok()?.path()));
    let core = files.find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("_core.")));
    let core = core.context("the add-on has no core")?;
    let kept = folder.path().join("kept");
    fs_err::rename(&core, &kept)?;
    let without = shown()?;
    let finding = &without["findings"][0];
    ensure!(without["state"] == "problem" && finding["check"] == "addon", "{without}");
    for words in ["its file is missing", "Install the zip made for this system"] {
        ensure!(finding["text"].to_string().contains(words), "{words:?} is not in {finding}");
    }
    // As an earlier core that stays loaded has it.
    let earlier = addon.join("_core.py");
    fs_err::write(&earlier, "from .core_missing import *\nVERSION = '0.0.9'\n")?;
    let version = &shown()?["version"];
    ensure!(version["check"] == "version" && version["text"].to_string().contains("core 0.0.9"), "{version}");
    fs_err::remove_file(earlier)?;
    fs_err::rename(&kept, &core)?;
    let with = shown()?;
    ensure!(with == json!({"state": "running", "findings": [], "version": null}), "{with}");
    Ok(())
}
