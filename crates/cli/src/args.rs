// SPDX-License-Identifier: GPL-3.0-or-later
//! What can be typed, and the help that explains it. Nothing is decided here.

#![expect(clippy::doc_markdown, reason = "these comments are the help, shown as they are")]

mod addon;
mod config;
mod doctor;
mod lock;
mod logs;
mod render;
mod setup;
mod shell;
mod tunnel;

use std::path::PathBuf;
use std::time::Duration;

use blendwire_client::Fingerprint;
use clap::{Parser, Subcommand};

pub(crate) use self::addon::{
    AddonArgs, AddonCommand, BlendersArgs, BuildArgs, InstallArgs, KindName, StatusArgs as AddonStatusArgs,
    UninstallArgs,
};
pub(crate) use self::config::ConfigArgs;
pub(crate) use self::doctor::DoctorArgs;
pub(crate) use self::lock::LockArgs;
pub(crate) use self::logs::LogsArgs;
pub(crate) use self::render::{Format, RenderArgs};
pub(crate) use self::setup::{ClientName, ENTRY_NAME, SetupArgs, is_plain_name};
pub(crate) use self::shell::{CompletionsArgs, ManArgs};
pub(crate) use self::tunnel::TunnelArgs;

/// One wire into a running Blender.
///
/// Drives Blender from MCP clients, scripts and the shell. Blender needs the Blendwire add-on, which `blendwire addon
/// install` installs and `blendwire launch` brings along; Blender's official MCP add-on works for most things too.
#[derive(Debug, Parser)]
#[command(
    name = "blendwire",
    version,
    arg_required_else_help = true,
    after_help = "\
Examples:
  blendwire addon install             put the add-on into the Blenders on this machine
  blendwire launch                    start Blender with the server on
  blendwire exec -c \"result = 6 * 7\"  run Python in it, get JSON
  blendwire repl                      or type it at a prompt
  blendwire setup                     make Claude, Cursor and others use it
  blendwire mcp                       serve an MCP client over stdio
  blendwire doctor                    when something does not work

Exit status: 0 done, 1 the work failed, 2 wrong use or could not start.
The only Blender that runs is found by itself; of several, --instance says which.
Environment: BLENDWIRE_HOST and BLENDWIRE_PORT, or BLENDWIRE_INSTANCE, say which Blender to talk to,
BLENDWIRE_TOKEN lets in where that is wanted. BLENDER_MCP_HOST, BLENDER_MCP_PORT, BLENDER_HOST and
BLENDER_PORT are understood too. Else the settings say: `blendwire config`."
)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// A port that can be connected to: 0 is none.
fn port(text: &str) -> Result<u16, String> {
    let port = text.trim().parse().ok().filter(|port| *port > 0);
    port.ok_or_else(|| "a port is a whole number from 1 to 65535".to_owned())
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve MCP over stdio, for Claude, Cursor, VS Code and other MCP clients
    Mcp(McpArgs),
    /// Run Python in Blender: `result` as JSON on stdout, what it prints on stderr
    Exec(ExecArgs),
    /// A Python prompt inside Blender, with history, multi-line input and completion
    Repl(ReplArgs),
    /// Show what Blender and the server in it are doing
    Status(StatusArgs),
    /// List the Blenders of yours that run on this machine with a server on
    Instances(InstancesArgs),
    /// Show the audit journal: what was run in Blender, for whom, and what it did outside
    Logs(LogsArgs),
    /// Find out why it does not work, and what mends it
    Doctor(DoctorArgs),
    /// Install the add-on in the Blenders on this machine, remove it, or see where it is
    Addon(AddonArgs),
    /// Start a Blender with the server on, and wait until it answers
    Launch(LaunchArgs),
    /// Render a .blend file, a still or many frames, in a background Blender; goes on where it was stopped
    Render(RenderArgs),
    /// Bring the Blender of another machine to a port of this one, through ssh
    Tunnel(TunnelArgs),
    /// Make MCP clients start Blendwire: Claude, Cursor, VS Code, Zed, Codex and others
    Setup(SetupArgs),
    /// Show the token that lets clients in, or replace it
    Token(TokenArgs),
    /// Show the certificate for TLS, or make one
    Tls(TlsArgs),
    /// Show which Blender is meant and what says so, and where the settings are
    Config(ConfigArgs),
    /// Write down versions and checksums, or check that they hold
    Lock(LockArgs),
    /// Print what makes a shell complete this command
    Completions(CompletionsArgs),
    /// Print the manual, or write its pages
    Man(ManArgs),
}

