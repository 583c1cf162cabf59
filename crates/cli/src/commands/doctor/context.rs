// SPDX-License-Identifier: GPL-3.0-or-later
//! What checks share: what was asked for, and what one found out and another goes on with.

use std::net::SocketAddr;
use std::sync::OnceLock;

use anyhow::{Context as _, Result};
use blendwire_client::{Blender, ClientError, Endpoint};
use blendwire_protocol::{Instance, Status};

use crate::access;
use crate::args::AccessArgs;
use crate::blenders::{self, Installed};
use crate::endpoint::Wanted;

/// See the module. Each cell is filled by one check, and read by those that need it.
pub(super) struct Context {
    /// What options and environment say.
    pub(super) wanted: Wanted,
    access: AccessArgs,
    /// `instances`: the Blender that is meant.
    pub(super) endpoint: OnceLock<Endpoint>,
    /// `instances`: all that run.
    pub(super) running: OnceLock<Vec<Instance>>,
    /// `name`: the addresses of its host, in the order in which they are tried.
    pub(super) addresses: OnceLock<Vec<SocketAddr>>,
    /// `protocol`: what a server of ours said of itself, or why it did not.
    pub(super) answer: OnceLock<Result<Status, ClientError>>,
    blenders: OnceLock<Vec<Installed>>,
}

impl Context {
    pub(super) fn new(wanted: Wanted, access: AccessArgs) -> Self {
        let (endpoint, running, addresses, answer, blenders) = Default::default();
        Self { wanted, access, endpoint, running, addresses, answer, blenders }
    }

    /// Where the Blender is that is meant.
    pub(super) fn endpoint(&self) -> Endpoint {
        self.endpoint.get().cloned().unwrap_or_default()
    }

    /// What this user brings there.
    pub(super) fn access(&self) -> Result<blendwire_client::Access> {
        access::read(&self.access, &self.endpoint())
    }

    /// That Blender, over connections of the caller's own.
    pub(super) fn blender(&self) -> Result<Blender> {
        Ok(Blender::with_access(self.endpoint(), self.access()?))
    }

    /// Those that are installed, looked for once by whichever check comes first.
    pub(super) fn blenders(&self) -> &[Installed] {
        self.blenders.get_or_init(blenders::all)
    }

    /// What the server said of itself.
    pub(super) fn status(&self) -> Option<&Status> {
        self.answer.get()?.as_ref().ok()
    }
}

/// Waits for what needs the network. Each check has a thread, and so a runtime, of its own.
pub(super) fn wait<T>(work: impl Future<Output = T>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    Ok(runtime.context("the system gives no means to wait for the network")?.block_on(work))
}
