// SPDX-License-Identifier: GPL-3.0-or-later
//! Requests that wait for the user's consent, as `status` tells of them. Who decides is the host.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use blendwire_protocol::{ConsentAnswer, ConsentRequest, ErrorCode, Id, Reply};

use crate::job::Job;
use crate::server::Shared;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Consent(Mutex<Vec<Waits>>);

#[derive(Debug)]
struct Waits {
    number: u64,
    id: Option<Id>,
    title: String,
    wants: Vec<String>,
    since: Instant,
}

impl Shared {
    /// Whether the host has no window, and so nobody to ask.
    pub fn is_background(&self) -> bool {
        self.config.background
    }

    /// The job waits for the user's consent to what it wants.
    pub fn consent_waits(&self, job: &Job, wants: Vec<String>) {
        let (id, title) = (job.ticket.extras.id.clone(), job.title.clone());
        job.feed.ask(wants.clone());
        let asked = Waits { number: job.number, id, title, wants, since: Instant::now() };
        self.consent.0.lock().unwrap_or_else(PoisonError::into_inner).push(asked);
    }

    /// Whether the request of this number waits.
    pub(crate) fn waits_for_consent(&self, number: u64) -> bool {
        self.consent.0.lock().unwrap_or_else(PoisonError::into_inner).iter().any(|waits| waits.number == number)
    }

    /// The request of this number does not wait any more.
    pub fn consent_settled(&self, number: u64) {
        self.consent.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|waits| waits.number != number);
    }

    /// The reply to a request that is being ended before it has begun, and when; `None` when it is not.
    pub fn ending_reply(&self, number: u64, when: &str) -> Option<Reply> {
        let (code, reason) = self.control.ending(number)?;
        Some(Reply::refused(code, format!("{reason} {when}; nothing of it was run")))
    }

    /// Passes on what the user has answered a client that asked for the request of this id.
    pub(crate) fn consent_from_client(&self, target: &Id, answer: ConsentAnswer) -> Reply {
        let number = self.control.number_of(target).filter(|number| self.waits_for_consent(*number));
        if number.is_some_and(|number| (self.config.consent)(number, answer)) {
            return Reply::of(&serde_json::json!({"state": "answered"}));
        }
        let message = format!("no request with the id {} waits for the user's consent", target.json());
        Reply::refused(ErrorCode::NotFound, message)
    }

    pub(crate) fn consent_status(&self) -> Vec<ConsentRequest> {
        let waiting = self.consent.0.lock().unwrap_or_else(PoisonError::into_inner);
        let told = waiting.iter().map(|waits| ConsentRequest {
            request: waits.number,
            id: waits.id.as_ref().and_then(|id| serde_json::from_str(id.json()).ok()),
            title: waits.title.clone(),
            wants: waits.wants.clone(),
            waiting_secs: waits.since.elapsed().as_secs_f64(),
        });
        told.collect()
    }
}
