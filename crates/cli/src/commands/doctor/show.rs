// SPDX-License-Identifier: GPL-3.0-or-later
//! Findings for people: as a table, and as text for a bug report.

use std::time::Duration;

use blendwire_credentials::TokenFile;
use owo_colors::OwoColorize as _;
use serde_json::json;

use super::context::Context;
use super::finding::State;
use super::schedule::{Check, Looked};
use crate::exit::{Ended, Failure};
use crate::{access, env_vars, printer};

/// What stands in place of a secret.
const MASK: &str = "(secret)";

/// Which checks there are.
pub(super) fn list(checks: &[&Check<Context>], as_json: bool) -> Ended {
    if as_json {
        let list: Vec<_> =
            checks.iter().map(|check| json!({"id": check.id, "title": check.title, "needs": check.needs})).collect();
        return printer::data(&serde_json::to_string(&list).map_err(Failure::failed)?);
    }
    let lines: Vec<_> = checks.iter().map(|check| format!("{:<16} {}", check.id, check.title)).collect();
    printer::table(&lines.join("\n"))
}

/// One line for each, and below those that are not well what mends them.
pub(super) fn text(looked: &[Looked], took: Duration) -> String {
    let lines: Vec<_> = looked.iter().map(entry).collect();
    let count = |state| looked.iter().filter(|looked| looked.state == state).count();
    let failures = match count(State::Failure) {
        0 => "nothing failed".green().to_string(),
        1 => "1 failure".red().to_string(),
        count => format!("{count} failures").red().to_string(),
    };
    let (warnings, hidden) = (count(State::Warning), count(State::NotLookedAt));
    let warnings = if warnings == 1 { "1 warning".to_owned() } else { format!("{warnings} warnings") };
    let hidden = if hidden == 0 { String::new() } else { format!(", {hidden} not looked at") };
    format!("{}\n\n{failures}, {warnings}{hidden}, in {:.1} s", lines.join("\n"), took.as_secs_f64())
}

fn entry(looked: &Looked) -> String {
    let word = match looked.state {
        State::Ok => format!("{:<8}", "ok").green().to_string(),
        State::Warning => format!("{:<8}", "warning").yellow().to_string(),
        State::Failure => format!("{:<8}", "failure").red().to_string(),
        State::NotLookedAt => format!("{:<8}", "-").dimmed().to_string(),
    };
    let mut lines = vec![format!("{word} {:<16} {}", looked.id.bold(), printer::one_line(&looked.seen))];
    let mut below = |label: &str, text: &str| lines.push(format!("{:25} {label:<5} {text}", ""));
    if let Some(fixed) = &looked.fixed {
        below("done:", fixed);
    }
    if !looked.why.is_empty() {
        below("why:", &looked.why);
    }
    for (at, remedy) in looked.remedies.iter().enumerate() {
        below(if at == 0 { "mend:" } else { "or:" }, remedy);
    }
    lines.join("\n")
}

/// The same with versions and system, and without what is nobody else's business.
pub(super) fn report(looked: &[Looked], context: &Context) -> String {
    let took = Duration::ZERO;
    let findings = anstream::adapter::strip_str(&text(looked, took)).to_string();
    let findings = findings.rsplit_once("\n\n").map_or(findings.clone(), |(findings, _)| findings.to_owned());
    let report = format!(
        "blendwire {} on {} ({}), looking at {}\n\n```\n{findings}\n```",
        env!("CARGO_PKG_VERSION"),
        blendwire_protocol::platform(),
        system(),
        context.endpoint(),
    );
    masked(&report, context)
}

/// The system by its own name, where it has a file with that.
fn system() -> String {
    let text = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let name = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    name.map_or_else(|| std::env::consts::OS.to_owned(), |name| name.trim_matches('"').to_owned())
}

/// No finding holds a token; if one ever does, it does not leave this machine.
fn masked(report: &str, context: &Context) -> String {
    let of_profile = context.wanted.profile.as_ref().and_then(|chosen| chosen.profile.token_file.clone());
    let files = [access::folder().ok().map(|folder| folder.token()), of_profile.map(TokenFile::new)];
    let of_file = |file: Option<TokenFile>| Some(file?.read().ok()?.expose().to_owned());
    let [own, of_profile] = files.map(of_file);
    let secrets = [own, of_profile, env_vars::read(env_vars::TOKEN)];
    let report = secrets.into_iter().flatten().fold(report.to_owned(), |report, secret| report.replace(&secret, MASK));
    let home = etcetera::home_dir().ok().map(|home| home.display().to_string()).filter(|home| home.len() > 1);
    home.map_or(report.clone(), |home| report.replace(&home, "~"))
}
