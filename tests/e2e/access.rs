// SPDX-License-Identifier: GPL-3.0-or-later
//! Who is let in: programs of Blender's own user and of root, and of other users where the preferences say so.
//!
//! The other user is `nobody`, so these tests run as root on Linux, as the windowed ones do.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use blendwire_e2e::{Blender, Environment, Flavour, PREFERENCES, Settings, wait_until};
use serde_json::{Value, json};

use crate::suite::{EVERYWHERE, Suite};

pub(crate) fn add(suite: &mut Suite) {
    suite.shared(&EVERYWHERE, "access::another_user_is_refused_in_every_dialect", refused);
    suite.shared(&EVERYWHERE, "access::whoever_closes_at_once_is_not_taken_for_root", closed_at_once);
    suite.shared(&[Flavour::Bpy52], "access::refused_connections_do_not_stay", do_not_stay);
    suite.own("access::the_command_says_why_it_is_refused", command);
    suite.own("access::doctor_says_that_another_user_is_refused_until_they_are_let_in", doctor);
    suite.own("access::blender_of_another_user_lets_in_root_and_its_user", of_another_user);
    suite.own("bpy_5_2::access::an_option_lets_other_users_in", |environment| {
        let arguments = vec!["--other-users".to_owned()];
        let settings = Settings { arguments, ..Settings::default() };
        let_in(&Blender::start(environment, Flavour::Bpy52, &settings)?)
    });
    suite.own("windowed::access::a_preference_lets_other_users_in", |environment| {
        let wish = format!("{PREFERENCES}.other_users = True");
        let settings = Settings { python_expr: Some(wish), ..Settings::default() };
        let_in(&Blender::start(environment, Flavour::Windowed, &settings)?)
    });
}

/// The number of `nobody`.
const NOBODY: &str = "65534";

/// Sends what stands on stdin to the port and host given, as whoever runs it, and prints what comes back until the
/// server closes; with a third argument it closes at once instead.
const CLIENT: &str = "
import socket, sys
host, port, *at_once = sys.argv[1:]
connection = socket.create_connection((host, int(port)))
connection.sendall(sys.stdin.buffer.read())
if at_once:
    sys.exit()
connection.settimeout(30)
while data := connection.recv(65536):
    sys.stdout.buffer.write(data)
    if data.endswith(b'\\0') or b'pong' in data:
        break
";

/// `command` as the user `nobody`, with nothing of root's.
fn as_nobody(program: impl AsRef<Path>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"]).arg(program.as_ref());
    command.current_dir("/");
    command
}

pub(crate) fn said_to_nobody(host: &str, port: u16, request: &[u8], more: &[&str]) -> Result<Vec<u8>> {
    let mut command = as_nobody("/usr/bin/python3");
    command.args(["-c", CLIENT, host, &port.to_string()]).args(more);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().context("the tests need setpriv and python3")?;
    child.stdin.take().context("no stdin")?.write_all(request)?;
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(output.stdout)
}

fn refusals(blender: &Blender) -> Result<u64> {
    let status = blender.wire()?.answer(&json!({"type": "status"}))?;
    status["result"]["counters"]["connections_refused"].as_u64().context("no counter")
}

/// Says why, and what to do.
fn is_told(message: &Value) -> bool {
    let message = message.as_str().unwrap_or_default();
    ["user 65534", "Other Users of This Machine", "--other-users"].iter().all(|words| message.contains(words))
}

