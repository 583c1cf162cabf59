// SPDX-License-Identifier: GPL-3.0-or-later
//! JSON on a connection, framed by NUL or typed by a person: reads requests, answers what needs no main thread, queues
//! what does, and writes replies in the order of the requests.
//!
//! Reading and writing go on side by side, joined by a bounded channel of replies to come. When it is full the reader
//! stops, and what the client sends on stays in its socket.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use blendwire_protocol::{Decoder, Frame, Reply, Request, Terminator};
use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufWriter};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::{oneshot, watch};

use crate::activity::add;
use crate::connection::close;
use crate::job::{Answer, Job};
use crate::output::Output;
use crate::server::{Shared, stopped};

/// Room made for each read: fits a burst of small requests, and is grown by the buffer itself for large ones.
const READ_BYTES: usize = 64 * 1024;

/// Replies are gathered up to this size before they go to the system; a larger piece goes out directly.
const WRITE_BYTES: usize = 64 * 1024;

/// A reply to come, in its place among the others of the connection.
struct Pending {
    terminator: Terminator,
    answer: Awaited,
}

enum Awaited {
    /// Known already.
    Now(Reply),
    /// The main thread will send it.
    Later(oneshot::Receiver<Answer>),
}

/// Serves one connection whose first bytes are in `buffer`.
pub(crate) async fn serve(
    shared: &Arc<Shared>,
    mut stream: TcpStream,
    buffer: BytesMut,
    id: u64,
    shutdown: watch::Receiver<bool>,
) -> io::Result<()> {
    let (pending, replies) = channel(shared.config.max_pipelined.max(1));
    let (read, write) = stream.split();
    let mut reader = Reader { shared, id, decoder: Decoder::new(shared.config.max_request_bytes), buffer, pending };
    // The reader drops its end of the channel when it is done, the writer ends with the last reply.
    let reading = async move { reader.run(read, shutdown).await };
    let (was_read, was_written) = tokio::join!(reading, write_replies(shared, write, replies));
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
                    self.refuse(Terminator::Nul, &too_large).await;
                    return Go::Stop;
                }
            }
        }
    }

    async fn take(&mut self, frame: Frame) -> Go {
        let terminator = frame.terminator;
        let request = Request::parse(&frame.text);
        // The text of a large request is freed before its script waits for the main thread.
        drop(frame);
        let answer = match request {
            Err(bad) => {
                self.refuse(terminator, &bad).await;
                return Go::On;
            }
            Ok(Request::Ping) => Awaited::Now(Reply::of(&"pong")),
            Ok(Request::Status) => Awaited::Now(Reply::of(&self.shared.status())),
            Ok(Request::Execute { code }) => match self.enqueue(code) {
                Ok(answer) => Awaited::Later(answer),
                Err(why) => {
                    self.refuse(terminator, &why).await;
                    return Go::Stop;
                }
            },
        };
        add(&self.shared.activity.totals.requests, 1);
        let _ = self.pending.send(Pending { terminator, answer }).await;
        Go::On
    }

    fn enqueue(&self, code: String) -> Result<oneshot::Receiver<Answer>, crate::queue::NotQueued> {
        let number = self.shared.next_request.fetch_add(1, Ordering::Relaxed);
        let output = Output::new(self.shared.config.max_output_bytes);
        let (job, answer) = Job::new(number, code, output);
        self.shared.queue().push(self.id, job)?;
        Ok(answer)
    }

    async fn refuse(&self, terminator: Terminator, why: &impl std::fmt::Display) {
        add(&self.shared.activity.totals.refused, 1);
        log::debug!("connection {}: {why}", self.id);
        let _ = self.pending.send(Pending { terminator, answer: Awaited::Now(Reply::refused(why)) }).await;
    }

    async fn end_of_stream(&self) {
        if self.decoder.is_mid_frame() {
            self.refuse(Terminator::Nul, &"the connection ended in the middle of a request; nothing of it was run")
                .await;
        }
    }
}

async fn write_replies(shared: &Shared, write: WriteHalf<'_>, mut replies: Receiver<Pending>) -> io::Result<()> {
    let mut write = BufWriter::with_capacity(WRITE_BYTES, write);
    loop {
        let Pending { terminator, answer } = if let Ok(pending) = replies.try_recv() {
            pending
        } else {
            write.flush().await?;
            let Some(pending) = replies.recv().await else { return Ok(()) };
            pending
        };
        let Answer { reply, lane } = match answer {
            Awaited::Now(reply) => Answer { reply, lane: None },
            Awaited::Later(answer) => settle(answer, &mut write).await?,
        };
        let reply = reply.encode(terminator);
        add(&shared.activity.totals.sent_bytes, reply.len());
        for piece in &reply.pieces {
            write.write_all(piece).await?;
        }
        if lane.is_some() {
            write.flush().await?;
        }
    }
}

/// Waits for a reply from the main thread; what was written before goes out first.
async fn settle(mut answer: oneshot::Receiver<Answer>, write: &mut BufWriter<WriteHalf<'_>>) -> io::Result<Answer> {
    if let Ok(answer) = answer.try_recv() {
        return Ok(answer);
    }
    write.flush().await?;
    // A job answers even when it is dropped, so the sender cannot vanish silently but by a defect of ours.
    Ok(answer.await.unwrap_or_else(|_| Answer {
        reply: Reply::refused("the reply was lost inside the server; this is a defect, please report it"),
        lane: None,
    }))
}
