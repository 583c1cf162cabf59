// SPDX-License-Identifier: GPL-3.0-or-later
//! `POST /execute`: a request of the protocol as the body, its reply as the answer; with `Accept: text/event-stream`, the
//! events before it.

use std::sync::Arc;
use std::time::Duration;

use blendwire_protocol::{
    Body, EncodedReply, ErrorCode, Event, Extras, FrameTooLarge, Refusal, Reply, Request, Terminator,
};
use blendwire_state::fault;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use http_body_util::channel::Channel;
use hyper::body::{Body as _, Incoming};
use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue, USER_AGENT};
use hyper::{Response, StatusCode};

use super::body::{self, AnyBody};
use super::guard::check_token;
use crate::control::{self, Ticket};
use crate::framed::parse;
use crate::intake::{Intake, Refused, Taken};
use crate::job::Answer;
use crate::replies::{Later, Watch, lost};
use crate::server::Shared;
use crate::unfinished::NoRoom;

/// How long a client may send nothing of its body.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a body may take as a whole: the longest one at the speed of a telephone line.
const WITHIN: Duration = Duration::from_mins(30);

/// Events that may wait for a client that reads slowly; what is printed meanwhile is gathered in the feed.
const EVENTS_WAITING: usize = 8;

/// As long as other names of clients may be.
const LONGEST_AGENT_CHARS: usize = 200;

/// A reply to JSON over HTTP ends with a line break, for people with curl.
const END: Terminator = Terminator::Newline;

/// Serves one request that has brought the token. Dropping the future leaves the script running: nothing is lost but the
/// answer, which `outcome` gives.
pub(crate) async fn answer(
    shared: &Arc<Shared>,
    intake: &Intake<'_>,
    headers: &HeaderMap,
    body: Incoming,
) -> Response<AnyBody> {
    if !is_json(headers) {
        let why = "send the request as Content-Type: application/json";
        return refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, ErrorCode::BadRequest, why);
    }
    let text = match tokio::time::timeout(WITHIN, read(body, shared)).await {
        Ok(Ok(text)) => text,
        Ok(Err((status, code, why))) => return refused(status, code, &why),
        Err(_) => {
            let why = format!("the body did not come within {} min; nothing of it was run", WITHIN.as_secs() / 60);
            return refused(StatusCode::REQUEST_TIMEOUT, ErrorCode::BadFrame, &why);
        }
    };
    // It may have been replaced while the body came.
    if let Err(why) = check_token(headers, shared) {
        return refused(StatusCode::UNAUTHORIZED, ErrorCode::Unauthorized, why.words());
    }
    let request = match parse(text, Request::parse_execute).await {
        Ok(request) => request,
        Err(Refusal { why, id }) => {
            let extras = Extras { id, is_extended: true, ..Extras::default() };
            let reply = Reply::refused(why.code(), &why).encode(END, &extras);
            return respond(status_of(why.code()), reply);
        }
    };
    let wants_events = headers
        .get_all(ACCEPT)
        .iter()
        .any(|accept| accept.to_str().is_ok_and(|accept| accept.to_ascii_lowercase().contains("text/event-stream")));
    let request = named_by_header(request, headers);
    let request = if wants_events { with_events(request) } else { without_events(request) };
    match intake.take(request, END, true).await {
        Taken::Queued(later) if wants_events => events(later),
        Taken::Queued(Later { answer, .. }) => {
            let Answer { reply, lane } = answer.await.unwrap_or_else(|_| lost());
            json(StatusCode::OK, body::reply(reply, lane))
        }
        Taken::Question(question, extras) => question_answered(shared, intake, question, extras).await,
        Taken::Refused(Refused { id, code, why, .. }) => {
            let extras = Extras { id, is_extended: true, ..Extras::default() };
            respond(status_of(code), Reply::refused(code, why).encode(END, &extras))
        }
    }
}

async fn question_answered(
    shared: &Arc<Shared>,
    intake: &Intake<'_>,
    question: Body,
    extras: Extras,
) -> Response<AnyBody> {
    let reply = match question {
        Body::Status => Reply::of(&shared.status()),
        Body::Ping => Reply::of(&"pong"),
        Body::Outcome { target } => return respond(StatusCode::OK, intake.outcome(&target, END)),
        Body::Consent { target, answer } => shared.consent_from_client(&target, answer),
        Body::Cancel { target } => {
            let (ticket, answer) = Ticket::new(END, extras);
            control::cancel(shared, &target, ticket);
            let Answer { reply, lane } = answer.await.unwrap_or_else(|_| lost());
            return json(StatusCode::OK, body::reply(reply, lane));
        }
        _ => {
            let why = "over HTTP there is no \"hello\": the token goes into the header Authorization, and every \
                       feature may be used";
            Reply::refused(ErrorCode::BadRequest, why)
        }
    };
    let status = if reply.is_ok() { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    respond(status, reply.encode(END, &extras))
}

/// What the program that sent it calls itself, where the request does not say who asks.
fn named_by_header(mut request: Request, headers: &HeaderMap) -> Request {
    let agent = headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok()).filter(|agent| !agent.trim().is_empty());
    let short = |agent: &str| agent.chars().take(LONGEST_AGENT_CHARS).collect();
    request.sender.client = request.sender.client.or_else(|| agent.map(short));
    request
}

