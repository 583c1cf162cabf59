// SPDX-License-Identifier: GPL-3.0-or-later
//! What the server says of itself and of Blender's main thread: the answer to `status` and to `GET /status`.
//!
//! Every duration is in seconds, every size in bytes, and says so in its name.

use serde::{Deserialize, Serialize};

use crate::{Feature, Progress};

/// What Blender's main thread is doing, as far as the server can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// The server listens; the main thread has not come round for the first time.
    Starting,
    /// Ready for a request.
    Idle,
    /// A request of ours runs.
    Busy,
    /// The main thread has not come round for a while and it is not a request of ours that keeps it.
    Blocked,
    /// The server is being stopped.
    Stopping,
}

/// The whole status.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// What the main thread is doing.
    pub state: State,
    /// Whether a request sent now would be run without waiting for anything but its turn.
    pub ready: bool,
    /// Why not, in words; absent when ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Addresses that the server listens on, as `host:port`.
    pub endpoints: Vec<String>,
    /// Process id of Blender.
    pub pid: u32,
    /// Whether Blender runs without its window.
    pub background: bool,
    /// The open .blend file; empty when it was never saved.
    pub file: String,
    /// Who is speaking.
    pub versions: Versions,
    /// Unlike that of any other server, or of this one's next start.
    #[serde(default)]
    pub instance: String,
    /// The request that runs now.
    pub running: Option<RunningRequest>,
    /// The request that ended last.
    pub last: Option<LastRequest>,
    /// What waits.
    pub queue: QueueStatus,
    /// Connections open now, this one included.
    pub clients: usize,
    /// What clients have to bring.
    #[serde(default)]
    pub access: Access,
    /// Since the main thread last came round to look for requests.
    pub main_thread_age_secs: f64,
    /// Since the server was started.
    pub uptime_secs: f64,
    /// Totals since the server was started.
    pub counters: Counters,
    /// The audit journal; absent when there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub journal: Option<JournalStatus>,
    /// Requests that wait for the user's consent; absent when none does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub consent: Vec<ConsentRequest>,
}

/// Versions of everything that takes part.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    /// [`crate::PROTOCOL_VERSION`].
    pub protocol: u32,
    /// The native core.
    pub core: String,
    /// The add-on's Python part.
    pub addon: String,
    /// Blender, as `bpy.app.version_string` has it.
    pub blender: String,
    /// Python.
    pub python: String,
}

/// The answer to `hello`: who the client is connected to, and what both sides agree on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// [`crate::PROTOCOL_VERSION`].
    pub protocol_version: u32,
    /// Who is speaking.
    pub versions: Versions,
    /// The system that Blender runs on, such as `linux-x86_64`.
    pub platform: String,
    /// As in [`Status`].
    pub instance: String,
    /// What holds on this connection: asked for, known and not forbidden.
    pub features: Vec<Feature>,
    /// What could be asked for.
    pub available: Vec<Feature>,
}

/// Operating system and processor, as Rust names them.
pub fn platform() -> String {
    format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH)
}

/// A request that is running.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunningRequest {
    /// Number of the request since the server was started, from 1.
    pub request: u64,
    /// The client's own name for it; absent when it gave none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<serde_json::Value>,
    /// What the client calls it; else the same as `first_line`.
    #[serde(default)]
    pub title: String,
    /// The first line of its code that says something.
    pub first_line: String,
    /// Since it was started.
    pub running_secs: f64,
    /// The last whole or begun line that it printed; empty when none.
    pub last_output_line: String,
    /// How far it is; absent when it has not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
}

/// A request that has ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LastRequest {
    /// Number of the request since the server was started, from 1.
    pub request: u64,
    /// What the client called it; else the same as `first_line`.
    #[serde(default)]
    pub title: String,
    /// The first line of its code that says something.
    pub first_line: String,
    /// Whether it ended well.
    pub ok: bool,
    /// From its start to its end.
    pub took_secs: f64,
    /// Since it ended.
    pub ended_secs_ago: f64,
}

