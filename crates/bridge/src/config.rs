// SPDX-License-Identifier: GPL-3.0-or-later
//! Settings of one server, with their defaults and the reasons for them.

use std::hash::{BuildHasher as _, Hasher as _};
use std::time::Duration;

use blendwire_credentials::Folder;
use blendwire_journal::Journal;
use blendwire_protocol::{ConsentAnswer, DEFAULT_MAX_REQUEST_BYTES, DEFAULT_PORT, Feature, PROTOCOL_VERSION, Versions};
use blendwire_state::Instances;

use crate::access::AccessRules;
use crate::http::mount::Mount;

/// Settings of one server. They hold from its start to its stop.
#[derive(Clone, Debug)]
pub struct Config {
    /// `localhost` (both loopback addresses, because clients resolve it to either) or an address of this machine. One
    /// that others can reach needs rules that name them.
    pub host: String,
    /// TCP port. 0 lets the system choose, for tests.
    pub port: u16,
    /// Try the ports above `port` when it is taken. Off by default: clients look at one port.
    pub next_free_port: bool,
    /// Longest request in bytes.
    pub max_request_bytes: usize,
    /// Connections open at a time. Each costs up to 1 MiB when it is idle, mostly far less. Where the system lets
    /// the process open fewer than twice as many files, half of those: Blender needs some too.
    pub max_connections: usize,
    /// Requests that wait for the main thread, all connections together.
    pub max_queue: usize,
    /// Source text that waits for the main thread, in bytes, all connections together. One connection may have as much
    /// waiting as its longest request; then the server reads on when some of it is done.
    pub max_queue_bytes: usize,
    /// Requests that have not come whole yet, in bytes, all connections together; those of up to 1 MiB do not count. Sixteen
    /// of the longest: more at a time are no use to a single main thread.
    pub max_unfinished_bytes: usize,
    /// Requests of one connection that may be unanswered; further ones stay in the socket until answers have gone
    /// out. Keeps a client that pipelines from filling the queue alone.
    pub max_pipelined: usize,
    /// What one script may print, in bytes; the rest is dropped and the reply says so.
    pub max_output_bytes: usize,
    /// Bounds waiting and running of requests that bring no limit of their own; `None`: for ever, as other servers do.
    pub time_limit: Option<Duration>,
    /// What clients may not use, by the user's wish.
    pub forbidden_features: Vec<Feature>,
    /// Who may connect, and with what.
    pub access: AccessRules,
    /// Where the user keeps token and certificate; `None` where the system names no such folder.
    pub credentials: Option<Folder>,
    /// Asks the host to interrupt the script of this number, for this reason, and says whether it runs. Called from the
    /// network thread; must return at once.
    pub interrupt: fn(u64, &str) -> bool,
    /// A service of the host over HTTP, beside this server's own.
    pub mount: Option<Mount>,
    /// Gives the host the user's answer for the request of this number that waits for consent, and says whether one waited.
    /// Called from the network thread; must return at once.
    pub consent: fn(u64, ConsentAnswer) -> bool,
    /// Where requests are written down; `None`: nowhere.
    pub journal: Option<Journal>,
    /// Where clients of the same user look for running servers; `None`: they are not told of this one.
    pub instances: Option<Instances>,
    /// Unlike that of any other server.
    pub instance: String,
    /// Whether the host runs without its window.
    pub background: bool,
    /// Versions that `status` reports.
    pub versions: Versions,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            host: "localhost".to_owned(),
            port: DEFAULT_PORT,
            next_free_port: false,
            max_request_bytes: DEFAULT_MAX_REQUEST_BYTES,
            max_connections: 1024,
            max_queue: 4096,
            max_queue_bytes: 1024 * 1024 * 1024,
            max_unfinished_bytes: 1024 * 1024 * 1024,
            max_pipelined: 256,
            max_output_bytes: DEFAULT_MAX_REQUEST_BYTES,
            time_limit: None,
            forbidden_features: Vec::new(),
            access: AccessRules::default(),
            credentials: None,
            interrupt: |_, _| false,
            mount: None,
            consent: |_, _| false,
            journal: None,
            instances: None,
            instance: new_instance(),
            background: false,
            versions: Versions {
                protocol: PROTOCOL_VERSION,
                core: env!("CARGO_PKG_VERSION").to_owned(),
                ..Versions::default()
            },
        }
    }
}

/// Sixteen hexadecimal digits from the random keys that the standard library gives each hasher.
fn new_instance() -> String {
    format!("{:016x}", std::hash::RandomState::new().build_hasher().finish())
}

impl Config {
    /// Whether clients may not use `feature`.
    pub(crate) fn forbids(&self, feature: Feature) -> bool {
        self.forbidden_features.contains(&feature)
    }
}