fn refused(blender: &mut Blender) -> Result<()> {
    let before = refusals(blender)?;
    let code = "import bpy\nbpy.app.driver_namespace['intruder'] = True";
    let framed = json!({"type": "execute", "code": code}).to_string();
    for host in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
        for end in ["\0", "\n"] {
            let said = said_to_nobody(host, blender.port, format!("{framed}{end}").as_bytes(), &[])?;
            let said = said.strip_suffix(b"\0").context("no NUL")?;
            let reply: Value = serde_json::from_slice(said)?;
            ensure!(reply["status"] == "error" && is_told(&reply["message"]), "{reply}");
            ensure!(reply["error"]["code"] == "forbidden" && reply.get("stdout").is_none(), "{reply}");
        }
        for path in ["/health", "/status"] {
            let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
            let said = String::from_utf8(said_to_nobody(host, blender.port, request.as_bytes(), &[])?)?;
            let (head, body) = said.split_once("\r\n\r\n").context("no HTTP answer")?;
            ensure!(head.starts_with("HTTP/1.1 403 ") && head.contains("application/json"), "{head}");
            ensure!(is_told(&serde_json::from_str::<Value>(body)?["error"]), "{body}");
        }
        let bare = json!({"type": "execute_code", "params": {"code": code}}).to_string();
        let said = said_to_nobody(host, blender.port, bare.as_bytes(), &[])?;
        let reply: Value = serde_json::from_slice(&said)?;
        ensure!(said.ends_with(b"}") && reply["status"] == "error" && is_told(&reply["message"]), "{reply}");
        for unknown in [&b"\x16\x03\x01\x02\x00"[..], b"nonsense\n", b"{\"type\": \"exe"] {
            let request =
                if unknown.starts_with(b"{") { [unknown, &b" ".repeat(70_000)].concat() } else { unknown.to_vec() };
            let said = said_to_nobody(host, blender.port, &request, &[])?;
            ensure!(is_told(&serde_json::from_slice::<Value>(said.strip_suffix(b"\0").context("no NUL")?)?["message"]));
        }
    }
    ensure!(refusals(blender)? == before + 24, "{} after {before}", refusals(blender)?);
    ensure!(blender.result("result = 'intruder' in bpy.app.driver_namespace")? == false, "it ran");
    Ok(())
}

/// A socket that its owner has closed is listed as root's, or not at all.
fn closed_at_once(blender: &mut Blender) -> Result<()> {
    let before = refusals(blender)?;
    let code = "bpy.app.driver_namespace['intruder'] = True";
    let request = json!({"type": "execute", "code": code}).to_string() + "\0";
    for _ in 0..20 {
        said_to_nobody("127.0.0.1", blender.port, request.as_bytes(), &["at once"])?;
    }
    wait_until("all to be refused", Duration::from_secs(40), || {
        (refusals(blender).ok()? == before + 20).then_some(())
    })?;
    ensure!(blender.result("result = 'intruder' in bpy.app.driver_namespace")? == false, "it ran");
    Ok(())
}

/// Whoever is not let in and says nothing is put out after a moment, so that it does not keep others out.
fn do_not_stay(blender: &mut Blender) -> Result<()> {
    let hold = "import socket, sys, time\n\
        held = [socket.create_connection(('127.0.0.1', int(sys.argv[1]))) for _ in range(700)]\n\
        print('held', flush=True)\nprint(held[0].recv(1))\ntime.sleep(60)";
    let mut command = as_nobody("/usr/bin/python3");
    let mut holder = command.args(["-c", hold, &blender.port.to_string()]).stdout(Stdio::piped()).spawn()?;
    let mut said = [0; 5];
    let read = std::io::Read::read_exact(holder.stdout.as_mut().context("no stdout")?, &mut said);
    let before = Instant::now();
    let answered = blender.result("result = 1");
    let gone = wait_until("them to be put out", Duration::from_secs(40), || {
        let status = blender.wire().ok()?.answer(&json!({"type": "status"})).ok()?;
        (status["result"]["clients"] == 1).then_some(before.elapsed())
    });
    holder.kill()?;
    holder.wait()?;
    read?;
    ensure!(answered? == 1);
    println!("700 silent connections of another user were gone after {:?}", gone?);
    Ok(())
}

/// The command where `nobody` can run it, and the folder that it is in.
fn command_for_nobody(environment: &Environment) -> Result<(tempfile::TempDir, PathBuf)> {
    let folder = tempfile::tempdir()?;
    let blendwire = folder.path().join("blendwire");
    fs_err::copy(&environment.blendwire, &blendwire)?;
    Command::new("chmod").arg("755").args([folder.path(), &blendwire]).status()?;
    Ok((folder, blendwire))
}