/// What the server asks of those who connect.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// Programs of this machine need the token too.
    pub token_required: bool,
    /// Other machines can connect, with TLS and the token.
    pub beyond_this_machine: bool,
    /// Networks whose machines get in without TLS and token, by the user's wish.
    pub open_networks: Vec<String>,
    /// SHA-256 of the certificate that TLS clients are shown; absent while no client has wanted TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
}

/// The queue in front of the main thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueStatus {
    /// Requests that wait.
    pub length: usize,
    /// How many may.
    pub limit: usize,
    /// Requests that have run and wait for their `check_is_finished` to give the result.
    #[serde(default)]
    pub deferred: usize,
}

/// A request that waits for the user's consent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConsentRequest {
    /// Number of the request since the server was started, from 1.
    pub request: u64,
    /// The client's own name for it; absent when it gave none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<serde_json::Value>,
    /// What people are shown.
    pub title: String,
    /// What it wants that the user is to be asked about: `files`, `processes`, `network`.
    pub wants: Vec<String>,
    /// Since it has been waiting for that.
    pub waiting_secs: f64,
}

/// How the audit journal is doing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalStatus {
    /// The folder that it is in, on Blender's computer.
    pub folder: String,
    /// Why it cannot be written now; absent when it can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// Lines that could not be written.
    #[serde(default)]
    pub lost: u64,
}

/// Totals since the server was started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Connections accepted.
    pub connections: u64,
    /// Connections turned away: too many were open, they were another user's, or from a machine that is not allowed.
    pub connections_refused: u64,
    /// Requests of every type that were understood.
    pub requests: u64,
    /// Scripts that ended well.
    pub executed_ok: u64,
    /// Scripts that raised.
    pub executed_error: u64,
    /// Requests without the token where one is needed, or with a wrong one.
    #[serde(default)]
    pub unauthorized: u64,
    /// Messages that were no request, or came over a limit.
    pub refused: u64,
    /// Bytes read from clients.
    pub received_bytes: u64,
    /// Bytes written to clients.
    pub sent_bytes: u64,
    /// Listeners of this process that a start found still open and released.
    pub released_listeners: u64,
    /// Defects of the server that ended one of its tasks; the log tells which.
    #[serde(default)]
    pub panics: u64,
}

/// The first line of `code` that is not blank, a comment, a docstring or an import, at most 80 characters: what a person
/// recognises a request by. Falls back to the first line that is not blank.
pub fn first_line(code: &str) -> String {
    const LONGEST_CHARS: usize = 80;
    // A script may be megabytes long; what names it stands near its top.
    const LINES_LOOKED_AT: usize = 200;
    let lines = || code.lines().take(LINES_LOOKED_AT).map(str::trim).filter(|line| !line.is_empty());
    let line = telling(lines()).or_else(|| lines().next()).unwrap_or("");
    if line.chars().count() <= LONGEST_CHARS {
        return line.to_owned();
    }
    line.chars().take(LONGEST_CHARS - 1).chain(['…']).collect()
}

/// The first of `lines` that says what the script does.
fn telling<'a>(mut lines: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    while let Some(line) = lines.next() {
        if let Some(quotes) = ["\"\"\"", "'''"].into_iter().find(|quotes| line.starts_with(quotes)) {
            if !line[quotes.len()..].contains(quotes) {
                lines.find(|line| line.contains(quotes))?;
            }
        } else if !["#", "import ", "from "].iter().any(|start| line.starts_with(start)) {
            return Some(line);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_line_is_what_a_person_recognises() {
        assert_eq!(
            first_line("# make it\nimport bpy\n\nbpy.ops.mesh.primitive_cube_add()\n"),
            "bpy.ops.mesh.primitive_cube_add()"
        );
        assert_eq!(first_line("\"\"\"Makes a\ncube.\n\"\"\"\nimport bpy\nmake()"), "make()");
        assert_eq!(first_line("'''Makes a cube.'''\nmake()"), "make()");
        assert_eq!(first_line("import bpy"), "import bpy");
        assert_eq!(first_line("\n \n"), "");
        assert_eq!(first_line(&"x".repeat(200)).chars().count(), 80);
    }
}
