// SPDX-License-Identifier: GPL-3.0-or-later
//! MCP inside Blender, at `/mcp`: the same server as `blendwire mcp`, in front of the Blender that it lives in. It goes over
//! the wire like any client, so there is one way only into the queue.

use std::sync::Arc;

use blendwire_bridge::{Answering, At, HttpService, Incoming, Mount, Request};
use blendwire_client::{Access, Blender, Endpoint, Tls, TokenSource};
use blendwire_mcp::{Hosts, HttpServer, Server};

/// Where it is.
pub(crate) const MOUNT: Mount = Mount { path: "/mcp", make };

#[derive(Debug)]
struct Mcp(HttpServer);

impl HttpService for Mcp {
    fn answer(&self, request: Request<Incoming>) -> Answering<'_> {
        Box::pin(self.0.handle(request))
    }

    fn stop(&self) {
        self.0.stop();
    }
}

fn make(at: At) -> Box<dyn HttpService> {
    let endpoint = Endpoint::reaching(&at.endpoints).unwrap_or_default();
    let token = match at.credentials {
        Some(folder) => TokenSource::File(folder.token()),
        None => TokenSource::Nowhere("no home folder is known where it could be".to_owned()),
    };
    // Where it listens on an address of the network alone, a client gives its token to nobody but our own certificate.
    let tls = match at.fingerprint {
        Some(fingerprint) if !endpoint.is_this_machine() => Tls::Pinned(fingerprint),
        _ => Tls::Off,
    };
    let blender = Blender::with_access(endpoint, Access { token, tls });
    Box::new(Mcp(HttpServer::new(Server::new(Arc::new(blender)), Hosts::Checked)))
}
