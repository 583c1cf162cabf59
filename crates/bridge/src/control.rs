// SPDX-License-Identifier: GPL-3.0-or-later
//! Requests that can be ended from outside, and replies that can be asked for again.
//!
//! Only requests with an `id` or a time limit are known here; others cost nothing. Ending one means: taking it out
//! of the queue, or asking the host to interrupt its script, again and again until it has ended, because a script may
//! swallow the interruption or be in a call that returns later.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use blendwire_protocol::{EncodedReply, ErrorCode, Extras, Id, Reply, Terminator};
use blendwire_state::fault;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use crate::feed::Feed;
use crate::job::{Answer, Job};
use crate::metrics::Metrics;
use crate::replies::LOST;
use crate::server::Shared;

/// Final replies that are kept for `outcome`.
const KEPT_OUTCOMES: usize = 256;

/// What they may take together; the oldest go first.
const KEPT_BYTES: usize = 256 * 1024 * 1024;

/// How long they are kept.
const KEPT_FOR: Duration = Duration::from_hours(1);

/// Pause between two interruptions of the same script.
const INTERRUPT_EVERY: Duration = Duration::from_millis(20);

/// A script that goes on after so many (a quarter of a second) is in a call that cannot be interrupted: its client is told.
/// Counted, not timed: while the machine stalls both threads, the script has no chance to notice anything.
const INTERRUPTIONS: u32 = 12;

/// Why a request is being ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Its time limit has passed.
    Timeout(Limit),
    /// Somebody asked for it.
    Cancelled,
}

/// A time limit, and whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limit {
    duration: Duration,
    is_the_users: bool,
}

impl Limit {
    /// The client's own limit, else the one that the user has set for all.
    pub(crate) fn of(clients: Option<Duration>, users: Option<Duration>) -> Option<Self> {
        let own = clients.map(|duration| Self { duration, is_the_users: false });
        own.or_else(|| users.map(|duration| Self { duration, is_the_users: true }))
    }
}

impl std::fmt::Display for Limit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let whose = if self.is_the_users { " that is set in the add-on's preferences" } else { "" };
        write!(f, "the time limit of {} s{whose} has passed", self.duration.as_secs_f64())
    }
}

impl Ending {
    fn code(self) -> ErrorCode {
        match self {
            Self::Timeout(_) => ErrorCode::Timeout,
            Self::Cancelled => ErrorCode::Cancelled,
        }
    }

    fn reason(self) -> String {
        match self {
            Self::Timeout(limit) => limit.to_string(),
            Self::Cancelled => "the request was cancelled".to_owned(),
        }
    }
}

/// How an attempt to end a request went; the `state` in the reply to `cancel`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Ended {
    /// It had not begun, and never will.
    Removed,
    /// Its script was interrupted, or ended by itself meanwhile.
    Interrupted,
    /// Its script is in a call that cannot be interrupted; it is interrupted when that returns.
    StillRunning,
}

/// The one place from which the final reply to a request goes out.
#[derive(Debug)]
pub(crate) struct Ticket {
    pub(crate) terminator: Terminator,
    pub(crate) extras: Extras,
    sender: Mutex<Option<oneshot::Sender<Answer>>>,
}

impl Ticket {
    pub(crate) fn new(terminator: Terminator, extras: Extras) -> (Arc<Self>, oneshot::Receiver<Answer>) {
        let (sender, answer) = oneshot::channel();
        (Arc::new(Self { terminator, extras, sender: Mutex::new(Some(sender)) }), answer)
    }

    /// Sends the reply, unless one has gone out before.
    pub(crate) fn send(&self, answer: Answer) {
        if let Some(sender) = self.sender.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = sender.send(answer);
        }
    }
}

