// SPDX-License-Identifier: GPL-3.0-or-later
//! Writes the journal from a thread of its own, behind a bounded queue.
//!
//! Lines are gathered for a few milliseconds, because waking the thread for each costs the sender more than all else; a line
//! that somebody waits for goes out at once. When the queue is full, because the disk hangs or is slower than the requests,
//! lines are lost rather than Blender held up. Lost ones are counted, told in the log once, and a line about them comes first
//! when writing works again.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use blendwire_state::fault;
use jiff::Timestamp;

use crate::record::{Lost, Record};
use crate::store::{Limits, Store};

/// Lines that may wait for the disk.
const MOST_WAITING: usize = 4096;

/// So many are written without waiting for more.
const GATHERED_AT_MOST: usize = MOST_WAITING / 2;

/// What they may take in memory; a single one may take more.
const MOST_WAITING_BYTES: usize = 32 * 1024 * 1024;

/// How long lines are gathered. A crash of Blender may take those of its last milliseconds that nobody has waited for.
const GATHER_FOR: Duration = Duration::from_millis(5);

/// Why lines are lost after a defect, for the user.
const DEFECT: &str = "the thread that writes it has ended by a defect; restart the server, and please report what the \
    console says";

/// The journal of one server. Clones write into the same one.
#[derive(Clone, Debug)]
pub struct Journal(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    folder: PathBuf,
    state: Mutex<State>,
    /// Rings for the thread.
    work: Condvar,
    /// Rings for those that wait for a line.
    has_tried: Condvar,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Record>,
    /// Of the queue and of what the thread is writing.
    waiting_bytes: usize,
    /// Somebody waits for a line.
    is_urgent: bool,
    is_closed: bool,
    sent: u64,
    /// Lines that were written, or could not be.
    tried: u64,
    has_ended: bool,
    lost: Option<Loss>,
    lost_in_all: u64,
}

/// Lines that were lost and not told of yet.
#[derive(Clone, Debug)]
struct Loss {
    count: u64,
    since: Timestamp,
    why: String,
}

/// How the journal is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// Where it is.
    pub folder: PathBuf,
    /// Why nothing can be written now, in the system's words; `None` when all is well.
    pub problem: Option<String>,
    /// Lines that could not be written, since the start.
    pub lost: u64,
}

impl Journal {
    /// A journal in `folder`, made at the first line. `instance` tells its files from those of others.
    ///
    /// # Errors
    /// When the system has no thread for it.
    pub fn start(folder: PathBuf, instance: &str, limits: Limits) -> std::io::Result<Self> {
        let store = Store::new(folder.clone(), instance.to_owned(), limits);
        let (work, has_tried) = (Condvar::new(), Condvar::new());
        let shared = Arc::new(Shared { folder, state: Mutex::default(), work, has_tried });
        let instance = instance.to_owned();
        let writer = Writer { shared: shared.clone(), store, instance };
        std::thread::Builder::new().name("blendwire-journal".to_owned()).spawn(move || writer.run())?;
        Ok(Self(shared))
    }

    /// Hands a line over and returns at once. Gives its number, for [`Journal::wait`].
    pub fn write(&self, record: Record) -> u64 {
        let bytes = record.size_bytes();
        let mut state = self.0.state();
        let is_full = state.queue.len() >= MOST_WAITING
            || (state.waiting_bytes > 0 && state.waiting_bytes + bytes > MOST_WAITING_BYTES);
        if is_full || state.is_closed || state.has_ended {
            let why = match (state.is_closed, state.has_ended) {
                (true, _) => "the journal has ended",
                (_, true) => DEFECT,
                _ => "the disk is slower than the requests",
            };
            let is_first = state.lose(why);
            drop(state);
            if is_first {
                tell_of_loss(&self.0.folder, why);
            }
            return 0;
        }
        state.sent += 1;
        state.waiting_bytes += bytes;
        state.queue.push_back(record);
        // It sleeps until there is one, and then gathers until there are many.
        let (number, rings) = (state.sent, matches!(state.queue.len(), 1 | GATHERED_AT_MOST));
        drop(state);
        if rings {
            self.0.work.notify_one();
        }
        number
    }

