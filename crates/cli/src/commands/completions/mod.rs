// SPDX-License-Identifier: GPL-3.0-or-later
//! `blendwire completions`: what a shell needs to complete this command.

use std::io::Write as _;

use clap::CommandFactory as _;

use crate::args::{Args, CompletionsArgs};
use crate::exit::{Ended, Failure};

pub(crate) fn run(args: &CompletionsArgs) -> Ended {
    // Written at once: the generator panics where a reader has had enough.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Args::command(), "blendwire", &mut script);
    let mut out = std::io::stdout().lock();
    out.write_all(&script).and_then(|()| out.flush()).map_err(Failure::failed)
}
