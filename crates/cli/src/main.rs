// SPDX-License-Identifier: GPL-3.0-or-later
//! The `blendwire` command: arguments → command → printer → exit status.
//!
//! stdout is data, stderr is talk. This is the only crate that prints, reads the environment or looks at home folders.

mod access;
mod args;
mod blenders;
mod carried;
mod changes;
mod commands;
mod config;
mod data;
mod endpoint;
mod env_vars;
mod exit;
mod followed;
mod instances;
mod live;
mod narrow;
#[cfg(windows)]
mod own_handles;
mod printer;
mod running;
mod utf8;
mod watch;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Args, Command};

fn main() -> ExitCode {
    #[cfg(windows)]
    own_handles::keep();
    let Args { command } = Args::parse();
    let ended = match command {
        Command::Mcp(args) => commands::mcp::run(&args),
        Command::Exec(args) => commands::exec::run(&args),
        Command::Repl(args) => commands::repl::run(&args),
        Command::Status(args) => commands::status::run(&args),
        Command::Instances(args) => commands::instances::run(&args),
        Command::Logs(args) => commands::logs::run(&args),
        Command::Doctor(args) => commands::doctor::run(&args),
        Command::Addon(args) => commands::addon::run(&args.command),
        Command::Launch(args) => commands::launch::run(&args),
        Command::Render(args) => commands::render::run(&args),
        Command::Tunnel(args) => commands::tunnel::run(&args),
        Command::Setup(args) => commands::setup::run(&args),
        Command::Token(args) => commands::token::run(&args),
        Command::Tls(args) => commands::tls::run(&args),
        Command::Config(args) => commands::config::run(&args),
        Command::Lock(args) => commands::lock::run(&args),
        Command::Completions(args) => commands::completions::run(&args),
        Command::Man(args) => commands::man::run(&args),
    };
    exit::code(ended)
}
