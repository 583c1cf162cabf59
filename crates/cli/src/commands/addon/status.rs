// SPDX-License-Identifier: GPL-3.0-or-later
//! `blendwire addon status`

use std::thread;

use anyhow::Result;
use blendwire_protocol::Instance;
use serde_json::{Value, json};

use super::chosen;
use super::inside::{self, Addon, Inside};
use crate::args::AddonStatusArgs;
use crate::blenders::Installed;
use crate::exit::{Ended, Failure};
use crate::printer;

/// What was found out about one Blender.
struct Seen {
    blender: Installed,
    inside: Result<Inside>,
    running: Vec<Instance>,
}

pub(super) fn run(args: &AddonStatusArgs) -> Ended {
    let blenders = chosen::blenders(&args.blenders)?;
    // Side by side: each start takes a second or two, and nothing is changed.
    let looked = blenders.into_iter().map(|blender| thread::spawn(move || seen(blender))).collect::<Vec<_>>();
    let seen: Vec<_> = looked.into_iter().filter_map(|seen| seen.join().ok()).collect();
    if args.json {
        printer::data(&Value::from(seen.iter().map(as_json).collect::<Vec<_>>()).to_string())?;
    } else {
        for seen in &seen {
            printer::table(&text(seen))?;
        }
    }
    if seen.iter().any(|seen| seen.inside.is_err()) { Err(Failure::Told) } else { Ok(()) }
}

fn seen(blender: Installed) -> Seen {
    Seen { inside: inside::look(&blender), running: chosen::running(blender.version), blender }
}

fn text(Seen { blender, inside, running }: &Seen) -> String {
    let mut lines = vec![format!("Blender {}  {}", blender.version, blender.path.display())];
    match inside {
        Err(error) => lines.push(format!("  cannot be asked: {error:#}")),
        Ok(Inside { ours, rivals, .. }) => {
            if ours.is_empty() {
                lines.push("  add-on not installed: blendwire addon install".to_owned());
            }
            lines.extend(ours.iter().map(|addon| format!("  add-on {}", of_addon(addon))));
            let enabled = rivals.iter().filter(|rival| rival.enabled);
            lines.extend(enabled.map(|rival| {
                let name = printer::one_line(&rival.name);
                format!("  another add-on for MCP, enabled: {name} {} ({})", rival.version, rival.module)
            }));
        }
    }
    lines.extend(running.iter().map(|instance| {
        let addon = printer::one_line(&instance.versions.addon);
        format!("  runs as process {}, with add-on {addon}", instance.pid)
    }));
    lines.join("\n")
}

fn of_addon(addon: &Addon) -> String {
    let state = if addon.enabled { "enabled" } else { "not enabled: blendwire addon install" };
    let own = env!("CARGO_PKG_VERSION");
    let other = if addon.version == own { String::new() } else { format!(", this command has {own}") };
    format!("{} ({}), {state}{other}  {}", addon.version, addon.kind.told(), addon.folder.display())
}

fn as_json(Seen { blender, inside, running }: &Seen) -> Value {
    let running: Vec<_> = running
        .iter()
        .map(|instance| json!({"instance": instance.instance, "pid": instance.pid, "addon": instance.versions.addon}))
        .collect();
    let mut said = json!({"version": blender.version.to_string(), "path": blender.path, "running": running});
    match inside {
        Ok(Inside { ours, rivals, .. }) => {
            said["addons"] = json!(ours);
            said["others"] = json!(rivals);
        }
        Err(error) => said["error"] = format!("{error:#}").into(),
    }
    said
}
