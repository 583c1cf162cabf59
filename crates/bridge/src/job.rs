// SPDX-License-Identifier: GPL-3.0-or-later
//! One request on its way to the main thread and its answer on the way back.

use std::sync::Arc;
use std::time::Instant;

use blendwire_protocol::{EncodedReply, Reply, Terminator, first_line};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

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
    terminator: Terminator,
    reply: Option<oneshot::Sender<Answer>>,
    lane: Option<LaneGuard>,
    /// Its connection's share of memory that this job takes.
    _room: Option<OwnedSemaphorePermit>,
}

impl Job {
    pub(crate) fn new(
        number: u64,
        code: String,
        output: Output,
        terminator: Terminator,
        room: Option<OwnedSemaphorePermit>,
    ) -> (Self, oneshot::Receiver<Answer>) {
        let (reply, answer) = oneshot::channel();
        let job = Self {
            number,
            title: first_line(&code),
            code,
            begun: None,
            output: Arc::new(output),
            terminator,
            reply: Some(reply),
            lane: None,
            _room: room,
        };
        (job, answer)
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
        let Some(sender) = self.reply.take() else { return };
        // Encoded here, on the main thread: writing out megabytes of text would hold up the network thread.
        let reply = reply.encode(self.terminator);
        let lane = self.lane.take().filter(|_| reply.len() > SMALL_REPLY_BYTES);
        let _ = sender.send(Answer { reply, lane });
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        if self.reply.is_none() {
            return;
        }
        if self.begun.is_some() {
            let message = "the server was stopped before the request had its result; what it began may be half done";
            self.send(Reply::Raised { message: message.to_owned(), stdout: self.output.take() });
        } else {
            self.send(Reply::refused("the server was stopped before the request ran; send it again when it is back"));
        }
    }
}
