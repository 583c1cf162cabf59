// SPDX-License-Identifier: GPL-3.0-or-later
//! OpenSSH's client as a child process.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use blendwire_client::{Access, Blender, ClientError, Refusal, Tls, TokenSource};
use blendwire_protocol::Token;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStderr, Command};
use tokio::task::JoinHandle;

use super::explain::{Trouble, explain, leads_nowhere};
use crate::{env_vars, printer};

/// How often to look whether the other end answers.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// From the end of a connection through the tunnel to ssh's saying why.
const SAYS_WITHIN: Duration = Duration::from_secs(1);

/// For a polite end, which gives the terminal back as it was.
const END_WITHIN: Duration = Duration::from_secs(2);

/// What is kept of what it says.
const KEPT_LINES: usize = 100;

/// What ssh is told, unless the user tells it otherwise: what stands first on its command line counts.
const OPTIONS: [&str; 9] = [
    "ExitOnForwardFailure=yes",
    // A dead connection is noticed within 15 s.
    "ServerAliveInterval=5",
    "ServerAliveCountMax=3",
    "ConnectTimeout=15",
    // A shared connection would neither end with this process nor be restored by it.
    "ControlMaster=no",
    "ControlPath=none",
    // What it says is read here.
    "LogLevel=INFO",
    // The port is for this machine alone, whatever the configuration says.
    "GatewayPorts=no",
    "RequestTTY=no",
];

/// From here to there.
pub(super) struct Route {
    pub(super) ssh: PathBuf,
    pub(super) options: Vec<OsString>,
    pub(super) destination: String,
    pub(super) remote_port: u16,
    pub(super) local_port: u16,
    /// There is no terminal to ask at.
    pub(super) asks_nothing: bool,
}

/// A running ssh. Killed when dropped.
pub(super) struct Ssh<'a> {
    route: &'a Route,
    process: Child,
    said: Arc<Mutex<Vec<String>>>,
    reader: Option<JoinHandle<()>>,
}

/// How it went.
pub(super) enum Opened {
    /// A Blender answers, and this is what is known of it.
    Answered(String),
    /// The tunnel is up, and no Blender that lets this user in is at its other end.
    NobodyThere(anyhow::Error),
    /// There is no tunnel.
    Cut(Trouble),
}

impl<'a> Ssh<'a> {
    /// Starts it. It asks for passwords at the terminal itself.
    pub(super) fn start(route: &'a Route) -> Result<Self> {
        let Route { remote_port, local_port, .. } = route;
        let mut command = Command::new(&route.ssh);
        command.args(&route.options).arg("-N");
        for option in OPTIONS {
            command.args(["-o", option]);
        }
        if route.asks_nothing {
            command.args(["-o", "BatchMode=yes"]);
        }
        command.args(["-L", &format!("localhost:{local_port}:localhost:{remote_port}"), &route.destination]);
        command.stdin(if route.asks_nothing { Stdio::null() } else { Stdio::inherit() });
        // Nothing but the endpoint goes to stdout.
        command.stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut process = command.spawn().with_context(|| {
            format!(
                "cannot run {}: OpenSSH's client is needed (Debian and Ubuntu: apt install openssh-client; Windows: the optional \
                 feature OpenSSH Client), or name it with --ssh PATH",
                route.ssh.display()
            )
        })?;
        let said = Arc::new(Mutex::new(Vec::new()));
        let stderr = process.stderr.take().context("ssh has no stderr")?;
        let reader = Some(tokio::spawn(listen(stderr, said.clone())));
        Ok(Self { route, process, said, reader })
    }

