// SPDX-License-Identifier: GPL-3.0-or-later
//! Writes the journal from a thread of its own, behind a bounded channel.
//!
//! When the channel is full, because the disk hangs or is slower than the requests, lines are lost rather than Blender
//! held up. Lost ones are counted, told in the log once, and a line about them comes first when writing works again.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::record::{Lost, Record};
use crate::store::{Limits, Store};

/// Lines that may wait for the disk.
const MOST_WAITING: usize = 4096;

/// What they may take in memory; a single one may take more.
const MOST_WAITING_BYTES: usize = 32 * 1024 * 1024;

/// The journal of one server. Clones write into the same one.
#[derive(Clone, Debug)]
pub struct Journal(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    folder: PathBuf,
    sender: Mutex<Option<SyncSender<Record>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    waiting_bytes: AtomicUsize,
    state: Mutex<State>,
    has_tried: Condvar,
}

#[derive(Debug, Default)]
struct State {
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
        let (sender, receiver) = sync_channel(MOST_WAITING);
        let store = Store::new(folder.clone(), instance.to_owned(), limits);
        let shared = Arc::new(Shared {
            folder,
            sender: Mutex::new(Some(sender)),
            thread: Mutex::default(),
            waiting_bytes: AtomicUsize::new(0),
            state: Mutex::default(),
            has_tried: Condvar::new(),
        });
        let instance = instance.to_owned();
        let writer = Writer { shared: shared.clone(), store, instance };
        let thread = std::thread::Builder::new().name("blendwire-journal".to_owned());
        let thread = thread.spawn(move || writer.run(&receiver))?;
        *shared.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        Ok(Self(shared))
    }

    /// Hands a line over and returns at once. Gives its number, for [`Journal::wait`].
    pub fn write(&self, record: Record) -> u64 {
        let bytes = record.size_bytes();
        let waiting = self.0.waiting_bytes.fetch_add(bytes, Ordering::Relaxed);
        let has_room = waiting == 0 || waiting + bytes <= MOST_WAITING_BYTES;
        let mut state = self.0.state();
        state.sent += 1;
        let number = state.sent;
        // Numbers in the order of the lines: sent while the state is held.
        let sender = self.0.sender.lock().unwrap_or_else(PoisonError::into_inner);
        let sent = match &*sender {
            Some(sender) if has_room => sender.try_send(record).map_err(|error| match error {
                TrySendError::Full(_) => "the disk is slower than the requests",
                TrySendError::Disconnected(_) => "the journal has ended",
            }),
            Some(_) => Err("the disk is slower than the requests"),
            None => Err("the journal has ended"),
        };
        if let Err(why) = sent {
            self.0.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
            // It will never be tried, so nobody may wait for it.
            state.sent -= 1;
            let is_first = state.lose(why);
            drop(sender);
            drop(state);
            if is_first {
                tell_of_loss(&self.0.folder, why);
            }
            return 0;
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
            state = self.0.has_tried.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// How it is doing.
    pub fn health(&self) -> Health {
        let state = self.0.state();
        let problem = state.lost.as_ref().map(|lost| lost.why.clone());
        Health { folder: self.0.folder.clone(), problem, lost: state.lost_in_all }
    }

    /// Writes what waits and ends, within `longest`. Lines that come later are lost.
    pub fn close(&self, longest: Duration) {
        drop(self.0.sender.lock().unwrap_or_else(PoisonError::into_inner).take());
        let deadline = Instant::now() + longest;
        let mut state = self.0.state();
        while !state.has_ended {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                log::warn!(
                    "the journal in {} could not be finished: its disk does not answer",
                    self.0.folder.display()
                );
                return;
            }
            state = self.0.has_tried.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(state);
        if let Some(thread) = self.0.thread.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
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
    fn run(mut self, receiver: &Receiver<Record>) {
        let _ended = Ended(self.shared.clone());
        while let Ok(record) = receiver.recv() {
            let bytes = record.size_bytes();
            let written = self.write(record);
            self.shared.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
            let mut state = self.shared.state();
            state.tried += 1;
            let told = written.as_ref().err().filter(|why| state.lose(why)).cloned();
            drop(state);
            self.shared.has_tried.notify_all();
            if let Some(why) = told {
                tell_of_loss(&self.shared.folder, &why);
            }
        }
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
        self.0.state().has_ended = true;
        self.0.has_tried.notify_all();
    }
}
