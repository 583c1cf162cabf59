// SPDX-License-Identifier: GPL-3.0-or-later
//! How a command ends: exit status 0 done, 1 the work failed, 2 wrong use or could not start.

use std::process::ExitCode;

use crate::printer;

/// How every command ends.
pub(crate) type Ended = Result<(), Failure>;

/// Why a command did not do its work.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It was tried and failed (1).
    Failed(anyhow::Error),
    /// As before, and all was said already (1).
    Told,
    /// Wrong use, or it could not even start (2).
    CouldNotStart(anyhow::Error),
}

impl Failure {
    /// The work failed.
    pub(crate) fn failed(error: impl Into<anyhow::Error>) -> Self {
        Self::Failed(error.into())
    }

    /// Wrong use, or it could not start.
    pub(crate) fn could_not_start(error: impl Into<anyhow::Error>) -> Self {
        Self::CouldNotStart(error.into())
    }
}

/// Tells what went wrong and gives the exit status.
pub(crate) fn code(ended: Ended) -> ExitCode {
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Told) => ExitCode::from(1),
        // Whoever read our output has what they wanted (`… | head -1`).
        Err(Failure::Failed(error)) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(Failure::Failed(error)) => {
            printer::error(&error);
            ExitCode::from(1)
        }
        Err(Failure::CouldNotStart(error)) => {
            printer::error(&error);
            ExitCode::from(2)
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}
