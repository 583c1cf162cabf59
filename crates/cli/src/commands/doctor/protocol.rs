// SPDX-License-Identifier: GPL-3.0-or-later
//! Who speaks there: Blendwire, another server for Blender, or no such thing.

use std::time::Duration;

use blendwire_client::{ClientError, Endpoint, Refusal, Tls};

use super::context::{Context, wait};
use super::finding::Finding;
use super::probe::{self, Speaks};
use super::server::{self, OWN_VERSION};
use crate::printer;

/// A server of ours answers in milliseconds; the official add-on looks once a second when it has nothing to do, and that of
/// mcp-for-blender is known by its silence first.
const ANSWER_WITHIN: Duration = Duration::from_secs(4);

/// The check `token` goes on from there.
const BEHIND_ITS_TOKEN: &str = "Blendwire, behind its token";

/// Why it matters who it is.
const OTHER_PROTOCOL: &str = "the tools of Blendwire cannot talk to it: they would wait, or fail in the middle";

pub(super) fn protocol(context: &Context) -> Finding {
    let blender = match context.blender() {
        Ok(blender) => blender,
        Err(error) => return server::unusable_access(&error),
    };
    let answer = wait(async { tokio::time::timeout(ANSWER_WITHIN, blender.status()).await });
    let answer = match answer {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) => return another(context, other(context)),
        Err(error) => return Finding::failure(format!("{error:#}"), "nothing can be asked"),
    };
    let finding = match &answer {
        Ok(status) => Finding::ok(format!("Blendwire {}", printer::one_line(&status.versions.core))),
        Err(ClientError::TurnedAway { refusal, message, .. }) => turned_away(*refusal, message),
        // Whoever asks for the token is one of ours; the check of that name goes on from there.
        Err(ClientError::NoToken { .. }) => Finding::ok(BEHIND_ITS_TOKEN),
        Err(ClientError::OtherVersion { core, .. }) => other_version(&format!("Blendwire {core}, whose status")),
        Err(ClientError::Unsupported { message, .. }) => another(context, official(message)),
        Err(ClientError::ScriptsOnly { .. }) => another(context, mcp_for_blender()),
        Err(_) => return another(context, other(context)),
    };
    let _ = context.answer.set(answer);
    finding
}

/// Notes that it is none of ours, which the check `owner` goes on from.
fn another(context: &Context, finding: Finding) -> Finding {
    let _ = context.is_another.set(());
    finding
}

/// One of ours, which answers nothing but why. Whether it lets this user in the check `token` says.
pub(super) fn turned_away(refusal: Refusal, message: &str) -> Finding {
    match refusal {
        Refusal::Token => Finding::ok(BEHIND_ITS_TOKEN),
        Refusal::NotAllowed => Finding::ok("Blendwire, which does not let in everybody"),
        Refusal::Version => {
            other_version(&format!("Blendwire of another version (it says: {}), whose protocol", shortened(message)))
        }
        Refusal::TooMany => Finding::failure(
            format!("Blendwire, at its connection limit: {}", shortened(message)),
            "whoever connects now is refused, until others have closed",
        )
        .remedy("close clients that are not in use: each MCP client and each program of yours holds one connection or more")
        .remedy("in Blender: 3D View, press N, tab MCP, Restart: closes all of them; clients of Blendwire connect again by themselves")
        .remedy("have a program that opens one for each request keep one open and reuse it (docs/protocol.md)"),
    }
}

fn other_version(which: &str) -> Finding {
    Finding::failure(
        format!("{which} this command ({OWN_VERSION}) does not understand"),
        "client and server do not mean the same by their messages",
    )
    .remedy("blendwire addon install: this command's version; then restart Blender: a core stays until then")
    .remedy("where the server is the newer one: install the command of its release")
    .remedy("blendwire launch: starts a Blender with the add-on that this command carries, at a port of its own")
}

fn shortened(message: &str) -> String {
    printer::one_line(message).chars().take(120).collect()
}

fn official(message: &str) -> Finding {
    let message = shortened(message);
    Finding::warning(
        format!("Blender's official MCP add-on, or another server of its protocol (it answered: {message})"),
        "scripts run there, in `blendwire exec` and through MCP; it has no status, cancelling, undo or changes, and nothing \
         more can be looked at",
    )
    .remedy("blendwire launch: starts a Blender with Blendwire's add-on, at a port of its own")
    .remedy("blendwire addon install --disable-others, then restart Blender: Blendwire's add-on in its place")
    .remedy("in Blender: disable that add-on, enable MCP Server of Blendwire, then in the 3D View press N, tab MCP, Start")
    .end()
}

fn mcp_for_blender() -> Finding {
    Finding::warning(
        "the add-on of mcp-for-blender (formerly blender-mcp)",
        "scripts run there, in `blendwire exec` and through MCP; it has no status, time limits, cancelling, undo or changes, and \
         nothing more can be looked at",
    )
    .remedy("blendwire addon install --disable-others, then restart Blender: Blendwire's add-on in its place")
    .remedy("in Blender: stop it (3D View, press N, its tab) and disable it, enable MCP Server of Blendwire, Start")
    .remedy("blendwire launch: starts a Blender with Blendwire's add-on, at a port of its own")
    .remedy("blendwire setup --retire: takes its server out of your MCP clients")
    .end()
}

/// What it is, where it does not answer as servers of this protocol do.
fn other(context: &Context) -> Finding {
    let Endpoint { port, .. } = context.endpoint();
    if context.access().is_ok_and(|access| access.tls != Tls::Off) {
        return elsewhere("another program, inside TLS", port);
    }
    match probe::ask(context.addresses.get().map(Vec::as_slice).unwrap_or_default()) {
        Speaks::Http => elsewhere("a web server, and no Blender: it answers in HTTP only", port),
        Speaks::Tls => Finding::failure("it speaks TLS, and was talked to without", OTHER_PROTOCOL)
            .remedy(format!("blendwire doctor --port {port} --tls, or --fingerprint with what `blendwire tls` shows there"))
            .remedy(format!("if that is no Blender: {}", at_its_port(port))),
        Speaks::Other(began) => {
            elsewhere(&format!("another program: it says {:?}", printer::one_line(&began)), port)
        }
        Speaks::Nothing => elsewhere(
            "something that takes connections and says nothing, neither to this protocol nor to mcp-for-blender's or HTTP",
            port,
        )
        .remedy("if it is Blender with another add-on, its main thread may be busy: try again when it is not"),
    }
}

fn elsewhere(seen: &str, port: u16) -> Finding {
    Finding::failure(seen, OTHER_PROTOCOL)
        .remedy(at_its_port(port))
        .remedy("blendwire launch: takes the first port that is free, and says which")
}

fn at_its_port(port: u16) -> String {
    format!(
        "port {port} is not Blender's: the 3D View shows the right one (press N, tab MCP), give that with --port or \
         BLENDWIRE_PORT"
    )
}