/// The header decides, whatever the body says.
fn with_events(mut request: Request) -> Request {
    if let Body::Execute(script) = &mut request.body {
        script.stream = true;
    }
    request
}

fn without_events(mut request: Request) -> Request {
    if let Body::Execute(script) = &mut request.body {
        script.stream = false;
    }
    request
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

type NotRead = (StatusCode, ErrorCode, String);

async fn read(mut body: Incoming, shared: &Shared) -> Result<Bytes, NotRead> {
    let limit_bytes = shared.config.max_request_bytes;
    let too_large = || {
        let why = FrameTooLarge { limit_bytes }.to_string();
        (StatusCode::PAYLOAD_TOO_LARGE, ErrorCode::TooLarge, why)
    };
    let announced = body.size_hint().lower();
    if announced > limit_bytes as u64 {
        return Err(too_large());
    }
    let mut text = BytesMut::new();
    let mut share = shared.unfinished.share();
    loop {
        let frame = match tokio::time::timeout(PATIENCE, body.frame()).await {
            Ok(None) => break,
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(error))) => {
                let why = format!("the body did not come whole ({error}); nothing of it was run");
                return Err((StatusCode::BAD_REQUEST, ErrorCode::BadFrame, why));
            }
            Err(_) => {
                let why = format!("no byte of the body came for {} s; nothing of it was run", PATIENCE.as_secs());
                return Err((StatusCode::REQUEST_TIMEOUT, ErrorCode::BadFrame, why));
            }
        };
        if let Ok(data) = frame.into_data() {
            if text.len() + data.len() > limit_bytes {
                return Err(too_large());
            }
            let no_room = |error: NoRoom| (StatusCode::SERVICE_UNAVAILABLE, ErrorCode::Busy, error.to_string());
            share.resize(text.len() + data.len()).map_err(no_room)?;
            text.extend_from_slice(&data);
        }
    }
    Ok(text.freeze())
}

/// Server-sent events: each of the protocol's under its own name, and at last `reply`.
fn events(later: Later) -> Response<AnyBody> {
    let (mut sender, channel) = Channel::<Bytes>::new(EVENTS_WAITING);
    tokio::spawn(async move {
        fault("events");
        let Later { mut answer, watch } = later;
        if let Some(Watch { position, .. }) = &watch {
            let queued = Event::Queued { position: *position };
            let _ = sender.send_data(server_sent(watch.as_ref(), &queued)).await;
        }
        let Answer { reply, lane } = loop {
            let answered = tokio::select! {
                biased;
                answered = &mut answer => Some(answered.unwrap_or_else(|_| lost())),
                () = crate::replies::changed(watch.as_ref()) => {
                    // As on the wire: a flood of lines is gathered for a moment.
                    tokio::time::sleep(crate::replies::EVENTS_EVERY).await;
                    None
                }
            };
            while let Some(event) = watch.as_ref().and_then(|watch| watch.feed.next_event()) {
                // A client that has gone away loses only its answer.
                let _ = sender.send_data(server_sent(watch.as_ref(), &event)).await;
            }
            if let Some(answered) = answered {
                break answered;
            }
        };
        let _ = sender.send_data(Bytes::from_static(b"event: reply\ndata: ")).await;
        for piece in reply.pieces {
            let _ = sender.send_data(piece).await;
        }
        // The reply's own line break and this one end the event.
        let _ = sender.send_data(Bytes::from_static(b"\n")).await;
        drop(lane);
    });
    let mut response = Response::new(channel.boxed_unsync());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    response
}

fn server_sent(watch: Option<&Watch>, event: &Event) -> Bytes {
    let id = watch.and_then(|watch| watch.id.as_ref());
    let mut bytes = format!("event: {}\ndata: ", event.name()).into_bytes();
    bytes.extend_from_slice(&event.encode(END, id));
    bytes.push(b'\n');
    bytes.into()
}

fn status_of(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::BadFrame | ErrorCode::BadRequest | ErrorCode::VersionMismatch => StatusCode::BAD_REQUEST,
        ErrorCode::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorCode::Unauthorized => StatusCode::UNAUTHORIZED,
        ErrorCode::Forbidden => StatusCode::FORBIDDEN,
        ErrorCode::NotFound => StatusCode::NOT_FOUND,
        ErrorCode::Busy | ErrorCode::ShuttingDown => StatusCode::SERVICE_UNAVAILABLE,
        // Those of scripts come as replies: the request was served.
        _ => StatusCode::OK,
    }
}

fn refused(status: StatusCode, code: ErrorCode, why: &str) -> Response<AnyBody> {
    let extras = Extras { is_extended: true, ..Extras::default() };
    respond(status, Reply::refused(code, why).encode(END, &extras))
}

fn respond(status: StatusCode, reply: EncodedReply) -> Response<AnyBody> {
    json(status, body::reply(reply, None))
}

fn json(status: StatusCode, body: AnyBody) -> Response<AnyBody> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
