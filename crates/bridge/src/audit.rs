// SPDX-License-Identifier: GPL-3.0-or-later
//! What the audit journal is told of each request: who sent it, when it began, how it ended.
//!
//! A connection enters itself into [`Origins`] when it has been let in; each of its jobs takes an [`Audit`] along and tells
//! the journal by it, from whichever thread it is on.
//!
//! What a mounted service (`http/mount`) asks of its own server comes over another connection, this process's own. A
//! [`Behalf`] says for whom: a secret that is made for each request to the service and that it sends along. What a client
//! says without such a secret about who it is, is no more than a name.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use blendwire_credentials::passing_token;
use blendwire_journal::{Begin, Deeds, Dialect, End, Journal, Kind, Record};
use blendwire_protocol::{Effects, ErrorCode, JournalStatus, Reply, Sender, Token};
use jiff::Timestamp;

use crate::job::{Job, Task};
use crate::server::Shared;

/// Longest error that is kept, in bytes: the last line of a traceback is mostly far shorter.
const LONGEST_ERROR_BYTES: usize = 1000;

/// The main thread lets a request that may do anything begin when its line has been written, so that it is there
/// whatever becomes of Blender; but no later than this, whatever becomes of the disk: about a frame, and long enough for a
/// thread on a busy machine to get its turn.
const BEGIN_WITHIN: Duration = Duration::from_millis(20);

/// How long a stop waits for the last lines.
const END_WITHIN: Duration = Duration::from_secs(1);

/// Who is at the other end of each open connection.
#[derive(Debug, Default)]
pub(crate) struct Origins(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    connections: HashMap<u64, Origin>,
    /// For whom mounted services ask just now. Few, and so looked through: comparing takes the same time for any secret.
    behalves: Vec<(Token, Origin)>,
}

/// Where requests come from.
#[derive(Clone, Debug)]
struct Origin {
    peer: SocketAddr,
    uid: Option<u32>,
    /// What its `hello` called it.
    client: Option<String>,
    /// What it speaks with the service that asks for it.
    dialect: Option<Dialect>,
}

impl Origins {
    /// Notes who has been let in, until the guard is dropped.
    pub(crate) fn enter(&self, connection: u64, peer: SocketAddr, uid: Option<u32>) -> Entered<'_> {
        self.lock().connections.insert(connection, Origin { peer, uid, client: None, dialect: None });
        Entered { origins: self, connection }
    }

    /// Notes what the client of a connection calls itself.
    pub(crate) fn call(&self, connection: u64, client: String) {
        if let Some(origin) = self.lock().connections.get_mut(&connection) {
            origin.client = Some(client);
        }
    }

    /// Vouches for the client of a connection, which speaks `dialect` with a mounted service.
    pub(crate) fn vouch(self: &Arc<Self>, connection: u64, dialect: Dialect) -> Behalf {
        let made = passing_token();
        let key = made.inspect_err(|error| log::warn!("the journal will not know who asks at /mcp: {error}")).ok();
        let mut known = self.lock();
        if let (Some(key), Some(origin)) = (&key, known.connections.get(&connection).cloned()) {
            known.behalves.push((key.clone(), Origin { dialect: Some(dialect), ..origin }));
        }
        Behalf { origins: self.clone(), key }
    }

    /// Where a request of this connection really comes from.
    fn of(&self, connection: u64, sender: &Sender) -> Option<Origin> {
        let known = self.lock();
        let vouched = sender.behalf.as_ref().and_then(|key| known.behalves.iter().find(|(other, _)| other == key));
        vouched.map(|(_, origin)| origin).or_else(|| known.connections.get(&connection)).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// By which a mounted service says for whom it asks, for as long as this lives.
#[derive(Debug)]
pub struct Behalf {
    origins: Arc<Origins>,
    key: Option<Token>,
}

impl Behalf {
    /// What to send along as `behalf`; `None` where the system gives no random numbers.
    pub fn key(&self) -> Option<&Token> {
        self.key.as_ref()
    }
}

impl Drop for Behalf {
    fn drop(&mut self) {
        if let Some(key) = &self.key {
            self.origins.lock().behalves.retain(|(other, _)| other != key);
        }
    }
}

/// A connection that is noted.
pub(crate) struct Entered<'a> {
    origins: &'a Origins,
    connection: u64,
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.origins.lock().connections.remove(&self.connection);
    }
}

/// What a request takes along for the journal. The default tells nobody.
#[derive(Debug, Default)]
pub(crate) struct Audit(Option<Box<Told>>);

#[derive(Debug)]
struct Told {
    shared: Arc<Shared>,
    journal: Journal,
    dialect: Dialect,
    origin: Option<Origin>,
    client: Option<String>,
    arrived: Instant,
    /// Number of the line that tells of the begin, and when that was.
    begun: Option<(u64, Instant)>,
    deeds: Deeds,
}

impl Audit {
    /// For a request that has just come in on this connection.
    pub(crate) fn new(shared: &Arc<Shared>, connection: u64, dialect: Dialect, sender: Sender) -> Self {
        let Some(journal) = shared.config.journal.clone() else { return Self::default() };
        let origin = shared.origins.of(connection, &sender);
        let client = sender.client.or_else(|| origin.as_ref()?.client.clone());
        Self(Some(Box::new(Told {
            shared: shared.clone(),
            journal,
            dialect: origin.as_ref().and_then(|origin| origin.dialect).unwrap_or(dialect),
            origin,
            client,
            arrived: Instant::now(),
            begun: None,
            deeds: Deeds::default(),
        })))
    }
}

