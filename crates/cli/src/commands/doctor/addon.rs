// SPDX-License-Identifier: GPL-3.0-or-later
//! The add-on in the Blenders that are installed, as their folders and those that run show it. Whether it is enabled only a
//! Blender tells that is started for it, which takes longer than all other checks together: that is done where nothing
//! listens, and so may be why. `blendwire addon status` always does.

use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use super::context::Context;
use super::finding::Finding;
use crate::blenders::{self, Installed, OnDisk, on_disk};
use crate::{commands, instances, printer};

/// This command's version, and that of the add-on which it carries.
const OWN_VERSION: &str = env!("CARGO_PKG_VERSION");

/// A start takes a second or two, on a slow machine several.
const TOLD_WITHIN: Duration = Duration::from_secs(9);

/// What the check may take: Blenders are looked for, then those that have it are started, all of them side by side. On a
/// machine that is so slow that both take all of their time, it is not the check that hangs. The rest is for its own work.
pub(super) const WITHIN: Duration =
    blenders::VERSION_WITHIN.saturating_add(TOLD_WITHIN).saturating_add(Duration::from_secs(3));

const INSTALL: &str = "blendwire addon install";

pub(super) fn addon(context: &Context) -> Finding {
    let blenders = context.blenders();
    let mut found: Vec<(&Installed, OnDisk)> = Vec::new();
    for blender in blenders {
        // Several executables of one version share their folders.
        let copies = on_disk(blender).into_iter().filter(|copy| found.iter().all(|(_, known)| known != copy));
        let copies: Vec<_> = copies.collect();
        found.extend(copies.into_iter().map(|copy| (blender, copy)));
    }
    if found.is_empty() {
        return not_installed(context);
    }
    let told = |(blender, OnDisk { version, .. }): &(&Installed, OnDisk)| {
        format!("{} in Blender {}", printer::one_line(version), blender.version)
    };
    let seen = found.iter().map(told).collect::<Vec<_>>().join(", ");
    if found.iter().all(|(_, copy)| copy.version == OWN_VERSION) {
        return if may_be_why(context) { enabled(&seen, &found) } else { Finding::ok(seen) };
    }
    Finding::warning(format!("{seen}; this command is {OWN_VERSION}"), "what one of them can do the other may not know")
        .remedy(INSTALL)
        .remedy("blendwire addon status: where they are, and which are enabled")
}

/// Whether nothing listens where this machine's Blender would.
fn may_be_why(context: &Context) -> bool {
    context.endpoint().is_this_machine() && matches!(context.connected.get(), Some(Err(_)))
}

/// Asks each Blender that has it.
fn enabled(seen: &str, found: &[(&Installed, OnDisk)]) -> Finding {
    let mut asked: Vec<&Installed> = found.iter().map(|(blender, _)| *blender).collect();
    asked.dedup_by_key(|blender| &blender.path);
    let answers: Vec<_> = thread::scope(|scope| {
        let ask = |blender| scope.spawn(move || commands::addon::is_enabled(blender, TOLD_WITHIN));
        let asked: Vec<_> = asked.into_iter().map(ask).collect();
        asked.into_iter().filter_map(|asked| asked.join().ok()).collect()
    });
    if answers.iter().any(|answer| matches!(answer, Ok(true))) {
        return Finding::ok(format!("{seen}, enabled"));
    }
    if answers.iter().all(|answer| matches!(answer, Ok(false))) {
        return disabled(seen);
    }
    Finding::ok(format!("{seen}; whether it is enabled Blender did not say: see `blendwire addon status`"))
}

fn disabled(seen: &str) -> Finding {
    Finding::warning(
        format!("{seen}, and not enabled"),
        "a Blender that is started without `blendwire launch` has no server, and MCP clients find none",
    )
    .remedy("blendwire addon install: enables it; then restart Blender")
    .remedy("in Blender: Edit > Preferences > Add-ons, tick MCP Server")
}

fn not_installed(context: &Context) -> Finding {
    let blenders = context.blenders();
    let running = instances::look().map(|found| found.running).unwrap_or_default();
    // Its folders may be elsewhere: what runs there has it.
    let with_it = running.iter().find(|instance| !instance.versions.addon.is_empty());
    if let Some(instance) = with_it {
        let versions = [&instance.versions.addon, &instance.versions.blender].map(|text| printer::one_line(text));
        return Finding::ok(format!("{} in the Blender {} that runs", versions[0], versions[1]));
    }
    if blenders.is_empty() {
        return Finding::ok("no Blender is installed that could have it");
    }
    let versions: BTreeSet<_> = blenders.iter().map(|blender| blender.version).collect();
    let versions: Vec<_> = versions.iter().map(ToString::to_string).collect();
    Finding::warning(
        format!("not installed in Blender {}, as far as its usual folders show", versions.join(", ")),
        "a Blender that is started without `blendwire launch` has no server, and MCP clients find none",
    )
    .remedy(INSTALL)
    .remedy("blendwire addon status: asks each Blender, also for folders of its own")
    .remedy("blendwire launch: brings the add-on along, for that Blender alone")
}
