// SPDX-License-Identifier: GPL-3.0-or-later
//! `blendwire setup`

use clap::ValueEnum;

use super::EndpointArgs;

/// The name of an entry that is given none.
pub(crate) const ENTRY_NAME: &str = "blender";

/// `blendwire setup`
#[expect(clippy::struct_excessive_bools, reason = "each is one option")]
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Writes an entry that starts this very executable as `blendwire mcp` into the configuration file of each client, and \
changes nothing else in it. A file that was there is kept beside it as FILE.blendwire-backup-N first. On a terminal and without \
names it shows each change and asks. --host, --port and the options for other machines go into the entry; without them an \
entry keeps those that it has.

Examples:
  blendwire setup                       # every client that is found on this machine
  blendwire setup --dry-run             # show what would be written
  blendwire setup claude-desktop zed --port 9877
  blendwire setup cursor --retire       # and take out other servers for Blender
  blendwire setup --remove

Exit status: 0 every client is as wanted, 1 a client could not be set up or none was found.")]
pub(crate) struct SetupArgs {
    /// The clients [default: those that are found]
    #[arg(value_name = "CLIENT")]
    pub(crate) clients: Vec<ClientName>,
    /// Show what would be changed, and write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Take the entry away
    #[arg(long, conflicts_with = "retire")]
    pub(crate) remove: bool,
    /// Take other servers for Blender out of the file (blender-mcp, mcp-for-blender, …); the backup keeps them
    #[arg(long)]
    pub(crate) retire: bool,
    /// Ask nothing
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// Name of the entry
    #[arg(long, default_value = ENTRY_NAME, value_parser = entry_name)]
    pub(crate) name: String,
    /// Print what was done as JSON; asks nothing
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) endpoint: EndpointArgs,
}

/// The MCP clients that are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ClientName {
    ClaudeDesktop,
    ClaudeCode,
    Cursor,
    Vscode,
    Windsurf,
    Devin,
    Zed,
    Codex,
    Gemini,
}

fn entry_name(text: &str) -> Result<String, String> {
    if text.is_empty() || text.chars().any(char::is_control) {
        return Err("a name of one line, for instance blender-2".to_owned());
    }
    Ok(text.to_owned())
}

/// Whether a new entry may have this name: clients make prefixes of tool names from it, and some refuse other characters.
/// One that somebody has written with another is mended and removed all the same.
pub(crate) fn is_plain_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|character| character.is_ascii_alphanumeric() || "-_".contains(character))
}
