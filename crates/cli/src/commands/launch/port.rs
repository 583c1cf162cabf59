// SPDX-License-Identifier: GPL-3.0-or-later
//! Chooses the address that the new Blender listens on, before it is started.

use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};

use anyhow::{Result, bail};
use blendwire_client::Endpoint;
use blendwire_protocol::DEFAULT_PORT;

use crate::args::{EndpointArgs, LaunchArgs};
use crate::endpoint::{Said, Source, Wanted, parse_host};
use crate::printer;

/// Ports looked at from the default on: more Blenders than that on one machine choose their ports themselves.
const PORTS_TRIED: u16 = 100;

/// The wanted port, which has to be free, else the first free one from the default on. The host is that of the option
/// alone: the environment's names a Blender to talk to, which may be on another machine.
pub(super) fn choose(args: &LaunchArgs) -> Result<Endpoint> {
    let host = args.host.as_deref().map_or_else(|| Ok(Endpoint::default().host), host)?;
    let wanted = wanted(args)?;
    let port = match wanted {
        Some(port) if is_free(port) => port,
        Some(port) => bail!(
            "port {port} is taken: `blendwire status --port {port}` says whether by a Blender; give another with \
             --port, or none for the first free one"
        ),
        None => first_free()?,
    };
    if wanted.is_none() && port != DEFAULT_PORT {
        printer::talk(&format!("port {DEFAULT_PORT} is taken; using {port} (clients: set BLENDWIRE_PORT={port})"));
    }
    Ok(Endpoint::new(host, port))
}

/// A profile's port is meant where its host is: that of another machine says nothing about this one.
fn wanted(args: &LaunchArgs) -> Result<Option<u16>> {
    let Wanted { host, port, .. } = Wanted::read(&EndpointArgs { port: args.port, ..EndpointArgs::default() })?;
    let is_here = host.is_none_or(|host| Endpoint::new(host.value, DEFAULT_PORT).is_this_machine());
    let counts = |said: &Said<u16>| is_here || !matches!(said.by, Source::Profile(_));
    Ok(port.filter(counts).map(|said| said.value))
}

/// The server refuses every other address; better said now than after Blender's start.
fn host(value: &str) -> Result<String> {
    let host = parse_host("--host", value)?;
    if !Endpoint::new(host.as_str(), DEFAULT_PORT).is_this_machine() {
        bail!(
            "--host is {value:?}: Blendwire listens on this machine only (localhost, 127.0.0.1 or ::1); leave --host \
             out, and from another machine forward the port: `blendwire tunnel USER@HOST`"
        );
    }
    Ok(host)
}

fn first_free() -> Result<u16> {
    match free_from(DEFAULT_PORT) {
        Some(port) => Ok(port),
        None => bail!("no port from {DEFAULT_PORT} on is free ({PORTS_TRIED} tried); give one with --port"),
    }
}

/// The first free port from this one on.
pub(crate) fn free_from(first: u16) -> Option<u16> {
    (first..=first.saturating_add(PORTS_TRIED)).find(|port| is_free(*port))
}

/// Any free port, for a server that nobody else is to find.
pub(crate) fn any() -> Result<u16> {
    const TRIES: usize = 20;
    for _ in 0..TRIES {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        if is_free(port) {
            return Ok(port);
        }
    }
    bail!("the system has no free port on both loopback addresses")
}

/// Whether both loopback addresses can be bound; a machine without IPv6 has one.
pub(crate) fn is_free(port: u16) -> bool {
    let taken = |bound: std::io::Result<TcpListener>| {
        matches!(bound, Err(error) if error.kind() != std::io::ErrorKind::AddrNotAvailable
            && error.kind() != std::io::ErrorKind::Unsupported)
    };
    !taken(TcpListener::bind((Ipv4Addr::LOCALHOST, port))) && !taken(TcpListener::bind((Ipv6Addr::LOCALHOST, port)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_someone_listens_on_is_not_free() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(!is_free(port));
        drop(listener);
        assert!(is_free(port));
    }
}
