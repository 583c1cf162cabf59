// SPDX-License-Identifier: GPL-3.0-or-later
//! `blendwire config`

use super::EndpointArgs;

/// `blendwire config`
#[expect(clippy::struct_excessive_bools, reason = "each is one option")]
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Options go before environment variables, those before the settings, and where nothing is said the Blender that runs is \
meant. A profile counts as much as what names it: --profile as an option, BLENDWIRE_PROFILE as a variable. The settings \
are config.toml beside token and certificate, or what BLENDWIRE_CONFIG names.

Examples:
  blendwire config                        # which Blender is meant, and what says so
  blendwire config --profile render7
  blendwire config --example   # settings to begin with, for the file that --path names
  blendwire config --schema > blendwire.schema.json           # for editors: #:schema blendwire.schema.json

Exit status: 0 the settings are right, or there are none; 2 something in them is wrong.")]
pub(crate) struct ConfigArgs {
    /// Print where the settings are, or would be
    #[arg(long, conflicts_with_all = ["schema", "example", "json"])]
    pub(crate) path: bool,
    /// Print the JSON schema of the settings
    #[arg(long, conflicts_with_all = ["example", "json"])]
    pub(crate) schema: bool,
    /// Print settings that show everything which can be set
    #[arg(long, conflicts_with = "json")]
    pub(crate) example: bool,
    /// Print it as JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) endpoint: EndpointArgs,
}