    /// Waits until it is known what is at the other end.
    ///
    /// # Errors
    /// When the token that the environment gives is none.
    pub(super) async fn open(&mut self) -> Result<Opened> {
        let blender = Blender::with_access(self.route.endpoint(), access()?);
        loop {
            if self.process.try_wait()?.is_some() {
                return Ok(Opened::Cut(self.ended().await));
            }
            let answer = tokio::select! {
                answer = blender.status() => answer,
                trouble = self.ended() => return Ok(Opened::Cut(trouble)),
            };
            match answer {
                Ok(status) => return Ok(Opened::Answered(format!("Blender {} answers", status.versions.blender))),
                Err(ClientError::NoToken { .. }) => {
                    return Ok(Opened::Answered("a Blender answers that wants its token".to_owned()));
                }
                Err(ClientError::OtherVersion { core, .. }) => {
                    return Ok(Opened::Answered(format!("a Blender answers, with Blendwire {core}")));
                }
                Err(ClientError::Unsupported { .. } | ClientError::ScriptsOnly { .. }) => {
                    return Ok(Opened::Answered(
                        "another server for Blender answers (the official add-on, or that of mcp-for-blender)"
                            .to_owned(),
                    ));
                }
                // Not yet: ssh listens once it has signed in.
                Err(ClientError::Refused { .. } | ClientError::Connect { .. }) => tokio::time::sleep(LOOK_EVERY).await,
                Err(error) => return Ok(Opened::NobodyThere(self.why_nobody(error).await)),
            }
        }
    }

    async fn why_nobody(&self, error: ClientError) -> anyhow::Error {
        let Route { destination, remote_port, .. } = self.route;
        let told = async {
            loop {
                if let Some(why) = leads_nowhere(&self.said(), destination, *remote_port) {
                    return why;
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        if let Ok(why) = tokio::time::timeout(SAYS_WITHIN, told).await {
            return why;
        }
        match error {
            ClientError::TurnedAway { refusal: Refusal::Token | Refusal::NotAllowed, message, .. } => anyhow!(
                "the Blender at port {remote_port} of {destination} does not let in whom ssh signed in: sign in as the user \
                 whom Blender runs as, and where a token is wanted give it with BLENDWIRE_TOKEN; it says: {message}"
            ),
            error @ ClientError::TurnedAway { .. } => anyhow!(error),
            error => anyhow!(error)
                .context(format!("port {remote_port} of {destination} is reached, but no Blender answers")),
        }
    }

    /// Waits for its end; why that came.
    pub(super) async fn ended(&mut self) -> Trouble {
        let _ = self.process.wait().await;
        // All that it said is to be known.
        if let Some(reader) = self.reader.take() {
            let _ = tokio::time::timeout(SAYS_WITHIN, reader).await;
        }
        let Route { destination, local_port, asks_nothing, .. } = self.route;
        explain(&self.said(), destination, *local_port, *asks_nothing)
    }

    /// Ends it.
    pub(super) async fn end(&mut self) {
        self.ask_to_end();
        if tokio::time::timeout(END_WITHIN, self.process.wait()).await.is_err() {
            let _ = self.process.kill().await;
        }
    }

    #[cfg(unix)]
    fn ask_to_end(&self) {
        let pid = self.process.id().and_then(|pid| rustix::process::Pid::from_raw(pid.try_into().ok()?));
        if let Some(pid) = pid {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
    }

    #[cfg(not(unix))]
    fn ask_to_end(&mut self) {
        let _ = self.process.start_kill();
    }

    fn said(&self) -> Vec<String> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Passes on what ssh says, and keeps the last of it.
async fn listen(stderr: ChildStderr, said: Arc<Mutex<Vec<String>>>) {
    let mut lines = BufReader::new(stderr).split(b'\n');
    while let Ok(Some(line)) = lines.next_segment().await {
        let line = printer::one_line(String::from_utf8_lossy(&line).trim_end());
        printer::talk(&format!("ssh: {line}"));
        let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.len() == KEPT_LINES {
            said.remove(0);
        }
        said.push(line);
    }
}

/// This machine's own token is none of the other's business.
fn access() -> Result<Access> {
    let token = match env_vars::read(env_vars::TOKEN) {
        Some(text) => TokenSource::Given(
            Token::parse(text.trim()).with_context(|| format!("{} holds no token", env_vars::TOKEN))?,
        ),
        None => TokenSource::Nowhere(format!("{} is not set", env_vars::TOKEN)),
    };
    Ok(Access { token, tls: Tls::Off })
}
