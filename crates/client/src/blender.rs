// SPDX-License-Identifier: GPL-3.0-or-later
//! A Blender that may or may not be there: connects at the first call and again whenever that is safe.
//!
//! Scripts take turns, so that they run in the order in which they were asked for. A turn ends when Blender has begun with the
//! script: what waits for a render in another process, or for its user's word, keeps nobody from sending the next one, which then
//! goes over another connection. Questions about the server have connections of their own and are answered while a script runs.
//!
//! Requests go out framed. To a server that then keeps silent the first question of mcp-for-blender's is put beside it; where
//! that is answered, the framed request was not understood, was not run, and goes the other way (`bare`).

use std::sync::{Arc, Mutex as Known, PoisonError};
use std::time::Duration;

use blendwire_protocol::{ClientExecute, ClientReply, ClientRequest, ConsentAnswer, Event, SentBy, Status};
use bytes::Bytes;
use tokio::sync::MutexGuard;

use crate::bare::{self, Bare};
use crate::connection::{Connection, OnEvent};
use crate::lane::{InUse, Lane};
use crate::{Access, ClientError, Endpoint, Options, Outcome, Refusal, Script, ServerKind, Tls};

/// The server answers `status` and `ping` in milliseconds without Blender's main thread; this is for slow networks.
const STATUS_TIMEOUT: Duration = Duration::from_secs(5);

/// How long an add-on of mcp-for-blender may be busy before it is taken for gone.
const BUSY_TIMEOUT: Duration = Duration::from_mins(1);

/// Up to this much of an unknown answer is shown.
const SHOWN_CHARS: usize = 80;

/// A remote Blender.
#[derive(Debug)]
pub struct Blender {
    endpoint: Endpoint,
    access: Access,
    /// How long a connection is kept that nothing goes over; `None`: as long as the server keeps it.
    kept_for: Option<Duration>,
    scripts: Arc<Lane>,
    questions: Arc<Lane>,
    /// Who answered last; `None` before the first answer.
    server: Known<Option<ServerKind>>,
}

/// Cancels a request whose caller has gone away before its end, over a connection of its own.
struct CancelOnDrop<'a> {
    /// `None` once there is nothing to cancel.
    blender: Option<&'a Blender>,
    id: &'a str,
}

impl Drop for CancelOnDrop<'_> {
    fn drop(&mut self) {
        let Some(blender) = self.blender else { return };
        // Without a runtime the whole program is ending, and nobody could send anything.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let (blender, id) = (blender.another(), self.id.to_owned());
        runtime.spawn(async move {
            // A server that cannot cancel, or a script that has ended by now: either way nothing is left to do.
            let _ = blender.cancel(&id).await;
        });
    }
}

impl Blender {
    /// A Blender at `endpoint`. Touches no network: that happens at the first call.
    pub fn connect_lazily(endpoint: Endpoint) -> Self {
        Self::with_access(endpoint, Access::default())
    }

    /// The same for a server that wants more than to be connected to.
    pub fn with_access(endpoint: Endpoint, access: Access) -> Self {
        let (kept_for, scripts, questions, server) = Default::default();
        Self { endpoint, access, kept_for, scripts, questions, server }
    }

    /// The same, which ends connections that nothing has gone over for this long: for a caller that may never call again
    /// and does not say so. New ones bring the token at once, where there is one, so that it is not asked for again and again.
    #[must_use]
    pub fn kept_for(self, idle: Duration) -> Self {
        Self { kept_for: Some(idle), ..self }
    }

    /// The same Blender over connections of its own.
    fn another(&self) -> Self {
        Self::with_access(self.endpoint.clone(), self.access.clone())
    }

    /// Where it is.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// What kind of server has answered; `None` before the first answer.
    pub fn server(&self) -> Option<ServerKind> {
        *self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_server(&self, server: Option<ServerKind>) {
        *self.server.lock().unwrap_or_else(PoisonError::into_inner) = server;
    }

    /// Whether there is a connection now that a call would go over.
    pub fn is_connected(&self) -> bool {
        self.scripts.is_open() || self.questions.is_open()
    }

    /// Runs `code` on Blender's main thread and waits for its end, however long that takes.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub async fn execute(&self, code: &str) -> Result<Outcome, ClientError> {
        self.run(&Script::new(code)).await
    }

