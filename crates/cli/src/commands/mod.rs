// SPDX-License-Identifier: GPL-3.0-or-later
//! One file per command. Each takes its arguments, does its work, prints through the printer and says how it ended.

pub(crate) mod addon;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod doctor;
pub(crate) mod exec;
pub(crate) mod instances;
pub(crate) mod launch;
pub(crate) mod lock;
pub(crate) mod logs;
pub(crate) mod man;
pub(crate) mod mcp;
pub(crate) mod render;
pub(crate) mod repl;
pub(crate) mod setup;
pub(crate) mod status;
pub(crate) mod tls;
pub(crate) mod token;
pub(crate) mod tunnel;

use crate::exit::Failure;

/// One thread is enough: it waits for the network most of the time.
fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::could_not_start)
}

/// Runs a command's work.
fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = runtime()?;
    let ended = runtime.block_on(work);
    // A read of stdin that nobody wants any more must not keep the process.
    runtime.shutdown_background();
    ended
}
