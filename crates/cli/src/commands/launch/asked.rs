// SPDX-License-Identifier: GPL-3.0-or-later
//! The wish of a person or a supervisor that this command ends: Ctrl-C, or termination.
//!
//! It is listened for before Blender is started, because Blender is in a process group of its own: without that, a
//! Ctrl-C at the wrong moment would end this command alone and leave a Blender that nobody attends.

use std::io;

/// Listens from its making on; a wish that comes while nobody waits is kept.
pub(crate) struct AskedToEnd {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(windows)]
    interrupt: tokio::signal::windows::CtrlC,
}

#[cfg(unix)]
impl AskedToEnd {
    /// Begins to listen. Needs the runtime.
    pub(crate) fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Waits for the next wish.
    pub(crate) async fn wait(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(windows)]
impl AskedToEnd {
    /// Begins to listen. Needs the runtime.
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self { interrupt: tokio::signal::windows::ctrl_c()? })
    }

    /// Waits for the next wish.
    pub(crate) async fn wait(&mut self) {
        let _ = self.interrupt.recv().await;
    }
}