/// Which Blender to talk to: by default the one of this user that runs on this machine.
#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct EndpointArgs {
    /// Profile of the settings, as `blendwire config` lists them [default: BLENDWIRE_PROFILE, else default_profile there]
    #[arg(long, value_name = "NAME", conflicts_with_all = ["host", "instance"])]
    pub(crate) profile: Option<String>,
    /// Host name or address of the Blender [default: BLENDWIRE_HOST, else that of the one that runs]
    #[arg(long)]
    pub(crate) host: Option<String>,
    /// Port of the Blender [default: BLENDWIRE_PORT, else that of the one that runs, else 9876]
    #[arg(long, value_parser = port)]
    pub(crate) port: Option<u16>,
    /// Which running Blender, as `blendwire instances` lists them: its ID or the beginning of that, its process or its port
    /// [default: BLENDWIRE_INSTANCE]
    #[arg(long, value_name = "ID", conflicts_with_all = ["host", "port"])]
    pub(crate) instance: Option<String>,
    #[command(flatten)]
    pub(crate) access: AccessArgs,
}

/// How to be sure that it is that Blender. The token comes from BLENDWIRE_TOKEN, else from this user's own file.
#[derive(clap::Args, Clone, Debug, Default)]
#[command(next_help_heading = "Blenders on other machines")]
pub(crate) struct AccessArgs {
    /// Take the TLS certificate with this SHA-256 and no other [default: BLENDWIRE_FINGERPRINT]
    #[arg(long, value_name = "HEX")]
    pub(crate) fingerprint: Option<Fingerprint>,
    /// PEM file of the authority that signed the certificate [default: BLENDWIRE_CA, else those of the system]
    #[arg(long, value_name = "FILE", conflicts_with = "fingerprint")]
    pub(crate) ca: Option<PathBuf>,
    /// Use TLS on this machine too [default: for other machines only]
    #[arg(long)]
    pub(crate) tls: bool,
    /// Use no TLS, on a network that is trusted
    #[arg(long, conflicts_with_all = ["fingerprint", "ca", "tls"])]
    pub(crate) plain: bool,
}

/// `blendwire mcp`
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Starts at once, also with Blender closed, and connects when the first tool is called.

Examples:
  blendwire setup              write the entry of your clients, or by hand:
  claude mcp add blender -- /path/to/blendwire mcp
  blendwire mcp --port 9877
  blendwire mcp --http              # for clients that speak HTTP only; `blendwire token` shows the token

In a client's configuration file, with the whole path: clients do not search the folders that a terminal does.
  {\"mcpServers\": {\"blender\": {\"command\": \"/path/to/blendwire\", \"args\": [\"mcp\"]}}}")]
pub(crate) struct McpArgs {
    /// Serve over HTTP at http://ADDRESS/mcp instead, to clients that bring the token
    #[arg(long, value_name = "ADDRESS", num_args = 0..=1, default_missing_value = "127.0.0.1:9880")]
    pub(crate) http: Option<String>,
    #[command(flatten)]
    pub(crate) endpoint: EndpointArgs,
}

/// `blendwire exec`
#[derive(clap::Args, Debug)]
#[command(after_help = "\
The script assigns what it wants to give back to `result`. Line numbers in tracebacks are those of the file. \
What it prints appears on stderr at once. On a terminal `import blendwire; blendwire.progress(0.4, \"baking\")` in the script, or a render, \
shows a bar. With --json what it prints is in the reply, and not on stderr.

