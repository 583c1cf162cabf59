// SPDX-License-Identifier: GPL-3.0-or-later
//! Waits until a Blender that was just started takes requests.

use std::time::{Duration, Instant};

use anyhow::Result;
use blendwire_client::{Access, Blender, Endpoint, Tls};
use blendwire_protocol::Status;

use super::child::Child;
use crate::access;

/// How often to ask: the start takes a second or more, so this adds nothing to be noticed.
const ASK_EVERY: Duration = Duration::from_millis(50);

/// A slow machine that opens a large file with software graphics takes a minute or two.
const READY_WITHIN: Duration = Duration::from_secs(200);

/// The first status that says it is ready.
///
/// # Errors
/// When the process ends before, or takes too long; then it is ended.
pub(crate) async fn wait(endpoint: &Endpoint, child: &mut Child) -> Result<Status> {
    let spinner = spinner();
    // Of its own child: what the environment says of other Blenders is not meant.
    let access = Access { token: access::own_token(), tls: Tls::Off };
    let blender = Blender::with_access(endpoint.clone(), access);
    let start = Instant::now();
    loop {
        let why_not = match blender.status().await {
            Ok(status) if status.ready => {
                spinner.finish_and_clear();
                return Ok(status);
            }
            Ok(status) => status.reason.unwrap_or_else(|| "it is not ready".to_owned()),
            Err(error) => error.to_string(),
        };
        if let Some(status) = child.ended()? {
            return Err(child.failure(&format!("Blender ended ({status}) before it answered")));
        }
        if start.elapsed() > READY_WITHIN {
            child.kill();
            let within = READY_WITHIN.as_secs();
            return Err(child.failure(&format!("Blender did not answer within {within} s and was ended ({why_not})")));
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
}

fn spinner() -> indicatif::ProgressBar {
    let spinner = indicatif::ProgressBar::new_spinner().with_message("waiting until Blender answers");
    spinner.enable_steady_tick(Duration::from_millis(100));
    spinner
}
