// SPDX-License-Identifier: GPL-3.0-or-later
//! The dialect of mcp-for-blender on a connection: bare JSON, one request at a time, no terminators.
//!
//! Its client matches replies to requests by their order alone and sends the next one when it has the reply, so this
//! reads, answers and writes in turn. What it pipelines all the same waits in its socket.

mod commands;

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use blendwire_journal::Dialect;
use blendwire_protocol::{
    BadBareRequest, BareRequest, BareResult, Decoder, ErrorCode, Execute, Extras, Look, Reply, Sender, Terminator,
    is_bare,
};
use blendwire_state::fault;
use bytes::{Bytes, BytesMut};
use tokio::io::AsyncReadExt;
use tokio::sync::watch;

use self::commands::{Plan, Script};
use crate::activity::add;
use crate::audit::Audit;
use crate::connection::{Guest, close};
use crate::control::{self, Limit, Ticket};
use crate::feed::Feed;
use crate::framed;
use crate::job::{Answer, Job, Task};
use crate::replies::send;
use crate::server::{Shared, stopped};
use crate::stream::{Stream, Writing};

/// Room made for each read.
const READ_BYTES: usize = 64 * 1024;

/// A request longer than this is parsed beside the network thread, which must answer others within milliseconds.
const LONG_REQUEST_BYTES: usize = 256 * 1024;

/// A buffer that has held a request longer than this is let go of when it is empty: it would stay as large while the
/// request waits for its turn.
const KEPT_BUFFER_BYTES: usize = 1024 * 1024;

/// A reply up to this size goes out in one piece.
const SMALL_REPLY_BYTES: usize = 64 * 1024;

/// For a client that ends its side before its request has ended.
const CUT_OFF: &str = "the connection ended in the middle of a request; nothing of it was run";

/// Whether the client of a connection that begins with a brace speaks this dialect. Reads on into `first` until that is
/// clear, and takes nothing out of it. A client that goes away is somebody else's.
pub(crate) async fn is_spoken(
    shared: &Shared,
    stream: &mut Stream,
    first: &mut BytesMut,
    guest: Guest,
    shutdown: &mut watch::Receiver<bool>,
) -> io::Result<bool> {
    let mut decoder = Decoder::new(framed::limit(shared, guest.terms));
    let mut share = shared.unfinished.share();
    loop {
        match decoder.look(first) {
            Look::Framed => return Ok(false),
            Look::Closed(text) if text.len() <= LONG_REQUEST_BYTES => return Ok(is_bare(text)),
            Look::Closed(text) => {
                let text = Bytes::copy_from_slice(text);
                let looked = tokio::task::spawn_blocking(move || {
                    fault("bare_look");
                    is_bare(&text)
                });
                // Not known for what it is, it would wait for the end of a frame that its client never sends.
                return looked.await.map_err(io::Error::other);
            }
            Look::Open => {}
        }
        if share.resize(first.len()).is_err() {
            return Ok(false);
        }
        first.reserve(READ_BYTES);
        let count = tokio::select! {
            count = stream.read_buf(first) => count?,
            () = stopped(shutdown) => return Ok(false),
            () = tokio::time::sleep_until(guest.deadline), if guest.terms.needs_token => return Ok(false),
        };
        if count == 0 {
            return Ok(false);
        }
    }
}

/// Serves one connection whose first bytes are in `buffer`.
pub(crate) async fn serve(
    shared: &Arc<Shared>,
    stream: Stream,
    mut buffer: BytesMut,
    id: u64,
    mut shutdown: watch::Receiver<bool>,
) -> io::Result<()> {
    log::debug!("connection {id} speaks the dialect of mcp-for-blender");
    add(&shared.activity.totals.received_bytes, buffer.len());
    let (mut read, write) = tokio::io::split(stream);
    let mut client = Client { shared, id, write, decoder: Decoder::new(shared.config.max_request_bytes) };
    let mut share = shared.unfinished.share();
    while client.take_messages(&mut buffer).await? == Go::On {
        if let Err(no_room) = share.resize(buffer.len()) {
            client.refuse(ErrorCode::Busy, &no_room).await?;
            break;
        }
        buffer.reserve(READ_BYTES);
        let count = tokio::select! {
            count = read.read_buf(&mut buffer) => count?,
            () = stopped(&mut shutdown) => break,
        };
        add(&shared.activity.totals.received_bytes, count);
        if count == 0 {
            client.end_of_stream().await?;
            break;
        }
    }
    drop(buffer);
    close(read.unsplit(client.write)).await
}

struct Client<'a> {
    shared: &'a Arc<Shared>,
    id: u64,
    write: Writing,
    decoder: Decoder,
}

/// Whether more is to be read from this client.
#[derive(PartialEq)]
enum Go {
    On,
    Stop,
}

