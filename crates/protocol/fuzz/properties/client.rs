// SPDX-License-Identifier: GPL-3.0-or-later
//! What our own client and server write: always exactly one message, which says to the other end what was meant.

use std::time::Duration;

use blendwire_protocol::{
    Body, ClientExecute, ClientReply, ClientRequest, Decoder, ErrorCode, Exception, Extras, Feature, Frame, Id, Look,
    PROTOCOL_VERSION, Reply, Request, Sender, SentBy, Terminator, Token, is_bare,
};
use bytes::BytesMut;
use serde_json::Value;

use super::dice::Dice;

/// A request of our client that the bytes of an input describe.
pub(crate) fn request(dice: &mut Dice<'_>) {
    let (kind, id, features) = (dice.byte() % 8, dice.text(), [dice.text(), dice.text()]);
    let features: Vec<&str> = features.iter().map(String::as_str).chain(["undo", "stream", "undo"]).collect();
    let token = dice.maybe(Dice::text);
    let token = token.as_deref();
    let client = dice.maybe(Dice::text);
    let sent_by = SentBy { client: client.as_deref(), behalf: token };
    let request = match kind {
        0 => ClientRequest::Hello { protocol_version: dice.number() % 3, features: &features, token },
        1 => ClientRequest::Cancel { id: &id },
        2 => ClientRequest::Outcome { id: &id },
        3 => ClientRequest::Undo { id: Some(&id), steps: dice.number() % 1003, sent_by },
        4 => ClientRequest::Redo { id: Some(&id), steps: dice.number(), sent_by },
        5 => ClientRequest::Status,
        6 => ClientRequest::Ping,
        _ => return execute(dice),
    };
    let parsed = Request::parse(&one_frame(&request.encode()));
    let is_id = Value::from(id.as_str()).to_string().len() <= Id::LONGEST_BYTES;
    let is_fine = match request {
        ClientRequest::Hello { protocol_version, token, .. } => {
            protocol_version == PROTOCOL_VERSION && token.is_none_or(|token| Token::parse(token).is_some())
        }
        ClientRequest::Cancel { .. } | ClientRequest::Outcome { .. } => is_id,
        ClientRequest::Undo { steps, .. } | ClientRequest::Redo { steps, .. } => {
            is_id && (1..=1000).contains(&steps) && sent_by.client.is_none_or(is_name)
        }
        _ => true,
    };
    assert_eq!(parsed.is_ok(), is_fine, "{request:?} became {parsed:?}");
    let Ok(parsed) = parsed else { return };
    let named_as = Value::from(id.as_str()).to_string();
    let named = |target: &Id| target.json() == named_as;
    let is_meant = match (&request, &parsed.body) {
        (ClientRequest::Hello { features, token, .. }, Body::Hello { features: found, token: proof }) => {
            let mut wanted: Vec<Feature> = Vec::new();
            for feature in features.iter().filter_map(|name| Feature::named(name)) {
                wanted.extend((!wanted.contains(&feature)).then_some(feature));
            }
            *found == wanted && proof.as_ref().map(Token::expose) == *token
        }
        (ClientRequest::Cancel { .. }, Body::Cancel { target })
        | (ClientRequest::Outcome { .. }, Body::Outcome { target }) => named(target),
        (ClientRequest::Consent { answer, .. }, Body::Consent { target, answer: found }) => {
            named(target) && answer == found
        }
        (ClientRequest::Undo { steps, .. }, Body::Undo { steps: found })
        | (ClientRequest::Redo { steps, .. }, Body::Redo { steps: found }) => {
            steps == found && is_sender(sent_by, &parsed.sender) && parsed.id.as_ref().is_some_and(named)
        }
        (ClientRequest::Status, Body::Status) | (ClientRequest::Ping, Body::Ping) => true,
        _ => false,
    };
    assert!(is_meant, "{request:?} became {parsed:?}");
}

fn is_name(name: &str) -> bool {
    !name.trim().is_empty() && name.chars().count() <= 200
}

