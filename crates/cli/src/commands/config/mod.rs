// SPDX-License-Identifier: GPL-3.0-or-later
//! `blendwire config`: which Blender is meant and what says so, and all about the file of settings.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use blendwire_client::{Endpoint, Tls, TokenSource};
use owo_colors::OwoColorize as _;
use serde::Serialize;

use crate::args::ConfigArgs;
use crate::config::{self, Config};
use crate::endpoint::{self, Said, Source, Wanted};
use crate::exit::{Ended, Failure};
use crate::instances::Advice;
use crate::{access, env_vars, printer};

/// What counts in the end.
#[derive(Serialize)]
struct Effective {
    /// The settings.
    file: Option<String>,
    /// Whether they are there.
    exists: bool,
    /// All profiles.
    profiles: Vec<String>,
    /// Each value with what says so.
    #[serde(flatten)]
    values: BTreeMap<&'static str, Value>,
}

#[derive(Serialize)]
struct Value {
    value: String,
    /// An option, a variable, a profile, or nothing.
    by: Option<String>,
}

pub(crate) fn run(args: &ConfigArgs) -> Ended {
    if args.path {
        let path = config::path().context("no home folder; name the file with BLENDWIRE_CONFIG");
        return printer::data(&path.map_err(Failure::could_not_start)?.display().to_string());
    }
    if args.schema {
        return printer::data(&serde_json::to_string_pretty(&config::schema()).map_err(Failure::failed)?);
    }
    if args.example {
        return printer::data(config::EXAMPLE.trim_end());
    }
    let effective = effective(args).map_err(Failure::could_not_start)?;
    if args.json {
        return printer::data(&serde_json::to_string(&effective).map_err(Failure::failed)?);
    }
    printer::table(&text(&effective))
}

fn effective(args: &ConfigArgs) -> Result<Effective> {
    let config = Config::load()?;
    let wanted = Wanted::of(&args.endpoint, endpoint::profile(&args.endpoint, &config)?)?;
    let (endpoint, found) = where_to(&wanted);
    let profile = wanted.profile.as_ref();
    let (token, token_by) = access::token(profile, &endpoint)?;
    let (tls, tls_by) = access::tls(&args.endpoint.access, profile, &endpoint, env_vars::read)?;
    let value = |value: String, by: Option<String>| Value { value, by };
    let said = |by: Option<Source>| by.map(|by| by.to_string());
    let mut values = BTreeMap::new();
    if let Some(chosen) = profile {
        values.insert("profile", value(chosen.name.clone(), Some(chosen.named_by.to_string())));
    }
    let by = |said: Option<Source>| said.map(|by| by.to_string()).or_else(|| found.clone().ok().flatten());
    match &found {
        Ok(_) => {
            values.insert("host", value(endpoint.host.clone(), by(source(wanted.host.as_ref()))));
            values.insert("port", value(endpoint.port.to_string(), by(source(wanted.port.as_ref()))));
        }
        Err(unclear) => drop(values.insert("unclear", value(unclear.clone(), None))),
    }
    if let Some(Said { value: instance, by }) = &wanted.instance {
        values.insert("instance", value(instance.clone(), said(Some(by.clone()))));
    }
    values.insert("token", value(shown_token(&token), said(token_by)));
    values.insert("tls", value(shown_tls(&tls), said(tls_by)));
    Ok(Effective {
        file: config.path.as_ref().map(|path| path.display().to_string()),
        exists: config.is_there,
        profiles: config.names().into_iter().map(str::to_owned).collect(),
        values,
    })
}

fn source<T>(said: Option<&Said<T>>) -> Option<Source> {
    said.map(|said| said.by.clone())
}

/// The endpoint, and in words what it comes from where nothing says it; or why it is not clear. Then what else counts is
/// worth showing all the same.
fn where_to(wanted: &Wanted) -> (Endpoint, Result<Option<String>, String>) {
    if wanted.host.is_some() || wanted.port.is_some() {
        return (wanted.endpoint(), Ok(None));
    }
    match wanted.find(Advice::at_a_shell("name one with --instance")) {
        Ok(target) => {
            let by =
                target.instance.map(|found| format!("instance {}, which runs", printer::one_line(&found.instance)));
            (target.endpoint, Ok(by))
        }
        Err(error) => (wanted.endpoint(), Err(error.to_string().lines().next().unwrap_or_default().to_owned())),
    }
}

/// Where it is, never what it is.
fn shown_token(token: &TokenSource) -> String {
    match token {
        TokenSource::Nowhere(why) => format!("none: {why}"),
        TokenSource::Given(_) => "given".to_owned(),
        TokenSource::File(file) => match file.read() {
            Ok(_) => file.path().display().to_string(),
            Err(error) if error.is_missing() => format!("{} (not there)", file.path().display()),
            Err(error) => error.to_string(),
        },
    }
}

fn shown_tls(tls: &Tls) -> String {
    match tls {
        Tls::Off => "off".to_owned(),
        Tls::Pinned(fingerprint) => format!("pinned, {fingerprint}"),
        Tls::Current(_) => "pinned, to this server's own certificate".to_owned(),
        Tls::Verified { ca: Some(ca) } => format!("verified, by {} or the system's authorities", ca.display()),
        Tls::Verified { ca: None } => "verified, by the system's authorities".to_owned(),
    }
}

fn text(effective: &Effective) -> String {
    let Effective { file, exists, profiles, values } = effective;
    let file = file.as_deref().unwrap_or("no home folder");
    let none = if *exists { "" } else { " (not there; `blendwire config --example` shows what goes into it)" };
    let mut lines = vec![line("settings", &format!("{file}{none}"), None)];
    if !profiles.is_empty() {
        lines.push(line("profiles", &profiles.join(", "), None));
    }
    for name in ["profile", "instance", "host", "port", "unclear", "token", "tls"] {
        lines.extend(values.get(name).map(|Value { value, by }| line(name, value, by.as_deref())));
    }
    lines.join("\n")
}

fn line(name: &str, value: &str, by: Option<&str>) -> String {
    let by = by.map(|by| format!("  ({})", printer::one_line(by)).dimmed().to_string());
    format!("{:<10} {}{}", name.bold(), printer::one_line(value), by.unwrap_or_default())
}
