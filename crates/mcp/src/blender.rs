// SPDX-License-Identifier: GPL-3.0-or-later
//! The Blender that the tools drive, as a trait, so that the same tools serve over a wire and inside Blender.

use std::fmt::Debug;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use blendwire_client::{ClientError, Event, Outcome, Script, SentBy, ServerKind};
use blendwire_protocol::{ConsentAnswer, Instance, Status};

/// A call under way.
pub type Call<'a, T> = Pin<Box<dyn Future<Output = Result<T, NoReply>> + Send + 'a>>;

/// Is told what a script says before its end.
pub type OnEvent<'a> = Box<dyn FnMut(Event) + Send + 'a>;

/// No reply came; the text says why and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NoReply(pub String);

/// For a server that lives in one Blender, or was made for one.
const ONLY_ONE: &str = "this server drives one Blender and knows of no others";

/// Which way through Blender's undo history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Travel {
    /// Back.
    Undo,
    /// Forth again.
    Redo,
}

/// The Blenders that could be driven.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Running {
    /// Those that run, newest first.
    pub instances: Vec<Instance>,
    /// Id of the one that the next call goes to, where that is one of them.
    pub current: Option<String>,
}

/// How a Blender is to be started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Launch {
    /// The .blend file to open.
    pub file: Option<PathBuf>,
    /// Without a window.
    pub background: bool,
}

/// A Blender that takes scripts.
pub trait Blender: Send + Sync + Debug {
    /// Runs a script on Blender's main thread and waits for its end; `on_event` is told what comes before.
    fn run<'a>(&'a self, script: Script<'a>, on_event: Option<OnEvent<'a>>) -> Call<'a, Outcome>;

    /// Undoes or redoes up to `steps` steps under the name `id`; the result is `{"steps": how many there were}`.
    fn travel<'a>(&'a self, way: Travel, steps: u32, id: &'a str, sent_by: SentBy<'a>) -> Call<'a, Outcome>;

    /// Answers for the user the script of this id, which waits for consent.
    fn consent<'a>(&'a self, id: &'a str, answer: ConsentAnswer) -> Call<'a, ()>;

    /// What Blender and the server in it are doing; answered also while a script runs.
    fn status(&self) -> Call<'_, Status>;

    /// The one Blender that the request of this id is under way in; `None` where this is one Blender only.
    fn of_script(&self, _id: &str) -> Option<Arc<dyn Blender>> {
        None
    }

    /// What the model is to know of the server that answered last, where that is none of this project.
    fn foreign(&self) -> Option<String> {
        None
    }

    /// The Blenders that there are to choose from. Looks at files and waits for nobody.
    ///
    /// # Errors
    /// When it cannot be found out.
    fn instances(&self) -> Result<Running, NoReply> {
        Err(NoReply(ONLY_ONE.to_owned()))
    }

    /// The same for one client alone, whose choice of a Blender is no other client's. `None` where there is nothing to
    /// choose.
    fn for_session(&self) -> Option<Arc<dyn Blender>> {
        None
    }

    /// Has all further calls go to the Blender that `id` names: its id or the beginning of that, its process or its port.
    ///
    /// # Errors
    /// When none or several fit, with those that run.
    fn select(&self, _id: &str) -> Result<Instance, NoReply> {
        Err(NoReply(ONLY_ONE.to_owned()))
    }

    /// Starts a Blender on this machine and has all further calls go to it; its status once it answers.
    fn launch(&self, _launch: Launch) -> Call<'_, Status> {
        Box::pin(async {
            Err(NoReply("this server lives inside a Blender that runs already; use that one".to_owned()))
        })
    }
}

impl Blender for blendwire_client::Blender {
    fn run<'a>(&'a self, script: Script<'a>, on_event: Option<OnEvent<'a>>) -> Call<'a, Outcome> {
        Box::pin(async move {
            let outcome = match on_event {
                Some(on_event) => self.run_watched(&script, on_event).await,
                None => self.run(&script).await,
            };
            outcome.map_err(NoReply::from)
        })
    }

    fn travel<'a>(&'a self, way: Travel, steps: u32, id: &'a str, sent_by: SentBy<'a>) -> Call<'a, Outcome> {
        Box::pin(async move {
            let outcome = match way {
                Travel::Undo => self.undo(steps, id, sent_by).await,
                Travel::Redo => self.redo(steps, id, sent_by).await,
            };
            outcome.map_err(NoReply::from)
        })
    }

    fn consent<'a>(&'a self, id: &'a str, answer: ConsentAnswer) -> Call<'a, ()> {
        Box::pin(async move { self.consent(id, answer).await.map_err(NoReply::from) })
    }

    fn status(&self) -> Call<'_, Status> {
        Box::pin(async { self.status().await.map_err(NoReply::from) })
    }

    fn foreign(&self) -> Option<String> {
        let kind = self.server().filter(|kind| *kind != ServerKind::Blendwire)?;
        Some(format!(
            "At {} is {kind}, and not Blendwire: scripts, summaries and pictures work; status, undo, rollback, cancelling, \
             progress and lists of changes need Blendwire's add-on.",
            self.endpoint()
        ))
    }
}

impl From<ClientError> for NoReply {
    fn from(error: ClientError) -> Self {
        match error {
            // Those who read the others' words have a shell, a model has tools.
            ClientError::Refused { endpoint } if endpoint.is_this_machine() => Self(format!(
                "nothing listens at {endpoint}: no Blender with its MCP server on runs there. With the user's leave, call \
                 launch_blender, which starts one; or have the user start Blender and its server (in the 3D View press N, tab \
                 MCP, Start). The next call connects by itself"
            )),
            error => Self(error.to_string()),
        }
    }
}
