// SPDX-License-Identifier: GPL-3.0-or-later
//! The one way from a request to the queue, for every dialect that speaks the protocol's requests: checks what the user
//! forbids, tells questions from work, books work and queues it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use blendwire_journal::Dialect;
use blendwire_protocol::{Body, EncodedReply, ErrorCode, Extras, Feature, Id, Reply, Request, Sender, Terminator};
use tokio::sync::Semaphore;

use crate::activity::add;
use crate::audit::Audit;
use crate::control::{self, Ticket};
use crate::feed::Feed;
use crate::job::{Job, Task};
use crate::queue::NotQueued;
use crate::replies::{Later, Watch};
use crate::server::Shared;

/// Room for source text is counted in units of this many bytes, because a semaphore counts in 32 bits.
const ROOM_UNIT_BYTES: usize = 1024;

/// The `changes` of a client that may not know them.
const CHANGES_FORBIDDEN: &str = r#"{"skipped": "the user's preferences do not allow the feature \"changes\""}"#;

/// Where the requests of one connection come in.
pub(crate) struct Intake<'a> {
    pub(crate) shared: &'a Arc<Shared>,
    connection: u64,
    dialect: Dialect,
    /// What this connection may have waiting: as much source text as its longest request.
    room: Arc<Semaphore>,
}

/// What became of a request.
pub(crate) enum Taken {
    /// It waits for the main thread.
    Queued(Later),
    /// It needs no main thread: the connection answers it.
    Question(Body, Extras),
    /// It is not done.
    Refused(Refused),
}

/// Why a request is not done.
pub(crate) struct Refused {
    pub(crate) id: Option<Id>,
    pub(crate) code: ErrorCode,
    pub(crate) why: String,
    /// Nothing more is taken from this client.
    pub(crate) is_final: bool,
}

impl<'a> Intake<'a> {
    /// That of the connection of this number, which speaks this.
    pub(crate) fn new(shared: &'a Arc<Shared>, connection: u64, dialect: Dialect) -> Self {
        let room = Arc::new(Semaphore::new(room_units(shared.config.max_request_bytes)));
        Self { shared, connection, dialect, room }
    }

    /// Takes a request whose reply is to end with `terminator`.
    pub(crate) async fn take(&self, request: Request, terminator: Terminator, is_extended: bool) -> Taken {
        let config = &self.shared.config;
        let is_extended = is_extended || request.is_extended();
        // Without events a client that asked for them misses nothing but their moment; that changes are not told is told.
        let passes = [Feature::Stream, Feature::Changes];
        let must_refuse = |feature: &Feature| !passes.contains(feature) && config.forbids(*feature);
        let forbidden = request.features().find(must_refuse);
        if let Some(feature) = forbidden {
            let why = format!("the user's preferences do not allow the feature \"{}\"", feature.name());
            return Taken::Refused(Refused { id: request.id, code: ErrorCode::Forbidden, why, is_final: false });
        }
        let Request { id, sender, body } = request;
        let mut extras = Extras { id, is_extended, ..Extras::default() };
        add(&self.shared.activity.totals.requests, 1);
        let task = match body {
            Body::Execute(mut script) => {
                if script.changes && config.forbids(Feature::Changes) {
                    script.changes = false;
                    extras.effects.changes = Some(CHANGES_FORBIDDEN.to_owned());
                }
                Task::Script(script)
            }
            Body::Undo { steps } => Task::Undo { steps },
            Body::Redo { steps } => Task::Redo { steps },
            question => return Taken::Question(question, extras),
        };
        let id = extras.id.clone();
        match self.enqueue(task, sender, terminator, extras).await {
            Ok(later) => Taken::Queued(later),
            Err(why) => {
                let (code, is_final) = (why.code(), why != NotQueued::SameId);
                Taken::Refused(Refused { id, code, why: why.to_string(), is_final })
            }
        }
    }

    async fn enqueue(
        &self,
        task: Task,
        sender: Sender,
        terminator: Terminator,
        extras: Extras,
    ) -> Result<Later, NotQueued> {
        let Shared { config, control, next_request, .. } = &**self.shared;
        if extras.id.as_ref().is_some_and(|id| control.is_active(id)) {
            return Err(NotQueued::SameId);
        }
        let (timeout, is_watched) = match &task {
            Task::Script(script) => (script.timeout, script.stream && !config.forbids(Feature::Stream)),
            Task::Undo { .. } | Task::Redo { .. } => (None, false),
        };
        let units = u32::try_from(room_units(task.size_bytes())).unwrap_or(u32::MAX);
        // Jobs give their room back when they are answered; the semaphore is never closed.
        let room = self.room.clone().acquire_many_owned(units).await.ok();
        let number = next_request.fetch_add(1, Ordering::Relaxed);
        let feed = Arc::new(Feed::new(config.max_output_bytes, is_watched));
        let id = extras.id.clone();
        let (ticket, answer) = Ticket::new(terminator, extras);
        let position = self.shared.queue().len();
        let mut job = Job::new(number, task, feed.clone(), ticket, control.clone(), room);
        job.audit = Audit::new(self.shared, self.connection, self.dialect, sender);
        let limit = control::Limit::of(timeout, config.time_limit);
        // While this one waited for room, another of its id may have come.
        if !job.book(control, self.connection, limit.is_some()) {
            job.withdraw();
            return Err(NotQueued::SameId);
        }
        self.shared.queue().push(self.connection, job)?;
        if let Some(limit) = limit {
            control::end_after(self.shared, number, limit);
        }
        let watch = is_watched.then_some(Watch { feed, terminator, id, position });
        Ok(Later { answer, watch })
    }

    /// The final reply of an earlier request, or why there is none.
    pub(crate) fn outcome(&self, target: &Id, terminator: Terminator) -> EncodedReply {
        let control = &self.shared.control;
        // In this order: it may end between the two looks.
        let (code, words) = if control.is_active(target) {
            (ErrorCode::Busy, "has not ended yet; ask again later")
        } else if let Some(reply) = control.outcome(target) {
            return reply.with_terminator(terminator);
        } else {
            (ErrorCode::NotFound, "is not known; the last 256 outcomes are kept, for an hour")
        };
        let message = format!("the request with the id {} {words}", target.json());
        let extras = Extras { id: Some(target.clone()), is_extended: true, ..Extras::default() };
        Reply::refused(code, message).encode(terminator, &extras)
    }
}

fn room_units(bytes: usize) -> usize {
    bytes.div_ceil(ROOM_UNIT_BYTES).max(1)
}
