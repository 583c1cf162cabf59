// SPDX-License-Identifier: GPL-3.0-or-later
//! What kind of server it is that answers.

use std::fmt::{self, Display};

/// Told by its answers. Users may put another one behind the same port at any time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerKind {
    /// One of this project.
    Blendwire,
    /// One that speaks the same protocol without what this project adds to it: the official connector's add-on.
    Official,
    /// mcp-for-blender's add-on (formerly blender-mcp).
    McpForBlender,
}

impl Display for ServerKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Blendwire => "Blendwire",
            Self::Official => "Blender's official MCP add-on, or another server of its protocol",
            Self::McpForBlender => "the add-on of mcp-for-blender (formerly blender-mcp)",
        })
    }
}
