// SPDX-License-Identifier: GPL-3.0-or-later
//! JSON on a connection, framed by NUL or typed by a person: reads requests, answers what needs no main thread, queues
//! what does, and writes replies in the order of the requests.
//!
//! Reading and writing go on side by side, joined by a bounded channel of replies to come. When it is full the reader
//! stops, and what the client sends on stays in its socket.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use blendwire_protocol::{
    BadRequest, Body, Decoder, EncodedReply, ErrorCode, Extras, Feature, Frame, Hello, Id, PROTOCOL_VERSION, Refusal,
    Reply, Request, Terminator, platform,
};
use bytes::BytesMut;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::net::tcp::ReadHalf;
use tokio::sync::mpsc::{Sender, channel};
use tokio::sync::{Semaphore, oneshot, watch};

use crate::activity::add;
use crate::connection::close;
use crate::control::{self, Ticket};
use crate::feed::Feed;
use crate::job::{Answer, Job, Task};
use crate::queue::NotQueued;
use crate::replies::{self, Later, Pending, Watch};
use crate::server::{Shared, stopped};

/// Room made for each read: fits a burst of small requests, and is grown by the buffer itself for large ones.
const READ_BYTES: usize = 64 * 1024;

/// A request longer than this is parsed beside the network thread, which must answer others within milliseconds.
const LONG_REQUEST_BYTES: usize = 256 * 1024;

/// A buffer that a large request has grown beyond this is let go of when it is empty.
const KEPT_BUFFER_BYTES: usize = 1024 * 1024;

/// Room for source text is counted in units of this many bytes, because a semaphore counts in 32 bits.
const ROOM_UNIT_BYTES: usize = 1024;

/// Serves one connection whose first bytes are in `buffer`.
pub(crate) async fn serve(
    shared: &Arc<Shared>,
    mut stream: TcpStream,
    buffer: BytesMut,
    id: u64,
    shutdown: watch::Receiver<bool>,
) -> io::Result<()> {
    let (pending, awaited) = channel(shared.config.max_pipelined.max(1));
    let (read, write) = stream.split();
    let decoder = Decoder::new(shared.config.max_request_bytes);
    let room = Arc::new(Semaphore::new(room_units(shared.config.max_request_bytes)));
    let (immediate, at_once) = channel(shared.config.max_pipelined.max(1));
    let agreed = Agreed::default();
    let mut reader = Reader { shared, id, decoder, buffer, pending, immediate, agreed, room };
    // The reader drops its ends of the channels when it is done, the writer ends with the last reply.
    let reading = async move { reader.run(read, shutdown).await };
    let (was_read, was_written) = tokio::join!(reading, replies::write(shared, write, awaited, at_once));
    was_written?;
    was_read?;
    close(stream).await
}

struct Reader<'a> {
    shared: &'a Arc<Shared>,
    id: u64,
    decoder: Decoder,
    buffer: BytesMut,
    pending: Sender<Pending>,
    /// Past those that wait for the main thread.
    immediate: Sender<EncodedReply>,
    agreed: Agreed,
    /// What this connection may have waiting: as much source text as its longest request.
    room: Arc<Semaphore>,
}

/// The `changes` of a client that may not know them.
const CHANGES_FORBIDDEN: &str = r#"{"skipped": "the user's preferences do not allow the feature \"changes\""}"#;

/// What a `hello` has settled for the rest of the connection.
#[derive(Default)]
struct Agreed {
    /// There was one: every reply may carry more than the plain protocol.
    is_extended: bool,
    /// Answers to questions overtake those of scripts.
    is_immediate: bool,
}

fn room_units(bytes: usize) -> usize {
    bytes.div_ceil(ROOM_UNIT_BYTES).max(1)
}

/// Whether more is to be read from this client.
#[derive(PartialEq)]
enum Go {
    On,
    Stop,
}

