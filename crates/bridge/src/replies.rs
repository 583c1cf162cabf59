// SPDX-License-Identifier: GPL-3.0-or-later
//! The writing half of a JSON connection: sends replies in the order of the requests.
//!
//! Small replies are gathered as long as the next one is there already. A client that takes nothing for
//! [`PATIENCE`] is given up, so that its replies and its queued requests do not stay for ever.

use std::io;
use std::time::Duration;

use blendwire_protocol::{EncodedReply, ErrorCode, Extras, Reply, Terminator};
use tokio::io::AsyncWriteExt;
use tokio::net::tcp::WriteHalf;
use tokio::sync::mpsc::Receiver;
use tokio::sync::oneshot;

use crate::activity::add;
use crate::job::Answer;
use crate::server::Shared;

/// Replies are gathered up to this size before they go to the system; a larger piece goes out by itself.
const GATHERED_BYTES: usize = 64 * 1024;

/// How long a client may take not a single byte.
const PATIENCE: Duration = Duration::from_mins(1);

/// A reply to come, in its place among the others of the connection.
pub(crate) enum Pending {
    /// Known already.
    Now(EncodedReply),
    /// Only the NUL that belongs to the reply before.
    LateNul,
    /// The main thread will send it.
    Later(oneshot::Receiver<Answer>),
}

/// Writes what comes out of `replies` until it is closed.
pub(crate) async fn write(shared: &Shared, write: WriteHalf<'_>, mut replies: Receiver<Pending>) -> io::Result<()> {
    let mut writer = Writer { shared, write, gathered: Vec::new() };
    loop {
        let pending = if let Ok(pending) = replies.try_recv() {
            pending
        } else {
            writer.flush().await?;
            let Some(pending) = replies.recv().await else { return Ok(()) };
            pending
        };
        match pending {
            Pending::Now(reply) => writer.reply(&reply).await?,
            Pending::LateNul => writer.piece(&[Terminator::Nul.byte()]).await?,
            Pending::Later(answer) => {
                let Answer { reply, lane } = writer.settle(answer).await?;
                writer.reply(&reply).await?;
                if lane.is_some() {
                    writer.flush().await?;
                }
            }
        }
    }
}

struct Writer<'a> {
    shared: &'a Shared,
    write: WriteHalf<'a>,
    gathered: Vec<u8>,
}

impl Writer<'_> {
    /// Waits for a reply from the main thread; what was written before goes out first.
    async fn settle(&mut self, mut answer: oneshot::Receiver<Answer>) -> io::Result<Answer> {
        if let Ok(answer) = answer.try_recv() {
            return Ok(answer);
        }
        self.flush().await?;
        // A job answers even when it is dropped, so the sender cannot vanish silently but by a defect of ours.
        Ok(answer.await.unwrap_or_else(|_| {
            let words = "the reply was lost inside the server; this is a defect, please report it";
            let reply = Reply::refused(ErrorCode::Dropped, words);
            Answer { reply: reply.encode(Terminator::Nul, &Extras::default()), lane: None }
        }))
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
            return send(self.shared, &mut self.write, piece).await;
        }
        self.gathered.extend_from_slice(piece);
        Ok(())
    }

    async fn flush(&mut self) -> io::Result<()> {
        let gathered = std::mem::take(&mut self.gathered);
        send(self.shared, &mut self.write, &gathered).await?;
        self.gathered = gathered;
        self.gathered.clear();
        Ok(())
    }
}

/// Writes all of `bytes`, as long as the client takes some now and then.
async fn send(shared: &Shared, write: &mut WriteHalf<'_>, mut bytes: &[u8]) -> io::Result<()> {
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
    Ok(())
}
