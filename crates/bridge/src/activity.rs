// SPDX-License-Identifier: GPL-3.0-or-later
//! What the main thread is doing, as the network thread may tell it at any moment: a few counters and two short
//! records under a lock that nobody holds for long.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use blendwire_protocol::{Counters, Id, LastRequest, RunningRequest, State};

use crate::feed::Feed;
use crate::job::Job;
use crate::panics;

/// A main thread that has not come round for this long cannot take a request "now". A redraw of a heavy scene takes
/// less; a modal file dialog, a render or a loop takes more.
const ALIVE_WITHIN: Duration = Duration::from_secs(2);

/// See the module.
#[derive(Debug)]
pub(crate) struct Activity {
    pub(crate) started: Instant,
    /// Microseconds from `started` to the last time the main thread came round, plus one; 0 means never.
    seen_micros: AtomicU64,
    pub(crate) stopping: AtomicBool,
    now: Mutex<Now>,
    pub(crate) totals: Totals,
}

#[derive(Debug, Default)]
struct Now {
    running: Option<Running>,
    /// Those that have run and wait for their deferred result, oldest first.
    deferred: Vec<Running>,
    last: Option<(LastRequest, Instant)>,
    file: String,
}

#[derive(Debug)]
struct Running {
    number: u64,
    id: Option<Id>,
    title: String,
    first_line: String,
    since: Instant,
    feed: Arc<Feed>,
}

/// Totals since the start, each with its name from [`Counters`].
#[derive(Debug, Default)]
pub(crate) struct Totals {
    pub(crate) connections: AtomicU64,
    pub(crate) connections_refused: AtomicU64,
    pub(crate) requests: AtomicU64,
    pub(crate) executed_ok: AtomicU64,
    pub(crate) executed_error: AtomicU64,
    pub(crate) unauthorized: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) received_bytes: AtomicU64,
    pub(crate) sent_bytes: AtomicU64,
    pub(crate) released_listeners: AtomicU64,
    /// Panics of the process before this server was started.
    pub(crate) panics_before: u64,
}

/// Adds to a total.
pub(crate) fn add(total: &AtomicU64, amount: usize) {
    total.fetch_add(amount as u64, Ordering::Relaxed);
}

impl Totals {
    pub(crate) fn read(&self) -> Counters {
        let read = |total: &AtomicU64| total.load(Ordering::Relaxed);
        Counters {
            connections: read(&self.connections),
            connections_refused: read(&self.connections_refused),
            requests: read(&self.requests),
            executed_ok: read(&self.executed_ok),
            executed_error: read(&self.executed_error),
            unauthorized: read(&self.unauthorized),
            refused: read(&self.refused),
            received_bytes: read(&self.received_bytes),
            sent_bytes: read(&self.sent_bytes),
            released_listeners: read(&self.released_listeners),
            panics: panics::count().saturating_sub(self.panics_before),
        }
    }
}

impl Activity {
    pub(crate) fn new() -> Self {
        Self {
            started: Instant::now(),
            seen_micros: AtomicU64::new(0),
            stopping: AtomicBool::new(false),
            now: Mutex::default(),
            totals: Totals { panics_before: panics::count(), ..Totals::default() },
        }
    }

