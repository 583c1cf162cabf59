// SPDX-License-Identifier: GPL-3.0-or-later
//! `blendwire doctor` and a real Blender: all well, and what is not is named.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use blendwire_e2e::{Blender, Environment, Flavour, Gate, Process, Settings, wait_until};
use serde_json::{Value, json};

use crate::suite::Suite;

pub(crate) fn add(suite: &mut Suite) {
    suite.own("doctor::all_is_well_with_a_blender_that_runs", well);
    suite.own("doctor::a_script_that_keeps_the_main_thread_is_named", busy);
    suite.own("doctor::a_wrong_token_is_told", wrong_token);
    suite.own("windowed::doctor::a_defect_of_the_server_is_told_until_it_is_restarted", defect);
    suite.own("bpy_5_2::doctor::a_server_that_speaks_tls_alone_is_known", tls_alone);
    suite.shared(&[Flavour::Windowed], "doctor::a_picture_that_does_not_come_is_told", no_picture);
    #[cfg(target_os = "linux")]
    suite.own("doctor::a_server_that_localhost_does_not_lead_to_first_is_told", beside_the_first_address);
    #[cfg(target_os = "linux")]
    suite.own("doctor::a_system_that_does_not_know_localhost_is_told", unknown_localhost);
    #[cfg(target_os = "linux")]
    suite.own("doctor::a_disk_without_room_is_told", no_room);
}

/// What it finds, with this token, of these checks and what they need.
fn found(environment: &Environment, blender: &Blender, token: Option<&str>, ids: &[&str]) -> Result<Vec<Value>> {
    let mut command = Command::new(&environment.blendwire);
    command.args(["doctor", "--json", "--port", &blender.port.to_string()]).args(ids).stdin(Stdio::null());
    command.env("BLENDWIRE_CONFIG_DIR", blender.file("config")).env("BLENDWIRE_STATE_DIR", &blender.state);
    command.env("HOME", blender.folder.path()).env_remove("XDG_CONFIG_HOME");
    match token {
        Some(token) => command.env("BLENDWIRE_TOKEN", token),
        None => command.env_remove("BLENDWIRE_TOKEN"),
    };
    let output = command.output()?;
    let found: Vec<Value> = serde_json::from_slice(&output.stdout).with_context(|| format!("{output:?}"))?;
    let is_failed = found.iter().any(|finding| finding["state"] == "failure");
    ensure!(output.status.code() == Some(i32::from(is_failed)), "{output:?}");
    Ok(found)
}

fn of_id<'a>(found: &'a [Value], id: &str) -> Result<&'a Value> {
    found.iter().find(|finding| finding["id"] == id).with_context(|| format!("no {id}"))
}

/// Looks until these checks are well: they have deadlines of their own, which a busy machine may miss.
fn until_well(look: impl Fn() -> Result<Vec<Value>>, ids: &[&str]) -> Result<Vec<Value>> {
    let mut last = Ok(Vec::new());
    let looked = wait_until("all to be well", Duration::from_mins(1), || {
        last = look();
        let found = last.as_ref().ok()?;
        let is_well = |id: &&str| of_id(found, id).is_ok_and(|finding| finding["state"] == "ok");
        ids.iter().all(is_well).then(|| found.clone())
    });
    looked.with_context(|| format!("{last:?}"))
}

fn well(environment: &Environment) -> Result<()> {
    let blender = Blender::start(environment, Flavour::Bpy52, &Settings::default())?;
    let ids = ["version", "screenshot", "online-access", "clock", "journal", "defects", "token-file"];
    let found = until_well(|| found(environment, &blender, None, &ids), &ids)?;
    let not_well: Vec<_> = found.iter().filter(|finding| finding["state"] != "ok").collect();
    ensure!(not_well.is_empty(), "{not_well:?}");
    ensure!(of_id(&found, "version")?["seen"].as_str().is_some_and(|seen| seen.contains("Blender 5.2")), "{found:?}");
    Ok(())
}

