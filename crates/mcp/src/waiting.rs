// SPDX-License-Identifier: GPL-3.0-or-later
//! A client that waits for a job: it is told how far that is and what it prints, and its user is asked for consent where
//! Blender wants that and the client can.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rmcp::model::{CallToolResult, ProgressNotificationParam, ProgressToken};
use rmcp::service::{Peer, RequestContext, RoleServer};
use tokio::time::Instant;

use crate::caller::{Heard, Question};
use crate::elicit;
use crate::jobs::Job;
use crate::output::{self, Level};
use crate::server::is_stateless;

/// How the user of a client can be asked something while a call is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asking {
    /// Not at all.
    Never,
    /// By a request of ours.
    Request,
    /// By what the call answers, which the client then repeats with the user's answer.
    Result,
}

/// Why a wait has ended.
pub(crate) enum Waited {
    /// The job is done.
    Done(CallToolResult),
    /// The time is up.
    NotYet,
    /// The user is to be asked by the answer to the call.
    Asks(Arc<Question>),
    /// The client has taken the call back.
    TakenBack,
}

/// See the module.
pub(crate) struct Waiter<'a> {
    context: &'a RequestContext<RoleServer>,
    token: Option<ProgressToken>,
    asking: Asking,
    wants_output: bool,
    told_progress: f64,
}

impl<'a> Waiter<'a> {
    /// Whoever made the call of `context`; `level` is the least severe message that its session wants.
    pub(crate) fn new(context: &'a RequestContext<RoleServer>, level: Option<Level>) -> Self {
        let is_stateless = is_stateless(context);
        let asking = match context.client_capabilities() {
            Some(client) if !elicit::can(&client) => Asking::Never,
            None => Asking::Never,
            Some(_) if is_stateless => Asking::Result,
            Some(_) => Asking::Request,
        };
        Self {
            context,
            token: context.meta.get_progress_token(),
            asking,
            wants_output: output::is_wanted(context, level, is_stateless),
            // Below any value that a script can report.
            told_progress: -1.0,
        }
    }

    /// Waits for the job's end for as long as that. A question to the user stands longer.
    pub(crate) async fn wait(&mut self, job: &Job, longest: Duration) -> Waited {
        let context = self.context;
        let peer = &context.peer;
        let mut heard = job.heard();
        let deadline = Instant::now() + longest;
        let mut ended = std::pin::pin!(job.ended());
        let mut taken_back = std::pin::pin!(context.ct.cancelled());
        loop {
            let (progress, printed, question) = self.news(job, &heard.borrow_and_update());
            // One that was closed without an answer, or is not taken up yet, is not put again.
            if let Some(question) = question
                && self.asking != Asking::Never
                && job.is_first_to_ask(&question)
            {
                if self.asking == Asking::Result {
                    return Waited::Asks(question);
                }
                self.ask(job, question);
            }
            tell(peer, progress, printed).await;
            tokio::select! {
                biased;
                result = &mut ended => {
                    // What it said last is told before its result.
                    let (progress, printed, _) = self.news(job, &heard.borrow_and_update());
                    tell(peer, progress, printed).await;
                    return Waited::Done(result);
                }
                () = &mut taken_back => return Waited::TakenBack,
                changed = heard.changed() => if changed.is_err() {
                    return Waited::Done(ended.await);
                },
                () = tokio::time::sleep_until(deadline) => return Waited::NotYet,
            }
        }
    }

    /// Puts the question to the user, whose answer counts whether the call is still waited for or not.
    fn ask(&self, job: &Job, question: Arc<Question>) {
        let (peer, blender, mut heard) = (self.context.peer.clone(), job.blender().clone(), job.heard());
        let revision = self.context.protocol_version();
        tokio::spawn(async move {
            let id = question.id.clone();
            let is_settled = |heard: &Heard| heard.question.as_ref().is_none_or(|question| question.id != id);
            // The same for a job that has ended.
            let settled = async { drop(heard.wait_for(is_settled).await) };
            if let Some(answer) = elicit::consent(&peer, &question, revision.as_ref(), settled).await {
                // Somebody may have answered in Blender meanwhile, which is as good.
                let _ = blender.consent(&question.id, answer).await;
            }
        });
    }

    /// What is to be told of `heard` that has not been.
    fn news(
        &mut self,
        job: &Job,
        heard: &Heard,
    ) -> (Option<ProgressNotificationParam>, Option<String>, Option<Arc<Question>>) {
        let mut progress = None;
        // MCP wants every value above the last; an animation begins anew with its second frame.
        if let (Some(token), Some(made)) = (&self.token, &heard.progress)
            && made.value > self.told_progress
        {
            self.told_progress = made.value;
            let params = ProgressNotificationParam::new(token.clone(), made.value).with_total(1.0);
            progress = Some(params.with_message(made.message.clone()));
        }
        let printed = self.wants_output.then(|| {
            // Counted with the job: the next wait for it goes on from there.
            let mut told_bytes = job.told_bytes.load(Ordering::Relaxed);
            let printed = heard.printed_since(&mut told_bytes).to_owned();
            job.told_bytes.store(told_bytes, Ordering::Relaxed);
            printed
        });
        let printed = printed.filter(|printed| !printed.is_empty());
        (progress, printed, heard.question.clone())
    }
}

async fn tell(peer: &Peer<RoleServer>, progress: Option<ProgressNotificationParam>, printed: Option<String>) {
    if let Some(progress) = progress {
        // A client that cannot be told any more will not get the result either.
        let _ = peer.notify_progress(progress).await;
    }
    if let Some(printed) = printed {
        output::tell(peer, printed).await;
    }
}