    /// The main thread has come round.
    pub(crate) fn seen(&self) {
        let micros = u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX - 1);
        self.seen_micros.store(micros + 1, Ordering::Relaxed);
    }

    /// Since the main thread came round; `None` when it never has.
    pub(crate) fn age(&self) -> Option<Duration> {
        let seen = self.seen_micros.load(Ordering::Relaxed).checked_sub(1)?;
        Some(self.started.elapsed().saturating_sub(Duration::from_micros(seen)))
    }

    pub(crate) fn begin(&self, job: &mut Job) {
        self.seen();
        let since = *job.begun.get_or_insert_with(Instant::now);
        job.feed.begin();
        let running = Running {
            number: job.number,
            id: job.ticket.extras.id.clone(),
            title: job.title.clone(),
            first_line: job.first_line.clone(),
            since,
            feed: job.feed.clone(),
        };
        let mut now = self.now();
        now.deferred.retain(|deferred| deferred.number != job.number);
        now.running = Some(running);
    }

    /// The request of this number has ended, or (`ok` is `None`) waits for its deferred result.
    pub(crate) fn end(&self, number: u64, ok: Option<bool>) {
        self.seen();
        let mut now = self.now();
        // One whose result is deferred may end without another look at it.
        let at = now.deferred.iter().position(|deferred| deferred.number == number);
        let ended = now.running.take_if(|running| running.number == number);
        let Some(running) = ended.or_else(|| Some(now.deferred.remove(at?))) else { return };
        let Some(ok) = ok else {
            now.deferred.push(running);
            return;
        };
        add(if ok { &self.totals.executed_ok } else { &self.totals.executed_error }, 1);
        let took_secs = running.since.elapsed().as_secs_f64();
        let Running { number: request, title, first_line, .. } = running;
        let last = LastRequest { request, title, first_line, ok, took_secs, ended_secs_ago: 0.0 };
        now.last = Some((last, Instant::now()));
    }

    pub(crate) fn set_file(&self, file: String) {
        self.now().file = file;
    }

    pub(crate) fn file(&self) -> String {
        self.now().file.clone()
    }

    /// How many requests wait for their deferred result.
    pub(crate) fn deferred(&self) -> usize {
        self.now().deferred.len()
    }

    /// The request that is on the main thread, else the oldest whose result is deferred: a render goes on.
    pub(crate) fn running(&self) -> Option<RunningRequest> {
        let now = self.now();
        now.running.as_ref().or(now.deferred.first()).map(|running| RunningRequest {
            request: running.number,
            id: running.id.as_ref().and_then(|id| serde_json::from_str(id.json()).ok()),
            title: running.title.clone(),
            first_line: running.first_line.clone(),
            running_secs: running.since.elapsed().as_secs_f64(),
            last_output_line: running.feed.last_line(),
            progress: running.feed.progress(),
        })
    }

    /// Whether the request of this number is on the main thread now.
    pub(crate) fn is_on_main_thread(&self, number: u64) -> bool {
        self.now().running.as_ref().is_some_and(|running| running.number == number)
    }

    /// Where the request tells that is on the main thread, else the oldest whose result is deferred.
    pub(crate) fn feed(&self) -> Option<Arc<Feed>> {
        let now = self.now();
        now.running.as_ref().or(now.deferred.first()).map(|running| running.feed.clone())
    }

    pub(crate) fn last(&self) -> Option<LastRequest> {
        let now = self.now();
        let (last, ended) = now.last.as_ref()?;
        Some(LastRequest { ended_secs_ago: ended.elapsed().as_secs_f64(), ..last.clone() })
    }

    /// The state, and why no request can run now where that is so.
    pub(crate) fn state(&self) -> (State, Option<String>) {
        if self.stopping.load(Ordering::Relaxed) {
            return (State::Stopping, Some("the server is stopping".to_owned()));
        }
        let Some(age) = self.age() else {
            return (State::Starting, Some("Blender is starting and has not come round to requests yet".to_owned()));
        };
        let age_secs = age.as_secs_f64();
        let is_late = age > ALIVE_WITHIN;
        let is_executing = self.now().running.is_some();
        match self.running() {
            Some(running) if is_executing && is_late => {
                let RunningRequest { request, running_secs, title, .. } = running;
                let reason = format!("request {request} has been running for {running_secs:.1} s: {title}");
                (State::Busy, Some(reason))
            }
            _ if is_late => {
                let reason = format!(
                    "Blender's main thread has not come round for {age_secs:.1} s: \
                     a dialog is open, or Blender renders, loads or saves a file"
                );
                (State::Blocked, Some(reason))
            }
            Some(_) => (State::Busy, None),
            None => (State::Idle, None),
        }
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_whose_main_thread_never_came_is_starting() {
        let activity = Activity::new();
        assert_eq!(activity.state().0, State::Starting);
        activity.seen();
        assert_eq!(activity.state(), (State::Idle, None));
    }

    fn job() -> (Job, tokio::sync::oneshot::Receiver<crate::job::Answer>) {
        let (ticket, answer) =
            crate::control::Ticket::new(blendwire_protocol::Terminator::Nul, blendwire_protocol::Extras::default());
        let script = blendwire_protocol::Execute { code: "x = 1".to_owned(), ..Default::default() };
        let task = crate::job::Task::Script(script);
        (Job::new(7, task, Arc::new(Feed::new(10, false)), ticket, Arc::default(), None), answer)
    }

    #[test]
    fn last_request_is_kept_and_a_deferred_one_is_not_ended() {
        let activity = Activity::new();
        let (mut job, _answer) = job();
        activity.begin(&mut job);
        assert_eq!(activity.running().unwrap().first_line, "x = 1");
        activity.end(7, None);
        assert_eq!((activity.deferred(), activity.last()), (1, None));
        assert_eq!(activity.running().unwrap().request, 7);
        activity.begin(&mut job);
        activity.end(7, Some(true));
        assert_eq!((activity.deferred(), activity.running()), (0, None));
        assert_eq!(activity.last().unwrap().request, 7);
        assert_eq!(activity.totals.read().executed_ok, 1);
    }

    #[test]
    fn a_deferred_request_that_ends_without_another_look_is_gone() {
        let activity = Activity::new();
        let (mut job, _answer) = job();
        activity.begin(&mut job);
        activity.end(7, None);
        activity.end(7, Some(false));
        assert_eq!((activity.deferred(), activity.running()), (0, None));
        assert_eq!((activity.state().0, activity.totals.read().executed_error), (State::Idle, 1));
    }
}
