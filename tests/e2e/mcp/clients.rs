// SPDX-License-Identifier: GPL-3.0-or-later
//! Clients made with MCP's Python SDK, in the first and the second major version of it: every tool, over stdio and HTTP.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};
use blendwire_e2e::{Blender, Environment, Flavour, Settings};

use super::concurrent::asking;
use super::conformance::{serve, token, url};
use crate::suite::Suite;

pub(super) fn add(suite: &mut Suite) {
    for flavour in [Flavour::Bpy52, Flavour::Windowed] {
        suite.own(&format!("{}::mcp::clients_of_both_sdks_call_every_tool", flavour.name()), move |environment| {
            let blender = Blender::start(environment, flavour, &Settings::default())?;
            for python in [&environment.connector, &environment.mcp_2_3] {
                let command = environment.blendwire.display().to_string();
                call(environment, &blender, python, &["stdio", &command, "mcp", "--port", &blender.port.to_string()])?;
                call(environment, &blender, python, &["http", &url(&blender), &token(&blender)?])?;
            }
            Ok(())
        });
    }
    suite.own("mcp::clients_of_both_sdks_call_every_tool_of_the_command_over_http", |environment| {
        let blender = Blender::start(environment, Flavour::Bpy52, &Settings::default())?;
        let (_server, url) = serve(environment, &blender)?;
        for python in [&environment.connector, &environment.mcp_2_3] {
            call(environment, &blender, python, &["http", &url, &token(&blender)?])?;
        }
        Ok(())
    });
    suite.own("windowed::mcp::clients_of_both_sdks_ask_for_consent", consent);
}

/// Since the second version without a session, where the question is the answer to the call.
fn consent(environment: &Environment) -> Result<()> {
    let blender = asking(environment)?;
    let path = blender.file("asked");
    let code = format!("open({:?}, 'a').write('x')\nresult = 'done'", path.display().to_string());
    let mut times = 0;
    for python in [&environment.connector, &environment.mcp_2_3] {
        let command = environment.blendwire.display().to_string();
        for way in [
            &["stdio", &command, "mcp", "--port", &blender.port.to_string()][..],
            &["http", &url(&blender), &token(&blender)?],
        ] {
            let ask =
                |answer| run(environment, &blender, python, "consent.py", &[&[code.as_str(), answer], way].concat());
            let refused = ask("never")?;
            ensure!(refused.contains("has refused"), "{way:?}: {refused}");
            ensure!(ask("once")?.trim() == "done", "{way:?}");
            times += 1;
            ensure!(fs_err::read(&path)?.len() == times, "{way:?}: it was done more often than was consented to");
        }
    }
    Ok(())
}

fn call(environment: &Environment, blender: &Blender, python: &Path, arguments: &[&str]) -> Result<()> {
    let said = run(environment, blender, python, "call_every_tool.py", arguments)?;
    print!("{}: {said}", blender.flavour.name());
    Ok(())
}

/// What one of the scripts beside this file prints.
pub(super) fn run(
    environment: &Environment,
    blender: &Blender,
    python: &Path,
    script: &str,
    arguments: &[&str],
) -> Result<String> {
    let mut command = Command::new(python);
    command.arg(environment.workspace.join("tests/e2e/mcp").join(script)).args(arguments);
    // Where the command finds the one Blender that is listed.
    command.env("BLENDWIRE_STATE_DIR", &blender.state).env("BLENDWIRE_CONFIG_DIR", blender.file("config"));
    command.env("BLENDWIRE_TEST_FOLDER", blender.folder.path());
    command.env("PYTHONUTF8", "1").env("PYTHONDONTWRITEBYTECODE", "1");
    let output = command.output()?;
    let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{} {arguments:?}:\n{said}\n{complained}", python.display());
    Ok(said.into_owned())
}
