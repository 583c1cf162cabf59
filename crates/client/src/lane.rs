// SPDX-License-Identifier: GPL-3.0-or-later
//! Connections that are kept between calls, each used by one call at a time. Only [`crate::Blender`] has them: a lane for
//! scripts, which take turns, and one for questions.

use std::sync::{Arc, Mutex as Known, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::Mutex;

use crate::connection::Connection;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Lane {
    /// Held while a request is sent and until Blender has begun with it.
    pub(crate) turn: Mutex<()>,
    kept: Known<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    /// Those that no call uses: one, and more only where calls have overtaken others that wait.
    idle: Vec<Connection>,
    /// How many calls use one.
    in_use: usize,
    /// A task is there that ends those that nothing has gone over for long.
    is_watched: bool,
}

impl Lane {
    /// A sound one that no call uses, for this call alone.
    pub(crate) fn take(&self) -> Option<Connection> {
        let mut kept = self.kept();
        kept.idle.retain(Connection::is_usable);
        kept.idle.pop()
    }

    /// Keeps one whose call has ended cleanly, for as long as that, or as long as the server does.
    pub(crate) fn keep(self: &Arc<Self>, connection: Connection, kept_for: Option<Duration>) {
        let mut kept = self.kept();
        kept.idle.push(connection);
        if kept.idle.len() > kept.in_use.max(1) {
            kept.idle.remove(0);
        }
        let Some(longest) = kept_for else { return };
        if !std::mem::replace(&mut kept.is_watched, true) {
            tokio::spawn(end_when_idle(Arc::downgrade(self), longest));
        }
    }

    /// How many calls there are now.
    pub(crate) fn calls(&self) -> usize {
        self.kept().in_use
    }

    /// Whether there is a connection that a call uses, or would go over.
    pub(crate) fn is_open(&self) -> bool {
        let kept = self.kept();
        kept.in_use > 0 || kept.idle.iter().any(Connection::is_usable)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts a call that uses one of the lane's connections.
pub(crate) struct InUse<'a>(&'a Lane);

impl<'a> InUse<'a> {
    /// From now on, until this is dropped.
    pub(crate) fn begin(lane: &'a Lane) -> Self {
        lane.kept().in_use += 1;
        Self(lane)
    }
}

impl Drop for InUse<'_> {
    fn drop(&mut self) {
        self.0.kept().in_use -= 1;
    }
}

/// Ends the lane's connections that nothing has gone over for this long.
async fn end_when_idle(lane: Weak<Lane>, idle: Duration) {
    loop {
        tokio::time::sleep(idle).await;
        let Some(lane) = lane.upgrade() else { return };
        let mut kept = lane.kept();
        kept.idle.retain(|connection| connection.idle() < idle);
        if kept.idle.is_empty() && kept.in_use == 0 {
            kept.is_watched = false;
            return;
        }
    }
}
