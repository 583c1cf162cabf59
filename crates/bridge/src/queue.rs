// SPDX-License-Identifier: GPL-3.0-or-later
//! The bounded queue between the network thread and the main thread: fair between connections, in order within one.
//!
//! Each connection has a *lane*. A lane gives out its next job only when the one before has been answered, and lanes
//! take turns, so that one client with thousands of pipelined requests does not hold up another with one.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use blendwire_protocol::ErrorCode;

use crate::job::Job;

/// The queue. Shared by the network thread, which pushes, and the main thread, which pops.
#[derive(Debug)]
pub struct Queue {
    limit: usize,
    limit_bytes: usize,
    lanes: Mutex<Lanes>,
    available: Condvar,
}

#[derive(Debug, Default)]
struct Lanes {
    by_connection: HashMap<u64, Lane>,
    /// Connections whose next job may run, in the order of their turns. Each stands here at most once.
    ready: VecDeque<u64>,
    length: usize,
    /// Source text that waits, in bytes.
    bytes: usize,
    closed: bool,
    woken: bool,
}

#[derive(Debug, Default)]
struct Lane {
    waiting: VecDeque<Job>,
    /// A job of this connection is out and not answered yet.
    is_out: bool,
}

/// Held by the job that is out: dropping it lets the next job of the same connection run.
#[derive(Debug)]
pub(crate) struct LaneGuard {
    queue: Weak<Queue>,
    connection: u64,
}

impl Drop for LaneGuard {
    fn drop(&mut self) {
        if let Some(queue) = self.queue.upgrade() {
            queue.finish(self.connection);
        }
    }
}

/// Why a job was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotQueued {
    #[error("Blender is busy: {limit} requests already wait, which is the limit; try again when some are done")]
    Full { limit: usize },
    #[error("Blender is busy: {waiting_bytes} bytes of requests already wait; try again when some are done")]
    TooMuch { waiting_bytes: usize },
    #[error("a request with this id waits or runs already; give each request an id of its own")]
    SameId,
    #[error("the server is stopping; send the request again when it is back")]
    Closed,
}

impl NotQueued {
    pub(crate) fn code(self) -> ErrorCode {
        match self {
            Self::Full { .. } | Self::TooMuch { .. } => ErrorCode::Busy,
            Self::SameId => ErrorCode::BadRequest,
            Self::Closed => ErrorCode::ShuttingDown,
        }
    }
}

impl Queue {
    /// A queue of at most `limit` jobs with at most `limit_bytes` of source text in all.
    pub(crate) fn new(limit: usize, limit_bytes: usize) -> Self {
        Self { limit, limit_bytes, lanes: Mutex::default(), available: Condvar::new() }
    }

    /// Appends a job to its connection's lane. A job that is not taken is withdrawn: its sender is told here.
    pub(crate) fn push(&self, connection: u64, job: Job) -> Result<(), NotQueued> {
        let mut lanes = self.lock();
        if let Err(why) = self.has_room(&lanes, &job) {
            drop(lanes);
            job.withdraw();
            return Err(why);
        }
        lanes.length += 1;
        lanes.bytes += job.task.size_bytes();
        let lane = lanes.by_connection.entry(connection).or_default();
        lane.waiting.push_back(job);
        if !lane.is_out && lane.waiting.len() == 1 {
            lanes.ready.push_back(connection);
            self.available.notify_one();
        }
        Ok(())
    }

    fn has_room(&self, lanes: &Lanes, job: &Job) -> Result<(), NotQueued> {
        if lanes.closed {
            return Err(NotQueued::Closed);
        }
        if lanes.length >= self.limit {
            return Err(NotQueued::Full { limit: self.limit });
        }
        if lanes.bytes + job.task.size_bytes() > self.limit_bytes {
            return Err(NotQueued::TooMuch { waiting_bytes: lanes.bytes });
        }
        Ok(())
    }

    /// Takes a job out that has not been given out yet.
    pub(crate) fn remove(&self, connection: u64, number: u64) -> Option<Job> {
        let mut lanes = self.lock();
        let lane = lanes.by_connection.get_mut(&connection)?;
        let at = lane.waiting.iter().position(|job| job.number == number)?;
        let job = lane.waiting.remove(at)?;
        if lane.waiting.is_empty() && !lane.is_out {
            lanes.by_connection.remove(&connection);
            lanes.ready.retain(|ready| *ready != connection);
        }
        lanes.length -= 1;
        lanes.bytes = lanes.bytes.saturating_sub(job.task.size_bytes());
        Some(job)
    }

