// SPDX-License-Identifier: GPL-3.0-or-later
//! Clients made with MCP's Python SDK, in the first and the second major version of it: every tool, over stdio and HTTP.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use blendwire_e2e::{Blender, Environment, Flavour, Settings, wait_until};
use blendwire_mcp::{Answer, answers};

use super::conformance::{serve, token, url};
use super::consent::asking;
use super::official_tools::{background_blender, signal};
use super::render_image::ALL_SAMPLES;
use crate::suite::Suite;

/// Longer than anybody waits for one answer.
const MINUTES: Duration = Duration::from_mins(3);

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
    suite.own("mcp::a_render_of_minutes_lets_no_client_time_out", long_render);
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

/// Both at once, since it takes a minute.
fn long_render(environment: &Environment) -> Result<()> {
    std::thread::scope(|scope| {
        let over_http = scope.spawn(|| outlasts(environment, &environment.connector, true));
        outlasts(environment, &environment.mcp_2_3, false)?;
        over_http.join().expect("rendering does not panic")
    })
}

fn outlasts(environment: &Environment, python: &Path, is_http: bool) -> Result<()> {
    let blender = Blender::start(environment, Flavour::Bpy52, &Settings::default())?;
    blender.result(ALL_SAMPLES)?;
    let (url, token, port) = (url(&blender), token(&blender)?, blender.port.to_string());
    let command = environment.blendwire.display().to_string();
    let way: &[&str] = if is_http { &["http", &url, &token] } else { &["stdio", &command, "mcp", "--port", &port] };
    std::thread::scope(|scope| {
        let client = scope.spawn(|| run(environment, &blender, python, "long_render.py", way));
        let appears = |name: &str| {
            let path = blender.file(name);
            wait_until(name, MINUTES, || (path.exists() || client.is_finished()).then_some(()))
        };
        appears("heard")?;
        // It is slow by doing nothing, so that no processor is busy for a minute.
        let renders = background_blender(blender.process.pid());
        let signal = |name: &str| renders.map_or(Ok(()), |number| signal(name, number));
        let stopped = signal("-STOP").and_then(|()| appears("outlasted"));
        signal("-CONT")?;
        let said = client.join().expect("the client does not panic")?;
        print!("{said}");
        stopped
    })
}

fn call(environment: &Environment, blender: &Blender, python: &Path, arguments: &[&str]) -> Result<()> {
    let schemas: serde_json::Map<String, serde_json::Value> = answers()
        .filter_map(|(name, answer)| match answer {
            Answer::Object(schema) => Some((name.to_owned(), schema().to_value())),
            // The wire's, and no object.
            Answer::Status | Answer::Picture => None,
        })
        .collect();
    fs_err::write(blender.file("answers.json"), serde_json::to_vec(&schemas)?)?;
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
