// SPDX-License-Identifier: GPL-3.0-or-later
//! `blendwire launch`: starts a Blender with the server on and waits until it answers.
//!
//! This file decides the order; `installed` finds a Blender, `embedded` makes one out of PyPI's bpy, `addon` unpacks the
//! add-on that the executable carries, `child` runs the process and `ready` waits for it.

mod addon;
mod asked;
mod child;
mod embedded;
pub(super) mod installed;
mod pip;
mod port;
mod python;
mod ready;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, anyhow, bail};
use blendwire_client::Endpoint;
use serde_json::json;

use self::addon::Addon;
pub(crate) use self::addon::ZIP as CARRIED_ADDON;
use self::asked::AskedToEnd;
use self::child::Child;
use super::block_on;
use crate::args::LaunchArgs;
use crate::exit::{Ended, Failure};
use crate::{env_vars, printer};

pub(crate) fn run(args: &LaunchArgs) -> Ended {
    let file = args.file.as_deref().map(blend_file).transpose().map_err(Failure::could_not_start)?;
    let endpoint = port::choose(args).map_err(Failure::could_not_start)?;
    let addon = addon::unpack().map_err(Failure::could_not_start)?;
    let mut command = command(args, &addon, &endpoint).map_err(Failure::could_not_start)?;
    // `--python` comes before the file in no case: Blender takes its arguments in order.
    command.args(file).env(env_vars::BIND, endpoint.to_string());
    if !args.embedded {
        command.args(["--python-exit-code", "1", "--python"]).arg(&addon.launcher);
    }
    block_on(async {
        let mut asked = AskedToEnd::listen().map_err(Failure::could_not_start)?;
        let child = Child::start(command, &endpoint, args.foreground).map_err(Failure::could_not_start)?;
        serve(args, &endpoint, child, &mut asked).await
    })
}

/// The program and what it needs before the file's name.
fn command(args: &LaunchArgs, addon: &Addon, endpoint: &Endpoint) -> Result<Command> {
    if args.embedded {
        let mut command = Command::new(embedded::python()?);
        command.args(["-m", "blendwire", "--host", &endpoint.host, "--port", &endpoint.port.to_string()]);
        command.env("PYTHONPATH", &addon.folder).env("PYTHONUNBUFFERED", "1");
        return Ok(command);
    }
    let blender = installed::find(args.blender.as_deref())?;
    printer::talk(&format!("starting Blender {} ({})", blender.version, blender.path.display()));
    let mut command = Command::new(blender.path);
    if args.background {
        command.arg("--background");
    }
    Ok(command)
}

async fn serve(args: &LaunchArgs, endpoint: &Endpoint, mut child: Child, asked: &mut AskedToEnd) -> Ended {
    let status = tokio::select! {
        ready = ready::wait(endpoint, &mut child) => ready.map_err(Failure::Failed)?,
        () = asked.wait() => {
            child.end(asked).await;
            return Err(Failure::Failed(anyhow!("stopped before Blender answered; Blender was ended")));
        }
    };
    let log = child.log.display().to_string();
    printer::talk(&format!("Blender {} is ready", status.versions.blender));
    if args.foreground {
        printer::talk("Ctrl-C ends it");
        printer::data(&report(args.json, endpoint, status.pid, None))?;
        return child.attend(asked).await;
    }
    printer::talk(&format!("its output goes to {log}"));
    printer::talk(&how_to_end(status.pid, status.background));
    printer::data(&report(args.json, endpoint, status.pid, Some(&log)))
}

/// On Windows a process without a window does not hear a polite wish to end.
fn how_to_end(pid: u32, is_background: bool) -> String {
    let command = match (cfg!(windows), is_background) {
        (false, _) => "kill",
        (true, false) => "taskkill /PID",
        (true, true) => "taskkill /F /PID",
    };
    let or_close = if is_background { "" } else { ", or close its window" };
    format!("end it with: {command} {pid}{or_close}")
}

/// The one line of data: where Blender listens, and which process it is.
fn report(as_json: bool, endpoint: &Endpoint, pid: u32, log: Option<&str>) -> String {
    if as_json {
        let Endpoint { host, port } = endpoint;
        json!({"endpoint": endpoint.to_string(), "host": host, "port": port, "pid": pid, "log": log}).to_string()
    } else {
        format!("{endpoint} pid {pid}")
    }
}

fn blend_file(path: &Path) -> Result<PathBuf> {
    let metadata = std::fs::metadata(path).with_context(|| format!("cannot open {}", path.display()))?;
    if metadata.is_dir() {
        bail!("{} is a folder; name a .blend file in it, or none for a new scene", path.display());
    }
    Ok(std::path::absolute(path)?)
}
