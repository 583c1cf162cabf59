// SPDX-License-Identifier: GPL-3.0-or-later
//! `blendwire tunnel`

use std::ffi::OsString;
use std::path::PathBuf;

use blendwire_protocol::DEFAULT_PORT;

use super::port;

/// `blendwire tunnel`
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Forwards a port of this machine to the Blender on another one, with the system's own ssh: its keys, agent, known hosts and \
~/.ssh/config are used as they are. Waits until the Blender answers, prints the endpoint on stdout, and stays until Ctrl-C; \
when the connection is cut it comes back by itself. Sign in as the user whom Blender runs as: others are not let in. \
What comes after -- goes to ssh.

Examples:
  blendwire tunnel me@render7
  blendwire tunnel me@render7 --port 9877 --local-port 9900
  blendwire tunnel render7 -- -i ~/.ssh/render_key -J gateway
  blendwire exec --port 9876 -c \"result = bpy.data.filepath\"      # in another terminal

Exit status: 0 ended by Ctrl-C, 1 it could not be connected, or no Blender answers there, 2 wrong use or no ssh.")]
pub(crate) struct TunnelArgs {
    /// The other machine, as ssh takes it: [USER@]HOST, or a Host of ~/.ssh/config
    #[arg(value_name = "USER@HOST", value_parser = destination)]
    pub(crate) destination: String,
    /// Port of the Blender on that machine
    #[arg(long, value_parser = port, default_value_t = DEFAULT_PORT)]
    pub(crate) port: u16,
    /// Port on this machine [default: the same, else the next one that is free]
    #[arg(long, value_parser = port)]
    pub(crate) local_port: Option<u16>,
    /// The ssh to run: OpenSSH's client
    #[arg(long, value_name = "PATH", default_value = "ssh")]
    pub(crate) ssh: PathBuf,
    /// Options for ssh
    #[arg(last = true, value_name = "SSH_OPTIONS")]
    pub(crate) ssh_options: Vec<OsString>,
}

/// ssh would read it as an option.
fn destination(text: &str) -> Result<String, String> {
    if text.is_empty() || text.starts_with('-') {
        return Err("a machine is wanted, as me@render7; options for ssh go after --".to_owned());
    }
    Ok(text.to_owned())
}
