// SPDX-License-Identifier: GPL-3.0-or-later
//! One connection, from its first byte to its end: finds out what the client speaks and hands over.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use blendwire_protocol::{ErrorCode, Extras, Reply, Terminator};
use blendwire_state::fault;
use bytes::BytesMut;
use log::Level;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::access::{Access, Doorkeeper, Terms, Verdict, handshake_words};
use crate::activity::add;
use crate::seldom::AND_NO_MORE;
use crate::server::{Shared, stopped};
use crate::sniff::{Dialect, sniff};
use crate::stream::Stream;
use crate::turn_away::turn_away;
use crate::{bare, framed, http};

/// A peer that has gone without a word, because its machine sleeps or its cable was pulled, is asked after so long whether it
/// is still there, and again after so long, so often: it is given up after a minute. One to which an answer is on its way is
/// not asked; the system sends that again for a quarter of an hour. It could be told to give up sooner, but would then also
/// cut off those who are there and take a while to read.
const KEEPALIVE: Duration = Duration::from_secs(30);
const KEEPALIVE_EVERY: Duration = Duration::from_secs(10);
const KEEPALIVE_TRIES: u32 = 3;

/// How long the rest of a refused client's bytes are read and thrown away. Closing with unread bytes would make the
/// system drop our last words on their way.
const DRAIN_WITHIN: Duration = Duration::from_secs(2);

/// As many are told at a time that there are too many: each costs a file until its client has said what it speaks and has
/// read that. Others are closed without a word, so that a flood takes no files that Blender needs.
const TOLD_AT_A_TIME: usize = 64;

/// How long the handshake of TLS may take.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);

/// For a client from another machine.
const TLS_WANTED: &str = "this server talks to other machines inside TLS only: `blendwire` does so with --fingerprint, which \
    `blendwire tls` shows on Blender's machine; https:// over HTTP. For clients that cannot, have Blender's user name \
    this network in \"Open Networks\", or connect through ssh";

/// For mcp-for-blender's server, which cannot send one.
const TOKEN_NOT_BARE: &str = "this server wants a token, which mcp-for-blender cannot send: switch off \"Require a Token\" \
    in the add-on's preferences, or use Blendwire's own MCP server (`blendwire mcp`)";

/// What this port speaks, for a client that speaks something else.
const SPOKEN_HERE: &str = "this is Blendwire, the server of Blender's MCP add-on; it speaks JSON: send \
    {\"type\": \"execute\", \"code\": \"result = 1\"} and a NUL byte (or a line break), or HTTP: GET /health, GET /status; both also inside TLS";

/// How long a client may take to begin speaking, and to shake hands, where it must prove itself. Those of this machine may
/// be silent as long as they like: connecting early costs nobody anything.
const PROVE_WITHIN: Duration = Duration::from_secs(30);

/// What is known of a connection before its first byte.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Guest {
    /// For the log.
    pub(crate) id: u64,
    /// What it must bring.
    pub(crate) terms: Terms,
    /// When whatever it must bring has to be there.
    pub(crate) deadline: Instant,
}

impl Guest {
    /// Returns when it had to prove itself by now and has not `proved`.
    pub(crate) async fn put_out_unless(&self, proved: &AtomicBool) {
        tokio::time::sleep_until(self.deadline).await;
        if !self.terms.needs_token || proved.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
    }
}

/// Serves one accepted connection to its end.
pub(crate) async fn serve(counted: Counted, stream: TcpStream, peer: SocketAddr, shutdown: watch::Receiver<bool>) {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let id = NEXT.fetch_add(1, Ordering::Relaxed);
    let Counted { ref shared, open } = counted;
    prepare(&stream);
    let Some(open) = open else { return refuse_one_too_many(shared, stream, shutdown).await };
    log::debug!("connection {id} from {peer}");
    match admit(shared, &stream, id, peer).await {
        Ok((terms, uid)) => {
            let _noted = shared.origins.enter(id, peer, uid);
            let guest = Guest { id, terms, deadline: Instant::now() + PROVE_WITHIN };
            fault("connection");
            match dispatch(shared, Stream::Plain(stream), guest, shutdown).await {
                Ok(()) => log::debug!("connection {id} ended"),
                Err(error) => log::debug!("connection {id} broke: {error}"),
            }
        }
        Err(words) => {
            add(&shared.activity.totals.connections_refused, 1);
            // Whoever is not let in shall not keep others out: they get no words when there are many of them.
            if let Some(words) = words.filter(|_| open <= shared.config.max_connections / 2) {
                turn_away(shared, Stream::Plain(stream), BytesMut::new(), ErrorCode::Forbidden, &words, shutdown).await;
            }
        }
    }
}

