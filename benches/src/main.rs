// SPDX-License-Identifier: GPL-3.0-or-later
//! Benchmarks in real Blenders, each beside its alternatives in one run, because machines differ and are noisy: the
//! ratios are what counts. Run by `cargo xtask bench NAME`.

mod control;
mod latency;
mod mcp;
mod report;

use anyhow::{Result, bail};
use blendwire_e2e::Environment;

fn main() -> Result<()> {
    match std::env::args().nth(1).as_deref() {
        Some("latency") => latency::run(&Environment::from_env()?),
        Some("control") => control::run(&Environment::from_env()?),
        Some("mcp") => mcp::run(&Environment::from_env()?),
        Some(other) => bail!("there is no benchmark {other:?}; there are: latency, control, mcp"),
        None => bail!("name a benchmark: latency, control or mcp"),
    }
}
