// SPDX-License-Identifier: GPL-3.0-or-later
//! A server of ours: whether it lets us in, what it says of itself, and whether Blender answers behind it.

use std::time::{Duration, Instant};

use anyhow::Result;
use blendwire_client::{Access, Blender, ClientError, Endpoint, Options, Outcome, Refusal, Script, Tls, TokenSource};
use blendwire_protocol::{PROTOCOL_VERSION, State, Status};

use super::context::{Context, wait};
use super::finding::Finding;
use super::{network, protocol, system};
use crate::{env_vars, printer};

/// This command's version, and that of the add-on which it carries.
pub(super) const OWN_VERSION: &str = env!("CARGO_PKG_VERSION");

/// What longer keeps the main thread is worth a word, though it may well be a bake.
const LONG: Duration = Duration::from_secs(5);

/// An idle Blender needs milliseconds.
const SCRIPT_WITHIN: Duration = Duration::from_secs(4);

pub(super) fn tls(context: &Context) -> Finding {
    let access = match context.access() {
        Ok(access) => access,
        Err(error) => return unusable_access(&error),
    };
    if access.tls == Tls::Off {
        return Finding::ok("no TLS is wanted for this address");
    }
    let asked = context.blender().and_then(|blender| wait(async { blender.ping().await }));
    match asked {
        Ok(Err(error @ ClientError::NotInTls { .. })) => not_in_tls(context, &error),
        Ok(Err(ClientError::Tls { why, .. })) => Finding::failure(why, "nobody can be sure that it is that Blender")
            .remedy("blendwire tls: on Blender's machine, as Blender's user: shows certificate, names, dates and fingerprint")
            .remedy("blendwire doctor --host HOST --fingerprint HEX: with the fingerprint that is shown there"),
        Ok(Err(
            error @ (ClientError::Refused { .. } | ClientError::ConnectTimeout { .. } | ClientError::Connect { .. }),
        )) => Finding::failure(error.to_string(), "without a connection there is no certificate to look at"),
        // The handshake is done; what else may be wrong is for the checks that follow.
        Ok(_) => Finding::ok(match access.tls {
            Tls::Pinned(_) => "the certificate is the one of the fingerprint",
            _ => "the certificate is for this name, valid now, and of an authority that is trusted",
        }),
        Err(error) => unusable_access(&error),
    }
}

/// Whom it does not let in a server of ours tells before the handshake, and outside of it.
fn not_in_tls(context: &Context, error: &ClientError) -> Finding {
    let access = Access { tls: Tls::Off, token: TokenSource::Nowhere("it is not sent outside TLS".to_owned()) };
    let plain = Blender::with_access(context.endpoint(), access);
    match wait(async { plain.ping().await }) {
        Ok(Err(ClientError::TurnedAway { refusal: Refusal::NotAllowed, message, .. })) => {
            return not_let_in(context, &message);
        }
        Ok(Err(ClientError::TurnedAway { refusal, message, .. })) => return protocol::turned_away(refusal, &message),
        _ => {}
    }
    let endpoint = context.endpoint();
    Finding::failure(error.to_string(), "nobody can be sure that it is that Blender").remedy(format!(
        "blendwire doctor --host {} --port {} --plain: says who it is, without token and certificate",
        endpoint.host, endpoint.port
    ))
}

/// A variable or an option is wrong.
pub(super) fn unusable_access(error: &anyhow::Error) -> Finding {
    Finding::failure(format!("{error:#}"), "what is brought to the server is not clear")
        .remedy("correct it, or leave it out: on this machine nothing of the kind is needed")
}

pub(super) fn token(context: &Context) -> Finding {
    match context.answer.get() {
        Some(Ok(status)) if status.access.token_required => {
            Finding::ok("the server wants the token, and takes this one")
        }
        Some(Ok(_)) => Finding::ok("let in; no token is wanted from here"),
        Some(Err(ClientError::TurnedAway { refusal: Refusal::NotAllowed, message, .. })) => {
            not_let_in(context, message)
        }
        Some(Err(error)) => Finding::failure(error.to_string(), "nothing is run for a client that is not let in")
            .remedy("blendwire token: on Blender's machine, as the user whom Blender runs as; shows it")
            .remedy(format!(
                "{}: gives it to this command (unset it where this user's own file is right)",
                system::variable(env_vars::TOKEN, "…")
            )),
        None => Finding::failure("the server did not say", "nothing can be asked"),
    }
}

