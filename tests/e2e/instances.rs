// SPDX-License-Identifier: GPL-3.0-or-later
//! Clients find running Blenders by themselves, and never guess which one is meant.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use blendwire_e2e::{Blender, Environment, Flavour, McpSession, PREFERENCES, Settings, wait_until};
use serde_json::{Value, json};

use crate::suite::Suite;

const SOON: Duration = Duration::from_secs(20);

pub(crate) fn add(suite: &mut Suite) {
    for flavour in [Flavour::Bpy50, Flavour::Windowed] {
        suite.own(&format!("{}::instances::is_found_until_it_stops", flavour.name()), move |environment| {
            listed(environment, flavour)
        });
    }
    suite.own("instances::a_killed_one_is_stale_at_once_and_swept_by_the_next", killed);
    suite.own("instances::of_two_one_has_to_be_named", two);
    suite.own("instances::the_next_free_port_is_found", next_free_port);
    suite.own("instances::a_model_lists_and_selects", model);
    suite.own("instances::a_model_follows_the_only_one_from_port_to_port", follows);
    #[cfg(unix)]
    suite.own("instances::a_folder_that_cannot_be_written_stops_no_server", unwritable);
}

/// The command with no word of which Blender is meant but the folder to look into.
fn blendwire(environment: &Environment, state: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(&environment.blendwire);
    for name in ["BLENDWIRE", "BLENDER_MCP", "BLENDER"] {
        command.env_remove(format!("{name}_HOST")).env_remove(format!("{name}_PORT"));
    }
    command.env_remove("BLENDWIRE_INSTANCE").env("BLENDWIRE_STATE_DIR", state).stdin(Stdio::null()).args(arguments);
    command
}

/// Exit status, stdout, stderr.
fn said(command: &mut Command) -> Result<(Option<i32>, String, String)> {
    let output = command.output()?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok((output.status.code(), text(&output.stdout), text(&output.stderr)))
}

/// What `blendwire instances --json` lists, and what it remarks.
fn list(environment: &Environment, state: &Path) -> Result<(Vec<Value>, String)> {
    let (code, list, remarks) = said(&mut blendwire(environment, state, &["instances", "--json"]))?;
    ensure!(code == Some(0), "{code:?}: {remarks}");
    Ok((serde_json::from_str(&list).with_context(|| list)?, remarks))
}

fn descriptors(state: &Path) -> Result<Vec<PathBuf>> {
    fs_err::read_dir(state.join("instances"))?.map(|entry| Ok(entry?.path())).collect()
}

pub(crate) fn id(blender: &Blender) -> Result<String> {
    let status = blender.wire()?.answer(&json!({"type": "status"}))?;
    Ok(status["result"]["instance"].as_str().context("no instance")?.to_owned())
}

/// A second Blender with the state folder of the first.
pub(crate) fn beside(environment: &Environment, first: &Blender, flavour: Flavour) -> Result<Blender> {
    Blender::start(environment, flavour, &Settings { state: Some(first.state.clone()), ..Settings::default() })
}

fn listed(environment: &Environment, flavour: Flavour) -> Result<()> {
    let mut blender = Blender::start(environment, flavour, &Settings::default())?;
    let (list, remarks) = list(environment, &blender.state)?;
    ensure!(list.len() == 1 && remarks.is_empty(), "{list:?} {remarks}");
    let wanted =
        (json!(id(&blender)?), json!(blender.process.pid()), blender.result("result = bpy.app.version_string")?);
    let found = (&list[0]["instance"], &list[0]["pid"], &list[0]["versions"]["blender"]);
    ensure!(found == (&wanted.0, &wanted.1, &wanted.2), "{}", list[0]);
    ensure!(list[0]["background"] == (flavour != Flavour::Windowed), "{}", list[0]);
    let endpoint = format!("127.0.0.1:{}", blender.port);
    let (_, table, _) = said(&mut blendwire(environment, &blender.state, &["instances"]))?;
    ensure!(table.lines().count() == 2 && table.contains(&endpoint), "{table}");
    let exec = said(&mut blendwire(environment, &blender.state, &["exec", "-c", "import os; result = os.getpid()"]))?;
    ensure!(exec.1.trim() == blender.process.pid().to_string(), "{exec:?}");
    is_private(&blender.state)?;
    restarted(environment, &blender)?;
    if flavour == Flavour::Windowed {
        // It knows no other polite way.
        blender.result("bpy.ops.wm.quit_blender()")?;
    } else {
        blender.process.terminate()?;
    }
    blender.process.wait(SOON)?;
    ensure!(descriptors(&blender.state)?.is_empty(), "{:?}", descriptors(&blender.state)?);
    let (code, table, hint) = said(&mut blendwire(environment, &blender.state, &["instances"]))?;
    ensure!(code == Some(0) && table.is_empty() && hint.contains("`blendwire launch` starts one"), "{table} {hint}");
    Ok(())
}