/// Whether the connection comes from this machine: over loopback, from the address that it goes to, or because the system
/// lists its other end.
fn is_local(stream: &TcpStream, peer: SocketAddr) -> bool {
    let Ok(local) = stream.local_addr() else { return false };
    let (local_ip, peer_ip) = (local.ip().to_canonical(), peer.ip().to_canonical());
    peer_ip.is_loopback() || local_ip.is_loopback() || local_ip == peer_ip || Doorkeeper::lists(peer, local)
}

/// What the connection must bring, and the number of its user where that is known; or what to tell its client, nothing
/// where it has gone.
async fn admit(
    shared: &Shared,
    stream: &TcpStream,
    id: u64,
    peer: SocketAddr,
) -> Result<(Terms, Option<u32>), Option<String>> {
    let Access { rules, doorkeeper, .. } = &shared.access;
    let Some(terms) = rules.terms(peer, is_local(stream, peer)) else {
        let level = shared.told.not_allowed.level(Level::Info);
        log::log!(
            level,
            "refused a connection from {}: it is in none of the allowed networks {AND_NO_MORE}",
            peer.ip()
        );
        return Err(Some(format!(
            "this Blender lets in no connections from {}: have its user add that address to \"Allowed Clients\" in the \
             add-on's preferences (without a window: --allow) and restart the server, or connect through ssh",
            peer.ip().to_canonical()
        )));
    };
    if !terms.is_local {
        return Ok((terms, None));
    }
    match doorkeeper.judge(stream, peer).await {
        Verdict::LetIn(uid) => Ok((terms, uid)),
        Verdict::CannotTell => {
            log::debug!("connection {id}: the system does not say whose it is; let in");
            Ok((terms, None))
        }
        Verdict::Gone => {
            log::debug!(
                "connection {id} closed before the system could say whose it is, or could not be asked about; nothing of \
                 it is run"
            );
            Err(None)
        }
        Verdict::Other(whose) => {
            doorkeeper.log(&whose);
            Err(Some(doorkeeper.words(&whose)))
        }
    }
}

/// A connection that is counted from the moment that it is accepted, and down however its task ends.
pub(crate) struct Counted {
    shared: Arc<Shared>,
    /// How many are open with it; `None` for one too many, which is counted apart: it is only told so.
    open: Option<usize>,
}