/// Its user's settings keep out who asks, whatever token they have.
fn not_let_in(context: &Context, message: &str) -> Finding {
    let finding = Finding::failure(
        printer::one_line(message),
        "its user's settings say who may run anything in that Blender, and a token does not change them",
    );
    if network::is_here(context) {
        return finding
            .remedy("run this, and your MCP client, as the user whom Blender runs as")
            .remedy("in Blender, in the add-on's preferences: Other Users of This Machine (without a window: --other-users), then Restart in its panel");
    }
    let Endpoint { host, port } = context.endpoint();
    let inside_tls = format!(
        "blendwire doctor --host {host} --port {port} --fingerprint HEX: where it wants TLS, with what `blendwire tls` shows there"
    );
    finding
        .remedy(inside_tls)
        .remedy(format!(
            "blendwire tunnel USER@{host} --port {port}, leave it open, and connect to the port that it prints: comes in as that user"
        ))
        .remedy("where it does not allow this address: have its user add that to Allowed Clients (without a window: --allow), and Restart")
}

/// Looks at the status; `token` has seen that there is one.
fn of_status(context: &Context, look: impl FnOnce(&Status) -> Finding) -> Finding {
    context.status().map_or_else(|| Finding::failure("the server has no status", "nothing can be asked"), look)
}

pub(super) fn version(context: &Context) -> Finding {
    of_status(context, |status| {
        let versions = &status.versions;
        let newest = "blendwire launch: starts a Blender with the add-on that this command carries";
        let seen = format!(
            "this command {OWN_VERSION}, core {}, add-on {}, Blender {}, Python {}, protocol {}",
            versions.core, versions.addon, versions.blender, versions.python, versions.protocol
        );
        let seen = printer::one_line(&seen);
        if versions.protocol != PROTOCOL_VERSION {
            return Finding::failure(seen, "client and server do not mean the same by their messages")
                .remedy(newest)
                .remedy("install the add-on and the command of one release");
        }
        // A host without the add-on's Python part has no version of it.
        let differs = |version: &str| !version.is_empty() && version != OWN_VERSION;
        if differs(&versions.core) || differs(&versions.addon) {
            return Finding::warning(seen, "what one of them can do the other may not know")
                .remedy(
                    "blendwire addon install: this command's version; then restart Blender: a core stays until then",
                )
                .remedy(newest);
        }
        Finding::ok(seen)
    })
}

pub(super) fn main_thread(context: &Context) -> Finding {
    of_status(context, |status| match status.state {
        State::Idle => Finding::ok("Blender is idle"),
        State::Busy => busy(status),
        State::Blocked => Finding::failure(
            format!("blocked: {}", reason(status)),
            "scripts run on Blender's main thread, and wait until it has time",
        )
        .remedy("look at Blender's window: close a dialog or a menu that is open, or wait for what it works at")
        .remedy("blendwire status --watch: says when it is free again")
        .remedy(format!("when it never is: save what you can, and end it ({})", kill(status.pid))),
        State::Starting => Finding::warning("Blender is starting", "scripts wait until it is up")
            .remedy("blendwire status --watch: says when it is")
            .end(),
        State::Stopping => Finding::failure("the server is being stopped", "it takes no more scripts")
            .remedy("in Blender: 3D View, press N, tab MCP, Start"),
    })
}

fn reason(status: &Status) -> String {
    let reason = status.reason.as_deref().unwrap_or("the main thread does not come round");
    printer::one_line(reason)
}

