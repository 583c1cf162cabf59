// SPDX-License-Identifier: GPL-3.0-or-later
//! `blendwire tunnel`: forwards the port of a remote Blender through the system's ssh, and keeps it up.
//!
//! `ssh` runs the client and listens to what it says, `explain` knows what that means, this file decides what to do about it.

mod explain;
mod ssh;

use std::io::IsTerminal as _;
use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use blendwire_client::Endpoint;

use self::explain::Trouble;
use self::ssh::{Opened, Route, Ssh};
use super::block_on;
use super::launch::asked::AskedToEnd;
use super::launch::port;
use crate::args::TunnelArgs;
use crate::exit::{Ended, Failure};
use crate::printer;

/// Between attempts to connect again: it doubles up to the second.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

pub(crate) fn run(args: &TunnelArgs) -> Ended {
    let route = Route {
        ssh: args.ssh.clone(),
        options: args.ssh_options.clone(),
        destination: args.destination.clone(),
        remote_port: args.port,
        local_port: local_port(args).map_err(Failure::could_not_start)?,
        asks_nothing: !std::io::stdin().is_terminal(),
    };
    block_on(async {
        let mut asked = AskedToEnd::listen().map_err(Failure::could_not_start)?;
        keep_up(&route, &mut asked).await
    })
}

fn local_port(args: &TunnelArgs) -> Result<u16> {
    if let Some(wanted) = args.local_port {
        if !port::is_free(wanted) {
            bail!(
                "port {wanted} of this machine is taken: give another with --local-port, or none for the first free one"
            );
        }
        return Ok(wanted);
    }
    // To this very machine the same port would lead round in a circle.
    let host = args.destination.rsplit_once('@').map_or(args.destination.as_str(), |(_, host)| host);
    let first = if Endpoint::new(host, args.port).is_this_machine() { args.port.saturating_add(1) } else { args.port };
    port::free_from(first)
        .ok_or_else(|| anyhow!("no port from {} on is free on this machine; give one with --local-port", args.port))
}

async fn keep_up(route: &Route, asked: &mut AskedToEnd) -> Ended {
    let mut was_up = false;
    let mut pause = FIRST_PAUSE;
    loop {
        let mut ssh = Ssh::start(route).map_err(Failure::could_not_start)?;
        let opened = tokio::select! {
            opened = ssh.open() => opened.map_err(Failure::Failed)?,
            () = asked.wait() => return end(&mut ssh).await,
        };
        let why = match opened {
            Opened::Cut(trouble) if trouble.is_final || !was_up => return Err(Failure::Failed(trouble.into_error())),
            Opened::Cut(trouble) => trouble,
            Opened::NobodyThere(why) if !was_up => {
                ssh.end().await;
                return Err(Failure::Failed(why));
            }
            opened => {
                tell(route, &opened, was_up)?;
                (was_up, pause) = (true, FIRST_PAUSE);
                tokio::select! {
                    trouble = ssh.ended() => trouble,
                    () = asked.wait() => return end(&mut ssh).await,
                }
            }
        };
        if why.is_final {
            return Err(Failure::Failed(why.into_error()));
        }
        let secs = pause.as_secs();
        printer::talk(&format!("the tunnel is cut ({}); connecting again in {secs} s", why.said));
        tokio::select! {
            () = tokio::time::sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
            () = asked.wait() => return Ok(()),
        }
    }
}

async fn end(ssh: &mut Ssh<'_>) -> Ended {
    ssh.end().await;
    printer::talk("the tunnel is closed");
    Ok(())
}

/// The endpoint for clients, once; later only that it is back.
fn tell(route: &Route, opened: &Opened, was_up: bool) -> Result<(), Failure> {
    let Route { destination, local_port, .. } = route;
    let who = match opened {
        Opened::Answered(who) => who.clone(),
        Opened::NobodyThere(why) => {
            printer::talk(&format!("the tunnel is up again, but {why:#}"));
            return Ok(());
        }
        Opened::Cut(Trouble { said, .. }) => said.clone(),
    };
    if was_up {
        printer::talk(&format!("the tunnel is up again: {who}"));
        return Ok(());
    }
    printer::talk(&format!("the tunnel to {destination} is up: {who}"));
    printer::talk(&format!(
        "for clients: --port {local_port}, or BLENDWIRE_PORT={local_port}; for instance blendwire exec --port {local_port} \
         -c \"result = bpy.data.filepath\""
    ));
    printer::talk(&format!(
        "where a token is wanted (HTTP, /mcp, Require a Token), it is that machine's: \
         BLENDWIRE_TOKEN is what `ssh {destination} blendwire token` prints"
    ));
    printer::talk("Ctrl-C closes it");
    printer::data(&route.endpoint().to_string())
}

impl Route {
    /// This machine's end.
    fn endpoint(&self) -> Endpoint {
        Endpoint::new("127.0.0.1", self.local_port)
    }
}
