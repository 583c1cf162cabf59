// SPDX-License-Identifier: GPL-3.0-or-later
//! Requests that wait for the user's consent, and what the user may allow for the next time.
//!
//! A request waits here and not in the queue: its connection's next one waits behind it, others are served meanwhile. Its
//! time limit and `cancel` end it here as they would in the queue. Nothing is run twice: what was refused while it ran can be
//! allowed for the session, and then its client may send it again.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use blendwire_bridge::{Job, Shared, Task};
use blendwire_journal::{By, Consented};
use blendwire_protocol::{ConsentAnswer, ErrorCode, Reply};
use pyo3::exceptions::{PyPermissionError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::{GRANTED, Kind, to_be_asked};
use crate::execute::{self, is_executing};
use crate::{guarded, history};

/// Requests that wait, and bytes of their code: far more than a person answers.
const MOST_WAITING: usize = 64;
const MOST_WAITING_BYTES: usize = 64 * 1024 * 1024;

/// Offers that are kept; the oldest go first.
const MOST_OFFERS: usize = 5;

/// Bytes of code that a person is shown.
const SHOWN_CODE_BYTES: usize = 4000;

/// A request that waits.
struct Waiting {
    job: Job,
    /// What it visibly wants, as bits.
    kinds: u8,
    answer: Option<(ConsentAnswer, By)>,
}

/// What was refused to a script that ran, and the user may allow.
#[derive(PartialEq)]
struct Offer {
    number: u64,
    title: String,
    kind: Kind,
    what: String,
}

static WAITING: Mutex<Vec<Waiting>> = Mutex::new(Vec::new());
static OFFERS: Mutex<VecDeque<Offer>> = Mutex::new(VecDeque::new());

fn with_waiting<T>(body: impl FnOnce(&mut Vec<Waiting>) -> T) -> T {
    body(&mut WAITING.lock().unwrap_or_else(PoisonError::into_inner))
}

fn with_offers<T>(body: impl FnOnce(&mut VecDeque<Offer>) -> T) -> T {
    body(&mut OFFERS.lock().unwrap_or_else(PoisonError::into_inner))
}

/// The job, if it may run; else it waits here for the user's answer.
pub(crate) fn admit(py: Python<'_>, shared: &Arc<Shared>, job: Job) -> Option<Job> {
    let asked = to_be_asked();
    if asked == 0 || shared.is_background() {
        return Some(job);
    }
    let Task::Script(script) = &job.task else { return Some(job) };
    let kinds = wants(py, &script.code) & asked;
    if kinds == 0 {
        return Some(job);
    }
    let waiting_bytes = with_waiting(|waiting| waiting.iter().map(Waiting::size_bytes).sum::<usize>());
    let is_too_much = waiting_bytes > 0 && waiting_bytes + script.code.len() > MOST_WAITING_BYTES;
    if is_too_much || with_waiting(|waiting| waiting.len() >= MOST_WAITING) {
        let message = "too many requests wait for the consent of this Blender's user already; try again when those are \
            answered. Nothing of it was run";
        job.answer(Reply::refused(ErrorCode::Busy, message));
        return None;
    }
    shared.consent_waits(&job, names(kinds));
    with_waiting(|waiting| waiting.push(Waiting { job, kinds, answer: None }));
    None
}

/// Whether no request waits for an answer.
pub(crate) fn is_empty() -> bool {
    with_waiting(|waiting| waiting.is_empty())
}

impl Waiting {
    fn code(&self) -> &str {
        if let Task::Script(script) = &self.job.task { &script.code } else { "" }
    }

    fn size_bytes(&self) -> usize {
        self.code().len()
    }

    /// Nobody need be asked any more: the user has allowed the kinds for the session, or changed the rules, which hold
    /// while it runs.
    fn is_moot(&self) -> bool {
        self.kinds & to_be_asked() == 0
    }
}

/// What the source visibly wants. Where that cannot be told, nothing: what it does all the same is refused then.
fn wants(py: Python<'_>, code: &str) -> u8 {
    let named = history::module(py).and_then(|module| {
        let named = module.call_method1(intern!(py, "wants"), (code,));
        named.and_then(|named| named.extract::<Vec<String>>()).inspect_err(|error| log::error!("guard: {error}")).ok()
    });
    named.unwrap_or_default().iter().filter_map(|name| Kind::named(name)).fold(0, |bits, kind| bits | kind.bit())
}

fn names(kinds: u8) -> Vec<String> {
    Kind::ALL.into_iter().filter(|kind| kinds & kind.bit() != 0).map(|kind| kind.name().to_owned()).collect()
}

/// Runs or refuses those that have their answer, and ends those whose time has come. Returns whether there were any.
pub(crate) fn poll(py: Python<'_>, shared: &Arc<Shared>) -> bool {
    let mut has_settled = false;
    while let Some(next) = with_waiting(|waiting| {
        let is_due = |waiting: &Waiting| {
            waiting.answer.is_some() || waiting.is_moot() || shared.ending_of(waiting.job.number).is_some()
        };
        let at = waiting.iter().position(is_due)?;
        Some(waiting.remove(at))
    }) {
        has_settled = true;
        settle(py, shared, next);
    }
    has_settled
}

fn settle(py: Python<'_>, shared: &Arc<Shared>, waiting: Waiting) {
    let is_moot = waiting.is_moot();
    let Waiting { mut job, kinds, answer } = waiting;
    shared.consent_settled(job.number);
    if let Some(reply) = shared.ending_reply(job.number, "while it waited for the user's consent") {
        return job.answer(reply);
    }
    job.consent = answer.map(|(answer, by)| Consented { answer: answer.name().to_owned(), by });
    match answer.map(|(answer, _)| answer) {
        Some(ConsentAnswer::Once) => job.granted = kinds,
        Some(ConsentAnswer::Session) => {
            GRANTED.fetch_or(kinds, Ordering::Relaxed);
        }
        None if is_moot => {}
        Some(ConsentAnswer::Never) | None => {
            let wanted = names(kinds).join(", ");
            let message = format!(
                "the user of this Blender has refused the request, which wants: {wanted}; nothing of it was run"
            );
            return job.answer(Reply::refused(ErrorCode::Forbidden, message));
        }
    }
    execute::run_admitted(py, shared, job);
}

/// Offers the user to allow what has just been refused to the script that runs.
pub(super) fn offer(kind: Kind, what: &str) {
    let Some((number, title)) = execute::running_name() else { return };
    with_offers(|offers| {
        // A client that tries again and again shall not push the others out, nor its own from under the user's pointer.
        let is_same = |offer: &Offer| offer.kind == kind && (offer.number == number || offer.title == title);
        if offers.iter().any(is_same) {
            return;
        }
        if offers.len() >= MOST_OFFERS {
            offers.pop_front();
        }
        offers.push_back(Offer { number, title, kind, what: what.to_owned() });
    });
}

/// Drops those that wait, each answered by being dropped, and forgets what was allowed.
pub(crate) fn drop_all() {
    GRANTED.store(0, Ordering::Relaxed);
    with_offers(VecDeque::clear);
    let dropped = with_waiting(std::mem::take);
    drop(dropped);
}

/// What the user is asked: dictionaries with `request`, `title`, `code` and whether that `is_cut`, `kinds`, and `detail`,
/// which is empty for a request that waits, and says what was refused to one that has run.
#[pyfunction]
pub(crate) fn consent(py: Python<'_>) -> PyResult<Vec<Bound<'_, PyDict>>> {
    guarded(|| {
        let entry = |number: u64, title: &str, code: &str, kinds: Vec<String>, detail: &str| {
            let entry = PyDict::new(py);
            entry.set_item("request", number)?;
            entry.set_item("title", title)?;
            let shown = &code[..code.floor_char_boundary(SHOWN_CODE_BYTES)];
            entry.set_item("code", shown)?;
            entry.set_item("is_cut", shown.len() < code.len())?;
            entry.set_item("kinds", kinds)?;
            entry.set_item("detail", detail)?;
            PyResult::Ok(entry)
        };
        let mut entries = with_waiting(|waiting| {
            let open = waiting.iter().filter(|waiting| waiting.answer.is_none());
            let entries = open
                .map(|waiting| entry(waiting.job.number, &waiting.job.title, waiting.code(), names(waiting.kinds), ""));
            entries.collect::<PyResult<Vec<_>>>()
        })?;
        let offers = with_offers(|offers| {
            let asked = to_be_asked();
            offers.retain(|offer| asked & offer.kind.bit() != 0);
            let entries =
                offers.iter().map(|offer| entry(offer.number, &offer.title, "", names(offer.kind.bit()), &offer.what));
            entries.collect::<PyResult<Vec<_>>>()
        })?;
        entries.extend(offers);
        Ok(entries)
    })
}

/// All of the code of the request of this number; `None` when it does not wait any more.
#[pyfunction]
pub(crate) fn consent_code(number: u64) -> Option<String> {
    let is_it = |waiting: &&Waiting| waiting.job.number == number && waiting.answer.is_none();
    with_waiting(|waiting| waiting.iter().find(is_it).map(|waiting| waiting.code().to_owned()))
}

/// The user's answer for the request of this number: `once`, `session` or `never`. `refused` is the kind that was refused to
/// it where it has run, and empty where it waits. Returns whether there was one to answer. Not from inside a script that a
/// client sent: it must not consent to itself.
#[pyfunction]
pub(crate) fn answer_consent(number: u64, answer: &str, refused: &str) -> PyResult<bool> {
    guarded(|| {
        if is_executing() {
            return Err(PyPermissionError::new_err("only the user can consent, not a client's script"));
        }
        let unknown = || PyValueError::new_err(format!("unknown answer {answer:?}"));
        let answer = ConsentAnswer::named(answer).ok_or_else(unknown)?;
        if let Some(kind) = Kind::named(refused) {
            return Ok(answer_offer(number, kind, answer));
        }
        Ok(answer_waiting(number, answer, By::Blender))
    })
}

/// The answer of a request that waits, from a client that has asked the user. Returns whether there was one. Any thread.
pub(crate) fn answer_by_client(number: u64, answer: ConsentAnswer) -> bool {
    answer_waiting(number, answer, By::Client)
}

fn answer_waiting(number: u64, answer: ConsentAnswer, by: By) -> bool {
    with_waiting(|waiting| {
        let is_it = |waiting: &&mut Waiting| waiting.job.number == number && waiting.answer.is_none();
        let asked = waiting.iter_mut().find(is_it);
        asked.map(|waiting| waiting.answer = Some((answer, by))).is_some()
    })
}

fn answer_offer(number: u64, kind: Kind, answer: ConsentAnswer) -> bool {
    let offer = with_offers(|offers| {
        let at = offers.iter().position(|offer| offer.number == number && offer.kind == kind)?;
        offers.remove(at)
    });
    if offer.is_some() && matches!(answer, ConsentAnswer::Session) {
        GRANTED.fetch_or(kind.bit(), Ordering::Relaxed);
    }
    offer.is_some()
}