fn busy(environment: &Environment) -> Result<()> {
    let blender = Blender::start(environment, Flavour::Bpy52, &Settings::default())?;
    let mut wire = blender.wire()?;
    let gate = Gate::closed(blender.file("go"));
    wire.send((json!({"type": "execute", "code": gate.wait(), "title": "a long bake"}).to_string() + "\0").as_bytes())?;
    let look = || found(environment, &blender, None, &["round-trip"]);
    let named = wait_until("the script to be named", Duration::from_secs(30), || {
        let found = look().ok()?;
        let finding = of_id(&found, "main-thread").ok()?;
        (finding["state"] == "warning").then(|| (finding.clone(), of_id(&found, "round-trip").cloned()))
    });
    let (finding, round_trip) = named?;
    ensure!(finding["seen"].as_str().is_some_and(|seen| seen.contains("a long bake")), "{finding}");
    ensure!(finding["remedies"].to_string().contains("blendwire status --watch"), "{finding}");
    ensure!(round_trip?["because"] == json!(["main-thread"]), "{finding}");
    gate.open()?;
    wire.read_to(0)?;
    until_well(look, &["round-trip"]).map(drop)
}

fn wrong_token(environment: &Environment) -> Result<()> {
    let settings = Settings { arguments: vec!["--require-token".to_owned()], ..Settings::default() };
    let blender = Blender::start(environment, Flavour::Bpy52, &settings)?;
    let wrong = found(environment, &blender, Some(&"w".repeat(43)), &["round-trip"])?;
    let finding = of_id(&wrong, "token")?;
    ensure!(finding["state"] == "failure", "{finding}");
    ensure!(finding["remedies"].to_string().contains("blendwire token"), "{finding}");
    ensure!(of_id(&wrong, "round-trip")?["because"] == json!(["token"]), "{wrong:?}");
    until_well(|| found(environment, &blender, None, &["round-trip"]), &["round-trip"]).map(drop)
}

fn defect(environment: &Environment) -> Result<()> {
    let faults = tempfile::tempdir()?;
    let variables = vec![("BLENDWIRE_FAULTS".to_owned(), faults.path().display().to_string())];
    let settings = Settings { variables, ..Settings::default() };
    let blender = Blender::start(&environment.with_faults()?, Flavour::Windowed, &settings)?;
    let look = || of_id(&found(environment, &blender, None, &["defects"])?, "defects").cloned();
    ensure!(look()?["state"] == "ok");
    fs_err::write(faults.path().join("connection"), "")?;
    // Whoever meets it is not answered.
    let _ = blender.wire()?.answer(&json!({"type": "ping"}));
    let finding = look()?;
    ensure!(finding["state"] == "warning" && finding["seen"].to_string().contains("1 since"), "{finding}");
    ensure!(finding["remedies"].to_string().contains("Restart"), "{finding}");
    // The button, which no request can press: it would end its own connection.
    let press = "bpy.app.timers.register(lambda: (bpy.ops.blendwire.server_restart(), None)[1], first_interval=0.2)";
    blender.result(press)?;
    wait_until("the defect to be gone", Duration::from_secs(30), || {
        look().is_ok_and(|finding| finding["state"] == "ok").then_some(())
    })
}

