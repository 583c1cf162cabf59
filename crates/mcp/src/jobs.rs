// SPDX-License-Identifier: GPL-3.0-or-later
//! Calls under way. Each is a job with a task of its own, so that a client need not wait for the end of one: what is not
//! done in time is kept here, and asked for by its number.
//!
//! A job that nobody keeps and nobody waits for is cancelled in Blender.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rmcp::model::{CallToolResult, JsonObject};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::Blender;
use crate::caller::{Caller, Heard, Question};
use crate::defect::caught;
use crate::tools::{Calling, Cancelled, Failure, Progressed, Unfinished};

/// Jobs that are kept; the oldest that are done go first.
const MOST_KEPT: usize = 32;

/// What is shown of the output of a job that still runs.
const SHOWN_OUTPUT_BYTES: usize = 4000;

/// How long Blender is given to end what was cancelled before the model is told that it goes on. Python ends within 0.1 s,
/// once the word has got there.
const CANCELLED_WITHIN: Duration = Duration::from_secs(3);

/// How often to look whether it has.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What runs a tool.
pub(crate) type Call = for<'a> fn(&'a Caller, JsonObject) -> Calling<'a>;

/// One call of a tool.
#[derive(Debug)]
pub(crate) struct Job {
    /// By which it is asked for.
    pub(crate) id: String,
    tool: &'static str,
    blender: Arc<dyn Blender>,
    heard: watch::Receiver<Heard>,
    done: watch::Receiver<Option<CallToolResult>>,
    /// Bytes of its output that whoever waited for it was told.
    pub(crate) told_bytes: AtomicUsize,
    /// Longest result, in bytes of JSON, that whoever began it wants in one answer.
    pub(crate) result_bytes: usize,
    /// The question that some client's user was asked last.
    asked: Mutex<Option<String>>,
    began: Instant,
    task: AbortHandle,
}

impl Drop for Job {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Job {
    /// The Blender that it runs in.
    pub(crate) fn blender(&self) -> &Arc<dyn Blender> {
        &self.blender
    }

    /// Whether nobody was asked this before; from now on somebody was.
    pub(crate) fn is_first_to_ask(&self, question: &Question) -> bool {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.replace(question.id.clone()).is_none_or(|before| before != question.id)
    }

    /// What is heard of it.
    pub(crate) fn heard(&self) -> watch::Receiver<Heard> {
        self.heard.clone()
    }

    /// Waits for its end.
    pub(crate) async fn ended(&self) -> CallToolResult {
        let mut done = self.done.clone();
        match done.wait_for(Option::is_some).await {
            Ok(result) => result.clone(),
            Err(_) => None,
        }
        .unwrap_or_else(|| Failure::cancelled().into_result())
    }

    fn is_done(&self) -> bool {
        // A task that was cancelled has no result.
        self.done.borrow().is_some() || self.done.has_changed().is_err()
    }

