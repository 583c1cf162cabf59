// SPDX-License-Identifier: GPL-3.0-or-later
//! The writing half of a JSON connection: sends replies in the order of the requests, events before the reply that they
//! belong to, and what a client wants at once between two messages.
//!
//! Small replies are gathered as long as the next one is there already. A client that takes nothing for
//! [`PATIENCE`] is given up, so that its replies and its queued requests do not stay for ever.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use blendwire_protocol::{EncodedReply, ErrorCode, Event, Extras, Id, Reply, Terminator};
use blendwire_state::fault;
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc::Receiver;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::activity::add;
use crate::feed::Feed;
use crate::job::Answer;
use crate::server::Shared;
use crate::stream::Writing;

/// Replies are gathered up to this size before they go to the system; a larger piece goes out by itself.
const GATHERED_BYTES: usize = 64 * 1024;

/// How long a client may take not a single byte.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// What a script prints is gathered this long: at once to a person, and a flood of lines costs a few hundred events a
/// second at most.
pub(crate) const EVENTS_EVERY: Duration = Duration::from_millis(5);

/// A reply to come, in its place among the others of the connection.
pub(crate) enum Pending {
    /// Known already.
    Now(EncodedReply),
    /// Only the NUL that belongs to the reply before.
    LateNul,
    /// The main thread will send it.
    Later(Later),
}

/// A reply that the main thread will send.
pub(crate) struct Later {
    pub(crate) answer: oneshot::Receiver<Answer>,
    /// What to tell before, where the client asked for events.
    pub(crate) watch: Option<Watch>,
}

/// A client's interest in one request.
pub(crate) struct Watch {
    pub(crate) feed: Arc<Feed>,
    pub(crate) terminator: Terminator,
    pub(crate) id: Option<Id>,
    /// How many requests were waiting before it.
    pub(crate) position: usize,
}

/// Writes what comes out of `replies`, and at once what comes out of `immediate`, until both are closed.
pub(crate) async fn write(
    shared: &Shared,
    write: &mut Writing,
    mut replies: Receiver<Pending>,
    immediate: Receiver<EncodedReply>,
) -> io::Result<()> {
    let mut writer = Writer { shared, write, immediate, gathered: Vec::new() };
    while let Some(pending) = writer.next(&mut replies).await? {
        fault("replies");
        match pending {
            Pending::Now(reply) => writer.reply(&reply).await?,
            Pending::LateNul => writer.piece(&[Terminator::Nul.byte()]).await?,
            Pending::Later(later) => {
                let Answer { reply, lane } = writer.settle(later).await?;
                writer.reply(&reply).await?;
                if lane.is_some() {
                    writer.flush().await?;
                }
            }
        }
    }
    Ok(())
}

struct Writer<'a> {
    shared: &'a Shared,
    write: &'a mut Writing,
    immediate: Receiver<EncodedReply>,
    gathered: Vec<u8>,
}

impl Writer<'_> {
    /// The next reply in order; `None` when there will be no more.
    async fn next(&mut self, replies: &mut Receiver<Pending>) -> io::Result<Option<Pending>> {
        if let Ok(pending) = replies.try_recv() {
            return Ok(Some(pending));
        }
        loop {
            self.flush().await?;
            let reply = tokio::select! {
                pending = replies.recv() => match pending {
                    Some(pending) => return Ok(Some(pending)),
                    None => break,
                },
                Some(reply) = self.immediate.recv() => reply,
            };
            self.reply(&reply).await?;
        }
        // A cancellation may still be on its way.
        while let Some(reply) = self.immediate.recv().await {
            self.reply(&reply).await?;
            self.flush().await?;
        }
        Ok(None)
    }

    /// Waits for a reply from the main thread; what was written before goes out first.
    async fn settle(&mut self, later: Later) -> io::Result<Answer> {
        let Later { mut answer, watch } = later;
        if let Some(watch) = &watch {
            self.event(watch, &Event::Queued { position: watch.position }).await?;
        }
        let mut due: Option<Instant> = None;
        let answered = loop {
            if let Ok(answer) = answer.try_recv() {
                break answer;
            }
            self.flush().await?;
            tokio::select! {
                biased;
                answered = &mut answer => break answered.unwrap_or_else(|_| lost()),
                Some(reply) = self.immediate.recv() => self.reply(&reply).await?,
                () = changed(watch.as_ref()), if due.is_none() => due = Some(Instant::now() + EVENTS_EVERY),
                () = sleep_until(due), if due.is_some() => {
                    due = None;
                    self.tell(watch.as_ref()).await?;
                }
            }
        };
        self.tell(watch.as_ref()).await?;
        Ok(answered)
    }

    /// Sends the events that have not been told.
    async fn tell(&mut self, watch: Option<&Watch>) -> io::Result<()> {
        let Some(watch) = watch else { return Ok(()) };
        while let Some(event) = watch.feed.next_event() {
            self.event(watch, &event).await?;
        }
        Ok(())
    }

    async fn event(&mut self, watch: &Watch, event: &Event) -> io::Result<()> {
        self.piece(&event.encode(watch.terminator, watch.id.as_ref())).await
    }

    async fn reply(&mut self, reply: &EncodedReply) -> io::Result<()> {
        for piece in &reply.pieces {
            self.piece(piece).await?;
        }
        Ok(())
    }

    async fn piece(&mut self, piece: &[u8]) -> io::Result<()> {
        if self.gathered.len() + piece.len() > GATHERED_BYTES {
            self.flush().await?;
        }
        if piece.len() > GATHERED_BYTES {
            return send(self.shared, self.write, piece).await;
        }
        self.gathered.extend_from_slice(piece);
        Ok(())
    }

    async fn flush(&mut self) -> io::Result<()> {
        let gathered = std::mem::take(&mut self.gathered);
        send(self.shared, self.write, &gathered).await?;
        self.gathered = gathered;
        self.gathered.clear();
        Ok(())
    }
}

/// What a client is told whose reply got lost by a defect of ours.
pub(crate) const LOST: &str = "the reply was lost inside the server; this is a defect, please report it";

/// A ticket answers even when it is dropped: a sender that vanishes silently is a defect, too.
pub(crate) fn lost() -> Answer {
    let reply = Reply::refused(ErrorCode::Dropped, LOST);
    Answer { reply: reply.encode(Terminator::Nul, &Extras::default()), lane: None }
}

pub(crate) async fn changed(watch: Option<&Watch>) {
    match watch {
        Some(watch) => watch.feed.changed().await,
        None => std::future::pending().await,
    }
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// Writes all of `bytes`, as long as the client takes some now and then.
pub(crate) async fn send(shared: &Shared, write: &mut Writing, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let Ok(count) = tokio::time::timeout(PATIENCE, write.write(bytes)).await else {
            log::info!("gave up a client that took no byte of its replies for {} s", PATIENCE.as_secs());
            return Err(io::Error::from(io::ErrorKind::TimedOut));
        };
        let count = count?;
        if count == 0 {
            return Err(io::Error::from(io::ErrorKind::WriteZero));
        }
        add(&shared.activity.totals.sent_bytes, count);
        bytes = &bytes[count..];
    }
    // TLS may hold back what the system did not take at once.
    match tokio::time::timeout(PATIENCE, write.flush()).await {
        Ok(flushed) => flushed,
        Err(_) => Err(io::Error::from(io::ErrorKind::TimedOut)),
    }
}
