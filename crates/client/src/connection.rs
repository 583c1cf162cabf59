// SPDX-License-Identifier: GPL-3.0-or-later
//! One TCP connection that carries framed JSON: a request out, a reply in, again and again.
//!
//! Only [`crate::Blender`] uses it, one request at a time. A connection whose last call did not end cleanly says so
//! (`is_usable`) and is thrown away by its owner; it never repairs itself.

use std::io;
use std::mem::MaybeUninit;
use std::time::{Duration, Instant};

use blendwire_protocol::{ClientReply, ClientRequest, Decoder, Event, PROTOCOL_VERSION, Token};
use bytes::{Bytes, BytesMut};
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;

use crate::{ClientError, Endpoint, Refusal, Tls, tls};

/// Long enough for a slow network, short enough for a person who waits: an unreachable host swallows packets.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Computing takes milliseconds; the rest is the network's.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// For a server that took the connection and never answered the handshake.
const SILENT: &str = "what listens there did not answer the handshake within 10 s: it may not speak TLS; if it is a \
    Blender on a network that you trust, connect without (--plain)";

/// A script may run for hours without a byte; a peer that vanished is noticed about a minute and a half later.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(30);
const KEEPALIVE_EVERY: Duration = Duration::from_secs(15);
const KEEPALIVE_TRIES: u32 = 4;

/// Longest answer in bytes: what one process can be asked to hold without surprise.
pub(crate) const LONGEST_ANSWER_BYTES: usize = 1024 * 1024 * 1024;

/// At least this much room for each read, so that a large answer takes few of them.
const READ_BYTES: usize = 256 * 1024;

/// Is told what a server says of a request before its reply.
pub(crate) type OnEvent<'a> = &'a mut (dyn FnMut(Event) + Send);

type Stream = Either<TcpStream, Box<TlsStream<TcpStream>>>;

/// An open connection.
#[derive(Debug)]
pub(crate) struct Connection {
    endpoint: Endpoint,
    stream: Stream,
    buffer: BytesMut,
    decoder: Decoder,
    /// Whether the last request went out whole and its answer came whole. False while one is under way, so that a
    /// call that was dropped half-way leaves a connection that nobody uses again.
    is_clean: bool,
    /// When the last answer came, or when it was opened.
    used: Instant,
}

impl Connection {
    /// Connects to the first address of `endpoint` that takes the connection, inside TLS where that is wanted.
    pub(crate) async fn open(endpoint: &Endpoint, tls: &Tls) -> Result<Self, ClientError> {
        let stream = dial(endpoint).await?;
        let stream = if *tls == Tls::Off {
            Stream::Left(stream)
        } else {
            let wrapped = tokio::time::timeout(HANDSHAKE_TIMEOUT, tls::wrap(endpoint, tls, stream)).await;
            let silent = |_| ClientError::Tls { endpoint: endpoint.clone(), why: SILENT.to_owned() };
            Stream::Right(Box::new(wrapped.map_err(silent)??))
        };
        Ok(Self {
            endpoint: endpoint.clone(),
            stream,
            buffer: BytesMut::new(),
            decoder: Decoder::new(LONGEST_ANSWER_BYTES),
            is_clean: true,
            used: Instant::now(),
        })
    }

    /// Says `hello` with the token.
    pub(crate) async fn prove(&mut self, token: &Token) -> Result<(), ClientError> {
        let token = Some(token.expose());
        let hello = ClientRequest::Hello { protocol_version: PROTOCOL_VERSION, features: &[], token };
        let reply = self.call(&hello.encode(), None).await?;
        let reply = ClientReply::parse(&reply).ok();
        if reply.as_ref().is_some_and(|reply| reply.status == "ok") {
            return Ok(());
        }
        let told = reply.as_ref().and_then(|reply| Refusal::of_code(&reply.error.as_ref()?.code));
        let (endpoint, refusal) = (self.endpoint.clone(), told.unwrap_or(Refusal::Token));
        let message = reply.and_then(|reply| reply.message).unwrap_or_else(|| "it did not take the token".to_owned());
        Err(ClientError::TurnedAway { endpoint, refusal, message })
    }

