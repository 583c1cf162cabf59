// SPDX-License-Identifier: GPL-3.0-or-later
//! One file per command. Each takes its arguments, does its work, prints through the printer and says how it ended.

pub(crate) mod exec;
pub(crate) mod launch;
pub(crate) mod mcp;
pub(crate) mod status;

use crate::exit::Failure;

/// Runs a command's work. One thread is enough: it waits for the network most of the time.
fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(Failure::could_not_start)?;
    let ended = runtime.block_on(work);
    // A read of stdin that nobody wants any more must not keep the process.
    runtime.shutdown_background();
    ended
}