Examples:
  blendwire exec build_scene.py
  blendwire exec -c \"result = [o.name for o in bpy.data.objects]\" | jq
  echo 'print(bpy.app.version_string)' | blendwire exec -
  blendwire exec --timeout 30 heavy.py  # interrupted after 30 s; Ctrl-C cancels it in Blender too
  blendwire exec --rollback --changes build_scene.py

Exit status: 0 it ran, 1 it raised or the connection failed, 2 wrong use (no such file, …).")]
pub(crate) struct ExecArgs {
    /// File with the script, or `-` for stdin
    #[arg(conflicts_with = "code")]
    pub(crate) file: Option<PathBuf>,
    /// The script itself
    #[arg(short = 'c', value_name = "CODE")]
    pub(crate) code: Option<String>,
    /// Print the whole reply as JSON: status, result or message, stdout; changes and rolled_back where asked for
    #[arg(long)]
    pub(crate) json: bool,
    /// Interrupt the script after this many seconds of waiting and running together
    #[arg(long, value_name = "SECS", value_parser = seconds)]
    pub(crate) timeout: Option<Duration>,
    /// Name of the step in Blender's undo history [default: the file's name, else the first line of the code]
    #[arg(long)]
    pub(crate) title: Option<String>,
    /// When the script fails or is cancelled, take back what it did to the file; says so when that is not possible
    #[arg(long)]
    pub(crate) rollback: bool,
    /// Say which data-blocks were added, removed, renamed and modified
    #[arg(long)]
    pub(crate) changes: bool,
    #[command(flatten)]
    pub(crate) endpoint: EndpointArgs,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let secs = text.parse::<f64>().ok().filter(|secs| *secs > 0.0);
    let timeout = secs.and_then(|secs| Duration::try_from_secs_f64(secs).ok());
    timeout.ok_or_else(|| "a number of seconds above 0, for instance 30 or 0.5".to_owned())
}

/// `blendwire repl`
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Names live as long as the prompt and the server in Blender. Values are echoed, `_` is the last one, Tab completes names \
of the running Blender, a blank line ends a block. Ctrl-C stops what runs and keeps the prompt; Ctrl-D or exit() leaves.

Without a terminal it reads stdin as `python -i < file` would: no prompts, values and prints on stdout, tracebacks on \
stderr, goes on after an error. To run a file as one script, take `blendwire exec`.

Examples:
  blendwire repl
  blendwire repl --port 9877
  printf 'len(bpy.data.objects)\\n' | blendwire repl

Exit status: 0 done, 1 an input from a pipe raised or Blender could not be reached.")]
pub(crate) struct ReplArgs {
    #[command(flatten)]
    pub(crate) endpoint: EndpointArgs,
}

/// `blendwire status`
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  blendwire status
  blendwire status --watch
  blendwire status --watch | tee blender.log
  blendwire status --json | jq .state

Exit status: 0 Blender answered, 1 it did not.")]
pub(crate) struct StatusArgs {
    /// Print the status as JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// Look every second until Ctrl-C: a table that is kept up to date, or where that is piped a line for each change;
    /// with --json one document for each
    #[arg(long)]
    pub(crate) watch: bool,
    #[command(flatten)]
    pub(crate) endpoint: EndpointArgs,
}

/// `blendwire instances`
#[derive(clap::Args, Debug)]
#[command(after_help = "\
A server tells of itself in instances below $XDG_STATE_HOME/blendwire (~/.local/state/blendwire; on Windows \
%LOCALAPPDATA%), or in BLENDWIRE_STATE_DIR. Commands take the only one that runs; of several they want to be told which.

Examples:
  blendwire instances
  blendwire instances --watch       # tells who comes and goes, until Ctrl-C
  blendwire instances --json | jq -r '.[].instance'
  blendwire exec --instance 4f0c -c \"result = bpy.data.filepath\"