    /// Whether a request may be sent: the last one ended cleanly and the peer has neither closed nor said anything.
    pub(crate) fn is_usable(&self) -> bool {
        // Asks the system: what tokio knows of the socket's readiness may be older than the peer's goodbye.
        let looked = SockRef::from(self.socket()).peek(&mut [MaybeUninit::uninit()]);
        self.is_clean && matches!(looked, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// How long nothing has gone over it.
    pub(crate) fn idle(&self) -> Duration {
        self.used.elapsed()
    }

    fn socket(&self) -> &TcpStream {
        match &self.stream {
            Stream::Left(stream) => stream,
            Stream::Right(stream) => stream.get_ref().0,
        }
    }

    /// Sends one encoded request and waits for the text of its final reply; `on_event` is told what comes before.
    pub(crate) async fn call(&mut self, request: &[u8], on_event: Option<OnEvent<'_>>) -> Result<Bytes, ClientError> {
        self.is_clean = false;
        let (mut reader, mut writer) = tokio::io::split(&mut self.stream);
        let answer = read_reply(&mut reader, &mut self.buffer, &mut self.decoder, on_event);
        match write_and_read(&mut writer, request, answer).await {
            Ok((text, is_clean)) => {
                self.is_clean = is_clean && self.buffer.is_empty();
                self.used = Instant::now();
                self.shrink();
                Ok(text)
            }
            Err(Broken::TooLong) => {
                Err(ClientError::AnswerTooLong { endpoint: self.endpoint.clone(), limit_bytes: LONGEST_ANSWER_BYTES })
            }
            Err(Broken::Ended(reason)) => Err(ClientError::OutcomeUnknown { endpoint: self.endpoint.clone(), reason }),
        }
    }

    /// Gives back the memory of a large answer.
    fn shrink(&mut self) {
        if self.is_clean {
            self.buffer = BytesMut::new();
        }
    }
}

/// Why no whole answer came.
enum Broken {
    Ended(String),
    TooLong,
}

/// Writes and reads at the same time: a server that refuses a request says so while we still write it.
/// Gives the answer and whether the request had gone out whole before it.
async fn write_and_read(
    writer: &mut (impl AsyncWrite + Unpin),
    request: &[u8],
    answer: impl Future<Output = Result<Bytes, Broken>>,
) -> Result<(Bytes, bool), Broken> {
    let mut answer = std::pin::pin!(answer);
    tokio::select! {
        biased;
        answered = &mut answer => return answered.map(|text| (text, false)),
        written = write(writer, request) => if let Err(error) = written {
            let ended = |reason| if let Broken::Ended(_) = reason { Broken::Ended(error.to_string()) } else { reason };
            return answer.await.map(|text| (text, false)).map_err(ended);
        }
    }
    answer.await.map(|text| (text, true))
}

async fn write(writer: &mut (impl AsyncWrite + Unpin), request: &[u8]) -> io::Result<()> {
    writer.write_all(request).await?;
    // TLS may hold back what the system did not take at once.
    writer.flush().await
}

async fn read_reply(
    reader: &mut (impl AsyncRead + Unpin),
    buffer: &mut BytesMut,
    decoder: &mut Decoder,
    on_event: Option<OnEvent<'_>>,
) -> Result<Bytes, Broken> {
    let Some(on_event) = on_event else { return read_frame(reader, buffer, decoder).await };
    loop {
        let text = read_frame(reader, buffer, decoder).await?;
        if !Event::is_event(&text) {
            return Ok(text);
        }
        // One of a kind that this version does not know is passed over.
        if let Some(event) = Event::parse(&text) {
            on_event(event);
        }
    }
}

async fn read_frame(
    reader: &mut (impl AsyncRead + Unpin),
    buffer: &mut BytesMut,
    decoder: &mut Decoder,
) -> Result<Bytes, Broken> {
    loop {
        if let Some(frame) = decoder.decode(buffer).map_err(|_| Broken::TooLong)? {
            return Ok(frame.text);
        }
        // Doubles with what has come, so that a hundred megabytes are not copied again and again.
        buffer.reserve(READ_BYTES.max(buffer.len()));
        match reader.read_buf(buffer).await {
            Ok(0) if buffer.is_empty() => return Err(Broken::Ended("closed by the other side".to_owned())),
            Ok(0) => return Err(Broken::Ended(format!("closed after {} bytes of the answer", buffer.len()))),
            Ok(_) => {}
            // Some end without TLS's goodbye; whether the answer was whole the framing tells.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(Broken::Ended("closed by the other side".to_owned()));
            }
            Err(error) => return Err(Broken::Ended(error.to_string())),
        }
    }
}

/// Connects to the first address of `endpoint` that takes the connection.
pub(crate) async fn dial(endpoint: &Endpoint) -> Result<TcpStream, ClientError> {
    // Windows tries for two seconds at each address until it believes that nobody listens there, also on this machine, where
    // nothing else can keep it waiting: its firewall leaves loopback alone.
    let is_refusal = cfg!(windows) && endpoint.is_this_machine();
    let timed_out = |_| match endpoint.clone() {
        endpoint if is_refusal => ClientError::Refused { endpoint },
        endpoint => ClientError::ConnectTimeout { endpoint, timeout: CONNECT_TIMEOUT },
    };
    let connected = tokio::time::timeout(CONNECT_TIMEOUT, connect(endpoint)).await.map_err(timed_out)?;
    connected.map_err(|source| connect_error(endpoint, source))
}

/// Small requests leave at once, and a peer that vanished is noticed. Neither is worth staying without a connection: not
/// every system has all of it (Wine and some sandboxes know no number of tries).
fn prepare(stream: &TcpStream) {
    let _ = stream.set_nodelay(true);
    let keepalive =
        TcpKeepalive::new().with_time(KEEPALIVE_AFTER).with_interval(KEEPALIVE_EVERY).with_retries(KEEPALIVE_TRIES);
    let _ = SockRef::from(stream).set_tcp_keepalive(&keepalive);
}

async fn connect(endpoint: &Endpoint) -> io::Result<TcpStream> {
    let mut last_error = io::Error::new(io::ErrorKind::NotFound, "the host name has no address");
    for address in endpoint.addresses().await? {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                prepare(&stream);
                return Ok(stream);
            }
            // A refusal on one loopback address says more than "no such address family" on the other.
            Err(error) if last_error.kind() == io::ErrorKind::ConnectionRefused => drop(error),
            Err(error) => last_error = error,
        }
    }
    Err(last_error)
}

fn connect_error(endpoint: &Endpoint, reason: io::Error) -> ClientError {
    let endpoint = endpoint.clone();
    match reason.kind() {
        io::ErrorKind::ConnectionRefused => ClientError::Refused { endpoint },
        io::ErrorKind::TimedOut => ClientError::ConnectTimeout { endpoint, timeout: CONNECT_TIMEOUT },
        _ => ClientError::Connect { endpoint, reason },
    }
}