impl Client<'_> {
    async fn take_messages(&mut self, buffer: &mut BytesMut) -> io::Result<Go> {
        loop {
            match self.decoder.decode_bare(buffer) {
                Ok(None) => return Ok(Go::On),
                Ok(Some(text)) => {
                    if buffer.is_empty() && text.len() > KEPT_BUFFER_BYTES {
                        *buffer = BytesMut::new();
                    }
                    if self.take(text).await? == Go::Stop {
                        return Ok(Go::Stop);
                    }
                }
                Err(too_large) => {
                    *buffer = BytesMut::new();
                    self.refuse(ErrorCode::TooLarge, &too_large).await?;
                    return Ok(Go::Stop);
                }
            }
        }
    }

    async fn take(&mut self, text: Bytes) -> io::Result<Go> {
        let plan = match parse(text).await {
            Ok(request) => commands::plan(&self.shared.config.versions, request),
            Err(bad) => {
                self.refuse(ErrorCode::BadRequest, &bad).await?;
                // Where the next message begins in what is no object cannot be told.
                return Ok(if bad == BadBareRequest::NotAnObject { Go::Stop } else { Go::On });
            }
        };
        match plan {
            Plan::Refused(why) => self.refuse(ErrorCode::NotFound, &why).await?,
            Plan::Answered(reply) => {
                add(&self.shared.activity.totals.requests, 1);
                self.reply(reply).await?;
            }
            Plan::Run(script) => self.run(script).await?,
        }
        Ok(Go::On)
    }

    /// Queues a script, waits for its end and sends what came of it.
    async fn run(&mut self, Script { title, code, wanted }: Script) -> io::Result<()> {
        let number = self.shared.next_request.fetch_add(1, Ordering::Relaxed);
        let feed = Arc::new(Feed::new(self.shared.config.max_output_bytes, false));
        let extras = Extras { bare: Some(wanted), ..Extras::default() };
        // The dialect in the extras makes the terminator of no account.
        let (ticket, answer) = Ticket::new(Terminator::Nul, extras);
        // Those of ours have a title and only look: a picture makes data and takes it away again.
        let no_undo_step = title.is_some();
        let script = Execute { code, title: title.map(str::to_owned), no_undo_step, ..Execute::default() };
        let task = Task::Script(script);
        let control = &self.shared.control;
        let mut job = Job::new(number, task, feed, ticket, control.clone(), None);
        job.audit = Audit::new(self.shared, self.id, Dialect::Bare, Sender::default());
        // Its requests bring no limit of their own.
        let limit = Limit::of(None, self.shared.config.time_limit);
        let _ = job.book(control, self.id, limit.is_some());
        if let Err(why) = self.shared.queue().push(self.id, job) {
            return self.refuse(why.code(), &why).await;
        }
        if let Some(limit) = limit {
            control::end_after(self.shared, number, limit);
        }
        add(&self.shared.activity.totals.requests, 1);
        // A job answers even when it is dropped, so the sender cannot vanish but by a defect of ours.
        let Ok(Answer { reply, lane }) = answer.await else {
            let words = "the reply was lost inside the server; this is a defect, please report it";
            return self.reply(Reply::refused(ErrorCode::Dropped, words)).await;
        };
        self.send(reply.pieces.as_slice()).await?;
        drop(lane);
        Ok(())
    }

    async fn refuse(&mut self, code: ErrorCode, why: &impl std::fmt::Display) -> io::Result<()> {
        add(&self.shared.activity.totals.refused, 1);
        log::debug!("connection {}: {why}", self.id);
        self.reply(Reply::refused(code, why)).await
    }

    async fn reply(&mut self, reply: Reply) -> io::Result<()> {
        self.send(&BareResult::Value.encode(reply).pieces).await
    }

    /// A small reply goes out at once: its client parses all it has after each piece.
    async fn send(&mut self, pieces: &[Bytes]) -> io::Result<()> {
        if pieces.iter().map(Bytes::len).sum::<usize>() <= SMALL_REPLY_BYTES {
            return send(self.shared, &mut self.write, &pieces.concat()).await;
        }
        for piece in pieces {
            send(self.shared, &mut self.write, piece).await?;
        }
        Ok(())
    }

    async fn end_of_stream(&mut self) -> io::Result<()> {
        if self.decoder.is_mid_frame() {
            self.refuse(ErrorCode::BadRequest, &CUT_OFF).await?;
        }
        Ok(())
    }
}

async fn parse(text: Bytes) -> Result<BareRequest, BadBareRequest> {
    if text.len() <= LONG_REQUEST_BYTES {
        return BareRequest::parse(&text);
    }
    let parsed = tokio::task::spawn_blocking(move || {
        fault("bare_parser");
        BareRequest::parse(&text)
    });
    parsed.await.unwrap_or_else(|_| {
        Err(BadBareRequest::NotJson("the parser failed; this is a defect, please report it".to_owned()))
    })
}