impl Counted {
    /// Counts one more. `None` when there are so many that it is not even told so; it is to be closed at once.
    pub(crate) fn new(shared: &Arc<Shared>) -> Option<Self> {
        let totals = &shared.activity.totals;
        add(&totals.connections, 1);
        let open = shared.clients.fetch_add(1, Ordering::Relaxed) + 1;
        if open <= shared.config.max_connections {
            return Some(Self { shared: shared.clone(), open: Some(open) });
        }
        shared.clients.fetch_sub(1, Ordering::Relaxed);
        add(&totals.connections_refused, 1);
        let (limit, level) = (shared.config.max_connections, shared.told.too_many.level(Level::Warn));
        log::log!(level, "refused a connection: {limit} are open, which is the limit {AND_NO_MORE}");
        if shared.too_many.fetch_add(1, Ordering::Relaxed) < TOLD_AT_A_TIME {
            return Some(Self { shared: shared.clone(), open: None });
        }
        shared.too_many.fetch_sub(1, Ordering::Relaxed);
        None
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let counter = if self.open.is_some() { &self.shared.clients } else { &self.shared.too_many };
        counter.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Small replies leave at once, and dead peers are noticed. Neither is worth refusing a client over.
fn prepare(stream: &TcpStream) {
    let _ = stream.set_nodelay(true);
    let keepalive =
        TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE_EVERY).with_retries(KEEPALIVE_TRIES);
    let _ = SockRef::from(stream).set_tcp_keepalive(&keepalive);
}

async fn refuse_one_too_many(shared: &Shared, stream: TcpStream, shutdown: watch::Receiver<bool>) {
    fault("one_too_many");
    let limit = shared.config.max_connections;
    let words = format!("{limit} connections are open, which is the limit; close some, or keep one open and reuse it");
    turn_away(shared, Stream::Plain(stream), BytesMut::new(), ErrorCode::Busy, &words, shutdown).await;
}

async fn dispatch(
    shared: &Arc<Shared>,
    mut stream: Stream,
    guest: Guest,
    mut shutdown: watch::Receiver<bool>,
) -> io::Result<()> {
    let mut first = BytesMut::with_capacity(4096);
    loop {
        let read = tokio::select! {
            read = stream.read_buf(&mut first) => read?,
            () = stopped(&mut shutdown) => return Ok(()),
            () = tokio::time::sleep_until(guest.deadline), if !guest.terms.is_local => return Ok(()),
        };
        if read == 0 {
            return Ok(());
        }
        let blank = first.len() - first.trim_ascii_start().len();
        let _ = first.split_to(blank);
        let dialect = sniff(&first);
        if guest.terms.needs_tls && !stream.is_tls() && matches!(dialect, Dialect::Json | Dialect::Http) {
            refused(shared, guest.id, "without TLS");
            turn_away(shared, stream, first, ErrorCode::Forbidden, TLS_WANTED, shutdown).await;
            return Ok(());
        }
        match dialect {
            Dialect::Unclear => {}
            Dialect::Json => return json(shared, stream, first, guest, shutdown).await,
            Dialect::Http => return http::serve(shared, stream, first, guest, shutdown).await,
            Dialect::Tls if !stream.is_tls() => {
                let Some(stream) = inside_tls(shared, stream, first, guest).await else { return Ok(()) };
                // Boxed, because a future cannot hold itself.
                return Box::pin(dispatch(shared, stream, guest, shutdown)).await;
            }
            Dialect::Tls | Dialect::Unknown => {
                refused(shared, guest.id, "neither JSON nor HTTP");
                return say_and_close(stream, ErrorCode::BadRequest, SPOKEN_HERE).await;
            }
        }
    }
}

/// Shakes hands; `None` where that failed, of which the client has been told in TLS's own words.
async fn inside_tls(shared: &Arc<Shared>, stream: Stream, first: BytesMut, guest: Guest) -> Option<Stream> {
    let id = guest.id;
    let asked = shared.clone();
    // Files on a slow disk, and once a key to make: others do not wait for that.
    let acceptor = tokio::task::spawn_blocking(move || {
        fault("acceptor");
        asked.access.tls.acceptor()
    });
    let acceptor = match acceptor.await {
        Ok(Ok(acceptor)) => acceptor,
        Err(error) => {
            log::error!("a defect in the preparation of TLS: {error}");
            return None;
        }
        Ok(Err(error)) => {
            refused(shared, id, "TLS, which cannot be served");
            let level = shared.told.no_tls.level(Level::Error);
            log::log!(level, "a client wanted TLS, and there is no certificate for it: {error}");
            let words = "this server cannot serve TLS just now; Blender's log says why";
            let _ = say_and_close(stream, ErrorCode::Forbidden, words).await;
            return None;
        }
    };
    let handshake = tokio::time::timeout(HANDSHAKE_WITHIN, acceptor.accept(stream.rewound(first)?)).await;
    match handshake {
        Ok(Ok(stream)) => {
            fault("tls");
            log::debug!("connection {id} is inside TLS");
            return Some(Stream::inside(stream));
        }
        Ok(Err(error)) => {
            refused(shared, id, "TLS, and the handshake failed");
            let level = shared.told.no_tls.level(Level::Info);
            log::log!(level, "connection {id}: no TLS: {}", handshake_words(&error));
        }
        Err(_) => refused(shared, id, "TLS, and did not end its handshake"),
    }
    None
}

/// JSON, framed or bare.
async fn json(
    shared: &Arc<Shared>,
    mut stream: Stream,
    mut first: BytesMut,
    guest: Guest,
    mut shutdown: watch::Receiver<bool>,
) -> io::Result<()> {
    if !bare::is_spoken(shared, &mut stream, &mut first, guest, &mut shutdown).await? {
        return framed::serve(shared, stream, first, guest, shutdown).await;
    }
    if guest.terms.needs_token {
        add(&shared.activity.totals.unauthorized, 1);
        turn_away(shared, stream, first, ErrorCode::Unauthorized, TOKEN_NOT_BARE, shutdown).await;
        return Ok(());
    }
    bare::serve(shared, stream, first, guest.id, shutdown).await
}

fn refused(shared: &Shared, id: u64, how: &str) {
    add(&shared.activity.totals.refused, 1);
    log::debug!("connection {id} refused: it spoke {how}");
}

/// Says one thing in a way that a program that reads to NUL and a person who reads lines both see, and closes.
pub(crate) async fn say_and_close(mut stream: Stream, code: ErrorCode, words: &str) -> io::Result<()> {
    // A code that says what to do is worth more than the plain protocol's two keys.
    let is_extended = matches!(code, ErrorCode::Forbidden | ErrorCode::Unauthorized | ErrorCode::Busy);
    let extras = Extras { is_extended, ..Extras::default() };
    let mut text = Reply::refused(code, words).encode(Terminator::Newline, &extras).pieces.concat();
    text.push(Terminator::Nul.byte());
    stream.write_all(&text).await?;
    close(stream).await
}

/// Ends the connection so that what was written arrives: says that nothing more comes, reads on for a moment.
pub(crate) async fn close(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
    let mut scrap = vec![0; 64 * 1024];
    let end = async {
        stream.shutdown().await?;
        while matches!(stream.read(&mut scrap).await, Ok(read) if read > 0) {}
        Ok(())
    };
    tokio::time::timeout(DRAIN_WITHIN, end).await.unwrap_or(Ok(()))
}
