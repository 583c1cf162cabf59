// SPDX-License-Identifier: GPL-3.0-or-later
//! Start and stop: the network thread, its runtime, and what the main thread and the network thread share.

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use blendwire_credentials::CurrentFingerprint;
use blendwire_protocol::{QueueStatus, Status};
use blendwire_state::{Announced, fault};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::access::{Access, Doorkeeper, Tls, Tokens};
use crate::activity::{Activity, add};
use crate::announce::announce;
use crate::audit::Origins;
use crate::bind::{self, StartError};
use crate::config::Config;
use crate::connection;
use crate::consent::Consent;
use crate::control::Control;
use crate::http::mount::{At, HttpService, Mount};
use crate::job::Job;
use crate::panics;
use crate::queue::Queue;
use crate::seldom::Told;
use crate::unfinished::Unfinished;

/// How long a stop waits for last replies to go out to clients that read slowly.
const FLUSH_WITHIN: Duration = Duration::from_secs(1);

/// How long the clients of the host's service have to end by themselves: the last answers have gone out by then.
const END_WITHIN: Duration = Duration::from_millis(100);

/// Pause after the system refused to accept (too many open files, mostly): accepting at once would spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A running server. Dropping it stops it.
#[derive(Debug)]
pub struct Server {
    shared: Arc<Shared>,
    shutdown: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
    announced: Option<Announced>,
}

/// What the network thread and the main thread share. Every method returns at once.
#[derive(Debug)]
pub struct Shared {
    pub(crate) config: Config,
    pub(crate) endpoints: Vec<SocketAddr>,
    /// Unlike that of any other server.
    pub(crate) instance: String,
    pub(crate) activity: Activity,
    pub(crate) clients: AtomicUsize,
    /// Connections beyond the limit that are being told so.
    pub(crate) too_many: AtomicUsize,
    pub(crate) next_request: AtomicU64,
    pub(crate) control: Arc<Control>,
    pub(crate) access: Access,
    pub(crate) origins: Arc<Origins>,
    /// What the log does not tell again and again.
    pub(crate) told: Told,
    pub(crate) consent: Consent,
    /// The host's service, and where it is.
    pub(crate) mounted: Option<(Mount, Box<dyn HttpService>)>,
    pub(crate) unfinished: Unfinished,
    queue: Arc<Queue>,
}

impl Server {
    /// Listens and serves until [`Server::stop`].
    ///
    /// # Errors
    /// [`StartError`], written for the person in front of Blender.
    pub fn start(mut config: Config) -> Result<Self, StartError> {
        panics::report();
        config.max_connections = config.max_connections.min(affordable_connections());
        let listeners = bind::listen(&config)?;
        let endpoints: Vec<_> = listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect();
        let access = prepare_access(&config, &endpoints)?;
        let mounted = config.mount.map(|mount| {
            let (endpoints, credentials) = (endpoints.clone(), config.credentials.clone());
            let tls = access.tls.clone();
            let fingerprint = CurrentFingerprint::new(move || tls.fingerprint());
            (mount, (mount.make)(At { endpoints, credentials, fingerprint }))
        });
        let shared = Arc::new(Shared {
            mounted,
            unfinished: Unfinished::new(config.max_unfinished_bytes),
            queue: Arc::new(Queue::new(config.max_queue, config.max_queue_bytes)),
            activity: Activity::new(),
            control: Arc::default(),
            access,
            told: Told::default(),
            clients: AtomicUsize::new(0),
            too_many: AtomicUsize::new(0),
            next_request: AtomicU64::new(1),
            instance: config.instance.clone(),
            origins: Arc::default(),
            consent: Consent::default(),
            endpoints,
            config,
        });
        let (shutdown, watched) = watch::channel(false);
        let thread = spawn(shared.clone(), listeners, watched).map_err(StartError::Thread)?;
        log::info!("listening on {}", shared.endpoint_names().join(" and "));
        let announced = announce(&shared);
        Ok(Self { shared, shutdown, thread: Some(thread), announced })
    }

