// SPDX-License-Identifier: GPL-3.0-or-later
//! `blendwire addon`

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};

/// `blendwire addon`
#[derive(clap::Args, Debug)]
#[command(
    arg_required_else_help = true,
    after_help = "\
Examples:
  blendwire addon install      # in every Blender that is found
  blendwire addon status       # where it is, which version, whether it is enabled
  blendwire addon uninstall
  blendwire addon build        # write the zip, for Blender's own Install from Disk"
)]
pub(crate) struct AddonArgs {
    #[command(subcommand)]
    pub(crate) command: AddonCommand,
}

/// What to do with the add-on.
#[derive(Debug, Subcommand)]
pub(crate) enum AddonCommand {
    /// Install the add-on that this command carries, or bring it up to date
    Install(InstallArgs),
    /// Remove the add-on
    Uninstall(UninstallArgs),
    /// Show which Blenders are there, and whether the add-on is in them
    Status(StatusArgs),
    /// Write the add-on's zip into a file
    Build(BuildArgs),
}

/// Which Blenders.
#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct BlendersArgs {
    /// A Blender: its executable, its folder, or a folder of several; may be repeated [default: those that are found]
    #[arg(long, value_name = "PATH")]
    pub(crate) blender: Vec<PathBuf>,
    /// Every Blender that is found, without asking
    #[arg(long, conflicts_with = "blender")]
    pub(crate) all: bool,
}

/// How Blender keeps an add-on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum KindName {
    /// As an extension: Blender 4.2 and later
    Extension,
    /// As a legacy add-on, the only way in Blender 4.0 and 4.1
    Legacy,
}

/// `blendwire addon install`
#[expect(clippy::struct_excessive_bools, reason = "each is one option")]
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Finds the Blenders on this machine (4.0 and later): on PATH, in the usual places, of Steam, Snap and Flatpak. Each is \
started for a moment without a window, with its user's own preferences, which keep everything else. An older version is \
replaced with its settings kept. On a terminal, and with several Blenders, it asks for each.

Examples:
  blendwire addon install
  blendwire addon install --dry-run
  blendwire addon install --blender /opt/blender-4.5 --blender ~/portable/blender-5.2
  blendwire addon install --all --disable-others   # other add-ons for MCP want the same port

Exit status: 0 it is in every one of these Blenders, 1 it is not in one of them or none was found, 2 wrong use.")]
pub(crate) struct InstallArgs {
    #[command(flatten)]
    pub(crate) blenders: BlendersArgs,
    /// Install this zip instead of the carried one
    #[arg(long, value_name = "FILE")]
    pub(crate) zip: Option<PathBuf>,
    /// How to install it [default: as an extension where Blender has those]
    #[arg(long = "as", value_name = "KIND")]
    pub(crate) kind: Option<KindName>,
    /// Replace a newer version too
    #[arg(long)]
    pub(crate) downgrade: bool,
    /// Disable other add-ons that serve MCP clients: Blender's official one, mcp-for-blender's, …
    #[arg(long)]
    pub(crate) disable_others: bool,
    /// Say what would be done, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Ask nothing
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// Print what was done as a JSON array; asks nothing
    #[arg(long)]
    pub(crate) json: bool,
}

/// `blendwire addon uninstall`
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Disables the add-on and removes its files, of every kind that is installed. Says what stays: token, journal and other \
data of Blendwire.

Examples:
  blendwire addon uninstall
  blendwire addon uninstall --blender /opt/blender-4.5 --dry-run

Exit status: 0 it is in none of these Blenders, 1 it still is in one or none was found, 2 wrong use.")]
pub(crate) struct UninstallArgs {
    #[command(flatten)]
    pub(crate) blenders: BlendersArgs,
    /// Say what would be done, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Ask nothing
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// Print what was done as a JSON array; asks nothing
    #[arg(long)]
    pub(crate) json: bool,
}

/// `blendwire addon status`
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Starts each Blender for a moment without a window and asks it. A Blender that runs is shown with its process when its \
server is on.

Examples:
  blendwire addon status
  blendwire addon status --json | jq -r '.[] | select(.addons == []) | .path'

Exit status: 0 every Blender could be asked, 1 one could not or none was found.")]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    pub(crate) blenders: BlendersArgs,
    /// Print it as a JSON array
    #[arg(long)]
    pub(crate) json: bool,
}

/// `blendwire addon build`
#[derive(clap::Args, Debug)]
#[command(after_help = "\
The zip is for this platform. It installs by Edit > Preferences > Add-ons > Install from Disk, in any Blender from 4.0 on.

Examples:
  blendwire addon build
  blendwire addon build --output /srv/share/")]
pub(crate) struct BuildArgs {
    /// The file, or the folder for it [default: the current folder]
    #[arg(long, short, value_name = "PATH")]
    pub(crate) output: Option<PathBuf>,
}
