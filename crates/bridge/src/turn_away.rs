// SPDX-License-Identifier: GPL-3.0-or-later
//! The last words to a peer that is not let in: one error in the shape that its client understands, and the end.
//!
//! Nothing of what it sends is parsed beyond what tells its dialect.

use std::io;
use std::time::Duration;

use blendwire_protocol::{BareResult, Decoder, ErrorCode, Look, Reply, is_bare};
use blendwire_state::fault;
use bytes::BytesMut;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::watch;

use crate::connection::{close, say_and_close};
use crate::http;
use crate::server::Shared;
use crate::sniff::{Dialect, sniff};
use crate::stream::Stream;

/// All that such a peer gets: to begin its first message, to read the answer.
const WITHIN: Duration = Duration::from_secs(3);

/// One that has said nothing for so long may be waiting to be greeted: it is told as the clients of most are.
const SPEAKS_WITHIN: Duration = Duration::from_secs(1);

/// A first message that is longer does not tell the dialect any better.
const LOOKED_AT_BYTES: usize = 64 * 1024;

/// How the peer's client wants an error.
enum Shape {
    Framed,
    Bare,
    Http,
}

/// Says `words`, with `code` where the dialect has codes, and closes. `first` is what has been read already.
pub(crate) async fn turn_away(
    shared: &Shared,
    stream: Stream,
    first: BytesMut,
    code: ErrorCode,
    words: &str,
    shutdown: watch::Receiver<bool>,
) {
    // One that does not listen misses them.
    let _ = tokio::time::timeout(WITHIN, say(shared, stream, first, code, words, shutdown)).await;
}

async fn say(
    shared: &Shared,
    mut stream: Stream,
    mut first: BytesMut,
    code: ErrorCode,
    words: &str,
    shutdown: watch::Receiver<bool>,
) -> io::Result<()> {
    fault("turn_away");
    match shape(&mut stream, &mut first).await? {
        Shape::Framed => say_and_close(stream, code, words).await,
        Shape::Http => http::part(shared, stream, first, shutdown, code, words).await,
        Shape::Bare => {
            // Its client reads one object and wants nothing behind it.
            let reply = BareResult::Value.encode(Reply::refused(code, words));
            stream.write_all(&reply.pieces.concat()).await?;
            close(stream).await
        }
    }
}

async fn shape(stream: &mut Stream, first: &mut BytesMut) -> io::Result<Shape> {
    let mut decoder = Decoder::new(LOOKED_AT_BYTES);
    loop {
        let blank = first.len() - first.trim_ascii_start().len();
        let _ = first.split_to(blank);
        match sniff(first) {
            Dialect::Unclear => {}
            Dialect::Http => return Ok(Shape::Http),
            Dialect::Tls | Dialect::Unknown => return Ok(Shape::Framed),
            Dialect::Json => match decoder.look(first) {
                Look::Open if first.len() < LOOKED_AT_BYTES => {}
                Look::Closed(text) if is_bare(text) => return Ok(Shape::Bare),
                _ => return Ok(Shape::Framed),
            },
        }
        let is_silent = first.is_empty();
        let reading = stream.read_buf(first);
        let read = if is_silent {
            // After so long a silence there is no more to tell it by than at the end of what it sends.
            tokio::time::timeout(SPEAKS_WITHIN, reading).await.unwrap_or(Ok(0))?
        } else {
            reading.await?
        };
        if read == 0 {
            return Ok(Shape::Framed);
        }
    }
}
