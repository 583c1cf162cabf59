// SPDX-License-Identifier: GPL-3.0-or-later
//! The Blender of one MCP session. It is looked for whenever there is no connection, so that Blenders may come and go while
//! the session lasts; the one that the session talks to is kept for as long as it runs, whichever others start.
//!
//! Over HTTP each session has its own. Clients that keep no session share one, in which none of them can choose for the
//! others.

use std::collections::HashMap;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, Result, bail};
use blendwire_client::{Blender, Endpoint, Outcome, Script, SentBy};
use blendwire_mcp::{Call, Launch, NoReply, OnEvent, Running, Travel};
use blendwire_protocol::{ConsentAnswer, Instance, Status};

use crate::args::EndpointArgs;
use crate::endpoint::{Said, Source, Target, Wanted};
use crate::instances::Advice;
use crate::{access, instances};

/// What the model does when it is not clear which Blender is meant.
const ADVICE: Advice = Advice {
    choose: "call select_blender_instance with the ID of the one that the user means; ask the user if that is not clear",
    start: "with the user's leave, launch_blender starts one",
};

/// The same where the next call would not know of a choice.
const ADVICE_WITHOUT_SESSION: Advice = Advice {
    choose: "this client keeps no session in which a choice would last: have the user end the others, or start `blendwire \
        mcp --http` with --instance",
    ..ADVICE
};

/// By what the model says which one it means.
const SELECTED: Source = Source::Option("select_blender_instance");

/// See the module.
#[derive(Debug)]
pub(crate) struct Followed {
    args: EndpointArgs,
    wanted: Wanted,
    /// Whether it is one client's own, where a choice can last.
    is_of_session: bool,
    state: Mutex<State>,
    /// Which Blender runs the scripts under way: another may be chosen meanwhile.
    running: Mutex<HashMap<String, Arc<Blender>>>,
}

/// A script under way, until it is dropped.
struct UnderWay<'a> {
    followed: &'a Followed,
    id: String,
}

#[derive(Debug, Default)]
struct State {
    /// Id of the one that the model has selected.
    selected: Option<String>,
    current: Option<Current>,
}

#[derive(Debug)]
struct Current {
    blender: Arc<Blender>,
    /// `None` where it was not found by its descriptor.
    instance: Option<String>,
}

impl Followed {
    /// Reads options and environment, and looks for no Blender yet.
    ///
    /// # Errors
    /// When one of them is wrong.
    pub(crate) fn new(args: &EndpointArgs) -> Result<Self> {
        Self::with_session(args, true)
    }

    /// The same for all clients of a server over HTTP that keep no session; each of the others gets
    /// [`blendwire_mcp::Blender::for_session`].
    ///
    /// # Errors
    /// As [`Self::new`].
    pub(crate) fn without_session(args: &EndpointArgs) -> Result<Self> {
        Self::with_session(args, false)
    }

    fn with_session(args: &EndpointArgs, is_of_session: bool) -> Result<Self> {
        let wanted = Wanted::read(args)?;
        // What is wrong with token or certificate is said now, and not to the model.
        access::read(&args.access, &wanted, &Endpoint::default())?;
        Ok(Self::of(args.clone(), wanted, is_of_session))
    }

    fn of(args: EndpointArgs, wanted: Wanted, is_of_session: bool) -> Self {
        Self { args, wanted, is_of_session, state: Mutex::default(), running: Mutex::default() }
    }

    fn advice(&self) -> Advice {
        if self.is_of_session { ADVICE } else { ADVICE_WITHOUT_SESSION }
    }

    /// The one to talk to now.
    fn blender(&self) -> Result<Arc<Blender>, NoReply> {
        self.follow(&mut self.state()).map_err(|error| NoReply(format!("{error:#}")))
    }

    fn follow(&self, state: &mut State) -> Result<Arc<Blender>> {
        if let Some(current) = state.current.as_ref().filter(|current| current.is_there()) {
            return Ok(current.blender.clone());
        }
        let wanted = match &state.selected {
            Some(id) => &Wanted::instance(id, SELECTED),
            None => &self.wanted,
        };
        let Target { endpoint, instance } = wanted.find(self.advice())?;
        let same = state.current.take().filter(|current| *current.blender.endpoint() == endpoint);
        let blender = if let Some(current) = same {
            current.blender
        } else {
            let access = access::read(&self.args.access, wanted, &endpoint)?;
            Arc::new(Blender::with_access(endpoint, access))
        };
        state.current =
            Some(Current { blender: blender.clone(), instance: instance.map(|instance| instance.instance) });
        Ok(blender)
    }

    /// The command that starts a Blender where this session looks for one.
    fn launching(&self, launch: &Launch) -> Result<Command> {
        let mut command =
            Command::new(std::env::current_exe().context("where this program is the system does not say")?);
        command.args(["launch", "--json"]);
        if let Some(Said { value: host, .. }) = &self.wanted.host {
            let endpoint = Endpoint::new(host, 0);
            if !endpoint.is_this_machine() {
                bail!("this session drives the Blender on {host}, and a program can be started on this machine only");
            }
            command.args(["--host", host]);
        }
        if let Some(Said { value: port, .. }) = &self.wanted.port {
            command.args(["--port", &port.to_string()]);
        }
        if launch.background {
            command.arg("--background");
        }
        // What begins with a dash is a file all the same.
        command.arg("--").args(&launch.file).stdin(Stdio::null());
        Ok(command)
    }

