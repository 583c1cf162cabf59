// SPDX-License-Identifier: GPL-3.0-or-later
//! One request on its way to the main thread and its answer on the way back.

use std::sync::Arc;
use std::time::Instant;

use blendwire_protocol::{EncodedReply, ErrorCode, Reply, first_line};
use tokio::sync::OwnedSemaphorePermit;

use crate::control::{Control, Ticket, with_ending};
use crate::output::Output;
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

/// A script to run on the main thread. Dropping it unanswered answers that it was dropped.
#[derive(Debug)]
pub struct Job {
    /// Number of the request since the server was started, from 1.
    pub number: u64,
    /// The first telling line of the source.
    pub title: String,
    /// The source text.
    pub code: String,
    /// When its script was started; a deferred request is taken up again later.
    pub(crate) begun: Option<Instant>,
    /// Where the script's output goes.
    pub output: Arc<Output>,
    /// Taken when the reply has been sent.
    unanswered: Option<Arc<Control>>,
    pub(crate) ticket: Arc<Ticket>,
    lane: Option<LaneGuard>,
    /// Its connection's share of memory that this job takes.
    _room: Option<OwnedSemaphorePermit>,
}

impl Job {
    pub(crate) fn new(
        number: u64,
        code: String,
        output: Output,
        ticket: Arc<Ticket>,
        control: Arc<Control>,
        room: Option<OwnedSemaphorePermit>,
    ) -> Self {
        Self {
            number,
            title: first_line(&code),
            code,
            begun: None,
            output: Arc::new(output),
            unanswered: Some(control),
            ticket,
            lane: None,
            _room: room,
        }
    }

    /// Ties the job to its connection's place in the queue: the next request of that connection waits for the guard.
    pub(crate) fn enter(&mut self, lane: LaneGuard) {
        self.lane = Some(lane);
    }

    /// Sends the final reply. A client that has gone away loses only this.
    pub fn answer(mut self, reply: Reply) {
        self.send(reply);
    }

    fn send(&mut self, reply: Reply) {
        let Some(control) = self.unanswered.take() else { return };
        let extras = &self.ticket.extras;
        let ending = if extras.is_extended { control.finish(self.number) } else { None };
        // Encoded here, on the main thread: writing out megabytes of text would hold up the network thread.
        let reply = with_ending(reply, ending).encode(self.ticket.terminator, extras);
        if let Some(id) = &extras.id {
            control.keep(id, reply.clone());
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
        if self.begun.is_some() {
            let message = "the server was stopped before the request had its result; what it began may be half done";
            let (stdout, code) = (self.output.take(), ErrorCode::ShuttingDown);
            self.send(Reply::Raised { message: message.to_owned(), stdout, code });
        } else {
            self.send(Reply::refused(
                ErrorCode::ShuttingDown,
                "the server was stopped before the request ran; send it again when it is back",
            ));
        }
    }
}