impl Reader<'_> {
    async fn run(&mut self, mut read: ReadHalf<'_>, mut shutdown: watch::Receiver<bool>) -> io::Result<()> {
        add(&self.shared.activity.totals.received_bytes, self.buffer.len());
        while self.take_frames().await == Go::On {
            if self.buffer.is_empty() && self.buffer.capacity() > KEPT_BUFFER_BYTES {
                self.buffer = BytesMut::new();
            }
            self.buffer.reserve(READ_BYTES);
            let count = tokio::select! {
                count = read.read_buf(&mut self.buffer) => count?,
                () = stopped(&mut shutdown) => return Ok(()),
                // The writer has given up: nobody reads our replies any more.
                () = self.pending.closed() => return Ok(()),
            };
            add(&self.shared.activity.totals.received_bytes, count);
            if count == 0 {
                self.end_of_stream().await;
                return Ok(());
            }
        }
        Ok(())
    }

    async fn take_frames(&mut self) -> Go {
        loop {
            match self.decoder.decode(&mut self.buffer) {
                Ok(None) => return Go::On,
                Ok(Some(frame)) => {
                    if self.take(frame).await == Go::Stop {
                        return Go::Stop;
                    }
                }
                Err(too_large) => {
                    self.buffer = BytesMut::new();
                    self.refuse(Terminator::Nul, None, ErrorCode::TooLarge, &too_large).await;
                    return Go::Stop;
                }
            }
        }
    }

    async fn take(&mut self, frame: Frame) -> Go {
        let terminator = frame.terminator;
        if frame.text.is_empty() {
            let _ = self.pending.send(Pending::LateNul).await;
            return Go::On;
        }
        let request = match parse(frame).await {
            Ok(request) => request,
            Err(Refusal { why, id }) => {
                self.refuse(terminator, id, why.code(), &why).await;
                return Go::On;
            }
        };
        let is_extended = self.agreed.is_extended || request.is_extended();
        // Without events a client that asked for them misses nothing but their moment; that changes are not told is told.
        let passes = [Feature::Stream, Feature::Changes];
        let must_refuse = |feature: &Feature| !passes.contains(feature) && self.shared.config.forbids(*feature);
        let forbidden = request.features().find(must_refuse);
        if let Some(feature) = forbidden {
            let message = format!("the user's preferences do not allow the feature \"{}\"", feature.name());
            self.refuse(terminator, request.id, ErrorCode::Forbidden, &message).await;
            return Go::On;
        }
        let Request { id, body } = request;
        let mut extras = Extras { id, is_extended, ..Extras::default() };
        add(&self.shared.activity.totals.requests, 1);
        let task = match body {
            Body::Execute(mut script) => {
                if script.changes && self.shared.config.forbids(Feature::Changes) {
                    script.changes = false;
                    extras.effects.changes = Some(CHANGES_FORBIDDEN.to_owned());
                }
                Task::Script(script)
            }
            Body::Undo { steps } => Task::Undo { steps },
            Body::Redo { steps } => Task::Redo { steps },
            question => {
                self.answer(question, terminator, extras).await;
                return Go::On;
            }
        };
        match self.enqueue(task, terminator, extras.clone()).await {
            Ok(later) => {
                let _ = self.pending.send(Pending::Later(later)).await;
                Go::On
            }
            Err(why) => {
                self.refuse(terminator, extras.id, why.code(), &why).await;
                if why == NotQueued::SameId { Go::On } else { Go::Stop }
            }
        }
    }

    /// Answers what needs no main thread.
    async fn answer(&mut self, question: Body, terminator: Terminator, extras: Extras) {
        let reply = match question {
            Body::Hello { features } => Reply::of(&self.hello(features)),
            Body::Status => Reply::of(&self.shared.status()),
            Body::Outcome { target } => return self.now(self.outcome(&target, terminator)).await,
            Body::Cancel { target } => {
                let (ticket, answer) = Ticket::new(terminator, extras);
                control::cancel(self.shared, &target, ticket);
                return self.when_answered(answer).await;
            }
            _ => Reply::of(&"pong"),
        };
        self.now(reply.encode(terminator, &extras)).await;
    }

    /// Sends what is known: in its turn, or at once where the client wants that.
    async fn now(&self, reply: EncodedReply) {
        if self.agreed.is_immediate {
            let _ = self.immediate.send(reply).await;
        } else {
            let _ = self.pending.send(Pending::Now(reply)).await;
        }
    }

    async fn when_answered(&self, answer: oneshot::Receiver<Answer>) {
        if !self.agreed.is_immediate {
            let _ = self.pending.send(Pending::Later(Later { answer, watch: None })).await;
            return;
        }
        // Its place is kept from now on: a client that does not read cannot have any number of them under way.
        let Ok(place) = self.immediate.clone().reserve_owned().await else { return };
        tokio::spawn(async move {
            if let Ok(Answer { reply, .. }) = answer.await {
                place.send(reply);
            }
        });
    }

    fn hello(&mut self, asked: Vec<Feature>) -> Hello {
        let config = &self.shared.config;
        let is_allowed = |feature: &Feature| !config.forbids(*feature);
        let features: Vec<Feature> = asked.into_iter().filter(is_allowed).collect();
        self.agreed = Agreed { is_extended: true, is_immediate: features.contains(&Feature::ImmediateControl) };
        Hello {
            protocol_version: PROTOCOL_VERSION,
            versions: config.versions.clone(),
            platform: platform(),
            instance: self.shared.instance.clone(),
            features,
            available: Feature::ALL.into_iter().filter(is_allowed).collect(),
        }
    }

    fn outcome(&self, target: &Id, terminator: Terminator) -> EncodedReply {
        let control = &self.shared.control;
        if let Some(reply) = control.outcome(target).filter(|_| !control.is_active(target)) {
            return reply.with_terminator(terminator);
        }
        let (code, words) = if control.is_active(target) {
            (ErrorCode::Busy, "has not ended yet; ask again later")
        } else {
            (ErrorCode::NotFound, "is not known; the last 256 outcomes are kept, for an hour")
        };
        let message = format!("the request with the id {} {words}", target.json());
        let extras = Extras { id: Some(target.clone()), is_extended: true, ..Extras::default() };
        Reply::refused(code, message).encode(terminator, &extras)
    }

    async fn enqueue(&self, task: Task, terminator: Terminator, extras: Extras) -> Result<Later, NotQueued> {
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
        let limit = control::Limit::of(timeout, config.time_limit);
        // While this one waited for room, another of its id may have come.
        if !job.book(control, self.id, limit.is_some()) {
            job.withdraw();
            return Err(NotQueued::SameId);
        }
        self.shared.queue().push(self.id, job)?;
        if let Some(limit) = limit {
            control::end_after(self.shared, number, limit);
        }
        let watch = is_watched.then_some(Watch { feed, terminator, id, position });
        Ok(Later { answer, watch })
    }

    async fn refuse(&self, terminator: Terminator, id: Option<Id>, code: ErrorCode, why: &impl std::fmt::Display) {
        add(&self.shared.activity.totals.refused, 1);
        log::debug!("connection {}: {why}", self.id);
        let is_extended = self.agreed.is_extended
            || id.is_some()
            || matches!(code, ErrorCode::Forbidden | ErrorCode::VersionMismatch);
        let extras = Extras { id, is_extended, ..Extras::default() };
        let _ = self.pending.send(Pending::Now(Reply::refused(code, why).encode(terminator, &extras))).await;
    }

    async fn end_of_stream(&self) {
        if self.decoder.is_mid_frame() {
            self.refuse(Terminator::Nul, None, ErrorCode::BadFrame, &BadRequest::CutOff).await;
        }
    }
}

async fn parse(frame: Frame) -> Result<Request, Refusal> {
    if frame.text.len() <= LONG_REQUEST_BYTES {
        return Request::parse(&frame.text);
    }
    let parsed = tokio::task::spawn_blocking(move || Request::parse(&frame.text)).await;
    parsed.unwrap_or_else(|_| {
        let why = BadRequest::NotJson("the parser failed; this is a defect, please report it".to_owned());
        Err(Refusal { why, id: None })
    })
}