impl Job {
    /// Tells the journal that the request is about to run; `code` is what it runs, where that is not in its task any more.
    pub fn tell_begin(&mut self, code: Option<String>) {
        let Some(told) = &self.audit.0 else { return };
        let (kind, steps, session) = match &self.task {
            Task::Script(script) => (Kind::Execute, None, script.session.clone()),
            Task::Undo { steps } => (Kind::Undo, Some(*steps), None),
            Task::Redo { steps } => (Kind::Redo, Some(*steps), None),
        };
        let code = code.unwrap_or_else(|| match &self.task {
            Task::Script(script) => script.code.clone(),
            Task::Undo { .. } | Task::Redo { .. } => String::new(),
        });
        let begin = Begin {
            time: Timestamp::now(),
            instance: told.shared.instance.clone(),
            number: self.number,
            pid: std::process::id(),
            kind,
            id: self.ticket.extras.id.as_ref().and_then(|id| serde_json::from_str(id.json()).ok()),
            title: self.title.clone(),
            dialect: told.dialect,
            client: told.client.clone(),
            peer: told.origin.as_ref().map(|origin| origin.peer.to_string()),
            uid: told.origin.as_ref().and_then(|origin| origin.uid),
            blender: told.shared.config.versions.blender.clone(),
            file: told.shared.activity.file(),
            session,
            steps,
            consent: self.consent.clone(),
            waited_secs: told.arrived.elapsed().as_secs_f64(),
            code,
            code_bytes: None,
            code_sha256: None,
        };
        let line = told.journal.write(Record::Begin(Box::new(begin)));
        if let Some(told) = &mut self.audit.0 {
            told.begun = Some((line, Instant::now()));
        }
    }

    /// Whether the journal wants to know what it does.
    pub fn is_audited(&self) -> bool {
        self.audit.0.is_some()
    }

    /// Waits until the line of [`Job::tell_begin`] is with the system, a few milliseconds at most.
    pub fn await_begin(&self) {
        if let Some(Told { journal, begun: Some((line, _)), .. }) = self.audit.0.as_deref() {
            journal.wait(*line, BEGIN_WITHIN);
        }
    }

    /// Adds what the request has done outside of Blender.
    pub fn add_deeds(&mut self, deeds: &Deeds) {
        if let Some(told) = &mut self.audit.0 {
            told.deeds.absorb(deeds);
        }
    }

    /// Tells the journal how the request has ended.
    pub(crate) fn tell_end(&mut self, reply: &Reply, effects: &Effects) {
        let never_began = self.audit.0.as_ref().is_some_and(|told| told.begun.is_none());
        if never_began {
            self.tell_begin(None);
        }
        let Some(told) = self.audit.0.take() else { return };
        let Told { shared, journal, begun, deeds, .. } = *told;
        let (outcome, error) = outcome(reply);
        let end = End {
            time: Timestamp::now(),
            instance: shared.instance.clone(),
            number: self.number,
            outcome,
            error,
            never_began,
            ran_secs: begun.map_or(0.0, |(_, since)| since.elapsed().as_secs_f64()),
            rolled_back: effects.rolled_back,
            deeds,
        };
        journal.write(Record::End(Box::new(end)));
    }
}

fn outcome(reply: &Reply) -> (String, Option<String>) {
    let (message, code) = match reply {
        Reply::Ok { .. } => return ("ok".to_owned(), None),
        Reply::Raised { message, code, .. } | Reply::Refused { message, code } => (message, *code),
    };
    let outcome = match code {
        ErrorCode::PythonException => "error".to_owned(),
        code => code.name(),
    };
    let last = message.trim_end().rsplit('\n').next().unwrap_or_default();
    (outcome, Some(last[..last.floor_char_boundary(LONGEST_ERROR_BYTES)].to_owned()))
}

impl Shared {
    /// How the journal is doing; `None` when there is none.
    pub(crate) fn journal_status(&self) -> Option<JournalStatus> {
        let health = self.config.journal.as_ref()?.health();
        Some(JournalStatus { folder: health.folder.display().to_string(), problem: health.problem, lost: health.lost })
    }

    /// Writes the journal's last lines.
    pub(crate) fn close_journal(&self) {
        if let Some(journal) = &self.config.journal {
            journal.close(END_WITHIN);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_are_told_by_code_and_last_line() {
        let raised = |code| Reply::Raised {
            message: "Traceback…\n  line\nValueError: why\n".to_owned(),
            stdout: String::new(),
            code,
            exception: None,
        };
        let told = |reply: &Reply| outcome(reply);
        assert_eq!(told(&Reply::of(&1)), ("ok".to_owned(), None));
        let why = Some("ValueError: why".to_owned());
        assert_eq!(told(&raised(ErrorCode::PythonException)), ("error".to_owned(), why.clone()));
        assert_eq!(told(&raised(ErrorCode::Timeout)), ("timeout".to_owned(), why));
        assert_eq!(told(&Reply::refused(ErrorCode::Cancelled, "no")).0, "cancelled");
    }
}