    /// Runs a script on Blender's main thread and waits for its end or its time limit. Dropping the future cancels the
    /// script in Blender.
    ///
    /// # Errors
    /// When no reply came. A script that raised is [`Outcome::Failed`], not an error.
    pub async fn run(&self, script: &Script<'_>) -> Result<Outcome, ClientError> {
        self.send_script(script, None).await
    }

    /// The same, and `on_event` is told meanwhile what the script prints and how far it is. Servers of other kinds tell
    /// nothing.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub async fn run_watched(
        &self,
        script: &Script<'_>,
        mut on_event: impl FnMut(Event) + Send,
    ) -> Result<Outcome, ClientError> {
        self.send_script(script, Some(&mut on_event)).await
    }

    async fn send_script(&self, script: &Script<'_>, on_event: Option<OnEvent<'_>>) -> Result<Outcome, ClientError> {
        let Options { timeout, title, session, echo, rollback, changes, no_undo_step, sent_by } = script.options;
        let request = ClientRequest::Execute(ClientExecute {
            code: script.code,
            strict_json: false,
            id: Some(&script.id),
            timeout_secs: timeout.map(|timeout| timeout.as_secs_f64()),
            stream: on_event.is_some(),
            title,
            session,
            echo,
            on_error: rollback.then_some("rollback"),
            changes,
            undo_step: no_undo_step.then_some(false),
            sent_by,
        });
        let mut cancel = CancelOnDrop { blender: Some(self), id: &script.id };
        let reply = self.call(&self.scripts, &request, on_event).await;
        cancel.blender = None;
        let outcome = self.outcome(&reply?)?;
        if self.server().is_none() {
            // The script had an id, and one of ours would have given it back.
            self.is_server(Some(ServerKind::Official));
        }
        Ok(outcome)
    }

    /// Undoes up to `steps` of Blender's steps, whoever made them, under the name `id`, which is used once ([`crate::unique_id`]).
    /// The result is `{"steps": how many there were}`. Dropping the future takes it out of Blender's queue.
    ///
    /// # Errors
    /// When no reply came, or when the server cannot do that. That there was nothing to undo is [`Outcome::Failed`].
    pub async fn undo(&self, steps: u32, id: &str, sent_by: SentBy<'_>) -> Result<Outcome, ClientError> {
        self.travel(&ClientRequest::Undo { id: Some(id), steps, sent_by }, id, "undo").await
    }

    /// The same the other way.
    ///
    /// # Errors
    /// As [`Self::undo`].
    pub async fn redo(&self, steps: u32, id: &str, sent_by: SentBy<'_>) -> Result<Outcome, ClientError> {
        self.travel(&ClientRequest::Redo { id: Some(id), steps, sent_by }, id, "redo").await
    }

    async fn travel(&self, request: &ClientRequest<'_>, id: &str, asked: &'static str) -> Result<Outcome, ClientError> {
        let mut cancel = CancelOnDrop { blender: Some(self), id };
        let reply = self.call(&self.scripts, request, None).await;
        cancel.blender = None;
        match self.outcome(&reply?)? {
            // Ours says of each of its refusals of what kind it is.
            Outcome::Failed { message, code: None, .. } => {
                Err(ClientError::Unsupported { endpoint: self.endpoint.clone(), asked, message })
            }
            outcome => Ok(outcome),
        }
    }

    /// Takes the script of this id out of the queue, or interrupts it. Its own reply comes where it is waited for.
    ///
    /// # Errors
    /// When no reply came, and [`ClientError::Unsupported`] when there is no such script (any more) or when the server
    /// cannot do that.
    pub async fn cancel(&self, id: &str) -> Result<(), ClientError> {
        self.question(&ClientRequest::Cancel { id }, "cancel").await.map(drop)
    }

    /// Answers for the user the script of this id, which waits for consent.
    ///
    /// # Errors
    /// As [`Self::cancel`].
    pub async fn consent(&self, id: &str, answer: ConsentAnswer) -> Result<(), ClientError> {
        self.question(&ClientRequest::Consent { id, answer }, "consent").await.map(drop)
    }

    /// What the server and Blender are doing, answered also while a script runs.
    ///
    /// # Errors
    /// When no reply came, or when the server is one that has no status.
    pub async fn status(&self) -> Result<Status, ClientError> {
        let (endpoint, asked) = (self.endpoint.clone(), "status");
        let result = self.question(&ClientRequest::Status, asked).await?;
        serde_json::from_str(result.get()).map_err(|_| match core_version(result.get()) {
            Some(core) => {
                self.is_server(Some(ServerKind::Blendwire));
                ClientError::OtherVersion { endpoint, asked, core }
            }
            None => ClientError::Unsupported { endpoint, asked, message: shown(result.get().as_bytes()) },
        })
    }

    /// Whether the server is there and speaks this protocol.
    ///
    /// # Errors
    /// As [`Self::status`].
    pub async fn ping(&self) -> Result<(), ClientError> {
        self.question(&ClientRequest::Ping, "ping").await.map(drop)
    }

    async fn question(
        &self,
        request: &ClientRequest<'_>,
        asked: &'static str,
    ) -> Result<Box<serde_json::value::RawValue>, ClientError> {
        let endpoint = self.endpoint.clone();
        let reply = match tokio::time::timeout(STATUS_TIMEOUT, self.call(&self.questions, request, None)).await {
            Ok(reply) => reply?,
            Err(_) => return Err(ClientError::AnswerTimeout { endpoint, asked, timeout: STATUS_TIMEOUT }),
        };
        match self.outcome(&reply)? {
            Outcome::Finished { result, .. } => Ok(result),
            Outcome::Failed { message, code, .. } => Err(match code.as_deref().and_then(Refusal::of_code) {
                Some(refusal) => ClientError::TurnedAway { endpoint, refusal, message },
                None => ClientError::Unsupported { endpoint, asked, message },
            }),
        }
    }

    /// Sends `request` the way that the server there understands.
    async fn call(
        &self,
        lane: &Arc<Lane>,
        request: &ClientRequest<'_>,
        on_event: Option<OnEvent<'_>>,
    ) -> Result<Bytes, ClientError> {
        let mut turn = Some(lane.turn.lock().await);
        if self.server() == Some(ServerKind::McpForBlender) {
            let there = tokio::time::timeout(BUSY_TIMEOUT, Bare::open(&self.endpoint)).await;
            if let Some(bare) = there.unwrap_or(Ok(None))? {
                return self.call_bare(bare, request, turn).await;
            }
            // It has gone, and another may be there.
            self.is_server(None);
        }
        tokio::select! {
            biased;
            reply = self.call_framed(lane, request, on_event, &mut turn) => reply,
            Some(bare) = self.bare_instead() => {
                self.is_server(Some(ServerKind::McpForBlender));
                self.call_bare(bare, request, turn).await
            }
        }
    }

    /// Once the server has been silent for long: a connection to it, where it is one of mcp-for-blender's.
    async fn bare_instead(&self) -> Option<Bare> {
        loop {
            tokio::time::sleep(bare::SILENCE).await;
            // Another call may have found out meanwhile that it is one of them.
            if self.access.tls != Tls::Off || self.server().is_some_and(|server| server != ServerKind::McpForBlender) {
                return None;
            }
            // One that refuses a connection now may take the next; its answers are waited for.
            if let Ok(found) = Bare::open(&self.endpoint).await {
                return found;
            }
        }
    }

    /// `turn` is over when the script has run, whether its answer is there or to be waited for.
    async fn call_bare(
        &self,
        bare: Bare,
        request: &ClientRequest<'_>,
        turn: Option<MutexGuard<'_, ()>>,
    ) -> Result<Bytes, ClientError> {
        let asked = match request {
            ClientRequest::Execute(execute) => match (execute.session, execute.on_error) {
                (None, None) => return bare.execute(execute.code, execute.id.unwrap_or_default(), turn).await,
                (Some(_), _) => "session that scripts share",
                (None, Some(_)) => "rollback",
            },
            ClientRequest::Undo { .. } => "undo",
            ClientRequest::Redo { .. } => "redo",
            ClientRequest::Cancel { .. } => "way to cancel a script",
            ClientRequest::Consent { .. } => "consent",
            ClientRequest::Outcome { .. } => "outcome of earlier requests",
            ClientRequest::Hello { .. } => "hello",
            ClientRequest::Status => "status",
            ClientRequest::Ping => "ping",
        };
        Err(ClientError::ScriptsOnly { endpoint: self.endpoint.clone(), asked })
    }

    /// Whether the server ends each connection with its reply. It does so a moment later, in which the connection still looks
    /// sound, and a second request would be lost.
    fn ends_connections(&self) -> bool {
        self.server() == Some(ServerKind::Official)
    }

    /// Sends on a connection of the lane's if one is sound, else on a new one. It is taken out meanwhile: a caller that goes
    /// away half-way takes it with it, and no other call meets a late answer.
    async fn call_framed(
        &self,
        lane: &Arc<Lane>,
        request: &ClientRequest<'_>,
        mut on_event: Option<OnEvent<'_>>,
        turn: &mut Option<MutexGuard<'_, ()>>,
    ) -> Result<Bytes, ClientError> {
        let in_use = InUse::begin(lane);
        // One of a server that ends each connection with its reply still looks sound for a moment.
        let kept = lane.take().filter(|_| !self.ends_connections());
        let mut connection = if let Some(connection) = kept {
            connection
        } else {
            let opened = self.open().await?;
            if lane.calls() == 1 {
                // It may not be the server of before, unless that is answering somebody.
                self.is_server(None);
            }
            opened
        };
        let request = request.encode();
        let mut reply = self.send(&mut connection, &request, &mut on_event, turn).await?;
        if unauthorized(&reply).is_some() {
            // The server has said that nothing was done, so this is no second time. Its token may have been replaced since
            // this connection proved itself.
            connection = self.connect_and_prove().await?;
            reply = self.send(&mut connection, &request, &mut on_event, turn).await?;
            if let Some(message) = unauthorized(&reply) {
                let (endpoint, refusal) = (self.endpoint.clone(), Refusal::Token);
                return Err(ClientError::TurnedAway { endpoint, refusal, message });
            }
        }
        drop(in_use);
        lane.keep(connection, self.kept_for);
        Ok(reply)
    }

    /// Sends a request whose caller has the turn, and gives that to the next as soon as Blender has begun.
    async fn send(
        &self,
        connection: &mut Connection,
        request: &[u8],
        on_event: &mut Option<OnEvent<'_>>,
        turn: &mut Option<MutexGuard<'_, ()>>,
    ) -> Result<Bytes, ClientError> {
        let Some(on_event) = on_event else { return connection.call(request, None).await };
        let mut on_event = |event: Event| {
            // Only a server of ours says anything before its reply.
            self.is_server(Some(ServerKind::Blendwire));
            if matches!(event, Event::Started | Event::Consent { .. }) {
                *turn = None;
            }
            on_event(event);
        };
        connection.call(request, Some(&mut on_event)).await
    }

    async fn open(&self) -> Result<Connection, ClientError> {
        if self.kept_for.is_some() {
            match self.connect_and_prove().await {
                Err(ClientError::NoToken { .. }) => {}
                opened => return opened,
            }
        }
        Connection::open(&self.endpoint, &self.access.tls).await
    }

    async fn connect_and_prove(&self) -> Result<Connection, ClientError> {
        let no_token = |why| ClientError::NoToken { endpoint: self.endpoint.clone(), why };
        if self.access.tls == Tls::Off && !self.endpoint.is_this_machine() {
            // A server of ours never asks for it there: somebody else does.
            return Err(no_token("which is never sent to another machine outside TLS: leave out --plain".to_owned()));
        }
        let token = self.access.token.read().map_err(no_token)?;
        let mut connection = Connection::open(&self.endpoint, &self.access.tls).await?;
        connection.prove(&token).await?;
        Ok(connection)
    }

    fn outcome(&self, reply: &[u8]) -> Result<Outcome, ClientError> {
        let foreign = |why| ClientError::NotOurProtocol { endpoint: self.endpoint.clone(), why, began: shown(reply) };
        let reply = ClientReply::parse(reply).map_err(|_| foreign("its answer is no JSON reply"))?;
        if reply.id.is_some() || reply.error.is_some() {
            self.is_server(Some(ServerKind::Blendwire));
        }
        Outcome::from_reply(reply).ok_or_else(|| foreign("its answer has another `status` than ok or error"))
    }
}

/// What the server said, where it wants the token first.
fn unauthorized(reply: &[u8]) -> Option<String> {
    const LONGEST_BYTES: usize = 4096;
    if reply.len() > LONGEST_BYTES {
        return None;
    }
    let reply = ClientReply::parse(reply).ok()?;
    let is_meant = reply.error.is_some_and(|error| error.code == "unauthorized");
    is_meant.then(|| reply.message.unwrap_or_default())
}

/// The version that a server of ours says of itself, whatever else its status is like.
fn core_version(status: &str) -> Option<String> {
    let status: serde_json::Value = serde_json::from_str(status).ok()?;
    Some(shown(status["versions"]["core"].as_str()?.as_bytes()))
}

fn shown(text: &[u8]) -> String {
    String::from_utf8_lossy(&text[..text.len().min(4 * SHOWN_CHARS)]).chars().take(SHOWN_CHARS).collect()
}