    /// Waits until the line of this number has been written or given up, at most this long. Not at all while lines are
    /// being lost: a disk that hangs must not slow each request.
    pub fn wait(&self, number: u64, longest: Duration) {
        let deadline = Instant::now() + longest;
        let mut state = self.0.state();
        while state.tried < number && state.lost.is_none() && !state.has_ended {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            if !std::mem::replace(&mut state.is_urgent, true) {
                self.0.work.notify_one();
            }
            state = self.0.has_tried.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// How it is doing.
    pub fn health(&self) -> Health {
        let state = self.0.state();
        let problem = state.lost.as_ref().map(|lost| lost.why.clone());
        Health { folder: self.0.folder.clone(), problem, lost: state.lost_in_all }
    }

    /// Writes what waits and ends, within `longest`. Lines that come later are lost. That the last file is forced onto the
    /// disk is not waited for.
    pub fn close(&self, longest: Duration) {
        let deadline = Instant::now() + longest;
        let mut state = self.0.state();
        state.is_closed = true;
        self.0.work.notify_one();
        while !state.has_ended {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                if state.tried < state.sent {
                    log::warn!(
                        "the journal in {} could not be finished: its disk does not answer",
                        self.0.folder.display()
                    );
                }
                return;
            }
            state = self.0.has_tried.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Shared {
    /// Waits for lines, and then a moment for more; `None` when there will be none.
    fn gathered(&self) -> Option<VecDeque<Record>> {
        let mut state = self.state();
        while state.queue.is_empty() {
            if state.is_closed {
                return None;
            }
            state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let deadline = Instant::now() + GATHER_FOR;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || state.is_urgent || state.is_closed || state.queue.len() >= GATHERED_AT_MOST {
                state.is_urgent = false;
                return Some(std::mem::take(&mut state.queue));
            }
            state = self.work.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Notes that nobody will write any more what was sent, nor what comes; whether that is news.
    fn end_by_defect(&mut self) -> bool {
        let left = self.sent - self.tried;
        self.lost_in_all += left;
        let is_news = self.lost.is_none();
        let loss = self.lost.get_or_insert_with(|| Loss { count: 0, since: Timestamp::now(), why: String::new() });
        loss.count += left;
        DEFECT.clone_into(&mut loss.why);
        is_news
    }

    /// Counts a lost line; whether it is the first since all was well.
    fn lose(&mut self, why: &str) -> bool {
        self.lost_in_all += 1;
        if let Some(loss) = &mut self.lost {
            loss.count += 1;
            return false;
        }
        self.lost = Some(Loss { count: 1, since: Timestamp::now(), why: why.to_owned() });
        true
    }
}

fn tell_of_loss(folder: &Path, why: &str) {
    log::warn!(
        "the audit journal in {} cannot be written: {why}. Requests go on without it, and it goes on when that is \
         mended; the preference \"Audit Journal\" switches it off",
        folder.display()
    );
}

/// What the thread has.
struct Writer {
    shared: Arc<Shared>,
    store: Store,
    instance: String,
}

impl Writer {
    fn run(mut self) {
        let ended = Ended(self.shared.clone());
        while let Some(lines) = self.shared.gathered() {
            fault("journal");
            for record in lines {
                let bytes = record.size_bytes();
                let written = self.write(record);
                let mut state = self.shared.state();
                state.tried += 1;
                state.waiting_bytes -= bytes;
                let told = written.as_ref().err().filter(|why| state.lose(why)).cloned();
                drop(state);
                self.shared.has_tried.notify_all();
                if let Some(why) = told {
                    tell_of_loss(&self.shared.folder, &why);
                }
            }
        }
        drop(ended);
        self.store.close();
    }

    fn write(&mut self, mut record: Record) -> Result<(), String> {
        self.tell_of_lost_lines()?;
        if let Record::Begin(begin) = &mut record {
            begin.cut();
        }
        self.append(&record)
    }

    /// The line about those that were lost, where there were any.
    fn tell_of_lost_lines(&mut self) -> Result<(), String> {
        let Some(loss) = self.shared.state().lost.clone() else { return Ok(()) };
        let Loss { count, since, why } = loss;
        let (time, instance) = (Timestamp::now(), self.instance.clone());
        self.append(&Record::Lost(Lost { time, instance, count, since, why }))?;
        let mut state = self.shared.state();
        // Some more may have been lost meanwhile.
        state.lost =
            state.lost.take().filter(|now| now.count > count).map(|now| Loss { count: now.count - count, ..now });
        drop(state);
        log::info!("the audit journal is being written again; {count} of its lines were lost");
        Ok(())
    }

    fn append(&mut self, record: &Record) -> Result<(), String> {
        let mut line = serde_json::to_vec(record).map_err(|error| error.to_string())?;
        line.push(b'\n');
        self.store.append(&line).map_err(|error| error.to_string())
    }
}

/// Tells that the thread has ended, however it did.
struct Ended(Arc<Shared>);

impl Drop for Ended {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.has_ended = true;
        let is_news = !state.is_closed && state.end_by_defect();
        drop(state);
        self.0.has_tried.notify_all();
        if is_news {
            tell_of_loss(&self.0.folder, DEFECT);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Before that, lines were taken until the queue was full, and then the disk was said to be slow.
    #[test]
    fn a_thread_that_a_defect_has_ended_is_told_of_at_once() {
        let (work, has_tried) = (Condvar::new(), Condvar::new());
        let shared = Arc::new(Shared { folder: PathBuf::new(), state: Mutex::default(), work, has_tried });
        let journal = Journal(shared.clone());
        let line = || {
            let (instance, why) = ("a".to_owned(), "a test".to_owned());
            let time = Timestamp::now();
            Record::Lost(Lost { time, instance, count: 1, since: time, why })
        };
        let number = journal.write(line());
        assert_eq!(journal.health().problem, None);
        let ended = Ended(shared);
        let thread = std::thread::spawn(move || {
            let _ended = ended;
            panic!("a defect in a test");
        });
        assert!(thread.join().is_err());
        let health = journal.health();
        assert_eq!((health.problem.as_deref(), health.lost), (Some(DEFECT), 1));
        journal.wait(number, Duration::from_mins(1));
        assert_eq!(journal.write(line()), 0);
        assert_eq!((journal.health().problem.as_deref(), journal.health().lost), (Some(DEFECT), 2));
    }
}