    /// Notes which Blender a request runs in.
    fn begin(&self, id: &str, blender: &Arc<Blender>) -> UnderWay<'_> {
        self.running().insert(id.to_owned(), blender.clone());
        UnderWay { followed: self, id: id.to_owned() }
    }

    fn running(&self) -> MutexGuard<'_, HashMap<String, Arc<Blender>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.followed.running().remove(&self.id);
    }
}

impl Current {
    /// Whether it is connected, or known to run.
    fn is_there(&self) -> bool {
        let runs = |id: &String| {
            instances::look().is_ok_and(|found| found.running.iter().any(|instance| instance.instance == *id))
        };
        self.blender.is_connected() || self.instance.as_ref().is_some_and(runs)
    }
}

impl blendwire_mcp::Blender for Followed {
    fn run<'a>(&'a self, script: Script<'a>, on_event: Option<OnEvent<'a>>) -> Call<'a, Outcome> {
        Box::pin(async move {
            let blender = self.blender()?;
            let _running = self.begin(script.id(), &blender);
            blendwire_mcp::Blender::run(&*blender, script, on_event).await
        })
    }

    fn travel<'a>(&'a self, way: Travel, steps: u32, id: &'a str, sent_by: SentBy<'a>) -> Call<'a, Outcome> {
        Box::pin(async move {
            let blender = self.blender()?;
            let _running = self.begin(id, &blender);
            blendwire_mcp::Blender::travel(&*blender, way, steps, id, sent_by).await
        })
    }

    fn consent<'a>(&'a self, id: &'a str, answer: ConsentAnswer) -> Call<'a, ()> {
        Box::pin(async move {
            let asks = self.running().get(id).cloned();
            let blender = asks.map_or_else(|| self.blender(), Ok)?;
            blendwire_mcp::Blender::consent(&*blender, id, answer).await
        })
    }

    fn of_script(&self, id: &str) -> Option<Arc<dyn blendwire_mcp::Blender>> {
        self.running().get(id).map(|blender| blender.clone() as Arc<dyn blendwire_mcp::Blender>)
    }

    fn status(&self) -> Call<'_, Status> {
        Box::pin(async move { blendwire_mcp::Blender::status(&*self.blender()?).await })
    }

    fn foreign(&self) -> Option<String> {
        let blender = self.state().current.as_ref().map(|current| current.blender.clone())?;
        blendwire_mcp::Blender::foreign(&*blender)
    }

    fn instances(&self) -> Result<Running, NoReply> {
        let instances = instances::look().map_err(|error| NoReply(format!("{error:#}")))?.running;
        // Where it is not clear which one the next call goes to, none is.
        let next = self.follow(&mut self.state()).ok().map(|blender| blender.endpoint().clone());
        let is_next = |instance: &&Instance| {
            let port = Endpoint::of_instance(instance).map(|endpoint| endpoint.port);
            next.as_ref().is_some_and(|next| next.is_this_machine() && Some(next.port) == port)
        };
        let current = instances.iter().find(is_next).map(|instance| instance.instance.clone());
        Ok(Running { instances, current })
    }

    fn for_session(&self) -> Option<Arc<dyn blendwire_mcp::Blender>> {
        Some(Arc::new(Self::of(self.args.clone(), self.wanted.clone(), true)))
    }

    fn select(&self, id: &str) -> Result<Instance, NoReply> {
        if !self.is_of_session {
            return Err(NoReply(ADVICE_WITHOUT_SESSION.choose.to_owned()));
        }
        let target = Wanted::instance(id, SELECTED).find(ADVICE).map_err(|error| NoReply(format!("{error:#}")))?;
        let instance = target.instance.ok_or_else(|| NoReply("no Blender runs that can be found".to_owned()))?;
        let mut state = self.state();
        state.current.take_if(|current| current.instance.as_ref() != Some(&instance.instance));
        state.selected = Some(instance.instance.clone());
        Ok(instance)
    }

    fn launch(&self, launch: Launch) -> Call<'_, Status> {
        Box::pin(async move {
            let words = |error: anyhow::Error| NoReply(format!("{error:#}"));
            if let Ok(blender) = self.blender()
                && blender.status().await.is_ok()
            {
                let at = blender.endpoint();
                return Err(NoReply(format!(
                    "a Blender answers at {at} already: use that one, or have the user end it"
                )));
            }
            let command = self.launching(&launch).map_err(words)?;
            let launched = tokio::task::spawn_blocking(move || launched(command)).await;
            let pid = launched.map_err(|error| NoReply(error.to_string()))?.map_err(words)?;
            // Whichever others run, and whichever was chosen before: this is the one that the model has just started.
            if self.wanted.port.is_some() {
                self.state().selected = None;
            } else if self.is_of_session {
                blendwire_mcp::Blender::select(self, &pid.to_string())?;
            }
            blendwire_mcp::Blender::status(&*self.blender()?).await
        })
    }
}

/// Starts Blender by the command that people start it with, and gives its process.
fn launched(mut command: Command) -> Result<u64> {
    let output = command.output().context("cannot start this program a second time")?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        bail!("Blender could not be started: {}", words.trim());
    }
    let told: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    told["pid"].as_u64().context("the start of Blender gave no process id")
}
