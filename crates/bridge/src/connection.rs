// SPDX-License-Identifier: GPL-3.0-or-later
//! One connection, from its first byte to its end: finds out what the client speaks and hands over.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use blendwire_protocol::{ErrorCode, Extras, Reply, Terminator};
use bytes::BytesMut;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::activity::add;
use crate::peer::Verdict;
use crate::server::{Shared, stopped};
use crate::sniff::{Dialect, sniff};
use crate::turn_away::turn_away;
use crate::{bare, framed, http};

/// A peer that has silently gone is noticed after about this long.
const KEEPALIVE: Duration = Duration::from_mins(1);

/// How long the rest of a refused client's bytes are read and thrown away. Closing with unread bytes would make the
/// system drop our last words on their way.
const DRAIN_WITHIN: Duration = Duration::from_secs(2);

/// What this port speaks, for a client that speaks something else.
const SPOKEN_HERE: &str = "this is Blendwire, the server of Blender's MCP add-on; it speaks JSON: send \
    {\"type\": \"execute\", \"code\": \"result = 1\"} and a NUL byte (or a line break), or HTTP: GET /health, GET /status";

/// Serves one accepted connection to its end.
pub(crate) async fn serve(shared: Arc<Shared>, stream: TcpStream, peer: SocketAddr, shutdown: watch::Receiver<bool>) {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let id = NEXT.fetch_add(1, Ordering::Relaxed);
    add(&shared.activity.totals.connections, 1);
    let open = shared.clients.fetch_add(1, Ordering::Relaxed) + 1;
    let _counted = Counted(shared.clone());
    prepare(&stream);
    if open > shared.config.max_connections {
        refuse_one_too_many(&shared, stream).await;
        return;
    }
    log::debug!("connection {id} from {peer}");
    match shared.doorkeeper.judge(&stream, peer).await {
        Verdict::LetIn => {}
        Verdict::CannotTell => log::debug!("connection {id}: the system does not say whose it is; let in"),
        Verdict::Gone => {
            add(&shared.activity.totals.connections_refused, 1);
            log::debug!("connection {id} had closed before the system could say whose it was; nothing of it was run");
            return;
        }
        Verdict::Other(uid) => {
            add(&shared.activity.totals.connections_refused, 1);
            shared.doorkeeper.log(uid);
            // Whoever is not let in shall not keep others out: they get no words when there are many of them.
            if open <= shared.config.max_connections / 2 {
                turn_away(&shared, stream, shared.doorkeeper.words(uid), shutdown).await;
            }
            return;
        }
    }
    match dispatch(&shared, stream, id, shutdown).await {
        Ok(()) => log::debug!("connection {id} ended"),
        Err(error) => log::debug!("connection {id} broke: {error}"),
    }
}

/// Counts a connection down, however its task ends.
struct Counted(Arc<Shared>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.clients.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Small replies leave at once, and dead peers are noticed. Neither is worth refusing a client over.
fn prepare(stream: &TcpStream) {
    let _ = stream.set_nodelay(true);
    let _ =
        SockRef::from(stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE / 4));
}

async fn refuse_one_too_many(shared: &Shared, stream: TcpStream) {
    add(&shared.activity.totals.connections_refused, 1);
    let limit = shared.config.max_connections;
    log::warn!("refused a connection: {limit} are open, which is the limit");
    let words = format!("{limit} connections are open, which is the limit; close some, or keep one open and reuse it");
    let _ = say_and_close(stream, ErrorCode::BadRequest, &words).await;
}

async fn dispatch(
    shared: &Arc<Shared>,
    mut stream: TcpStream,
    id: u64,
    mut shutdown: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let mut first = BytesMut::with_capacity(4096);
    loop {
        let read = tokio::select! {
            read = stream.read_buf(&mut first) => read?,
            () = stopped(&mut shutdown) => return Ok(()),
        };
        if read == 0 {
            return Ok(());
        }
        let blank = first.len() - first.trim_ascii_start().len();
        let _ = first.split_to(blank);
        match sniff(&first) {
            Dialect::Unclear => {}
            Dialect::Json => {
                return if bare::is_spoken(shared, &mut stream, &mut first, &mut shutdown).await? {
                    bare::serve(shared, stream, first, id, shutdown).await
                } else {
                    framed::serve(shared, stream, first, id, shutdown).await
                };
            }
            Dialect::Http => return http::serve(shared, stream, first, shutdown, None).await,
            Dialect::Tls => {
                refused(shared, id, "TLS");
                let words = format!("this server does not speak TLS; connect without it: {SPOKEN_HERE}");
                return say_and_close(stream, ErrorCode::BadRequest, &words).await;
            }
            Dialect::Unknown => {
                refused(shared, id, "neither JSON nor HTTP");
                return say_and_close(stream, ErrorCode::BadRequest, SPOKEN_HERE).await;
            }
        }
    }
}

fn refused(shared: &Shared, id: u64, spoke: &str) {
    add(&shared.activity.totals.refused, 1);
    log::debug!("connection {id} refused: it spoke {spoke}");
}

/// Says one thing in a way that a program that reads to NUL and a person who reads lines both see, and closes.
pub(crate) async fn say_and_close(mut stream: TcpStream, code: ErrorCode, words: &str) -> std::io::Result<()> {
    // A code that says what to do is worth more than the plain protocol's two keys.
    let extras = Extras { is_extended: code == ErrorCode::Forbidden, ..Extras::default() };
    let mut text = Reply::refused(code, words).encode(Terminator::Newline, &extras).pieces.concat();
    text.push(Terminator::Nul.byte());
    stream.write_all(&text).await?;
    close(stream).await
}

/// Ends the connection so that what was written arrives: says that nothing more comes, reads on for a moment.
pub(crate) async fn close(mut stream: TcpStream) -> std::io::Result<()> {
    stream.shutdown().await?;
    let mut scrap = vec![0; 64 * 1024];
    let drain = async { while matches!(stream.read(&mut scrap).await, Ok(read) if read > 0) {} };
    let _ = tokio::time::timeout(DRAIN_WITHIN, drain).await;
    Ok(())
}
