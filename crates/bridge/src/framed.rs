// SPDX-License-Identifier: GPL-3.0-or-later
//! JSON on a connection, framed by NUL or typed by a person: reads requests, answers what needs no main thread, queues
//! what does, and writes replies in the order of the requests.
//!
//! Reading and writing go on side by side, joined by a bounded channel of replies to come. When it is full the reader
//! stops, and what the client sends on stays in its socket.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use blendwire_protocol::{BadRequest, Body, Decoder, ErrorCode, Extras, Frame, Id, Reply, Request, Terminator};
use bytes::BytesMut;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::net::tcp::ReadHalf;
use tokio::sync::mpsc::{Sender, channel};
use tokio::sync::{Semaphore, oneshot, watch};

use crate::activity::add;
use crate::connection::close;
use crate::control::{self, Ticket};
use crate::job::{Answer, Job};
use crate::output::Output;
use crate::queue::NotQueued;
use crate::replies::{self, Pending};
use crate::server::{Shared, stopped};

/// Room made for each read: fits a burst of small requests, and is grown by the buffer itself for large ones.
const READ_BYTES: usize = 64 * 1024;

/// A request longer than this is parsed beside the network thread, which must answer others within milliseconds.
const LONG_REQUEST_BYTES: usize = 256 * 1024;

/// A buffer that a large request has grown beyond this is let go of when it is empty.
const KEPT_BUFFER_BYTES: usize = 1024 * 1024;

/// Room for source text is counted in units of this many bytes, because a semaphore counts in 32 bits.
const ROOM_UNIT_BYTES: usize = 1024;

/// For a client that ends its side before its request has ended.
const CUT_OFF: &str = "the connection ended in the middle of a request; nothing of it was run. \
    End a request with a NUL byte or, after its closing brace, a line break";

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
    let mut reader = Reader { shared, id, decoder, buffer, pending, room };
    // The reader drops its end of the channel when it is done, the writer ends with the last reply.
    let reading = async move { reader.run(read, shutdown).await };
    let (was_read, was_written) = tokio::join!(reading, replies::write(shared, write, awaited));
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
    /// What this connection may have waiting: as much source text as its longest request.
    room: Arc<Semaphore>,
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
                    self.refuse(Terminator::Nul, ErrorCode::TooLarge, &too_large).await;
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
            Err(bad) => {
                self.refuse(terminator, ErrorCode::BadRequest, &bad).await;
                return Go::On;
            }
        };
        let Request { id, body } = request;
        let is_extended = id.is_some() || matches!(body, Body::Execute { timeout: Some(_), .. });
        let extras = Extras { id, is_extended, ..Extras::default() };
        let now = |reply: Reply| Pending::Now(reply.encode(terminator, &extras));
        let answer = match body {
            Body::Ping => now(Reply::of(&"pong")),
            Body::Status => now(Reply::of(&self.shared.status())),
            Body::Outcome { target } => self.outcome(&target, terminator),
            Body::Cancel { target } => {
                let (ticket, answer) = Ticket::new(terminator, extras);
                control::cancel(self.shared, &target, ticket);
                Pending::Later(answer)
            }
            Body::Execute { code, timeout } => match self.enqueue(code, timeout, terminator, extras.clone()).await {
                Ok(answer) => Pending::Later(answer),
                Err(why) => {
                    let go = if why == NotQueued::SameId { Go::On } else { Go::Stop };
                    add(&self.shared.activity.totals.refused, 1);
                    let _ = self.pending.send(now(Reply::refused(why.code(), why))).await;
                    return go;
                }
            },
        };
        add(&self.shared.activity.totals.requests, 1);
        let _ = self.pending.send(answer).await;
        Go::On
    }

    fn outcome(&self, target: &Id, terminator: Terminator) -> Pending {
        let control = &self.shared.control;
        if let Some(reply) = control.outcome(target).filter(|_| !control.is_active(target)) {
            return Pending::Now(reply.with_terminator(terminator));
        }
        let (code, words) = if control.is_active(target) {
            (ErrorCode::Busy, "has not ended yet; ask again later")
        } else {
            (ErrorCode::NotFound, "is not known; the last 256 outcomes are kept, for an hour")
        };
        let message = format!("the request with the id {} {words}", target.json());
        let extras = Extras { id: Some(target.clone()), is_extended: true, ..Extras::default() };
        Pending::Now(Reply::refused(code, message).encode(terminator, &extras))
    }

    async fn enqueue(
        &self,
        code: String,
        timeout: Option<Duration>,
        terminator: Terminator,
        extras: Extras,
    ) -> Result<oneshot::Receiver<Answer>, NotQueued> {
        if extras.id.as_ref().is_some_and(|id| self.shared.control.is_active(id)) {
            return Err(NotQueued::SameId);
        }
        let units = u32::try_from(room_units(code.len())).unwrap_or(u32::MAX);
        // Jobs give their room back when they are answered; the semaphore is never closed.
        let room = self.room.clone().acquire_many_owned(units).await.ok();
        let number = self.shared.next_request.fetch_add(1, Ordering::Relaxed);
        let output = Output::new(self.shared.config.max_output_bytes);
        let (ticket, answer) = Ticket::new(terminator, extras);
        let job = Job::new(number, code, output, ticket, self.shared.control.clone(), room);
        job.register(self.shared, self.id);
        self.shared.queue().push(self.id, job)?;
        if let Some(limit) = timeout {
            control::end_after(self.shared, number, limit);
        }
        Ok(answer)
    }

    async fn refuse(&self, terminator: Terminator, code: ErrorCode, why: &impl std::fmt::Display) {
        add(&self.shared.activity.totals.refused, 1);
        log::debug!("connection {}: {why}", self.id);
        let _ = self.pending.send(Pending::Now(Reply::refused(code, why).encode(terminator, &Extras::default()))).await;
    }

    async fn end_of_stream(&self) {
        if self.decoder.is_mid_frame() {
            self.refuse(Terminator::Nul, ErrorCode::BadRequest, &CUT_OFF).await;
        }
    }
}

async fn parse(frame: Frame) -> Result<Request, BadRequest> {
    if frame.text.len() <= LONG_REQUEST_BYTES {
        return Request::parse(&frame.text);
    }
    let parsed = tokio::task::spawn_blocking(move || Request::parse(&frame.text)).await;
    parsed.unwrap_or_else(|_| {
        Err(BadRequest::NotJson("the parser failed; this is a defect, please report it".to_owned()))
    })
}