#[cfg(unix)]
fn is_private(state: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = |path: &Path| anyhow::Ok(fs_err::metadata(path)?.permissions().mode() & 0o777);
    let file = descriptors(state)?.pop().context("no descriptor")?;
    ensure!((mode(&state.join("instances"))?, mode(&file)?) == (0o700, 0o600));
    Ok(())
}

#[cfg(not(unix))]
fn is_private(_state: &Path) -> Result<()> {
    Ok(())
}

/// A server that is stopped is gone although its Blender lives, and started again it is another.
fn restarted(environment: &Environment, blender: &Blender) -> Result<()> {
    if blender.flavour != Flavour::Windowed {
        return Ok(());
    }
    let before = id(blender)?;
    let later = "bpy.app.timers.register(lambda: (bpy.ops.blendwire.server_restart(), None)[1], first_interval=0.2)";
    blender.result(later)?;
    let list = wait_until("the server to be back", SOON, || {
        let (list, _) = list(environment, &blender.state).ok()?;
        (list.len() == 1 && list[0]["instance"] != before.as_str()).then_some(list)
    })?;
    ensure!(descriptors(&blender.state)?.len() == 1 && list[0]["pid"] == blender.process.pid(), "{list:?}");
    Ok(())
}

fn killed(environment: &Environment) -> Result<()> {
    let mut blender = Blender::start(environment, Flavour::Bpy52, &Settings::default())?;
    let killed = id(&blender)?;
    blender.process.kill()?;
    let (list, remarks) = list(environment, &blender.state)?;
    ensure!(list.is_empty() && remarks.contains("1 ended without saying so"), "{list:?} {remarks}");
    ensure!(descriptors(&blender.state)?.len() == 1);
    let next = beside(environment, &blender, Flavour::Bpy52)?;
    let left = descriptors(&blender.state)?;
    ensure!(left.len() == 1 && !left[0].to_string_lossy().contains(&killed), "{left:?}");
    let (list, remarks) = self::list(environment, &blender.state)?;
    ensure!(list.len() == 1 && list[0]["pid"] == next.process.pid() && remarks.is_empty(), "{list:?} {remarks}");
    Ok(())
}

fn two(environment: &Environment) -> Result<()> {
    let mut first = Blender::start(environment, Flavour::Bpy50, &Settings::default())?;
    let second = beside(environment, &first, Flavour::Bpy52)?;
    let ids = [id(&first)?, id(&second)?];
    for arguments in [&["exec", "-c", "result = 1"][..], &["status"], &["repl"]] {
        let (code, out, told) = said(&mut blendwire(environment, &first.state, arguments))?;
        ensure!(code == Some(2) && out.is_empty(), "{code:?} {out}");
        ensure!(ids.iter().all(|id| told.contains(id)) && told.contains("--instance"), "{told}");
    }
    let exec = ["exec", "-c", "import os; result = os.getpid()"];
    for (blender, id) in [(&first, &ids[0]), (&second, &ids[1])] {
        let pid = blender.process.pid().to_string();
        for name in [id, &id[..8], &pid, &blender.port.to_string()] {
            let by_option = said(blendwire(environment, &first.state, &exec).args(["--instance", name]))?;
            let by_variable = said(blendwire(environment, &first.state, &exec).env("BLENDWIRE_INSTANCE", name))?;
            for (code, out, told) in [by_option, by_variable] {
                ensure!(code == Some(0) && out.trim() == pid, "{name}: {code:?} {out} {told}");
            }
        }
        // An address goes before a name.
        let mut addressed = blendwire(environment, &first.state, &exec);
        let addressed = addressed.env("BLENDWIRE_INSTANCE", "zzz").env("BLENDWIRE_PORT", blender.port.to_string());
        ensure!(said(addressed)?.1.trim() == pid);
    }
    let (code, _, told) = said(blendwire(environment, &first.state, &exec).args(["--instance", "zzz"]))?;
    ensure!(code == Some(2) && told.contains("no running Blender is \"zzz\"") && told.contains(&ids[0]), "{told}");
    first.process.kill()?;
    let (code, out, told) = said(&mut blendwire(environment, &second.state, &exec))?;
    ensure!(code == Some(0) && out.trim() == second.process.pid().to_string(), "{told}");
    Ok(())
}

