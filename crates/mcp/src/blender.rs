// SPDX-License-Identifier: GPL-3.0-or-later
//! The Blender that the tools drive, as a trait, so that the same tools serve over a wire and inside Blender.

use std::pin::Pin;

use blendwire_client::{ClientError, Outcome};
use blendwire_protocol::Status;

/// A call under way.
pub type Call<'a, T> = Pin<Box<dyn Future<Output = Result<T, NoReply>> + Send + 'a>>;

/// No reply came; the text says why and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NoReply(pub String);

/// A Blender that takes scripts.
pub trait Blender: Send + Sync {
    /// Runs `code` on Blender's main thread and waits for its end.
    fn execute<'a>(&'a self, code: &'a str) -> Call<'a, Outcome>;

    /// What Blender and the server in it are doing; answered also while a script runs.
    fn status(&self) -> Call<'_, Status>;
}

impl Blender for blendwire_client::Blender {
    fn execute<'a>(&'a self, code: &'a str) -> Call<'a, Outcome> {
        Box::pin(async { self.execute(code).await.map_err(NoReply::from) })
    }

    fn status(&self) -> Call<'_, Status> {
        Box::pin(async { self.status().await.map_err(NoReply::from) })
    }
}

impl From<ClientError> for NoReply {
    fn from(error: ClientError) -> Self {
        Self(error.to_string())
    }
}
