// SPDX-License-Identifier: GPL-3.0-or-later
//! `blendwire token`: the secret that lets clients in, shown to its owner or replaced.

use crate::access;
use crate::args::TokenArgs;
use crate::exit::{Ended, Failure};
use crate::printer;

pub(crate) fn run(args: &TokenArgs) -> Ended {
    let file = access::folder().map_err(Failure::could_not_start)?.token();
    if args.path {
        return printer::data(&file.path().display().to_string());
    }
    if !args.rotate {
        let token = file.read_or_make().map_err(Failure::failed)?;
        return printer::data(token.expose());
    }
    let token = file.rotate().map_err(Failure::failed)?;
    printer::talk("The old token lets nobody in any more. Give the new one to every client that had it.");
    printer::data(token.expose())
}
