// SPDX-License-Identifier: GPL-3.0-or-later
//! Words for a request whose handling panicked. The SDK gives each a task of its own and lets a panic end that without a
//! word, so that the client would wait until it loses patience.

use std::panic::AssertUnwindSafe;

use blendwire_state::fault;
use futures_util::FutureExt as _;
use rmcp::model::ErrorData;

use crate::tools::Failure;

/// For the client.
const WORDS: &str = "a defect in Blendwire has ended this request; please report it with what the log says. What had been \
    begun in Blender by then may go on there. Other requests are not concerned";

/// Our code panicked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Defect;

impl From<Defect> for Failure {
    fn from(_: Defect) -> Self {
        Self::new(WORDS)
    }
}

impl From<Defect> for ErrorData {
    fn from(_: Defect) -> Self {
        Self::internal_error(WORDS, None)
    }
}

/// Does `work` and makes an error of a panic in it. `place` is its name for tests.
pub(crate) async fn caught<T, E: From<Defect>>(place: &str, work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    let work = async {
        fault(place);
        work.await
    };
    // What a panic leaves half done is behind locks, and those are taken all the same.
    AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|_| Err(Defect.into()))
}
