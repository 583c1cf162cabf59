// SPDX-License-Identifier: GPL-3.0-or-later
//! MCP inside Blender, at `/mcp`: the same server as `blendwire mcp`, in front of the Blender that it lives in. It goes over
//! the wire like any client, so there is one way only into the queue.
//!
//! It has a thread of its own, from the first request on: reading and writing results of megabytes takes longer than the
//! network thread may be kept from other clients.

use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use blendwire_bridge::{Answering, At, Behalf, HttpService, Incoming, Mount, Request, StatusCode};
use blendwire_client::{Access, Blender, Endpoint, Tls, TokenSource};
use blendwire_journal::Dialect;
use blendwire_mcp::{Hosts, HttpServer, OnBehalf, Server, begins_alone, refusal, stands_alone};
use blendwire_state::fault;
use tokio::runtime::{Builder, Runtime};
use tokio_util::task::AbortOnDropHandle;

/// Where it is.
pub(crate) const MOUNT: Mount = Mount { path: "/mcp", dialect: Dialect::Mcp, ends_with_client: begins_alone, make };

/// Clients over HTTP come and go without a word, and the panel counts connections: the one that their calls share is there only
/// while they ask.
const KEPT_FOR: Duration = Duration::from_secs(10);

/// For a client, where the system gives no thread, or where a defect has ended the answer.
const NO_THREAD: &str =
    "/mcp cannot answer just now; Blender's log says why. Other routes and clients are not concerned";

#[derive(Debug)]
struct Mcp {
    server: Arc<HttpServer>,
    /// `None` once it could not be started.
    runtime: OnceLock<Option<Runtime>>,
}

impl HttpService for Mcp {
    fn answer(&self, mut request: Request<Incoming>, behalf: Behalf) -> Answering<'_> {
        if let Some(key) = behalf.key().cloned() {
            request.extensions_mut().insert(OnBehalf { key, kept: Arc::new(behalf) });
        }
        let runtime = self.runtime.get_or_init(|| {
            let started = start();
            started.inspect_err(|error| log::error!("/mcp has no thread to run on: {error}")).ok()
        });
        let is_alone = stands_alone(request.headers());
        let server = self.server.clone();
        Box::pin(async move {
            let answered = match runtime {
                Some(runtime) => {
                    let handled = async move {
                        fault("mcp");
                        server.handle(request).await
                    };
                    let handled = runtime.spawn(handled);
                    if is_alone { AbortOnDropHandle::new(handled).await.ok() } else { handled.await.ok() }
                }
                None => None,
            };
            answered.unwrap_or_else(|| refusal(StatusCode::SERVICE_UNAVAILABLE, NO_THREAD))
        })
    }

    fn stop(&self) {
        self.server.stop();
    }
}

impl Drop for Mcp {
    fn drop(&mut self) {
        // It may be the last of a connection on the network thread, which must not wait.
        if let Some(Some(runtime)) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn start() -> io::Result<Runtime> {
    Builder::new_multi_thread().worker_threads(1).thread_name("blendwire-mcp").enable_all().build()
}

fn make(at: At) -> Box<dyn HttpService> {
    let endpoint = Endpoint::reaching(&at.endpoints).unwrap_or_default();
    let token = match at.credentials {
        Some(folder) => TokenSource::File(folder.token()),
        None => TokenSource::Nowhere("no home folder is known where it could be".to_owned()),
    };
    // Where it listens on an address of the network alone, a client gives its token to nobody but our own certificate.
    let needs_tls = !endpoint.is_this_machine() && at.fingerprint.get().is_some();
    let tls = if needs_tls { Tls::Current(at.fingerprint) } else { Tls::Off };
    let blender = Blender::with_access(endpoint, Access { token, tls }).kept_for(KEPT_FOR);
    let server = HttpServer::new(Server::new(Arc::new(blender)), Hosts::Checked);
    Box::new(Mcp { server: Arc::new(server), runtime: OnceLock::new() })
}
