// SPDX-License-Identifier: GPL-3.0-or-later
//! One request on its way to the main thread and its answer on the way back.

use std::sync::Arc;
use std::time::Instant;

use blendwire_journal::Consented;
use blendwire_protocol::{Effects, EncodedReply, ErrorCode, Execute, Extras, Reply, first_line};
use tokio::sync::OwnedSemaphorePermit;

use crate::audit::Audit;
use crate::control::{Control, Ticket, with_ending};
use crate::feed::Feed;
use crate::queue::LaneGuard;

/// Replies up to this size let the next request of their connection run before they have gone out. A longer one is
/// written first, so that a client that does not read holds at most one of them in memory.
const SMALL_REPLY_BYTES: usize = 64 * 1024;

/// What travels back to the connection: the reply, and for a large one the right to start the next request.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) reply: EncodedReply,
    /// Held until the reply has been written.
    pub(crate) lane: Option<LaneGuard>,
}

impl Answer {
    /// An answer that needs no script.
    pub(crate) fn now(reply: Reply, ticket: &Ticket) -> Self {
        Self { reply: reply.encode(ticket.terminator, &ticket.extras), lane: None }
    }
}

/// What the main thread is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Task {
    /// Run a script.
    Script(Execute),
    /// Undo.
    Undo {
        /// How many steps.
        steps: u32,
    },
    /// Redo.
    Redo {
        /// How many steps.
        steps: u32,
    },
}

impl Task {
    /// What it holds in memory, near enough.
    pub(crate) fn size_bytes(&self) -> usize {
        match self {
            Self::Script(script) => script.code.len(),
            Self::Undo { .. } | Self::Redo { .. } => 0,
        }
    }

    fn first_line(&self) -> String {
        match self {
            Self::Script(script) => first_line(&script.code),
            Self::Undo { .. } => "undo".to_owned(),
            Self::Redo { .. } => "redo".to_owned(),
        }
    }

    fn title(&self) -> Option<String> {
        match self {
            Self::Script(script) => script.title.clone(),
            Self::Undo { .. } | Self::Redo { .. } => None,
        }
    }
}

/// Work for the main thread. Dropping it unanswered answers that it was dropped.
#[derive(Debug)]
pub struct Job {
    /// Number of the request since the server was started, from 1.
    pub number: u64,
    /// What people are shown: the client's title, or the first telling line.
    pub title: String,
    /// The first telling line of the source.
    pub(crate) first_line: String,
    /// What to do.
    pub task: Task,
    queued: Instant,
    /// When it was started; a deferred request is taken up again later.
    pub(crate) begun: Option<Instant>,
    /// What it tells while it runs.
    pub feed: Arc<Feed>,
    /// What the user has granted to it alone, as the host numbers that.
    pub granted: u8,
    /// What was answered for the user, where the user was asked.
    pub consent: Option<Consented>,
    /// What the journal is told of it.
    pub(crate) audit: Audit,
    /// Taken when the reply has been sent.
    unanswered: Option<Arc<Control>>,
    pub(crate) ticket: Arc<Ticket>,
    /// On the books of [`Control`].
    pub(crate) is_booked: bool,
    lane: Option<LaneGuard>,
    /// Its connection's share of memory that this job takes.
    _room: Option<OwnedSemaphorePermit>,
}

impl Job {
    pub(crate) fn new(
        number: u64,
        task: Task,
        feed: Arc<Feed>,
        ticket: Arc<Ticket>,
        control: Arc<Control>,
        room: Option<OwnedSemaphorePermit>,
    ) -> Self {
        let first_line = task.first_line();
        Self {
            number,
            title: task.title().unwrap_or_else(|| first_line.clone()),
            first_line,
            task,
            queued: Instant::now(),
            begun: None,
            feed,
            granted: 0,
            consent: None,
            audit: Audit::default(),
            unanswered: Some(control),
            ticket,
            is_booked: false,
            lane: None,
            _room: room,
        }
    }

    /// Ties the job to its connection's place in the queue: the next request of that connection waits for the guard.
    pub(crate) fn enter(&mut self, lane: LaneGuard) {
        self.lane = Some(lane);
    }

    /// Sends the final reply. A client that has gone away loses only this.
    pub fn answer(self, reply: Reply) {
        self.answer_with(reply, Effects::default());
    }

    /// The same, with what became of the file.
    pub fn answer_with(mut self, reply: Reply, effects: Effects) {
        self.send(reply, effects);
    }

    /// Takes back a job that was never accepted: nothing is sent, and it has no outcome.
    pub(crate) fn withdraw(mut self) {
        if let Some(control) = self.unanswered.take().filter(|_| self.is_booked) {
            control.finish(self.number);
            if let Some(id) = &self.ticket.extras.id {
                control.forget(id, self.number);
            }
        }
    }

    fn send(&mut self, reply: Reply, effects: Effects) {
        let Some(control) = self.unanswered.take() else { return };
        let ending = if self.is_booked { control.finish(self.number) } else { None };
        let reply = with_ending(reply, ending);
        self.tell_end(&reply, &effects);
        let extras = &self.ticket.extras;
        // Encoded here, on the main thread: writing out megabytes of text would hold up the network thread.
        let changes = effects.changes.or_else(|| extras.effects.changes.clone());
        let extras = &Extras { effects: Effects { changes, ..effects }, ..extras.clone() };
        let waited = self.begun.unwrap_or_else(Instant::now).duration_since(self.queued);
        control.metrics.record(&reply, waited, self.begun.map(|begun| begun.elapsed()));
        let reply = reply.encode(self.ticket.terminator, extras);
        if let Some(id) = &extras.id {
            control.keep(id, self.number, reply.clone());
        }
        let lane = self.lane.take().filter(|_| reply.len() > SMALL_REPLY_BYTES);
        self.ticket.send(Answer { reply, lane });
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        if self.unanswered.is_none() {
            return;
        }
        let reply = if self.begun.is_some() {
            let message = "the server was stopped before the request had its result; what it began may be half done";
            let (stdout, code) = (self.feed.take_output(), ErrorCode::ShuttingDown);
            Reply::Raised { message: message.to_owned(), stdout, code, exception: None }
        } else {
            Reply::refused(
                ErrorCode::ShuttingDown,
                "the server was stopped before the request ran; send it again when it is back",
            )
        };
        self.send(reply, Effects::default());
    }
}