/// Whether that is who was named. What is no secret of a server's stands for nobody.
fn is_sender(sent_by: SentBy<'_>, found: &Sender) -> bool {
    let behalf = sent_by.behalf.filter(|behalf| Token::parse(behalf).is_some());
    found.client.as_deref() == sent_by.client && found.behalf.as_ref().map(Token::expose) == behalf
}

fn execute(dice: &mut Dice<'_>) {
    let (code, id, title, session) =
        (dice.text(), dice.maybe(Dice::text), dice.maybe(Dice::text), dice.maybe(Dice::text));
    let (other, client, behalf) = (dice.text(), dice.maybe(Dice::text), dice.maybe(Dice::text));
    let on_error = [None, Some("rollback"), Some("keep"), Some(other.as_str())][usize::from(dice.byte() % 4)];
    let sign = if dice.byte() == 1 { -1.0 } else { 1.0 };
    let sent = ClientExecute {
        code: &code,
        strict_json: dice.bool(),
        id: id.as_deref(),
        timeout_secs: dice.maybe(|dice| sign * f64::from(dice.number()) / 1000.0),
        stream: dice.bool(),
        title: title.as_deref(),
        session: session.as_deref(),
        echo: dice.bool(),
        on_error,
        changes: dice.bool(),
        undo_step: dice.maybe(Dice::bool),
        sent_by: SentBy { client: client.as_deref(), behalf: behalf.as_deref() },
    };
    let parsed = Request::parse(&one_frame(&ClientRequest::Execute(sent.clone()).encode()));
    let id = sent.id.map(|id| Value::from(id).to_string());
    let is_fine = id.as_ref().is_none_or(|id| id.len() <= Id::LONGEST_BYTES)
        && sent.title.is_none_or(is_name)
        && sent.session.is_none_or(is_name)
        && sent.sent_by.client.is_none_or(is_name)
        && sent.timeout_secs.is_none_or(|secs| secs > 0.0)
        && sent.on_error.is_none_or(|way| ["rollback", "keep"].contains(&way));
    assert_eq!(parsed.is_ok(), is_fine, "{sent:?} became {parsed:?}");
    let Ok(parsed) = parsed else { return };
    assert_eq!(parsed.id.as_ref().map(Id::json), id.as_deref());
    assert!(is_sender(sent.sent_by, &parsed.sender), "{sent:?} became {parsed:?}");
    let Body::Execute(found) = parsed.body else { panic!("{sent:?} became {parsed:?}") };
    let names = (found.code.as_str(), found.title.as_deref(), found.session.as_deref());
    assert_eq!(names, (sent.code, sent.title, sent.session));
    let flags = [found.stream, found.echo, found.changes, found.rollback, found.no_undo_step];
    let wants_rollback = sent.on_error == Some("rollback");
    assert_eq!(flags, [sent.stream, sent.echo, sent.changes, wants_rollback, sent.undo_step == Some(false)]);
    let wanted = sent.timeout_secs.map(Duration::from_secs_f64);
    let is_near = |a: Duration, b: Duration| a.abs_diff(b) <= Duration::from_micros(1);
    assert!(found.timeout.zip(wanted).map_or(found.timeout == wanted, |(a, b)| is_near(a, b)), "{sent:?}");
}

/// What was understood, written by our client, is understood as the same.
pub(crate) fn says_again(request: &Request) {
    let Some(id) = request.id.as_ref().map(|id| serde_json::from_str(id.json()).ok()) else {
        return again(request, None);
    };
    // Our client has no ids that are numbers.
    let Some(id): Option<String> = id else { return };
    again(request, Some(&id));
}

