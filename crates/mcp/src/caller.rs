// SPDX-License-Identifier: GPL-3.0-or-later
//! One call of a tool: the Blender that it drives, and the client that is told how far it is.

use std::convert::Infallible;

use blendwire_client::{Event, Options, Outcome, Progress, Script};
use blendwire_protocol::{Instance, Status};
use rmcp::model::{ProgressNotificationParam, ProgressToken};
use rmcp::service::{Peer, RoleServer};
use tokio::sync::watch;

use crate::{Blender, NoReply, Running, Travel};

/// See the module.
pub(crate) struct Caller<'a> {
    blender: &'a dyn Blender,
    /// `None` where the client wants no progress: then Blender sends no events.
    progress: Option<watch::Sender<Option<Progress>>>,
}

impl<'a> Caller<'a> {
    /// A call, and what is to be told meanwhile to a client that wants it.
    pub(crate) fn new(blender: &'a dyn Blender, wants_progress: bool) -> (Self, watch::Receiver<Option<Progress>>) {
        // Only the latest is kept: a client that does not read is owed no more.
        let (sender, progress) = watch::channel(None);
        (Self { blender, progress: wants_progress.then_some(sender) }, progress)
    }

    /// Runs a script in Blender.
    pub(crate) async fn run(&self, code: &str, options: Options<'_>) -> Result<Outcome, NoReply> {
        let on_event = self.progress.clone().map(|progress| {
            Box::new(move |event| {
                if let Event::Progress(made) = event {
                    // A client that has gone is told nothing.
                    let _ = progress.send(Some(made));
                }
            }) as crate::OnEvent<'_>
        });
        self.blender.run(Script::new(code).with_options(options), on_event).await
    }

    /// See [`Blender::travel`].
    pub(crate) async fn travel(&self, way: Travel, steps: u32) -> Result<Outcome, NoReply> {
        self.blender.travel(way, steps).await
    }

    /// See [`Blender::status`].
    pub(crate) async fn status(&self) -> Result<Status, NoReply> {
        self.blender.status().await
    }

    /// See [`Blender::instances`].
    pub(crate) fn instances(&self) -> Result<Running, NoReply> {
        self.blender.instances()
    }

    /// See [`Blender::select`].
    pub(crate) fn select(&self, id: &str) -> Result<Instance, NoReply> {
        self.blender.select(id)
    }
}

/// Tells the client what comes out of `progress`; never ends.
pub(crate) async fn tell(
    peer: &Peer<RoleServer>,
    token: Option<ProgressToken>,
    mut progress: watch::Receiver<Option<Progress>>,
) -> Infallible {
    let mut told = -1.0;
    while let (Some(token), Ok(())) = (token.clone(), progress.changed().await) {
        let latest = progress.borrow_and_update().clone();
        // MCP wants every value above the last; an animation begins anew with its second frame.
        if let Some(Progress { value, message }) = latest.filter(|latest| latest.value > told) {
            told = value;
            let params = ProgressNotificationParam::new(token, value).with_total(1.0).with_message(message);
            // One that cannot be told any more will not get the result either.
            let _ = peer.notify_progress(params).await;
        }
    }
    std::future::pending().await
}
