// SPDX-License-Identifier: GPL-3.0-or-later
//! The bundle for Claude Desktop, unpacked by its maker's tool and started as Claude Desktop would start it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use blendwire_e2e::{Blender, Bundle, Environment, Flavour, McpSession, Settings};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::suite::Suite;

pub(crate) fn add(suite: &mut Suite) {
    suite.own("bpy_5_2::bundle::starts_as_claude_desktop_starts_it_and_reaches_blender", starts);
}

fn starts(environment: &Environment) -> Result<()> {
    let unpacked = Unpacked::make(environment)?;
    let settings = Settings { arguments: vec!["--require-token".to_owned()], ..Settings::default() };
    let blender = Blender::start(environment, Flavour::Bpy52, &settings)?;
    let (own, none) = (blender.file("config"), blender.file("no-config"));

    // Nothing filled in: the Blender that runs is found, and the user's own token.
    let empty = unpacked.started(environment, &json!({}), "with-defaults")?;
    ensure!(empty["env"]["BLENDWIRE_HOST"] == "", "{empty}");
    ensure!(answer(&session(&empty, &blender, &own)?)? == json!(42), "with defaults");
    // The same from a client that leaves what it does not know as it stands.
    let literal = unpacked.started(environment, &json!({}), "without-defaults")?;
    ensure!(literal["env"]["BLENDWIRE_PORT"] == "${user_config.port}", "{literal}");
    ensure!(answer(&session(&literal, &blender, &own)?)? == json!(42), "with placeholders");

    // Filled in, by a user who has no token of their own.
    let token = token(environment, &own)?;
    let port = blender.port.to_string();
    let filled = json!({"host": "localhost", "port": port, "token": token});
    let filled = unpacked.started(environment, &filled, "with-defaults")?;
    ensure!(answer(&session(&filled, &blender, &none)?)? == json!(42), "with settings");
    let wrong = json!({"host": "localhost", "port": port, "token": "w".repeat(43)});
    let wrong = unpacked.started(environment, &wrong, "without-defaults")?;
    let refused = answer(&session(&wrong, &blender, &none)?);
    ensure!(refused.as_ref().is_err_and(|error| error.to_string().contains("token")), "{refused:?}");
    Ok(())
}

/// The bundle in a folder of its own.
struct Unpacked {
    folder: TempDir,
    tool: PathBuf,
}

impl Unpacked {
    fn make(environment: &Environment) -> Result<Self> {
        let Bundle { file, tool } = Bundle::from_env()?;
        let folder = tempfile::tempdir()?;
        let mut unpack = Command::new(&environment.node);
        let output = unpack.arg(&tool).arg("unpack").arg(file).arg(folder.path().join("bundle")).output()?;
        ensure!(output.status.success(), "{output:?}");
        Ok(Self { folder, tool })
    }

    /// The command, arguments and variables that Claude Desktop comes to.
    fn started(&self, environment: &Environment, settings: &Value, defaults: &str) -> Result<Value> {
        let script = environment.workspace.join("tests/e2e/bundle/configure.mjs");
        let code = self.tool.ancestors().nth(2).context("the tool lies in no package")?;
        let mut node = Command::new(&environment.node);
        node.arg(script)
            .arg(code)
            .arg(self.folder.path().join("bundle"))
            .args([settings.to_string().as_str(), defaults]);
        let output = node.output()?;
        ensure!(output.status.success(), "{output:?}");
        Ok(serde_json::from_slice(&output.stdout)?)
    }
}

/// Starts it with little of an environment, as an application does that was started from a menu.
fn session(started: &Value, blender: &Blender, config: &Path) -> Result<McpSession> {
    let words = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut command = Command::new(started["command"].as_str().context("no command")?);
    command.args(words(&started["args"]).iter().filter_map(Value::as_str));
    command.env_clear().env("HOME", blender.folder.path()).envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
    command.env("BLENDWIRE_STATE_DIR", &blender.state).env("BLENDWIRE_CONFIG_DIR", config);
    for (name, value) in started["env"].as_object().context("no variables")? {
        command.env(name, value.as_str().context("a variable is text")?);
    }
    McpSession::start(command)
}

/// What Blender makes of six times seven, once the tools are listed.
fn answer(session: &McpSession) -> Result<Value> {
    let tools = session.tools()?;
    ensure!(tools.iter().any(|tool| tool.name == "get_viewport_image"), "{} tools", tools.len());
    let call = session.call("execute_blender_code", json!({"code": "result = 6 * 7"}))?;
    ensure!(!call.is_error(), "{}", call.text());
    Ok(call.value()["result"].clone())
}

fn token(environment: &Environment, config: &Path) -> Result<String> {
    let output = Command::new(&environment.blendwire).arg("token").env("BLENDWIRE_CONFIG_DIR", config).output()?;
    ensure!(output.status.success(), "{output:?}");
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}