fn again(request: &Request, id: Option<&str>) {
    let names: Vec<&str>;
    let sent_by =
        SentBy { client: request.sender.client.as_deref(), behalf: request.sender.behalf.as_ref().map(Token::expose) };
    let written = match &request.body {
        Body::Hello { features, token } => {
            names = features.iter().map(|feature| feature.name()).collect();
            let token = token.as_ref().map(Token::expose);
            ClientRequest::Hello { protocol_version: PROTOCOL_VERSION, features: &names, token }
        }
        Body::Execute(execute) => ClientRequest::Execute(ClientExecute {
            code: &execute.code,
            id,
            stream: execute.stream,
            title: execute.title.as_deref(),
            session: execute.session.as_deref(),
            echo: execute.echo,
            on_error: execute.rollback.then_some("rollback"),
            changes: execute.changes,
            undo_step: execute.no_undo_step.then_some(false),
            sent_by,
            ..ClientExecute::default()
        }),
        Body::Cancel { .. } => ClientRequest::Cancel { id: id.unwrap_or_default() },
        Body::Outcome { .. } => ClientRequest::Outcome { id: id.unwrap_or_default() },
        Body::Consent { answer, .. } => ClientRequest::Consent { id: id.unwrap_or_default(), answer: *answer },
        Body::Undo { steps } => ClientRequest::Undo { id, steps: *steps, sent_by },
        Body::Redo { steps } => ClientRequest::Redo { id, steps: *steps, sent_by },
        Body::Status => ClientRequest::Status,
        Body::Ping => ClientRequest::Ping,
    };
    let found = Request::parse(&one_frame(&written.encode())).expect("it was understood before");
    let mut wanted = request.body.clone();
    if let Body::Execute(execute) = &mut wanted {
        // A time limit loses its last digits on the way through text.
        execute.timeout = None;
    }
    assert_eq!(found.body, wanted);
}

/// A reply of our server that the bytes of an input describe.
pub(crate) fn reply(dice: &mut Dice<'_>) {
    let (kind, message, stdout, name) = (dice.byte() % 3, dice.text(), dice.text(), dice.text());
    let (code, is_ok) = (ErrorCode::ALL[usize::from(dice.byte()) % ErrorCode::ALL.len()], kind == 0);
    let reply = match kind {
        0 => Reply::of(&(&message, dice.number())),
        1 => {
            let exception = dice.maybe(|dice| Exception { r#type: name, line: dice.maybe(Dice::number) });
            Reply::Raised { message: message.clone(), stdout: stdout.clone(), code, exception }
        }
        _ => Reply::refused(code, &message),
    };
    let extras = Extras { is_extended: dice.bool(), is_still_running: dice.bool(), ..Extras::default() };
    for terminator in [Terminator::Nul, Terminator::Newline] {
        let written = reply.clone().encode(terminator, &extras).pieces.concat();
        let frame = frame(&written);
        assert_eq!(frame.terminator, terminator);
        let read = ClientReply::parse(&frame.text).expect("a reply");
        assert_eq!((read.status == "ok", read.result.is_some()), (is_ok, is_ok));
        assert_eq!(read.message.as_deref(), (!is_ok).then_some(message.as_str()));
        assert_eq!(read.stdout.as_deref(), [Some(""), Some(stdout.as_str()), None][usize::from(kind)]);
        assert_eq!(read.error.is_some(), extras.is_extended && !is_ok);
    }
}

/// The text of the one framed message that `bytes` are, which nobody can take for a bare one.
fn one_frame(bytes: &[u8]) -> Vec<u8> {
    let Frame { text, terminator } = frame(bytes);
    assert_eq!((terminator, text.len() + 1), (Terminator::Nul, bytes.len()));
    assert_eq!(Decoder::new(bytes.len()).look(bytes), Look::Framed);
    assert_eq!(Decoder::new(bytes.len()).look(&text), Look::Closed(&text), "its NUL is late");
    assert!(!is_bare(&text), "taken for a bare request while its NUL is late");
    text.to_vec()
}

fn frame(bytes: &[u8]) -> Frame {
    let (mut decoder, mut buffer) = (Decoder::new(bytes.len()), BytesMut::from(bytes));
    let frame = decoder.decode(&mut buffer).expect("within the limit").expect("a whole message");
    assert!(buffer.is_empty(), "more than one message");
    frame
}
