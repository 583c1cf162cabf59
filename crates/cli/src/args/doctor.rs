// SPDX-License-Identifier: GPL-3.0-or-later
//! `blendwire doctor`

use clap::builder::PossibleValuesParser;

use super::EndpointArgs;
use crate::commands::doctor;

/// `blendwire doctor`
#[expect(clippy::struct_excessive_bools, reason = "each is one option")]
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Looks from here to Blender, one thing after the other: is a Blender found, does something listen, is it Blendwire, does it \
let this user in, does its main thread answer; and at what stands around: the MCP clients, Blender itself, the disks. What \
cannot be looked at since something before it failed is not guessed at.

Examples:
  blendwire doctor
  blendwire doctor listens protocol    # these, and what they need
  blendwire doctor --port 9877
  blendwire doctor --fix               # mends what can be mended without harm
  blendwire doctor --report            # text for a bug report, without secrets
  blendwire doctor --json | jq -r '.[] | select(.state == \"failure\") | .remedies[]'

Exit status: 0 nothing failed (there may be warnings), 1 something did, 2 wrong use.")]
pub(crate) struct DoctorArgs {
    /// The checks, and what they need [default: all]
    #[arg(value_name = "ID", value_parser = PossibleValuesParser::new(doctor::ids()))]
    pub(crate) checks: Vec<String>,
    /// Print the findings as a JSON array
    #[arg(long)]
    pub(crate) json: bool,
    /// Say which checks there are and what they look at, and look at nothing
    #[arg(long, conflicts_with_all = ["fix", "report"])]
    pub(crate) list: bool,
    /// Mend what can be mended without harm, and look again
    #[arg(long)]
    pub(crate) fix: bool,
    /// Print text to paste into a bug report: versions, system and all findings, without token and home folder
    #[arg(long, conflicts_with = "json")]
    pub(crate) report: bool,
    #[command(flatten)]
    pub(crate) endpoint: EndpointArgs,
}