    /// What the main thread works with.
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Answers what waits, lets replies go out, closes every connection and joins the network thread.
    pub fn stop(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        // First of all, so that nobody is sent here who would only be told that it ends.
        self.announced = None;
        self.shared.activity.stopping.store(true, Ordering::Relaxed);
        self.shared.queue.close();
        let _ = self.shutdown.send(true);
        if thread.join().is_err() {
            log::error!("the network thread had panicked");
        }
        self.shared.close_journal();
        log::info!("stopped");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    /// The queue that the main thread pulls from.
    pub fn queue(&self) -> &Arc<Queue> {
        &self.queue
    }

    /// To be called whenever the main thread comes round.
    pub fn main_thread_seen(&self) {
        self.activity.seen();
    }

    /// To be called right before `job` runs.
    pub fn job_begins(&self, job: &mut Job) {
        self.activity.begin(job);
    }

    /// To be called right after the job of this number has run; `ok` is `None` when its result is deferred.
    pub fn job_ends(&self, number: u64, ok: Option<bool>) {
        self.activity.end(number, ok);
    }

    /// Why the request of this number is being ended; `None` when it is not.
    pub fn ending_of(&self, number: u64) -> Option<String> {
        self.control.ending(number).map(|(_, reason)| reason)
    }

    /// Says how far the request is that runs, or the oldest whose result is deferred; `false` when there is none.
    pub fn report(&self, value: f64, message: &str) -> bool {
        let feed = self.activity.feed();
        feed.as_ref().inspect(|feed| feed.report(value, message)).is_some()
    }

    /// The open .blend file, for `status`.
    pub fn set_file(&self, file: String) {
        self.activity.set_file(file);
    }

    /// Counts listeners that a start found still open.
    pub fn count_released_listener(&self) {
        add(&self.activity.totals.released_listeners, 1);
    }

    /// Addresses as `host:port`.
    pub fn endpoint_names(&self) -> Vec<String> {
        self.endpoints.iter().map(ToString::to_string).collect()
    }

    fn access_status(&self) -> blendwire_protocol::Access {
        let rules = &self.access.rules;
        let beyond_this_machine = self.endpoints.iter().any(|endpoint| !endpoint.ip().is_loopback());
        blendwire_protocol::Access {
            token_required: rules.require_token,
            beyond_this_machine,
            open_networks: if beyond_this_machine {
                rules.open.iter().map(ToString::to_string).collect()
            } else {
                Vec::new()
            },
            fingerprint: self.access.tls.fingerprint().map(|fingerprint| fingerprint.to_string()),
        }
    }

    /// Everything the server knows of itself, without asking the main thread.
    pub fn status(&self) -> Status {
        let (state, reason) = self.activity.state();
        Status {
            state,
            ready: reason.is_none(),
            reason,
            endpoints: self.endpoint_names(),
            pid: std::process::id(),
            background: self.config.background,
            file: self.activity.file(),
            versions: self.config.versions.clone(),
            instance: self.instance.clone(),
            running: self.activity.running(),
            last: self.activity.last(),
            queue: QueueStatus {
                length: self.queue.len(),
                limit: self.queue.limit(),
                deferred: self.activity.deferred(),
            },
            clients: self.clients.load(Ordering::Relaxed),
            access: self.access_status(),
            main_thread_age_secs: self.activity.age().map_or(0.0, |age| age.as_secs_f64()),
            uptime_secs: self.activity.started.elapsed().as_secs_f64(),
            counters: self.activity.totals.read(),
            journal: self.journal_status(),
            consent: self.consent_status(),
        }
    }
}

/// Makes ready what decides who gets in: a server that needs the token or TLS does not start without.
fn prepare_access(config: &Config, endpoints: &[SocketAddr]) -> Result<Access, StartError> {
    let (rules, folder) = (config.access.clone(), config.credentials.as_ref());
    // Only connections from this machine are judged by their user, so any of our sockets tells whether the system can be
    // believed.
    let of_listener = |endpoint| Doorkeeper::of_listener(endpoint, rules.other_users);
    let doorkeeper = endpoints.first().copied().map_or_else(Doorkeeper::open, of_listener);
    let (tokens, tls) = (Tokens::kept_in(folder), Tls::new(rules.certificate.as_ref(), folder, endpoints));
    let is_for_others = endpoints.iter().any(|endpoint| !endpoint.ip().is_loopback());
    let needs_tls = is_for_others && !rules.allowed.is_empty();
    match tokens.prepare() {
        Err(why) if needs_tls || rules.require_token => return Err(StartError::Token(why)),
        Err(why) => log::warn!("there is no token, so nothing can be run over HTTP: {why}"),
        Ok(()) => {}
    }
    // One that the user has set is to be right from the start; one of ours is made when somebody wants it.
    if needs_tls || rules.certificate.is_some() {
        tls.acceptor().map_err(|error| StartError::Tls(error.to_string()))?;
    }
    if is_for_others && !rules.open.is_empty() {
        let open: Vec<_> = rules.open.iter().map(ToString::to_string).collect();
        log::warn!("whoever is in {} can run Python in this Blender, without a token", open.join(", "));
    }
    Ok(Access { rules, doorkeeper, tokens, tls: Arc::new(tls) })
}

/// Half of the files that the system lets this process open: the other half is Blender's.
#[cfg(unix)]
fn affordable_connections() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    limit.and_then(|limit| usize::try_from(limit / 2).ok()).unwrap_or(usize::MAX)
}

