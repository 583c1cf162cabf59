// SPDX-License-Identifier: GPL-3.0-or-later
//! `blendwire addon`: puts the add-on that this executable carries into the Blenders of this machine, and takes it out.
//!
//! `chosen` decides which Blenders, `inside` starts them and asks, `package` is the zip, `plan` decides what is to be done
//! in one of them; `install`, `uninstall`, `status` and `build` are the commands, `talk` says what they did.

mod build;
mod chosen;
mod inside;
mod install;
mod package;
mod plan;
mod status;
mod talk;
mod uninstall;

use std::time::Duration;

use anyhow::Result;

use crate::args::AddonCommand;
use crate::blenders::Installed;
use crate::exit::Ended;

pub(crate) fn run(command: &AddonCommand) -> Ended {
    match command {
        AddonCommand::Install(args) => install::run(args),
        AddonCommand::Uninstall(args) => uninstall::run(args),
        AddonCommand::Status(args) => status::run(args),
        AddonCommand::Build(args) => build::run(args),
    }
}

/// Whether a copy of ours is enabled in this Blender, which is started to tell that.
///
/// # Errors
/// When it gives no answer in time.
pub(crate) fn is_enabled(blender: &Installed, longest: Duration) -> Result<bool> {
    Ok(inside::look_within(blender, longest)?.ours.iter().any(|addon| addon.enabled))
}
