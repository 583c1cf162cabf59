// SPDX-License-Identifier: GPL-3.0-or-later
//! Which Blenders are meant, and which of their like run.

use anyhow::{Context as _, Result, anyhow};
use blendwire_protocol::Instance;

use crate::args::BlendersArgs;
use crate::blenders::{self, Installed, OLDEST, Version};
use crate::exit::Failure;
use crate::instances;

/// Those that were named, else those that are found.
///
/// # Errors
/// When a named one cannot be used, or none is found.
pub(super) fn blenders(args: &BlendersArgs) -> Result<Vec<Installed>, Failure> {
    if args.blender.is_empty() {
        let found = blenders::all();
        if found.is_empty() {
            return Err(Failure::Failed(anyhow!(
                "no Blender {OLDEST} or newer found on PATH or in the usual places: name one with --blender PATH (its \
                 executable or its folder), or install one from https://www.blender.org/download/"
            )));
        }
        return Ok(found);
    }
    let named = args.blender.iter().map(|path| blenders::named(path).context("--blender cannot be used"));
    let named: Vec<Vec<_>> = named.collect::<Result<_>>().map_err(Failure::could_not_start)?;
    Ok(named.into_iter().flatten().collect())
}

/// Those of a version that run with their server on. Not to know is no reason to stop.
pub(super) fn running(version: Version) -> Vec<Instance> {
    let running = instances::look().map(|found| found.running).unwrap_or_default();
    running.into_iter().filter(|instance| Version::of(&instance.versions.blender) == Some(version)).collect()
}