#[cfg(not(unix))]
fn affordable_connections() -> usize {
    usize::MAX
}

/// Returns when the server is being stopped.
pub(crate) async fn stopped(shutdown: &mut watch::Receiver<bool>) {
    // An error means that the server is gone, which is the same.
    let _ = shutdown.wait_for(|stop| *stop).await;
}

fn spawn(
    shared: Arc<Shared>,
    listeners: Vec<TcpListener>,
    shutdown: watch::Receiver<bool>,
) -> std::io::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let listeners = {
        let _entered = runtime.enter();
        listeners.into_iter().map(into_tokio).collect::<std::io::Result<Vec<_>>>()?
    };
    std::thread::Builder::new().name("blendwire".to_owned()).spawn(move || {
        runtime.block_on(serve(shared, listeners, shutdown));
        // Connections that did not flush in time die with the runtime.
        runtime.shutdown_background();
    })
}

fn into_tokio(listener: TcpListener) -> std::io::Result<tokio::net::TcpListener> {
    listener.set_nonblocking(true)?;
    tokio::net::TcpListener::from_std(listener)
}

async fn serve(shared: Arc<Shared>, listeners: Vec<tokio::net::TcpListener>, shutdown: watch::Receiver<bool>) {
    // Every connection holds a sender, and nobody sends: it is closed when the last of them has ended.
    let (open, mut all_ended) = mpsc::channel::<Infallible>(1);
    let mut accepting = JoinSet::new();
    for listener in listeners {
        accepting.spawn(keep_accepting(shared.clone(), listener, open.clone(), shutdown.clone()));
    }
    drop(open);
    while accepting.join_next().await.is_some() {}
    if let (Err(_), Some((_, service))) = (tokio::time::timeout(END_WITHIN, all_ended.recv()).await, &shared.mounted) {
        service.stop();
    }
    let _ = tokio::time::timeout(FLUSH_WITHIN, all_ended.recv()).await;
}

/// Accepts on one listener until shutdown. A panic in there ends neither that nor the connections.
async fn keep_accepting(
    shared: Arc<Shared>,
    listener: tokio::net::TcpListener,
    open: mpsc::Sender<Infallible>,
    shutdown: watch::Receiver<bool>,
) {
    let listener = Arc::new(listener);
    while tokio::spawn(accept(shared.clone(), listener.clone(), open.clone(), shutdown.clone())).await.is_err() {
        tokio::time::sleep(ACCEPT_PAUSE).await;
    }
}

async fn accept(
    shared: Arc<Shared>,
    listener: Arc<tokio::net::TcpListener>,
    open: mpsc::Sender<Infallible>,
    shutdown: watch::Receiver<bool>,
) {
    let mut stop = shutdown.clone();
    let mut has_failed = false;
    loop {
        tokio::select! {
            () = stopped(&mut stop) => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    has_failed = false;
                    fault("accept");
                    let Some(counted) = connection::Counted::new(&shared) else { continue };
                    let (open, serving) = (open.clone(), connection::serve(counted, stream, peer, shutdown.clone()));
                    tokio::spawn(async move {
                        serving.await;
                        drop(open);
                    });
                }
                Err(error) => {
                    // Once for as long as it lasts.
                    if !std::mem::replace(&mut has_failed, true) {
                        log::warn!("cannot accept connections: {error}");
                    }
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
}
