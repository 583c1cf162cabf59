// SPDX-License-Identifier: GPL-3.0-or-later
//! The descriptor of a running server, by which clients of the same user find it without being told its port.

use serde::{Deserialize, Serialize};

use crate::Versions;

/// What a server says of itself in its descriptor: nothing that changes while it runs. Keys that a later version adds are
/// passed over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// As in [`crate::Status`]: unlike that of any other server.
    pub instance: String,
    /// Process id of Blender.
    pub pid: u32,
    /// Name of the machine that it runs on: a folder may be shared by several.
    pub machine: String,
    /// Addresses that the server listens on, as `host:port`.
    pub endpoints: Vec<String>,
    /// Whether Blender runs without its window.
    pub background: bool,
    /// Of protocol, core, add-on, Blender and Python.
    pub versions: Versions,
    /// When the server was started, in seconds since 1970 (UTC).
    pub started: i64,
}
