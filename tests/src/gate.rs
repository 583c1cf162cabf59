// SPDX-License-Identifier: GPL-3.0-or-later
//! What scripts in Blender wait for until a test lets them go on: a file. The test decides when, and no clock.

use std::path::PathBuf;

use anyhow::Result;

/// A file that is there once the gate is open. Opened when dropped, so that a test that fails keeps no Blender busy.
#[derive(Debug)]
pub struct Gate {
    path: PathBuf,
}

impl Gate {
    /// A closed one; nothing may be at `path` yet, which Blender sees too.
    pub fn closed(path: PathBuf) -> Self {
        Self { path }
    }

    /// An expression in Python: whether it is open.
    pub fn is_open(&self) -> String {
        format!("__import__('os').path.exists({})", serde_json::json!(self.path.display().to_string()))
    }

    /// A line of Python that waits until it is open.
    pub fn wait(&self) -> String {
        format!("while not {}: __import__('time').sleep(0.01)", self.is_open())
    }

    /// Lets those who wait go on.
    ///
    /// # Errors
    /// The system's.
    pub fn open(&self) -> Result<()> {
        Ok(fs_err::write(&self.path, "")?)
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        // Its folder may be gone, and whoever waited with it.
        let _ = self.open();
    }
}
