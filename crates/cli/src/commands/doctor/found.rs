// SPDX-License-Identifier: GPL-3.0-or-later
//! Which Blender is meant.

use blendwire_client::Endpoint;
use blendwire_state::Found;

use super::context::Context;
use super::finding::Finding;
use super::system;
use crate::instances::Advice;
use crate::{env_vars, instances, printer};

/// Finds it by what options and environment say, else by the descriptors of those that run.
pub(super) fn instances(context: &Context) -> Finding {
    let found = match instances::look() {
        Ok(found) => found,
        Err(error) => return unreadable(&format!("{error:#}")),
    };
    let _ = context.running.set(found.running.clone());
    let target = match context.wanted.find(Advice::at_a_shell("say which with --instance")) {
        Ok(target) => target,
        Err(error) => return unclear(error.to_string().trim(), &found),
    };
    let _ = context.endpoint.set(target.endpoint.clone());
    let seen = seen(&found, &target.endpoint);
    if found.stale > 0 {
        return stale(found.stale, &seen);
    }
    if found.unreadable > 0 {
        return Finding::warning(
            format!("{seen}; {} of the files there could not be read as descriptors", found.unreadable),
            "the servers that they are of are not found by themselves: they are of a later version of Blendwire, or could \
             have been written by other users",
        )
        .remedy("bring Blender's add-on and this command to one version")
        .remedy("in Blender: 3D View, press N, tab MCP, Restart: its server writes its file anew, for you alone");
    }
    Finding::ok(seen)
}

fn seen(found: &Found, endpoint: &Endpoint) -> String {
    let how_many = match found.running.as_slice() {
        [] => "no running Blender tells of itself".to_owned(),
        [one] => {
            format!("Blender {} runs (process {})", printer::one_line(&one.versions.blender), one.pid)
        }
        several => format!("{} Blenders run", several.len()),
    };
    format!("{how_many}; looking at {endpoint}")
}

fn stale(count: usize, seen: &str) -> Finding {
    Finding::warning(
        format!("{seen}; {count} ended without saying so: killed, or crashed"),
        "what they left is in the way of nobody, and a crash may have taken work with it",
    )
    .remedy("blendwire doctor instances --fix")
    .remedy("blendwire logs --failed --code: what ran last")
    .fix(|| Ok(format!("removed what {} servers had left that run no more", instances::sweep())))
}

fn unclear(what: &str, found: &Found) -> Finding {
    let finding =
        Finding::failure(what, "nothing guesses which Blender is meant: a script in the wrong one destroys work");
    match found.running.first() {
        Some(first) => finding.remedy(format!("blendwire doctor --instance {}", printer::one_line(&first.instance))),
        None => finding.remedy("blendwire launch").remedy("leave --instance and BLENDWIRE_INSTANCE out"),
    }
}

fn unreadable(why: &str) -> Finding {
    Finding::failure(why, "running Blenders are found by the files in that folder")
        .remedy(closed_to_others())
        .remedy(format!("name another with {}, for Blender and for this command", env_vars::STATE_DIR))
}

fn closed_to_others() -> String {
    let command = instances::state_folder().map(|folder| system::own_alone(&folder.join("instances")));
    let whole = "give the folder back to its user, readable for them alone";
    command.map_or_else(|| whole.to_owned(), |command| format!("{whole}: {command}"))
}
