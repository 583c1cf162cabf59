// SPDX-License-Identifier: GPL-3.0-or-later
//! JSON on a connection, framed by NUL or typed by a person: reads requests, answers what needs no main thread, queues
//! what does, and writes replies in the order of the requests.
//!
//! Reading and writing go on side by side, joined by a bounded channel of replies to come. When it is full the reader
//! stops, and what the client sends on stays in its socket.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use blendwire_journal::Dialect;
use blendwire_protocol::{
    BadRequest, Body, Decoder, EncodedReply, ErrorCode, Extras, Feature, Frame, Hello, Id, PROTOCOL_VERSION, Refusal,
    Reply, Request, Terminator, platform,
};
use blendwire_state::fault;
use bytes::{Bytes, BytesMut};
use tokio::io::AsyncReadExt;
use tokio::sync::mpsc::{OwnedPermit, Sender, channel};
use tokio::sync::{oneshot, watch};

use crate::access::{LOOKED_EVERY, NoToken, Terms, Tokens};
use crate::activity::add;
use crate::connection::{Guest, close};
use crate::control::{self, Ticket};
use crate::intake::{Intake, Refused, Taken};
use crate::job::Answer;
use crate::replies::{self, LOST, Later, Pending};
use crate::server::{Shared, stopped};
use crate::stream::{Reading, Stream};
use crate::unfinished::Share;

/// Room made for each read: fits a burst of small requests, and is grown by the buffer itself for large ones.
const READ_BYTES: usize = 64 * 1024;

/// A request longer than this is parsed beside the network thread, which must answer others within milliseconds.
const LONG_REQUEST_BYTES: usize = 256 * 1024;

/// A buffer that a large request has grown beyond this is let go of when it is empty.
const KEPT_BUFFER_BYTES: usize = 1024 * 1024;

/// Longest message of a client that has not brought the token yet: a `hello` with room to spare.
const BEFORE_TOKEN_BYTES: usize = 64 * 1024;

/// Serves one connection whose first bytes are in `buffer`.
pub(crate) async fn serve(
    shared: &Arc<Shared>,
    stream: Stream,
    buffer: BytesMut,
    guest: Guest,
    shutdown: watch::Receiver<bool>,
) -> io::Result<()> {
    let (pending, awaited) = channel(shared.config.max_pipelined.max(1));
    let (mut read, mut write) = tokio::io::split(stream);
    let decoder = Decoder::new(limit(shared, guest.terms));
    let (immediate, at_once) = channel(shared.config.max_pipelined.max(1));
    let agreed = Agreed::default();
    let gate = if guest.terms.needs_token { Gate::Closed } else { Gate::Open };
    let id = guest.id;
    let mut reader = Reader {
        shared,
        intake: Intake::new(shared, guest.id, Dialect::Framed),
        id,
        gate,
        proved: Arc::default(),
        decoder,
        buffer,
        share: shared.unfinished.share(),
        pending,
        immediate,
        agreed,
    };
    let proved = reader.proved.clone();
    // The reader drops its ends of the channels when it is done, the writer ends with the last reply.
    let reading = async {
        let read = reader.run(&mut read, shutdown).await;
        drop(reader);
        read
    };
    let talk = async { tokio::join!(reading, replies::write(shared, &mut write, awaited, at_once)) };
    let (was_read, was_written) = tokio::select! {
        talked = talk => talked,
        // However slowly it reads and writes.
        () = guest.put_out_unless(&proved) => return Ok(()),
    };
    was_written?;
    was_read?;
    close(read.unsplit(write)).await
}

/// The longest request that is taken from a client of these terms, in bytes.
pub(crate) fn limit(shared: &Shared, terms: Terms) -> usize {
    let limit = shared.config.max_request_bytes;
    // Strangers do not fill our memory.
    if terms.needs_token { limit.min(BEFORE_TOKEN_BYTES) } else { limit }
}

/// Whether the client has brought the token.
enum Gate {
    /// It need not.
    Open,
    /// It has to.
    Closed,
    /// It has; this is which.
    Passed(u64),
}