Exit status: 0 done, also when none runs; 1 it cannot be found out.")]
pub(crate) struct InstancesArgs {
    /// Print the descriptors as a JSON array, newest first
    #[arg(long)]
    pub(crate) json: bool,
    /// Look every second until Ctrl-C: a table that is kept up to date, or where that is piped a line for each that comes or
    /// goes; with --json a line for each change
    #[arg(long)]
    pub(crate) watch: bool,
}

/// `blendwire launch`
#[expect(clippy::struct_excessive_bools, reason = "each is one option")]
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Starts the Blender given by --blender or BLENDWIRE_BLENDER, else the one on PATH, else the newest one found. \
The add-on comes with this command; one that is enabled in that Blender already is used instead. \
Blender goes on running when this command has ended; Ctrl-C before it answers ends it too. \
End it later with `kill PID` (Windows: `taskkill /PID PID`), or close its window.

Examples:
  blendwire launch
  blendwire launch scene.blend --background --port 9900
  blendwire launch --embedded       # none installed: fetches 400 MB from PyPI, once
  blendwire launch --blender /opt/blender-4.5/blender --json")]
pub(crate) struct LaunchArgs {
    /// The .blend file to open
    pub(crate) file: Option<PathBuf>,
    /// Start it without a window
    #[arg(long)]
    pub(crate) background: bool,
    /// Take Blender's own Python module from PyPI, fetched the first time into a folder of its own; has no window
    #[arg(long, conflicts_with = "blender")]
    pub(crate) embedded: bool,
    /// The Blender executable [default: BLENDWIRE_BLENDER, else found]
    #[arg(long, value_name = "PATH")]
    pub(crate) blender: Option<PathBuf>,
    /// Address to listen on, of this machine [default: localhost]
    #[arg(long)]
    pub(crate) host: Option<String>,
    /// Port to listen on [default: BLENDWIRE_PORT, else the first free one from 9876]
    #[arg(long, value_parser = port)]
    pub(crate) port: Option<u16>,
    /// Stay until Blender ends, its output on stderr; Ctrl-C ends both
    #[arg(long)]
    pub(crate) foreground: bool,
    /// Print endpoint, process id and log file as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// `blendwire token`
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Blender wants it over HTTP, from other machines, and with the preference Require a Token from everybody. Run this as the \
user whom Blender runs as. On this machine clients of this project find it by themselves; others get it with \
BLENDWIRE_TOKEN or, over HTTP, with the header Authorization: Bearer TOKEN.

Examples:
  blendwire token
  curl -H \"Authorization: Bearer $(blendwire token)\" -H 'Content-Type: application/json' \\
       -d '{\"code\": \"result = 1\"}' http://localhost:9876/execute
  blendwire token --rotate   # the old one lets nobody in any more")]
pub(crate) struct TokenArgs {
    /// Replace it by a new one; running servers take that within a second
    #[arg(long)]
    pub(crate) rotate: bool,
    /// Print where it is kept, and not the token
    #[arg(long, conflicts_with = "rotate")]
    pub(crate) path: bool,
}

/// `blendwire tls`
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Blender makes a certificate when one is wanted and none is set in its preferences. Give its fingerprint to clients on \
other machines with --fingerprint or BLENDWIRE_FINGERPRINT. Run this as the user whom Blender runs as.

Examples:
  blendwire tls
  blendwire tls --make --name render7.example   # running servers show it to the next client
  blendwire tls --certificate chain.pem         # look at one that was bought")]
pub(crate) struct TlsArgs {
    /// Make a new certificate in place of the one that Blendwire made
    #[arg(long)]
    pub(crate) make: bool,
    /// A host name or address that the new certificate is for; may be repeated [default: this machine's]
    #[arg(long, value_name = "NAME", requires = "make")]
    pub(crate) name: Vec<String>,
    /// Look at this PEM file
    #[arg(long, value_name = "FILE", conflicts_with = "make")]
    pub(crate) certificate: Option<PathBuf>,
    /// Print it as JSON
    #[arg(long)]
    pub(crate) json: bool,
}