/// OpenSSL's servers say nothing to what is no TLS.
fn tls_alone(environment: &Environment) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let [certificate, key] = ["certificate.pem", "key.pem"].map(|name| folder.path().join(name));
    let mut command = Command::new("openssl");
    command.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]);
    let made = command.arg("-keyout").arg(&key).arg("-out").arg(&certificate).stderr(Stdio::null()).status()?;
    ensure!(made.success(), "the tests need openssl");
    let port = blendwire_e2e::free_port()?;
    let mut command = Command::new("openssl");
    command.args(["s_server", "-quiet", "-accept", &port.to_string()]).arg("-cert").arg(&certificate);
    let server = Process::start(command.arg("-key").arg(&key), &environment.artefacts.join("openssl-server.log"))?;
    let is_there = || std::net::TcpStream::connect(("127.0.0.1", port)).ok();
    wait_until("openssl to listen", Duration::from_secs(20), is_there)?;
    let look = |state: &Path, id: &str, words: &[&str]| -> Result<Value> {
        let mut command = Command::new(&environment.blendwire);
        command.args(["doctor", "--json", "--port", &port.to_string(), "--host", "localhost", id]).args(words);
        let output = command.env("BLENDWIRE_STATE_DIR", state).stdin(Stdio::null()).output()?;
        let found: Vec<Value> = serde_json::from_slice(&output.stdout).with_context(|| format!("{output:?}"))?;
        of_id(&found, id).cloned()
    };
    let finding = look(folder.path(), "protocol", &[])?;
    ensure!(finding["state"] == "failure" && finding["seen"].to_string().contains("speaks TLS"), "{finding}");
    ensure!(finding["remedies"][0].to_string().contains(&format!("--port {port} --tls")), "{finding}");
    // It is none of ours: Blendwire's own port takes both.
    drop(server);
    let settings = Settings { port: Some(port), ..Settings::default() };
    let blender = Blender::start(environment, Flavour::Bpy52, &settings)?;
    until_well(|| Ok(vec![look(&blender.state, "protocol", &[])?]), &["protocol"]).map(drop)
}

/// Without a viewport the picture is rendered, into a temporary folder that somebody has cleaned away meanwhile.
const CLEANED_AWAY: &str = "
import os
kept = bpy.app.driver_namespace['kept'] = []
for window in bpy.context.window_manager.windows:
    for area in window.screen.areas:
        if area.type == 'VIEW_3D':
            kept.append(area)
            area.type = 'CONSOLE'
os.rename(bpy.app.tempdir.rstrip('/'), bpy.app.tempdir.rstrip('/') + '-away')
";

const BACK_AGAIN: &str = "
import os
for area in bpy.app.driver_namespace.pop('kept'):
    area.type = 'VIEW_3D'
os.rename(bpy.app.tempdir.rstrip('/') + '-away', bpy.app.tempdir.rstrip('/'))
";

fn no_picture(blender: &mut Blender) -> Result<()> {
    let environment = Environment::from_env()?;
    let look = || found(&environment, blender, None, &["screenshot"]);
    let well = until_well(look, &["screenshot"])?;
    blender.result(CLEANED_AWAY)?;
    let broken = wait_until("it to be broken", Duration::from_mins(1), || {
        look().ok().filter(|found| of_id(found, "screenshot").is_ok_and(|finding| finding["state"] == "failure"))
    });
    blender.result(BACK_AGAIN)?;
    let (broken, mended) = (broken?, until_well(look, &["screenshot"])?);
    for found in [well, mended] {
        let finding = of_id(&found, "screenshot")?;
        let seen = finding["seen"].as_str().unwrap_or_default();
        ensure!(finding["state"] == "ok" && seen.contains("64×64 pixels, drawn by viewport"), "{finding}");
    }
    let finding = of_id(&broken, "screenshot")?;
    ensure!(finding["state"] == "failure" && finding["seen"].to_string().contains("No such file"), "{finding}");
    ensure!(finding["remedies"].to_string().contains("restart Blender"), "{finding}");
    Ok(())
}

