// SPDX-License-Identifier: GPL-3.0-or-later
//! `blendwire instances`: the Blenders of this user that run on this machine with a server on.

use blendwire_state::Found;

use crate::args::InstancesArgs;
use crate::exit::{Ended, Failure};
use crate::{env_vars, instances, printer};

pub(crate) fn run(args: &InstancesArgs) -> Ended {
    let found = instances::look().map_err(Failure::failed)?;
    for line in remarks(&found) {
        printer::talk(&line);
    }
    if args.json {
        return printer::data(&serde_json::to_string(&found.running).map_err(Failure::failed)?);
    }
    if found.running.is_empty() { Ok(()) } else { printer::table(&instances::table(&found.running)) }
}

/// What there is to say beside those that run.
fn remarks(found: &Found) -> Vec<String> {
    let Found { running, stale, elsewhere, unreadable } = found;
    let mut remarks = Vec::new();
    if running.is_empty() {
        remarks.push(format!(
            "no Blender runs that can be found. `blendwire launch` starts one; or start Blender and enable the add-on (in \
             the 3D View press N, tab MCP, Start). One that keeps its state elsewhere is found when {} names that folder, \
             one of another add-on with --port",
            env_vars::STATE_DIR
        ));
    }
    if *stale > 0 {
        remarks.push(format!(
            "{stale} ended without saying so: killed, or crashed. What is left of them goes when the next one starts"
        ));
    }
    if *elsewhere > 0 {
        remarks.push(format!("{elsewhere} on other machines that share this folder: run this command there"));
    }
    if *unreadable > 0 {
        remarks.push(format!(
            "{unreadable} of the files are of a later version of Blendwire, or could have been written by others, and were \
             left out"
        ));
    }
    remarks
}