fn busy(status: &Status) -> Finding {
    let Some(running) = &status.running else {
        return Finding::warning("busy with a script", "other scripts wait for it").end();
    };
    let name = if running.title.trim().is_empty() { &running.first_line } else { &running.title };
    let seen = format!("busy with request {} for {:.1} s: {name}", running.request, running.running_secs);
    let seen = printer::one_line(&seen);
    if running.running_secs < LONG.as_secs_f64() {
        return Finding { is_end: true, ..Finding::ok(seen) };
    }
    Finding::warning(seen, "other scripts wait for it: Blender runs one at a time")
        .remedy("blendwire status --watch: how far it is, and when it ends")
        .remedy("Ctrl-C where it was sent from, or Cancel in the MCP client: interrupts it")
        .remedy(format!("when nobody knows where that is: {}", kill(status.pid)))
        .end()
}

/// Ends a process without a word to it: the last thing to do.
fn kill(pid: u32) -> String {
    if cfg!(windows) { format!("taskkill /PID {pid} /F") } else { format!("kill {pid}") }
}

pub(super) fn round_trip(context: &Context) -> Finding {
    let measured = context.blender().and_then(|blender| {
        wait(async {
            let since = Instant::now();
            blender.ping().await?;
            let ping = since.elapsed();
            let options = Options {
                timeout: Some(SCRIPT_WITHIN),
                title: Some("blendwire doctor"),
                no_undo_step: true,
                ..Options::default()
            };
            let since = Instant::now();
            let outcome = blender.run(&Script::new("result = 1").with_options(options)).await?;
            anyhow::Ok((ping, outcome, since.elapsed()))
        })?
    });
    told(measured)
}

fn told(measured: Result<(Duration, Outcome, Duration)>) -> Finding {
    let why = "what every tool does is to run a script and wait for its result";
    let ms = |took: Duration| took.as_secs_f64() * 1000.0;
    match measured {
        Ok((ping, Outcome::Finished { result, .. }, took)) if result.get() == "1" => {
            Finding::ok(format!("ping {:.1} ms, a script that does nothing {:.1} ms", ms(ping), ms(took)))
        }
        Ok((_, Outcome::Finished { result, .. }, _)) => {
            let result: String = result.get().chars().take(40).collect();
            Finding::failure(format!("`result = 1` gave {}", printer::one_line(&result)), why)
                .remedy("restart Blender; when it stays so, report it with the output of `blendwire doctor --report`")
        }
        Ok((_, Outcome::Failed { message, .. }, _)) => {
            let last = message.lines().last().unwrap_or_default();
            Finding::failure(format!("`result = 1` failed: {}", printer::one_line(last)), why)
                .remedy("blendwire exec -c \"result = 1\": shows the whole text")
                .remedy("blendwire status: whether Blender has time")
        }
        Err(error) => Finding::failure(format!("{error:#}"), why).remedy("blendwire status: whether Blender has time"),
    }
}

pub(super) fn journal(context: &Context) -> Finding {
    of_status(context, |status| {
        let Some(journal) = &status.journal else {
            return Finding::ok("switched off in Blender's preferences, or by --no-journal");
        };
        let (folder, lost) = (printer::one_line(&journal.folder), journal.lost);
        let lost_lines = format!("{lost} lines could not be written");
        match &journal.problem {
            Some(problem) => Finding::warning(
                format!("not written: {} ({lost_lines})", printer::one_line(problem)),
                "what scripts do meanwhile is on no record",
            )
            .remedy(format!("on Blender's machine make room and give the folder back to its user: {folder}")),
            None if lost > 0 => Finding::warning(
                format!("written again to {folder}; {lost_lines}"),
                "what happened meanwhile is on no record",
            )
            .remedy("nothing to do now; see that the disk keeps some room"),
            None => Finding::ok(format!("written to {folder}")),
        }
    })
}

pub(super) fn defects(context: &Context) -> Finding {
    of_status(context, |status| match status.counters.panics {
        0 => Finding::ok("none"),
        count => Finding::warning(
            format!("{count} since it was started"),
            "the server has ended a connection or a task on its own account, and goes on without it",
        )
        .remedy("report them, with Blender's console and the output of `blendwire doctor --report`")
        .remedy("in Blender: 3D View, press N, tab MCP, Restart"),
    })
}