impl Gate {
    /// Returns when the token that let the client in has been replaced.
    async fn closes(&self, tokens: &Tokens) {
        let Self::Passed(generation) = self else { return std::future::pending().await };
        while tokens.still_holds(*generation).is_ok() {
            tokio::time::sleep(LOOKED_EVERY).await;
        }
    }
}

struct Reader<'a> {
    shared: &'a Arc<Shared>,
    intake: Intake<'a>,
    id: u64,
    gate: Gate,
    /// It has brought the token.
    proved: Arc<AtomicBool>,
    decoder: Decoder,
    buffer: BytesMut,
    share: Share<'a>,
    pending: Sender<Pending>,
    /// Past those that wait for the main thread.
    immediate: Sender<EncodedReply>,
    agreed: Agreed,
}

/// What a `hello` has settled for the rest of the connection.
#[derive(Default)]
struct Agreed {
    /// There was one: every reply may carry more than the plain protocol.
    is_extended: bool,
    /// Answers to questions overtake those of scripts.
    is_immediate: bool,
}

/// Whether more is to be read from this client.
#[derive(PartialEq)]
enum Go {
    On,
    Stop,
}

impl Reader<'_> {
    async fn run(&mut self, read: &mut Reading, mut shutdown: watch::Receiver<bool>) -> io::Result<()> {
        add(&self.shared.activity.totals.received_bytes, self.buffer.len());
        while self.take_frames().await == Go::On {
            if self.buffer.is_empty() && self.buffer.capacity() > KEPT_BUFFER_BYTES {
                self.buffer = BytesMut::new();
            }
            if let Err(no_room) = self.share.resize(self.buffer.len()) {
                self.buffer = BytesMut::new();
                self.refuse(Terminator::Nul, None, ErrorCode::Busy, &no_room).await;
                return Ok(());
            }
            self.buffer.reserve(READ_BYTES);
            let count = tokio::select! {
                count = read.read_buf(&mut self.buffer) => count?,
                () = stopped(&mut shutdown) => return Ok(()),
                // The writer has given up: nobody reads our replies any more.
                () = self.pending.closed() => return Ok(()),
                () = self.gate.closes(&self.shared.access.tokens) => {
                    self.turn_away(Terminator::Nul, None, NoToken::Rotated).await;
                    return Ok(());
                }
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
                    if matches!(self.gate, Gate::Closed) {
                        self.turn_away(Terminator::Nul, None, NoToken::Missing).await;
                        return Go::Stop;
                    }
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
        let request = match parse(frame.text, Request::parse).await {
            Ok(request) => request,
            Err(Refusal { why, id }) => {
                self.refuse(terminator, id, why.code(), &why).await;
                return if why == BadRequest::BadToken { Go::Stop } else { Go::On };
            }
        };
        if let Err(why) = self.admit(&request.body) {
            return self.turn_away(terminator, request.id, why).await;
        }
        if let (Body::Hello { .. }, Some(client)) = (&request.body, &request.sender.client) {
            self.shared.origins.call(self.id, client.clone());
        }
        match self.intake.take(request, terminator, self.agreed.is_extended).await {
            Taken::Queued(later) => {
                let _ = self.pending.send(Pending::Later(later)).await;
            }
            Taken::Question(question, extras) => self.answer(question, terminator, extras).await,
            Taken::Refused(Refused { id, code, why, is_final }) => {
                self.refuse(terminator, id, code, &why).await;
                if is_final {
                    return Go::Stop;
                }
            }
        }
        Go::On
    }

    /// Whether the client may ask at all. A token that is sent has to be right, needed or not: a client that believes
    /// to have proved itself should know.
    fn admit(&mut self, body: &Body) -> Result<(), NoToken> {
        let tokens = &self.shared.access.tokens;
        match (&self.gate, body) {
            (Gate::Passed(generation), _) => tokens.still_holds(*generation),
            (Gate::Open, Body::Hello { token: Some(token), .. }) => tokens.check(Some(token)).map(drop),
            (Gate::Open, _) => Ok(()),
            (Gate::Closed, Body::Hello { token, .. }) => {
                self.gate = Gate::Passed(tokens.check(token.as_ref())?);
                self.proved.store(true, Ordering::Relaxed);
                self.decoder.set_limit(self.shared.config.max_request_bytes);
                Ok(())
            }
            (Gate::Closed, _) => Err(NoToken::Missing),
        }
    }

    /// A client that has sent none may still say `hello`; one with a wrong one has to begin again.
    async fn turn_away(&mut self, terminator: Terminator, id: Option<Id>, why: NoToken) -> Go {
        self.refuse(terminator, id, ErrorCode::Unauthorized, &why.words()).await;
        if why == NoToken::Missing { Go::On } else { Go::Stop }
    }

    /// Answers what needs no main thread.
    async fn answer(&mut self, question: Body, terminator: Terminator, extras: Extras) {
        let reply = match question {
            Body::Hello { features, .. } => Reply::of(&self.hello(features)),
            Body::Status => Reply::of(&self.shared.status()),
            Body::Outcome { target } => return self.now(self.intake.outcome(&target, terminator)).await,
            Body::Consent { target, answer } => self.shared.consent_from_client(&target, answer),
            Body::Cancel { target } => {
                let lost = Reply::refused(ErrorCode::Dropped, LOST).encode(terminator, &extras);
                let (ticket, answer) = Ticket::new(terminator, extras);
                control::cancel(self.shared, &target, ticket);
                return self.when_answered(answer, lost).await;
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

    /// Sends the answer when it is there, or `lost` where a defect has ended whoever was to send it.
    async fn when_answered(&self, answer: oneshot::Receiver<Answer>, lost: EncodedReply) {
        if !self.agreed.is_immediate {
            let _ = self.pending.send(Pending::Later(Later { answer, watch: None })).await;
            return;
        }
        // Its place is kept from now on: a client that does not read cannot have any number of them under way.
        let Ok(place) = self.immediate.clone().reserve_owned().await else { return };
        let mut place = Place(Some((place, lost)));
        tokio::spawn(async move {
            fault("immediate");
            if let Ok(Answer { reply, .. }) = answer.await {
                place.fill(reply);
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

    async fn refuse(&self, terminator: Terminator, id: Option<Id>, code: ErrorCode, why: &impl std::fmt::Display) {
        let totals = &self.shared.activity.totals;
        add(if code == ErrorCode::Unauthorized { &totals.unauthorized } else { &totals.refused }, 1);
        log::debug!("connection {}: {why}", self.id);
        let is_extended = self.agreed.is_extended
            || id.is_some()
            || matches!(code, ErrorCode::Forbidden | ErrorCode::Unauthorized | ErrorCode::VersionMismatch);
        let extras = Extras { id, is_extended, ..Extras::default() };
        let _ = self.pending.send(Pending::Now(Reply::refused(code, why).encode(terminator, &extras))).await;
    }

    async fn end_of_stream(&self) {
        if self.decoder.is_mid_frame() {
            self.refuse(Terminator::Nul, None, ErrorCode::BadFrame, &BadRequest::CutOff).await;
        }
    }
}

/// A place among the replies that do not wait for their turn, and the reply that takes it when this is dropped, however that
/// comes.
struct Place(Option<(OwnedPermit<EncodedReply>, EncodedReply)>);

impl Place {
    fn fill(&mut self, reply: EncodedReply) {
        if let Some((_, kept)) = &mut self.0 {
            *kept = reply;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some((permit, reply)) = self.0.take() {
            permit.send(reply);
        }
    }
}

/// Parses a request by `by`, beside the network thread where it is long.
pub(crate) async fn parse(text: Bytes, by: fn(&[u8]) -> Result<Request, Refusal>) -> Result<Request, Refusal> {
    if text.len() <= LONG_REQUEST_BYTES {
        return by(&text);
    }
    let parsed = tokio::task::spawn_blocking(move || {
        fault("parser");
        by(&text)
    });
    parsed.await.unwrap_or_else(|_| {
        let why = BadRequest::NotJson("the parser failed; this is a defect, please report it".to_owned());
        Err(Refusal { why, id: None })
    })
}
