// SPDX-License-Identifier: GPL-3.0-or-later
//! What checks share: what was asked for, and what one found out and another goes on with.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::OnceLock;

use anyhow::{Context as _, Result};
use blendwire_client::{Blender, ClientError, Endpoint};
use blendwire_protocol::{Instance, Status};

use crate::args::{AccessArgs, EndpointArgs};
use crate::blenders::{self, Installed};
use crate::config::Config;
use crate::endpoint::Wanted;
use crate::{access, endpoint};

/// See the module. Each cell is filled by one check, and read by those that need it.
pub(super) struct Context {
    /// What options and environment say.
    pub(super) wanted: Wanted,
    access: AccessArgs,
    /// The settings, or what is wrong with them.
    pub(super) config: Result<Config>,
    /// `instances`: the Blender that is meant.
    pub(super) endpoint: OnceLock<Endpoint>,
    /// `instances`: all that run.
    pub(super) running: OnceLock<Vec<Instance>>,
    /// `name`: the addresses of its host, in the order in which they are tried.
    pub(super) addresses: OnceLock<Vec<SocketAddr>>,
    /// `listens`: whether a connection was taken, or how that failed.
    pub(super) connected: OnceLock<Result<(), ErrorKind>>,
    /// `protocol`: what a server of ours said of itself, or why it did not.
    pub(super) answer: OnceLock<Result<Status, ClientError>>,
    /// `protocol`: set where it is no Blendwire that answers.
    pub(super) is_another: OnceLock<()>,
    blenders: OnceLock<Vec<Installed>>,
}

impl Context {
    /// Reads options, environment and settings. What is wrong with the settings is for the check `config`.
    ///
    /// # Errors
    /// When an option or a variable is wrong.
    pub(super) fn read(args: &EndpointArgs) -> Result<Self> {
        let read = Config::load().and_then(|config| Ok((endpoint::profile(args, &config)?, config)));
        let (profile, config) = match read {
            Ok((profile, config)) => (profile, Ok(config)),
            Err(error) => (None, Err(error)),
        };
        let (wanted, access) = (Wanted::of(args, profile)?, args.access.clone());
        let (endpoint, running, addresses, connected, answer, is_another, blenders) = Default::default();
        Ok(Self { wanted, access, config, endpoint, running, addresses, connected, answer, is_another, blenders })
    }

    /// Where the Blender is that is meant.
    pub(super) fn endpoint(&self) -> Endpoint {
        self.endpoint.get().cloned().unwrap_or_default()
    }

    /// What this user brings there.
    pub(super) fn access(&self) -> Result<blendwire_client::Access> {
        access::read(&self.access, &self.wanted, &self.endpoint())
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
