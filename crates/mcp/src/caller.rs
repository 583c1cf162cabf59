// SPDX-License-Identifier: GPL-3.0-or-later
//! One call of a tool: the Blender that it drives, and what is heard of it before its end.

use std::sync::Arc;

use blendwire_client::{Event, Options, Outcome, Progress, Script, unique_id};
use blendwire_protocol::{Instance, Status, first_line};
use tokio::sync::watch;

use crate::visitor::Visitor;
use crate::{Blender, Launch, NoReply, Running, Travel, docs};

/// Bytes of output that are kept for a client that asks; the end of it, where a script says what it is doing.
const KEPT_OUTPUT_BYTES: usize = 64 * 1024;

/// What a call has told so far.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    /// The latest.
    pub(crate) progress: Option<Progress>,
    /// The end of what its scripts have printed.
    output: String,
    /// Bytes of everything that they have printed.
    printed_bytes: usize,
    /// The last request's name on the wire.
    pub(crate) request: Option<String>,
    /// A Blender is being started, which nobody takes back.
    pub(crate) launches: bool,
    /// What Blender waits for the user's consent to.
    pub(crate) question: Option<Arc<Question>>,
}

/// A script that waits for the user's consent.
#[derive(Debug)]
pub(crate) struct Question {
    /// Its name on the wire.
    pub(crate) id: String,
    /// What people are shown of it.
    pub(crate) title: String,
    /// Its source.
    pub(crate) code: String,
    /// What it wants: of `files`, `processes`, `network`.
    pub(crate) wants: Vec<String>,
}

impl Heard {
    fn print(&mut self, text: &str) {
        self.printed_bytes += text.len();
        self.output.push_str(text);
        let excess = self.output.len().saturating_sub(KEPT_OUTPUT_BYTES);
        // Only now and then, so that each line does not move all that are kept.
        if excess > KEPT_OUTPUT_BYTES {
            self.output.drain(..self.output.ceil_char_boundary(excess));
        }
    }

    /// What was printed after the first `seen_bytes`, as far as it is kept; `seen_bytes` then counts everything.
    pub(crate) fn printed_since(&self, seen_bytes: &mut usize) -> &str {
        let new = (self.printed_bytes - *seen_bytes).min(self.output.len());
        *seen_bytes = self.printed_bytes;
        &self.output[self.output.ceil_char_boundary(self.output.len() - new)..]
    }

    /// The last `bytes` of what was printed.
    pub(crate) fn last_output(&self, bytes: usize) -> &str {
        &self.output[self.output.ceil_char_boundary(self.output.len().saturating_sub(bytes))..]
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Caller {
    blender: Arc<dyn Blender>,
    /// What was read of Blender's API so far.
    pub(crate) docs: Arc<docs::Library>,
    /// Who called.
    visitor: Visitor,
    heard: watch::Sender<Heard>,
}

impl Caller {
    /// A call, and what is heard of it.
    pub(crate) fn new(
        blender: Arc<dyn Blender>,
        docs: Arc<docs::Library>,
        visitor: Visitor,
    ) -> (Self, watch::Receiver<Heard>) {
        let (sender, heard) = watch::channel(Heard::default());
        (Self { blender, docs, visitor, heard: sender }, heard)
    }

    /// The Blender that it drives.
    pub(crate) fn blender(&self) -> &Arc<dyn Blender> {
        &self.blender
    }

    /// Runs a script in Blender.
    pub(crate) async fn run(&self, code: &str, options: Options<'_>) -> Result<Outcome, NoReply> {
        let title = options.title.map_or_else(|| first_line(code), str::to_owned);
        let script = Script::new(code).with_options(Options { sent_by: self.visitor.sent_by(), ..options });
        let id = script.id().to_owned();
        self.heard.send_modify(|heard| heard.request = Some(id.clone()));
        let on_event = |event| match event {
            Event::Progress(made) => self.heard.send_modify(|heard| heard.progress = Some(made)),
            Event::Output { text } => self.heard.send_modify(|heard| heard.print(&text)),
            Event::Consent { wants } => {
                let question = Question { id: id.clone(), title: title.clone(), code: code.to_owned(), wants };
                self.heard.send_modify(|heard| heard.question = Some(Arc::new(question)));
            }
            // Whoever was asked has answered.
            Event::Started => self.settle(),
            Event::Queued { .. } => {}
        };
        let outcome = self.blender.run(script, Some(Box::new(on_event))).await;
        self.settle();
        outcome
    }

    fn settle(&self) {
        self.heard.send_if_modified(|heard| heard.question.take().is_some());
    }

    /// See [`Blender::travel`].
    pub(crate) async fn travel(&self, way: Travel, steps: u32) -> Result<Outcome, NoReply> {
        let id = unique_id();
        self.heard.send_modify(|heard| heard.request = Some(id.clone()));
        self.blender.travel(way, steps, &id, self.visitor.sent_by()).await
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

    /// See [`Blender::launch`].
    pub(crate) async fn launch(&self, launch: Launch) -> Result<Status, NoReply> {
        self.heard.send_modify(|heard| heard.launches = true);
        let launched = self.blender.launch(launch).await;
        self.heard.send_modify(|heard| heard.launches = false);
        launched
    }
}