fn next_free_port(environment: &Environment) -> Result<()> {
    let taken = TcpListener::bind("127.0.0.1:0")?;
    let port = taken.local_addr()?.port();
    let settings = Settings {
        defaults: true,
        port: Some(port),
        python_expr: Some(format!("{PREFERENCES}.port = {port}\n{PREFERENCES}.next_free_port = True")),
        // What answers at the port that it was given is not it.
        reached_at: Some("127.0.0.1".to_owned()),
        ..Settings::default()
    };
    let blender = Blender::start(environment, Flavour::Windowed, &settings)?;
    wait_until("it to be found", Duration::from_mins(2), || {
        list(environment, &blender.state).ok().filter(|(list, _)| list.len() == 1)
    })?;
    let exec = said(&mut blendwire(environment, &blender.state, &["exec", "-c", "import os; result = os.getpid()"]))?;
    ensure!(exec.1.trim() == blender.process.pid().to_string(), "{exec:?}");
    Ok(())
}

fn pid_of(session: &McpSession) -> Result<Value> {
    let call = session.call("execute_blender_code", json!({"code": "import os; result = os.getpid()"}))?;
    ensure!(!call.is_error(), "{}", call.text());
    Ok(call.value()["result"].clone())
}

fn model(environment: &Environment) -> Result<()> {
    let first = Blender::start(environment, Flavour::Bpy50, &Settings::default())?;
    let mut second = beside(environment, &first, Flavour::Bpy52)?;
    let ids = [id(&first)?, id(&second)?];
    let session = McpSession::start(blendwire(environment, &first.state, &["mcp"]))?;
    let unclear = session.call("get_objects_summary", json!({}))?;
    ensure!(unclear.is_error() && unclear.text().contains("select_blender_instance"), "{}", unclear.text());
    ensure!(ids.iter().all(|id| unclear.text().contains(id)), "{}", unclear.text());
    let listed = session.call("list_blender_instances", json!({}))?.value();
    ensure!(listed["current"] == json!(null) && listed["instances"].as_array().map(Vec::len) == Some(2), "{listed}");
    let wrong = session.call("select_blender_instance", json!({"id": "zzz"}))?;
    ensure!(wrong.is_error() && ids.iter().all(|id| wrong.text().contains(id)), "{}", wrong.text());
    for (blender, id) in [(&first, &ids[0]), (&second, &ids[1])] {
        let selected = session.call("select_blender_instance", json!({"id": id[..8]}))?;
        ensure!(selected.value()["id"] == **id, "{}", selected.text());
        ensure!(pid_of(&session)? == blender.process.pid() && pid_of(&session)? == blender.process.pid());
        ensure!(session.call("list_blender_instances", json!({}))?.value()["current"] == **id);
    }
    // Nobody has said that the other one will do as well.
    second.process.kill()?;
    let gone = wait_until("it to be missed", SOON, || {
        let call = session.call("execute_blender_code", json!({"code": "result = 1"})).ok()?;
        (call.is_error() && call.text().contains("no running Blender is")).then(|| call.text())
    })?;
    ensure!(gone.contains(&ids[0]) && !gone.contains("5.2"), "{gone}");
    session.call("select_blender_instance", json!({"id": ids[0]}))?;
    ensure!(pid_of(&session)? == first.process.pid());
    Ok(())
}

/// Without a choice: the one that is talked to stays, whichever others start, and when it has gone the only one is taken.
fn follows(environment: &Environment) -> Result<()> {
    let mut first = Blender::start(environment, Flavour::Bpy52, &Settings::default())?;
    let session = McpSession::start(blendwire(environment, &first.state, &["mcp"]))?;
    ensure!(pid_of(&session)? == first.process.pid());
    let second = beside(environment, &first, Flavour::Bpy52)?;
    ensure!(pid_of(&session)? == first.process.pid(), "it went to the newer one");
    first.process.kill()?;
    let pid = wait_until("the other one to be taken", SOON, || pid_of(&session).ok())?;
    ensure!(pid == second.process.pid(), "{pid}");
    Ok(())
}

/// As a user who may not write there, since root may.
#[cfg(unix)]
fn unwritable(environment: &Environment) -> Result<()> {
    let folder = tempfile::tempdir()?;
    Command::new("chmod").arg("755").arg(folder.path()).status()?;
    let (user, state) = (Some("65534".to_owned()), Some(folder.path().join("state")));
    let blender = Blender::start(environment, Flavour::Bpy52, &Settings { user, state, ..Settings::default() })?;
    ensure!(blender.result("result = 6 * 7")? == 42);
    let told = wait_until("the log to tell", SOON, || {
        Some(blender.process.output()).filter(|told| told.contains("clients cannot find this server by themselves"))
    })?;
    ensure!(told.contains("denied") && told.contains("BLENDWIRE_PORT"), "{told}");
    Ok(())
}