fn command(environment: &Environment) -> Result<()> {
    let blender = Blender::start(environment, Flavour::Bpy52, &Settings::default())?;
    let (_folder, blendwire) = command_for_nobody(environment)?;
    for arguments in [&["exec", "-c", "result = 1"][..], &["status"], &["status", "--json"]] {
        let mut command = as_nobody(&blendwire);
        command.args(arguments).env("BLENDWIRE_PORT", blender.port.to_string()).env("HOME", "/nonexistent");
        let output = command.stdin(Stdio::null()).output()?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.code() == Some(1) && output.stdout.is_empty(), "{}: {said}", output.status);
        ensure!(is_told(&json!(said)) && !said.contains("official connector"), "{arguments:?}: {said}");
    }
    let told = wait_until("the log to tell", Duration::from_secs(10), || {
        Some(blender.process.output()).filter(|told| told.contains("refused a connection"))
    })?;
    ensure!(told.matches("refused a connection of user 65534").count() == 1, "told once a minute: {told}");
    Ok(())
}

/// What `doctor` finds as `nobody`.
fn found_by_nobody(blendwire: &Path, blender: &Blender, id: &str) -> Result<Vec<Value>> {
    let mut command = as_nobody(blendwire);
    command.args(["doctor", "--json", "--port", &blender.port.to_string(), id]).env("HOME", "/nonexistent");
    let output = command.env_remove("BLENDWIRE_TOKEN").stdin(Stdio::null()).output()?;
    serde_json::from_slice(&output.stdout).with_context(|| format!("{output:?}"))
}

fn doctor(environment: &Environment) -> Result<()> {
    let (_folder, blendwire) = command_for_nobody(environment)?;
    let blender = Blender::start(environment, Flavour::Bpy52, &Settings::default())?;
    let found = found_by_nobody(&blendwire, &blender, "round-trip")?;
    let of_id =
        |found: &[Value], id: &str| found.iter().find(|finding| finding["id"] == id).cloned().context("no such");
    let (protocol, token) = (of_id(&found, "protocol")?, of_id(&found, "token")?);
    ensure!(protocol["state"] == "ok" && protocol["seen"].to_string().contains("Blendwire"), "{protocol}");
    ensure!(token["state"] == "failure" && is_told(&token["seen"]), "{token}");
    let remedies = token["remedies"].to_string();
    ensure!(remedies.contains("--other-users") && !remedies.contains("BLENDWIRE_TOKEN"), "no token helps: {token}");
    ensure!(of_id(&found, "round-trip")?["because"] == json!(["token"]), "{found:?}");
    drop(blender);
    let settings = Settings { arguments: vec!["--other-users".to_owned()], ..Settings::default() };
    let blender = Blender::start(environment, Flavour::Bpy52, &settings)?;
    let found = found_by_nobody(&blendwire, &blender, "round-trip")?;
    ensure!(of_id(&found, "round-trip")?["state"] == "ok", "{found:?}");
    Ok(())
}

/// The other way round: Blender runs as `nobody`, and root comes in.
fn of_another_user(environment: &Environment) -> Result<()> {
    let settings = Settings { user: Some(NOBODY.to_owned()), ..Settings::default() };
    let blender = Blender::start(environment, Flavour::Bpy52, &settings)?;
    ensure!(blender.result("import os\nresult = os.getuid()")? == 65534, "it runs as root");
    let reply = said_to_nobody("127.0.0.1", blender.port, b"{\"type\": \"ping\"}\0", &[])?;
    ensure!(reply.starts_with(b"{\"status\": \"ok\", \"result\": \"pong\""), "{:?}", String::from_utf8_lossy(&reply));
    ensure!(refusals(&blender)? == 0);
    Ok(())
}

fn let_in(blender: &Blender) -> Result<()> {
    for host in ["127.0.0.1", "::1"] {
        let reply = said_to_nobody(host, blender.port, b"{\"type\": \"ping\"}\0", &[])?;
        ensure!(
            reply == b"{\"status\": \"ok\", \"result\": \"pong\", \"stdout\": \"\"}\0",
            "{:?}",
            String::from_utf8_lossy(&reply)
        );
    }
    ensure!(refusals(blender)? == 0);
    Ok(())
}