/// Whoever was to answer has come down by a defect of ours: the client is told, and does not wait for ever.
impl Drop for Ticket {
    fn drop(&mut self) {
        let is_owed = self.sender.get_mut().unwrap_or_else(PoisonError::into_inner).is_some();
        // Made only then: every ticket comes by here.
        if is_owed {
            self.send(Answer::now(Reply::refused(ErrorCode::Dropped, LOST), self));
        }
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Control {
    book: Mutex<Book>,
    pub(crate) metrics: Metrics,
}

#[derive(Debug, Default)]
struct Book {
    active: HashMap<u64, Active>,
    numbers: HashMap<Id, u64>,
    outcomes: VecDeque<(Id, Instant, EncodedReply)>,
}

#[derive(Debug)]
struct Active {
    connection: u64,
    ticket: Arc<Ticket>,
    feed: Arc<Feed>,
    title: String,
    ending: Option<Ending>,
    timer: Option<AbortHandle>,
}

impl Control {
    /// Whether a request of this id waits or runs.
    pub(crate) fn is_active(&self, id: &Id) -> bool {
        self.book().numbers.contains_key(id)
    }

    /// Whether it was put on the books; not so while another of its id is there.
    fn register(&self, job: &Job, connection: u64) -> bool {
        let mut book = self.book();
        let ticket = job.ticket.clone();
        if let Some(id) = &ticket.extras.id {
            if book.numbers.contains_key(id) {
                return false;
            }
            book.numbers.insert(id.clone(), job.number);
        }
        let (feed, title) = (job.feed.clone(), job.title.clone());
        book.active.insert(job.number, Active { connection, ticket, feed, title, ending: None, timer: None });
        true
    }

    /// The task that ends the request when its time limit has passed; stopped when it is done before.
    fn set_timer(&self, number: u64, timer: AbortHandle) {
        match self.book().active.get_mut(&number) {
            Some(active) => active.timer = Some(timer),
            None => timer.abort(),
        }
    }

    /// From now on nobody ends the request any more. Says why it was being ended, if it was. Its id stays taken until
    /// [`Control::keep`] or [`Control::forget`]: who asks for the outcome meanwhile is told to wait.
    pub(crate) fn finish(&self, number: u64) -> Option<Ending> {
        let active = self.book().active.remove(&number)?;
        if let Some(timer) = active.timer {
            timer.abort();
        }
        active.ending
    }

    /// Gives the id of a request free that has no outcome.
    pub(crate) fn forget(&self, id: &Id, number: u64) {
        release(&mut self.book(), id, number);
    }

    /// Keeps a final reply for [`Control::outcome`].
    pub(crate) fn keep(&self, id: &Id, number: u64, reply: EncodedReply) {
        let mut book = self.book();
        release(&mut book, id, number);
        book.outcomes.push_back((id.clone(), Instant::now(), reply));
        let mut bytes: usize = book.outcomes.iter().map(|(_, _, reply)| reply.len()).sum();
        while book.outcomes.len() > KEPT_OUTCOMES || bytes > KEPT_BYTES {
            bytes -= book.outcomes.pop_front().map_or(0, |(_, _, reply)| reply.len());
        }
    }

    /// The final reply of the last request of this id; `None` when there is none, or none any more.
    pub(crate) fn outcome(&self, id: &Id) -> Option<EncodedReply> {
        let mut book = self.book();
        book.outcomes.retain(|(_, when, _)| when.elapsed() < KEPT_FOR);
        book.outcomes.iter().rev().find(|(kept, _, _)| kept == id).map(|(_, _, reply)| reply.clone())
    }

    /// By which code and why a request is being ended.
    pub(crate) fn ending(&self, number: u64) -> Option<(ErrorCode, String)> {
        self.book().active.get(&number)?.ending.map(|ending| (ending.code(), ending.reason()))
    }

    pub(crate) fn number_of(&self, id: &Id) -> Option<u64> {
        self.book().numbers.get(id).copied()
    }

    /// Notes why the request is being ended; the first reason holds.
    fn mark(&self, number: u64, ending: Ending) -> Option<Marked> {
        let mut book = self.book();
        let active = book.active.get_mut(&number)?;
        let is_first = active.ending.is_none();
        active.ending.get_or_insert(ending);
        let Active { connection, ticket, feed, title, .. } = active;
        let (ticket, feed, title) = (ticket.clone(), feed.clone(), title.clone());
        Some(Marked { connection: *connection, ticket, feed, title, is_first })
    }

    fn is_running(&self, number: u64) -> bool {
        self.book().active.contains_key(&number)
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends the request when `limit` has passed.
pub(crate) fn end_after(shared: &Arc<Shared>, number: u64, limit: Limit) {
    let ended = shared.clone();
    let timer = tokio::spawn(async move {
        tokio::time::sleep(limit.duration).await;
        fault("time_limit");
        end(&ended, number, Ending::Timeout(limit)).await;
    });
    shared.control.set_timer(number, timer.abort_handle());
}

/// Cancels the request of this id and answers through `ticket`.
pub(crate) fn cancel(shared: &Arc<Shared>, target: &Id, ticket: Arc<Ticket>) {
    let Some(number) = shared.control.number_of(target) else {
        let kept = if shared.control.outcome(target).is_some() { "it has ended; ask for its outcome" } else { "" };
        let message = format!("no request with the id {} waits or runs; {kept}", target.json());
        let reply = Reply::refused(ErrorCode::NotFound, message.trim_end_matches("; "));
        return ticket.send(Answer::now(reply, &ticket));
    };
    let shared = shared.clone();
    tokio::spawn(async move {
        fault("cancel");
        // It may have ended between the two looks: that is as good.
        let state = end(&shared, number, Ending::Cancelled).await.unwrap_or(Ended::Interrupted);
        let mut result = serde_json::json!({"state": state});
        let running = shared.activity.running().filter(|running| running.request == number);
        if let Some(running) = running.filter(|_| state == Ended::StillRunning) {
            result["title"] = running.title.into();
            result["running_secs"] = running.running_secs.into();
        }
        ticket.send(Answer::now(Reply::of(&result), &ticket));
    });
}

/// Not the id of another request, which this one was refused for.
fn release(book: &mut Book, id: &Id, number: u64) {
    if book.numbers.get(id) == Some(&number) {
        book.numbers.remove(id);
    }
}

/// A request that is being ended.
struct Marked {
    connection: u64,
    ticket: Arc<Ticket>,
    feed: Arc<Feed>,
    title: String,
    /// Nobody has tried before.
    is_first: bool,
}

/// Ends a request one way or the other; `None` when it has ended already.
async fn end(shared: &Arc<Shared>, number: u64, ending: Ending) -> Option<Ended> {
    let marked = shared.control.mark(number, ending)?;
    if let Some(job) = shared.queue().remove(marked.connection, number) {
        let message = format!("{} before the request was begun", ending.reason());
        job.answer(Reply::refused(ending.code(), message));
        return Some(Ended::Removed);
    }
    let mut tried = 0;
    while tried < INTERRUPTIONS {
        let is_in_script = marked.is_first && (shared.config.interrupt)(number, &ending.reason());
        tokio::time::sleep(INTERRUPT_EVERY).await;
        if !shared.control.is_running(number) {
            return Some(Ended::Interrupted);
        }
        // Before and after the script there is work of ours for it, which is no reason to give it up.
        let is_being_settled = !is_in_script && shared.activity.is_on_main_thread(number);
        if marked.is_first && is_being_settled {
            continue;
        }
        tried += 1;
    }
    if matches!(ending, Ending::Timeout(_)) {
        tell_that_it_goes_on(shared, number, &marked, ending);
    }
    if marked.is_first {
        tokio::spawn(go_on(shared.clone(), number, ending));
    }
    Some(Ended::StillRunning)
}

/// The client whose limit has passed need not wait any longer: its final reply says that the script goes on.
fn tell_that_it_goes_on(shared: &Shared, number: u64, marked: &Marked, ending: Ending) {
    let Marked { ticket, feed, title, .. } = marked;
    let waits_for_consent = shared.waits_for_consent(number);
    let state = if waits_for_consent {
        "waits for the user's consent; nothing of it was run, and nothing will be"
    } else if shared.activity.is_on_main_thread(number) {
        "is in a call that cannot be interrupted (a render, a bake, a library); it is interrupted when that call returns"
    } else {
        "waits for its deferred result, and Blender is busy; it is ended as soon as Blender comes round to it"
    };
    let ask = if ticket.extras.id.is_some() {
        "; ask for how it ended with {\"type\": \"outcome\", \"id\": …}"
    } else {
        ""
    };
    let message = format!("{}, but the script ({title}) {state}{ask}", ending.reason());
    let is_still_running = ticket.extras.is_extended && !waits_for_consent;
    let extras = Extras { is_still_running, ..ticket.extras.clone() };
    let stdout = feed.output_so_far();
    let reply = Reply::Raised { message, stdout, code: ending.code(), exception: None };
    let reply = reply.encode(ticket.terminator, &extras);
    ticket.send(Answer { reply, lane: None });
}

async fn go_on(shared: Arc<Shared>, number: u64, ending: Ending) {
    fault("go_on");
    while shared.control.is_running(number) {
        (shared.config.interrupt)(number, &ending.reason());
        tokio::time::sleep(INTERRUPT_EVERY).await;
    }
}

/// What becomes of a script's reply when the script was interrupted: the error has its own code.
pub(crate) fn with_ending(reply: Reply, ending: Option<Ending>) -> Reply {
    match (reply, ending) {
        (Reply::Raised { message, stdout, code: ErrorCode::PythonException, exception }, Some(ending)) => {
            Reply::Raised { message, stdout, code: ending.code(), exception }
        }
        (reply, _) => reply,
    }
}

impl Job {
    /// Puts the job on the books, when it can be ended from outside: by its id, or by its time limit. `false` while
    /// another of its id is there.
    pub(crate) fn book(&mut self, control: &Control, connection: u64, has_limit: bool) -> bool {
        if has_limit || self.ticket.extras.id.is_some() {
            self.is_booked = control.register(self, connection);
            return self.is_booked;
        }
        true
    }
}
