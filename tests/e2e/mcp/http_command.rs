// SPDX-License-Identifier: GPL-3.0-or-later
//! `blendwire mcp --http`: who gets to it, and that one client's choice of a Blender is no other client's.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use blendwire_e2e::{Blender, Environment, Flavour, Process, Settings, Wire};
use serde_json::json;

use super::clients::run;
use super::conformance::{printed, serve, serve_with, token};
use super::http::{HttpClient, answered, calls_alone, code};
use super::launcher;
use crate::instances::{beside, id};
use crate::suite::Suite;

pub(super) fn add(suite: &mut Suite) {
    suite.own("mcp_http_command::wants_the_token_and_no_strange_page", who);
    suite.own("mcp_http_command::is_for_this_machine_alone", nowhere_else);
    suite.own("mcp_http_command::each_session_has_its_own_choice_of_a_blender", choices);
    suite.own("mcp_http_command::launches_a_blender_and_drives_it", launches);
}

/// Of a server's address.
pub(super) fn port_of(url: &str) -> Result<u16> {
    Ok(url.trim_end_matches("/mcp").rsplit(':').next().context("no port")?.parse()?)
}

fn who(environment: &Environment) -> Result<()> {
    let blender = Blender::start(environment, Flavour::Bpy52, &Settings::default())?;
    let (_server, url) = serve(environment, &blender)?;
    let port = port_of(&url)?;
    let bearer = |token: &str| format!("Authorization: Bearer {token}\r\n");
    let first = bearer(&token(&blender)?);
    for (headers, expected) in [
        (first.clone(), "200"),
        (String::new(), "401"),
        (bearer("0123456789012345678901234567890123456789"), "401"),
        (format!("{first}Origin: http://localhost:6274\r\n"), "200"),
        (format!("{first}Origin: https://evil.example\r\n"), "403"),
        (format!("{first}Origin: null\r\n"), "403"),
    ] {
        let code = code(port, &headers)?;
        ensure!(code == expected, "{headers:?}: {code}");
    }
    // A page whose own name leads here.
    let mut wire = Wire::connect(port)?;
    wire.send(
        format!(
            "POST /mcp HTTP/1.1\r\nHost: evil.example\r\n{first}Connection: close\r\nContent-Length: 2\r\n\r\n{{}}"
        )
        .as_bytes(),
    )?;
    let said = String::from_utf8(wire.read_to_end()?)?;
    ensure!(said.starts_with("HTTP/1.1 403"), "{said}");
    // A token that is replaced lets nobody in any more, and its successor does at once.
    let rotated = Command::new(&environment.blendwire)
        .args(["token", "--rotate"])
        .env("BLENDWIRE_CONFIG_DIR", blender.file("config"))
        .output()?;
    ensure!(rotated.status.success(), "{rotated:?}");
    ensure!(code(port, &first)? == "401" && code(port, &bearer(&token(&blender)?))? == "200");
    Ok(())
}

fn nowhere_else(environment: &Environment) -> Result<()> {
    let folder = tempfile::tempdir()?;
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:9880", "9880"] {
        let mut command = Command::new(&environment.blendwire);
        command.args(["mcp", "--http", address]).env("BLENDWIRE_CONFIG_DIR", folder.path()).stdin(Stdio::null());
        let refused = command.output()?;
        let said = String::from_utf8_lossy(&refused.stderr);
        ensure!(refused.status.code() == Some(2) && said.contains("127.0.0.1"), "{address}: {said}");
        ensure!(is_empty(folder.path())?, "{address}: a token was made");
    }
    Ok(())
}

fn is_empty(folder: &Path) -> Result<bool> {
    Ok(fs_err::read_dir(folder)?.next().is_none())
}

fn choices(environment: &Environment) -> Result<()> {
    let first = Blender::start(environment, Flavour::Bpy50, &Settings::default())?;
    let second = beside(environment, &first, Flavour::Bpy52)?;
    let (_server, url) = serve_with(environment, &first, &[])?;
    let ids = [id(&first)?, id(&second)?];
    let arguments = [url.as_str(), &token(&first)?, &ids[0], &ids[1]];
    let said = run(environment, &first, &environment.connector, "two_sessions.py", &arguments)?;
    let pids = format!("{} {}", first.process.pid(), second.process.pid());
    ensure!(said.trim() == pids, "{said} and not {pids}");
    // Where each request stands alone, none could be meant by a choice but all clients: the model is told what to do.
    let said = run(environment, &first, &environment.mcp_2_3, "two_sessions.py", &arguments)?;
    ensure!(said.contains("keeps no session") && said.contains("--instance"), "{said}");
    Ok(())
}

/// Clients of all revisions find it: those with a session, and those whose calls stand alone.
fn launches(environment: &Environment) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut command = launcher(environment, folder.path(), &["--http", "127.0.0.1:0"])?;
    let server = Process::start(&mut command, &folder.path().join("server.log"))?;
    let port = port_of(&printed(&server, |line| line.starts_with("http://"))?)?;
    let token = fs_err::read_to_string(folder.path().join("config/token"))?;
    let token = format!("Authorization: Bearer {}\r\n", token.trim());
    let client = HttpClient::begin(port, &token)?;
    let begun = client.value("launch_blender", &json!({"background": true}))?;
    let pid = begun["pid"].as_u64().with_context(|| begun.to_string())?;
    let code = "import os\nresult = os.getpid()";
    let looked = client.value("execute_blender_code", &json!({"code": code}));
    let call = json!({"name": "execute_blender_code", "arguments": {"code": code}});
    let alone = calls_alone(port, &token, call, &json!({})).and_then(|mut wire| answered(&mut wire));
    let ended = Command::new("kill").arg(pid.to_string()).status()?;
    ensure!(ended.success(), "the Blender that was launched, {pid}, had ended");
    let (looked, (_, alone)) = (looked?, alone?);
    ensure!(looked["result"] == pid, "{looked}");
    ensure!(alone["result"]["structuredContent"]["result"] == pid, "{alone}");
    Ok(())
}