    /// How far it is, for the model.
    pub(crate) fn shown(&self) -> Unfinished {
        let heard = self.heard.borrow();
        let progress = heard.progress.as_ref();
        Unfinished {
            status: if self.is_done() { "done" } else { "running" },
            job: self.id.clone(),
            tool: self.tool,
            seconds: (self.began.elapsed().as_secs_f64() * 1000.0).round() / 1000.0,
            output: heard.last_output(SHOWN_OUTPUT_BYTES).to_owned(),
            progress: progress.map(|made| Progressed { value: made.value, message: made.message.clone() }),
            waits_for_consent_to: heard.question.as_ref().map(|question| question.wants.clone()),
        }
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Jobs {
    count: AtomicU64,
    kept: Mutex<VecDeque<Arc<Job>>>,
}

impl Jobs {
    /// Begins a call.
    pub(crate) fn begin(
        &self,
        caller: Caller,
        heard: watch::Receiver<Heard>,
        tool: &'static str,
        call: Call,
        arguments: JsonObject,
        result_bytes: usize,
    ) -> Arc<Job> {
        let blender = caller.blender().clone();
        let (sender, done) = watch::channel(None);
        let task = tokio::spawn(async move {
            let result = caught("mcp_tool", call(&caller, arguments)).await.unwrap_or_else(Failure::into_result);
            // With nobody left to tell, nobody wants to know.
            let _ = sender.send(Some(result));
        });
        let id = format!("job-{}", self.count.fetch_add(1, Ordering::Relaxed) + 1);
        let (told_bytes, began, task) = (AtomicUsize::new(0), Instant::now(), task.abort_handle());
        let asked = Mutex::default();
        Arc::new(Job { id, tool, blender, heard, done, told_bytes, result_bytes, asked, began, task })
    }

    /// Keeps a job that is not done for whoever asks for it.
    ///
    /// # Errors
    /// When too many run; the job is then cancelled with its last owner.
    pub(crate) fn keep(&self, job: &Arc<Job>) -> Result<(), Failure> {
        let mut kept = self.kept();
        if kept.iter().any(|other| Arc::ptr_eq(other, job)) {
            return Ok(());
        }
        if kept.len() >= MOST_KEPT {
            let Some(oldest) = kept.iter().position(|job| job.is_done()) else {
                return Err(Failure::new(format!(
                    "{MOST_KEPT} jobs run already, so this one was cancelled: wait for one with get_job, or end one with \
                     cancel_job"
                )));
            };
            kept.remove(oldest);
        }
        kept.push_back(job.clone());
        Ok(())
    }

    /// The job of this number.
    ///
    /// # Errors
    /// When there is none, with those that there are.
    pub(crate) fn named(&self, id: &str) -> Result<Arc<Job>, Failure> {
        let kept = self.kept();
        kept.iter().find(|job| job.id == id).cloned().ok_or_else(|| {
            let ids: Vec<_> = kept.iter().map(|job| job.id.as_str()).collect();
            let there =
                if ids.is_empty() { "there are none".to_owned() } else { format!("there are {}", ids.join(", ")) };
            Failure::new(format!("there is no job {id:?}; {there}"))
        })
    }

    /// Ends the job of this number.
    ///
    /// # Errors
    /// As [`Self::named`].
    pub(crate) async fn cancel(&self, id: &str) -> Result<Cancelled, Failure> {
        let job = self.named(id)?;
        let was_done = job.is_done();
        let (request, launches) = {
            let heard = job.heard.borrow();
            (heard.request.clone(), heard.launches)
        };
        let runs_in = request.as_ref().and_then(|request| job.blender.of_script(request));
        self.end(&job);
        let (status, message) = match request {
            _ if was_done => ("had ended before", None),
            _ if launches => ("still running", Some(LAUNCHES.to_owned())),
            // It was not sent.
            None => ("cancelled", None),
            Some(request) => ended(runs_in.as_ref().unwrap_or(&job.blender).as_ref(), &request).await,
        };
        Ok(Cancelled { status, job: id.to_owned(), message })
    }

    /// Ends a job, whoever keeps it or waits for it.
    pub(crate) fn end(&self, job: &Arc<Job>) {
        job.task.abort();
        self.kept().retain(|kept| !Arc::ptr_eq(kept, job));
    }

    /// All of them, newest last.
    pub(crate) fn list(&self) -> Value {
        let jobs: Vec<_> = self.kept().iter().map(|job| job.shown()).collect();
        json!({"jobs": jobs})
    }

    fn kept(&self) -> MutexGuard<'_, VecDeque<Arc<Job>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is said of a start of Blender that was cancelled: nobody waits for it any longer, that is all.
const LAUNCHES: &str =
    "Blender is being started and comes up all the same: list_blender_instances says when it is there";

/// What became of a script that was cancelled, and what to make of that.
async fn ended(blender: &dyn Blender, script: &str) -> (&'static str, Option<String>) {
    if blender.foreign().is_some() {
        return (
            "still running",
            Some("the add-on at the port cannot cancel: the script goes on to its end".to_owned()),
        );
    }
    let deadline = Instant::now() + CANCELLED_WITHIN;
    loop {
        let running = match blender.status().await {
            Ok(status) => status.running.filter(|running| running.id.as_ref().is_some_and(|id| id == script)),
            Err(why) => return ("unknown", Some(format!("Blender does not say whether the script has ended: {why}"))),
        };
        let Some(running) = running else { return ("cancelled", None) };
        if Instant::now() >= deadline {
            let message = format!(
                "Blender is inside a call that cannot be interrupted ({}); the script ends when that returns. \
                 get_blender_status says when",
                running.first_line
            );
            return ("still running", Some(message));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