    /// Takes the next job, waiting up to `wait` for one. Returns early with `None` after [`Queue::wake`] and when
    /// the queue is closed. The caller must not hold Python's GIL while it waits.
    pub fn pop(self: &Arc<Self>, wait: Duration) -> Option<Job> {
        let deadline = Instant::now() + wait;
        let mut lanes = self.lock();
        loop {
            if let Some(job) = self.take(&mut lanes) {
                return Some(job);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || lanes.closed || std::mem::take(&mut lanes.woken) {
                return None;
            }
            lanes = self.available.wait_timeout(lanes, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Makes a waiting [`Queue::pop`] return.
    pub fn wake(&self) {
        self.lock().woken = true;
        self.available.notify_all();
    }

    /// How many jobs wait.
    pub fn len(&self) -> usize {
        self.lock().length
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many jobs may wait.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Refuses new jobs and drops those that wait; each is answered by being dropped.
    pub(crate) fn close(&self) {
        let mut lanes = self.lock();
        lanes.closed = true;
        lanes.length = 0;
        lanes.bytes = 0;
        lanes.ready.clear();
        let dropped: Vec<Job> = lanes.by_connection.values_mut().flat_map(|lane| lane.waiting.drain(..)).collect();
        drop(lanes);
        drop(dropped);
        self.available.notify_all();
    }

    fn take(self: &Arc<Self>, lanes: &mut Lanes) -> Option<Job> {
        let connection = lanes.ready.pop_front()?;
        let lane = lanes.by_connection.get_mut(&connection)?;
        let mut job = lane.waiting.pop_front()?;
        lane.is_out = true;
        lanes.length -= 1;
        lanes.bytes = lanes.bytes.saturating_sub(job.task.size_bytes());
        job.enter(LaneGuard { queue: Arc::downgrade(self), connection });
        Some(job)
    }

    fn finish(&self, connection: u64) {
        let mut lanes = self.lock();
        let Some(lane) = lanes.by_connection.get_mut(&connection) else { return };
        lane.is_out = false;
        if lane.waiting.is_empty() {
            lanes.by_connection.remove(&connection);
        } else {
            lanes.ready.push_back(connection);
            self.available.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Lanes> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::Ticket;
    use crate::feed::Feed;
    use crate::job::Task;
    use blendwire_protocol::{Execute, Extras, Reply, Terminator};

    fn code(job: &Job) -> &str {
        let Task::Script(script) = &job.task else { panic!("no script") };
        &script.code
    }

    fn job(code: &str) -> Job {
        answered_job(code).0
    }

    fn answered_job(code: &str) -> (Job, tokio::sync::oneshot::Receiver<crate::job::Answer>) {
        let (ticket, answer) = Ticket::new(Terminator::Nul, Extras::default());
        let task = Task::Script(Execute { code: code.to_owned(), ..Execute::default() });
        (Job::new(0, task, Arc::new(Feed::new(10, false)), ticket, Arc::default(), None), answer)
    }

    fn answer(job: Job) {
        job.answer(Reply::refused(ErrorCode::Busy, ""));
    }

    #[test]
    fn a_removed_job_leaves_the_others_in_their_order() {
        let queue = queue_of(10, &[(1, "a"), (2, "b")]);
        assert_eq!(code(&queue.remove(1, 0).unwrap()), "a");
        assert!(queue.remove(1, 0).is_none());
        assert_eq!(code(&next(&queue).unwrap()), "b");
        assert!(queue.is_empty());
    }

    /// Whether the reply that has come holds these words.
    fn says(answer: &mut tokio::sync::oneshot::Receiver<crate::job::Answer>, words: &str) -> bool {
        let reply = answer.try_recv().unwrap().reply.pieces.concat();
        String::from_utf8(reply).unwrap().contains(words)
    }

    fn queue_of(limit: usize, jobs: &[(u64, &str)]) -> Arc<Queue> {
        let queue = Arc::new(Queue::new(limit, 20));
        for (connection, code) in jobs {
            queue.push(*connection, job(code)).unwrap();
        }
        queue
    }

    fn next(queue: &Arc<Queue>) -> Option<Job> {
        queue.pop(Duration::ZERO)
    }

    #[test]
    fn connections_take_turns_and_each_stays_in_order() {
        let queue = queue_of(10, &[(1, "a1"), (1, "a2"), (1, "a3"), (2, "b1"), (2, "b2")]);
        let mut order = Vec::new();
        while let Some(job) = next(&queue) {
            order.push(code(&job).to_owned());
            answer(job);
        }
        assert_eq!(order, ["a1", "b1", "a2", "b2", "a3"]);
    }

    #[test]
    fn a_connection_waits_for_its_own_unanswered_job_and_others_do_not() {
        let queue = queue_of(10, &[(1, "a1"), (1, "a2"), (2, "b1")]);
        let a1 = next(&queue).unwrap();
        let b1 = next(&queue).unwrap();
        assert_eq!(code(&b1), "b1");
        assert!(next(&queue).is_none());
        answer(a1);
        assert_eq!(code(&next(&queue).unwrap()), "a2");
    }

    #[test]
    fn answers_busy_when_queue_is_full() {
        let queue = queue_of(1, &[(1, "a")]);
        assert_eq!(queue.push(2, job("b")), Err(NotQueued::Full { limit: 1 }));
    }

    #[test]
    fn refuses_more_source_text_than_fits() {
        let queue = queue_of(10, &[(1, "fifteen letters")]);
        assert_eq!(queue.push(2, job("six more")), Err(NotQueued::TooMuch { waiting_bytes: 15 }));
        drop(next(&queue));
        assert_eq!(queue.push(2, job("six more")), Ok(()));
    }

    #[test]
    fn a_job_dropped_unanswered_is_answered() {
        let (job, mut answer) = answered_job("");
        drop(job);
        assert!(says(&mut answer, "before the request ran"));
    }

    #[test]
    fn closing_answers_what_waits_and_refuses_what_comes() {
        let queue = queue_of(10, &[]);
        let (waiting, mut answer) = answered_job("");
        queue.push(1, waiting).unwrap();
        queue.close();
        assert!(says(&mut answer, "before the request ran"));
        assert_eq!(queue.push(1, job("late")), Err(NotQueued::Closed));
        assert!(next(&queue).is_none());
    }

    #[test]
    fn waking_ends_a_wait() {
        let queue = queue_of(1, &[]);
        queue.wake();
        assert!(queue.pop(Duration::from_hours(1)).is_none());
    }
}
