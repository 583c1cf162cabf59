// SPDX-License-Identifier: GPL-3.0-or-later
//! Developer commands of Blendwire, run as `cargo xtask COMMAND`.
//!
//! This file owns the command line only; each command is a module of its own. Standard output carries
//! data (paths, the environment table, the output of tests), standard error carries talk. Nothing here is
//! part of what users get, and nothing here knows the wire: the demo lives in `demo/`, the bench in `benches/`.

mod addon;
mod bench;
mod build;
mod demo;
mod deny;
mod dist;
mod fuzz;
mod process;
mod provide;
mod python;
mod soak;
mod test;
mod tidy;
mod workspace;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::workspace::Workspace;

/// Build, test and measure Blendwire.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build the native core and pack the add-on; prints the path of the zip
    Addon {
        /// Where the zip goes [default: target/dist]
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
    /// Build the add-on and the executable that carries it; prints the path of the executable
    Build,
    /// Make everything that is given away for this platform; prints the paths
    Dist(dist::Options),
    /// Run the whole suite: formatting, lints, rules, unit tests, and real Blenders
    Test(test::Options),
    /// Build, start a Blender, and let an MCP client build a scene in it
    Demo {
        /// Passed on to the demo
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Measure, beside the alternatives, on this machine
    #[command(after_help = "Example: cargo xtask bench latency")]
    Bench {
        /// Which bench, and what is passed on to it
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        args: Vec<String>,
    },
    /// Look for input that breaks the protocol's readers
    Fuzz(fuzz::Options),
    /// Fifty clients of every kind on a windowed Blender, for long
    Soak(soak::Options),
    /// Install the Blenders and clients that tests need; prints their environment as NAME=value
    Provide,
    /// Check the rules of the repository
    Tidy,
}

fn main() -> ExitCode {
    match run(Args::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    let workspace = Workspace::load()?;
    match command {
        Command::Addon { out } => addon::run(&workspace, out),
        Command::Build => build::run(&workspace),
        Command::Dist(options) => dist::run(&workspace, &options),
        Command::Test(options) => test::run(&workspace, &options),
        Command::Demo { args } => demo::run(&workspace, &args),
        Command::Bench { args } => bench::run(&workspace, &args),
        Command::Fuzz(options) => fuzz::run(&workspace, &options),
        Command::Soak(options) => soak::run(&workspace, &options),
        Command::Provide => provide::run(),
        Command::Tidy => tidy::run(&workspace),
    }
}
