// SPDX-License-Identifier: GPL-3.0-or-later
//! `blendwire mcp`: serves one MCP client over stdio, where stdout carries MCP only; or any number over HTTP.

mod http;

use std::io::IsTerminal as _;
use std::sync::Arc;

use super::block_on;
use crate::args::McpArgs;
use crate::exit::{Ended, Failure};
use crate::followed::Followed;
use crate::printer;

pub(crate) fn run(args: &McpArgs) -> Ended {
    if let Some(address) = &args.http {
        let blender = Followed::without_session(&args.endpoint).map_err(Failure::could_not_start)?;
        return block_on(http::serve(address, Arc::new(blender)));
    }
    let blender = Arc::new(Followed::new(&args.endpoint).map_err(Failure::could_not_start)?);
    if std::io::stdin().is_terminal() {
        printer::talk(&format!(
            "This speaks MCP on stdin and stdout and is meant to be started by an MCP client; {} ends it.",
            printer::END_OF_INPUT
        ));
    }
    block_on(async { blendwire_mcp::serve_stdio(blender).await.map_err(Failure::failed) })
}
