// SPDX-License-Identifier: GPL-3.0-or-later
//! `blendwire launch`: starts a Blender with the server on and waits until it answers.
//!
//! This file decides the order; `blenders` finds a Blender, `embedded` makes one out of PyPI's bpy, `addon` unpacks the
//! add-on that the executable carries, `start` says what is run, `child` runs it and `ready` waits for it. `render` starts
//! its Blender with the same.

mod addon;
pub(super) mod asked;
pub(super) mod child;
mod embedded;
mod pip;
pub(super) mod port;
mod python;
pub(super) mod ready;
pub(super) mod start;

use anyhow::anyhow;
use blendwire_client::Endpoint;
use serde_json::json;

use self::asked::AskedToEnd;
use self::child::Child;
use self::start::{Start, blend_file};
use super::block_on;
use crate::args::LaunchArgs;
use crate::exit::{Ended, Failure};
use crate::printer;

pub(crate) fn run(args: &LaunchArgs) -> Ended {
    let file = args.file.as_deref().map(blend_file).transpose().map_err(Failure::could_not_start)?;
    let endpoint = port::choose(args).map_err(Failure::could_not_start)?;
    let start = Start {
        blender: args.blender.as_deref(),
        embedded: args.embedded,
        background: args.background,
        file: file.as_deref(),
        endpoint: &endpoint,
        owned: false,
    };
    let command = start.command().map_err(Failure::could_not_start)?;
    block_on(async {
        let mut asked = AskedToEnd::listen().map_err(Failure::could_not_start)?;
        let child = Child::start(command, &endpoint, args.foreground).map_err(Failure::could_not_start)?;
        serve(args, &endpoint, child, &mut asked).await
    })
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
