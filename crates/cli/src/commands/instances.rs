// SPDX-License-Identifier: GPL-3.0-or-later
//! `blendwire instances`: the Blenders of this user that run on this machine with a server on.

use blendwire_protocol::Instance;
use blendwire_state::Found;

use super::block_on;
use crate::args::{EndpointArgs, InstancesArgs};
use crate::endpoint::Wanted;
use crate::exit::{Ended, Failure};
use crate::watch::{self, Shown};
use crate::{env_vars, instances, printer};

pub(crate) fn run(args: &InstancesArgs) -> Ended {
    if args.watch {
        return block_on(watch(Shown::new(args.json)));
    }
    let found = instances::look().map_err(Failure::failed)?;
    for line in remarks(&found).into_iter().chain(elsewhere()) {
        printer::talk(&line);
    }
    if args.json {
        return printer::data(&serde_json::to_string(&found.running).map_err(Failure::failed)?);
    }
    if found.running.is_empty() { Ok(()) } else { printer::table(&instances::table(&found.running)) }
}

/// Tells who comes and goes.
async fn watch(shown: Shown) -> Ended {
    let mut before: Option<Vec<Instance>> = None;
    watch::until_interrupted(async || {
        let running = instances::look().map_err(Failure::failed)?.running;
        if shown == Shown::Screen {
            let none = || "no Blender runs that can be found".to_owned();
            watch::screen(&if running.is_empty() { none() } else { instances::table(&running) })?;
        } else if before.as_ref() != Some(&running) {
            if shown == Shown::Json {
                printer::data(&serde_json::to_string(&running).map_err(Failure::failed)?)?;
            } else {
                changes(before.as_deref().unwrap_or_default(), &running)
                    .iter()
                    .try_for_each(|line| watch::line(line))?;
            }
        }
        before = Some(running);
        Ok(())
    })
    .await
}

/// A line for each that went or came.
fn changes(before: &[Instance], now: &[Instance]) -> Vec<String> {
    let not_in = |others: &[Instance], one: &Instance| others.iter().all(|other| other.instance != one.instance);
    let went = before.iter().filter(|one| not_in(now, one)).map(|one| format!("ended    {}", instances::line(one)));
    let came =
        now.iter().rev().filter(|one| not_in(before, one)).map(|one| format!("running  {}", instances::line(one)));
    went.chain(came).collect()
}

/// Where commands go that name no Blender, when that is not to one of these.
fn elsewhere() -> Option<String> {
    // What is wrong with the settings is for the commands to say that need them.
    let wanted = Wanted::read(&EndpointArgs::default()).ok()?;
    let by = &wanted.host.as_ref()?.by;
    let endpoint = wanted.endpoint();
    (!endpoint.is_this_machine()).then(|| {
        format!(
            "commands that name none go to {endpoint}, since {by} says so, and to none of these (`blendwire config`)"
        )
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_went_and_came_are_told_oldest_first() {
        let instance = |id: &str| Instance { instance: id.to_owned(), ..Instance::default() };
        let told = changes(&[instance("b"), instance("a")], &[instance("d"), instance("c"), instance("b")]);
        let begins: Vec<_> = told.iter().map(|line| line[..10].trim_end()).collect();
        assert_eq!(begins, ["ended    a", "running  c", "running  d"]);
    }
}
