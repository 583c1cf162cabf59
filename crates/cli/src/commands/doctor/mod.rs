// SPDX-License-Identifier: GPL-3.0-or-later
//! `blendwire doctor`: finds out why it does not work, and what mends it.
//!
//! `checks` lists what is looked at; `found`, `network`, `firewall`, `reserved`, `route`, `tunnel`, `protocol`, `server`, `clock`, `inside`, `machine`, `addon`, `settings` and
//! `clients` look, each through its part of the `context`. `walls` knows the firewalls, `rules` what those of Linux are told. `schedule` runs them, `show` tells, `system` has the commands of remedies. A check changes nothing; what it offers to mend is only
//! done with `--fix`.

mod addon;
mod checks;
mod clients;
mod clock;
mod context;
mod finding;
mod firewall;
mod found;
mod handshake;
mod inside;
mod machine;
mod network;
mod probe;
mod protocol;
#[cfg(any(windows, test))]
mod reserved;
mod route;
mod rules;
mod schedule;
mod server;
mod settings;
mod show;
mod system;
mod tunnel;
mod walls;

use std::sync::Arc;
use std::time::Instant;

use self::context::Context;
use self::finding::State;
use crate::args::DoctorArgs;
use crate::exit::{Ended, Failure};
use crate::printer;

/// The names of all checks.
pub(crate) fn ids() -> Vec<&'static str> {
    checks::ALL.iter().map(|check| check.id).collect()
}

pub(crate) fn run(args: &DoctorArgs) -> Ended {
    let checks = checks::chosen(&args.checks);
    if args.list {
        return show::list(&checks, args.json);
    }
    let context = Arc::new(Context::read(&args.endpoint).map_err(Failure::could_not_start)?);
    let since = Instant::now();
    let looked = schedule::run(&checks, &context, args.fix);
    if args.json {
        printer::data(&serde_json::to_string(&looked).map_err(Failure::failed)?)?;
    } else if args.report {
        printer::data(&show::report(&looked, &context))?;
    } else {
        printer::table(&show::text(&looked, since.elapsed()))?;
    }
    let is_failed = looked.iter().any(|looked| looked.state == State::Failure);
    if is_failed { Err(Failure::Told) } else { Ok(()) }
}