/// Under names that this test makes, as many systems have them.
#[cfg(target_os = "linux")]
fn beside_the_first_address(environment: &Environment) -> Result<()> {
    let look = |blender: &Blender| -> Result<Value> {
        let hosts = blender.file("hosts");
        fs_err::write(&hosts, "::1 localhost\n127.0.0.1 localhost\n")?;
        let mut command = Command::new("unshare");
        command.args(["--mount", "--", "sh", "-c", "mount --bind \"$0\" /etc/hosts && exec \"$@\""]).arg(&hosts);
        command.arg(&environment.blendwire).args(["doctor", "--json", "--host", "localhost", "name"]);
        command.args(["--port", &blender.port.to_string()]).env("BLENDWIRE_STATE_DIR", &blender.state);
        let output = command.stdin(Stdio::null()).output()?;
        let found: Vec<Value> = serde_json::from_slice(&output.stdout).with_context(|| format!("{output:?}"))?;
        of_id(&found, "name").cloned()
    };
    let arguments = vec!["--host".to_owned(), "127.0.0.1".to_owned()];
    let blender = Blender::start(environment, Flavour::Bpy52, &Settings { arguments, ..Settings::default() })?;
    let finding = look(&blender)?;
    ensure!(finding["state"] == "warning" && finding["seen"].to_string().contains("127.0.0.1 alone"), "{finding}");
    ensure!(finding["remedies"].to_string().contains("leave --host out"), "{finding}");
    drop(blender);
    let finding = look(&Blender::start(environment, Flavour::Bpy52, &Settings::default())?)?;
    ensure!(finding["state"] == "ok" && finding["seen"].to_string().contains("::1, 127.0.0.1"), "{finding}");
    Ok(())
}

/// Where nobody but the hosts file knows names, and that has none, until the line is added that is asked for.
#[cfg(target_os = "linux")]
fn unknown_localhost(environment: &Environment) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let [hosts, sources] = ["hosts", "nsswitch.conf"].map(|name| folder.path().join(name));
    fs_err::write(&hosts, "192.0.2.1 elsewhere\n")?;
    fs_err::write(&sources, "hosts: files\n")?;
    let look = || -> Result<Value> {
        let mut command = Command::new("unshare");
        let mounted =
            "mount --bind \"$0\" /etc/hosts && mount --bind \"$1\" /etc/nsswitch.conf && shift && exec \"$@\"";
        command.args(["--mount", "--", "sh", "-c", mounted]).args([&hosts, &sources]).arg(&environment.blendwire);
        command.args(["doctor", "--json", "--host", "localhost", "name"]);
        let output = command.env("BLENDWIRE_STATE_DIR", folder.path()).stdin(Stdio::null()).output()?;
        let found: Vec<Value> = serde_json::from_slice(&output.stdout).with_context(|| format!("{output:?}"))?;
        of_id(&found, "name").cloned()
    };
    let finding = look()?;
    ensure!(finding["state"] == "warning" && finding["seen"].to_string().contains("not know the name"), "{finding}");
    let remedy = finding["remedies"][0].as_str().context("no remedy")?;
    ensure!(remedy.contains("/etc/hosts"), "{finding}");
    let (_, line) = remedy.rsplit_once(": ").context("no line to add")?;
    fs_err::write(&hosts, format!("{line}\n"))?;
    let finding = look()?;
    ensure!(finding["state"] == "ok" && finding["seen"].to_string().contains("localhost is 127.0.0.1"), "{finding}");
    Ok(())
}

#[cfg(target_os = "linux")]
fn no_room(environment: &Environment) -> Result<()> {
    let disk = crate::disk::Disk::mount("100m")?;
    let look = |folder: &Path, state: &str, code: i32| -> Result<Value> {
        let mut command = Command::new(&environment.blendwire);
        command.args(["doctor", "--json", "temporary-space"]).env("TMPDIR", folder).stdin(Stdio::null());
        let output = command.output()?;
        let found: Vec<Value> = serde_json::from_slice(&output.stdout).with_context(|| format!("{output:?}"))?;
        let finding = of_id(&found, "temporary-space")?;
        ensure!(finding["state"] == state && output.status.code() == Some(code), "{finding}");
        ensure!(finding["seen"].to_string().contains(&folder.display().to_string()), "{finding}");
        Ok(finding.clone())
    };
    let expect = |state: &str, code: i32| {
        let finding = look(disk.path(), state, code)?;
        ensure!(finding["remedies"].to_string().contains("TMPDIR"), "{finding}");
        Ok(())
    };
    expect("warning", 0)?;
    let filler = disk.fill(1024 * 1024)?;
    expect("failure", 1)?;
    fs_err::remove_file(filler)?;
    expect("warning", 0)?;
    // A folder on a larger disk.
    look(&environment.artefacts, "ok", 0).map(drop)
}
