// SPDX-License-Identifier: GPL-3.0-or-later
//! `blendwire lock`

use std::path::PathBuf;

use super::EndpointArgs;

/// `blendwire lock`
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Writes versions and SHA-256 of this executable, of the add-on that it carries and of the core in that to blendwire.lock, \
with the versions of the wire and of MCP; commit it. Checking needs no network and no Blender. Each system has a part of its \
own in the file: run it once on each.

Examples:
  blendwire lock                     # write blendwire.lock, or accept what is there now
  blendwire lock --check             # in CI, or before a deployment
  blendwire lock --check --running   # and whether the Blender that runs has these versions
  blendwire lock --check deploy/blendwire.lock --json

Exit status: 0 written, or it holds; 1 something differs; 2 there is no such file, or it cannot be read.")]
pub(crate) struct LockArgs {
    /// The file
    #[arg(default_value = "blendwire.lock")]
    pub(crate) file: PathBuf,
    /// Compare with the file, and write nothing
    #[arg(long)]
    pub(crate) check: bool,
    /// Compare the versions of the Blender that runs, too
    #[arg(long, requires = "check")]
    pub(crate) running: bool,
    /// Print what was written or differs as JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) endpoint: EndpointArgs,
}
