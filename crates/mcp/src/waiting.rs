// SPDX-License-Identifier: GPL-3.0-or-later
//! A client that waits for a job: it is told how far that is and what it prints, and its user is asked for consent where
//! Blender wants that and the client can.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use blendwire_protocol::ConsentAnswer;
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

type Asked<'a> = Pin<Box<dyn Future<Output = Option<ConsentAnswer>> + Send + 'a>>;

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

    /// Waits for the job's end for as long as that; longer only while the user is being asked.
    pub(crate) async fn wait(&mut self, job: &Job, longest: Duration) -> Waited {
        let context = self.context;
        let peer = &context.peer;
        let mut heard = job.heard();
        let deadline = Instant::now() + longest;
        let mut asked: Option<(Arc<Question>, Asked<'_>)> = None;
        let mut ended = std::pin::pin!(job.ended());
        let mut taken_back = std::pin::pin!(context.ct.cancelled());
        loop {
            let (progress, printed, question) = self.news(job, &heard.borrow_and_update());
            match (question, self.asking) {
                (Some(question), Asking::Result) => return Waited::Asks(question),
                (Some(question), Asking::Request)
                    if asked.as_ref().is_none_or(|(asked, _)| !Arc::ptr_eq(asked, &question)) =>
                {
                    let about = question.clone();
                    asked = Some((question, Box::pin(async move { elicit::consent(peer, &about).await })));
                }
                (None, _) => asked = None,
                _ => {}
            }
            tell(peer, progress, printed).await;
            let is_asking = asked.is_some();
            let answered = async {
                match &mut asked {
                    Some((question, asking)) => (question.clone(), asking.await),
                    None => std::future::pending().await,
                }
            };
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
                (question, answer) = answered => {
                    // A client that closes the question without an answer leaves it to Blender's own.
                    if let Some(answer) = answer {
                        // Somebody may have answered in Blender meanwhile, which is as good.
                        let _ = job.blender().consent(&question.id, answer).await;
                    }
                    asked = Some((question, Box::pin(std::future::pending())));
                }
                () = tokio::time::sleep_until(deadline), if !is_asking => return Waited::NotYet,
            }
        }
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
