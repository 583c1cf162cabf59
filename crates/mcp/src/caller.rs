// SPDX-License-Identifier: GPL-3.0-or-later
//! One call of a tool: the Blender that it drives, and the client that is told how far it is.

use std::convert::Infallible;

use blendwire_client::{Event, Options, Outcome, Progress, Script};
use blendwire_protocol::{Instance, Status, first_line};
use rmcp::model::{ProgressNotificationParam, ProgressToken};
use rmcp::service::{Peer, RoleServer};
use tokio::sync::watch;

use crate::{Blender, NoReply, Running, Travel, docs, elicit};

/// See the module.
pub(crate) struct Caller<'a> {
    blender: &'a dyn Blender,
    /// What was read of Blender's API so far.
    pub(crate) docs: &'a docs::Library,
    /// `None` where the client wants no progress: then Blender sends no events.
    progress: Option<watch::Sender<Option<Progress>>>,
    /// A client that can ask its user; `None` where it cannot.
    asker: Option<&'a Peer<RoleServer>>,
}

impl<'a> Caller<'a> {
    /// A call, and what is to be told meanwhile to a client that wants it.
    pub(crate) fn new(
        blender: &'a dyn Blender,
        docs: &'a docs::Library,
        peer: &'a Peer<RoleServer>,
        wants_progress: bool,
    ) -> (Self, watch::Receiver<Option<Progress>>) {
        // Only the latest is kept: a client that does not read is owed no more.
        let (sender, progress) = watch::channel(None);
        let asker = elicit::can(peer).then_some(peer);
        (Self { blender, docs, progress: wants_progress.then_some(sender), asker }, progress)
    }

    /// Runs a script in Blender.
    pub(crate) async fn run(&self, code: &str, options: Options<'_>) -> Result<Outcome, NoReply> {
        let (asked, wants) = watch::channel(Vec::new());
        let progress = self.progress.clone();
        let on_event = move |event| match event {
            // A client that has gone is told nothing.
            Event::Progress(made) => drop(progress.as_ref().map(|progress| progress.send(Some(made)))),
            Event::Consent { wants } => drop(asked.send(wants)),
            _ => {}
        };
        let is_watched = self.progress.is_some() || self.asker.is_some();
        let on_event = is_watched.then(|| Box::new(on_event) as crate::OnEvent<'_>);
        let title = options.title.map_or_else(|| first_line(code), str::to_owned);
        let script = Script::new(code).with_options(options);
        let id = script.id().to_owned();
        tokio::select! {
            outcome = self.blender.run(script, on_event) => outcome,
            never = self.ask(&id, &title, code, wants) => match never {},
        }
    }

    /// Asks the user when Blender says that it waits for that, where the client can; never ends.
    async fn ask(&self, id: &str, title: &str, code: &str, mut wants: watch::Receiver<Vec<String>>) -> Infallible {
        while let (Some(peer), Ok(())) = (self.asker, wants.changed().await) {
            let wants = wants.borrow_and_update().clone();
            if let Some(answer) = elicit::consent(peer, title, code, &wants).await {
                // Somebody may have answered in Blender meanwhile, which is as good.
                let _ = self.blender.consent(id, answer).await;
            }
        }
        std::future::pending().await
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
