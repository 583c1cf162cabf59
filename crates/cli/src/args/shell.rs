// SPDX-License-Identifier: GPL-3.0-or-later
//! `blendwire completions` and `blendwire man`

use std::path::PathBuf;

use clap_complete::Shell;

/// `blendwire completions`
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Prints the script that has the shell complete commands, options and their values with Tab.

Examples:
  blendwire completions bash > ~/.local/share/bash-completion/completions/blendwire
  blendwire completions zsh > ~/.zfunc/_blendwire    # with fpath+=~/.zfunc before compinit in ~/.zshrc
  blendwire completions fish > ~/.config/fish/completions/blendwire.fish
  blendwire completions powershell | Out-File -Append -Encoding utf8 $PROFILE
  eval \"$(blendwire completions bash)\"               # for this terminal only

After an update of blendwire write it anew.")]
pub(crate) struct CompletionsArgs {
    /// The shell
    pub(crate) shell: Shell,
}

/// `blendwire man`
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Without a folder it prints one page: of the whole, or of the command that is named.

Examples:
  blendwire man | man -l -
  blendwire man exec | man -l -
  blendwire man --output ~/.local/share/man/man1    # all pages; then: man blendwire-exec

Exit status: 0 done, 1 the folder cannot be written, 2 there is no such command.")]
pub(crate) struct ManArgs {
    /// The command
    #[arg(conflicts_with = "output")]
    pub(crate) command: Vec<String>,
    /// Write the pages of all commands into this folder
    #[arg(long, value_name = "FOLDER")]
    pub(crate) output: Option<PathBuf>,
}
