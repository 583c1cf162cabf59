// SPDX-License-Identifier: GPL-3.0-or-later
//! What is said and asked: what was done to stdout, the rest to stderr.

use std::path::PathBuf;

use anyhow::Result;
use serde::Serialize;
use serde_json::{Value, json};

use super::chosen;
use super::inside::{Addon, Kind};
use super::plan::Change;
use crate::blenders::{Installed, Version};
use crate::commands::setup;
use crate::exit::{Ended, Failure};
use crate::printer;

/// Which command talks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Install,
    Uninstall,
}

/// What was done in one Blender.
#[derive(Serialize)]
pub(super) struct Report {
    #[serde(skip)]
    blender_version: Version,
    path: PathBuf,
    change: Change,
    kind: Kind,
    /// The version that was there.
    pub(super) before: Option<String>,
    /// The version that is there now.
    pub(super) version: Option<String>,
    /// Add-ons that were disabled.
    pub(super) disabled: Vec<Addon>,
    /// Other add-ons for MCP that stay enabled.
    pub(super) others: Vec<Addon>,
    /// Whether the person did not want it.
    refused: bool,
    /// Processes that have loaded what was there before.
    restart: Vec<u32>,
}

impl Report {
    pub(super) fn new(blender: &Installed, kind: Kind, change: Change) -> Self {
        Self {
            blender_version: blender.version,
            path: blender.path.clone(),
            change,
            kind,
            before: None,
            version: None,
            disabled: Vec::new(),
            others: Vec::new(),
            refused: false,
            restart: Vec::new(),
        }
    }

    pub(super) fn refused(blender: &Installed) -> Self {
        Self { refused: true, ..Self::new(blender, Kind::of(blender.version), Change::None) }
    }
}

/// Asks whether to do it in this Blender.
pub(super) fn ask(what: &str, blender: &Installed) -> bool {
    setup::ask(&format!("{what} Blender {} ({})?", blender.version, blender.path.display()))
}

/// Does the work in each Blender, one after the other, and says what became of it. What goes wrong in one is no reason to
/// leave the others.
pub(super) fn each(
    verb: Verb,
    is_dry: bool,
    as_json: bool,
    blenders: &[Installed],
    work: impl Fn(&Installed) -> Result<Report>,
) -> Ended {
    let (mut all, mut is_failed) = (Vec::new(), false);
    for blender in blenders {
        match work(blender) {
            Ok(mut report) => {
                let changes = report.change != Change::None && !is_dry;
                let running = if changes { chosen::running(blender.version) } else { Vec::new() };
                report.restart = running.iter().map(|instance| instance.pid).collect();
                if as_json {
                    all.push(told(&report)?);
                } else {
                    printer::table(&line(verb, is_dry, &report))?;
                    advise(verb, is_dry, &report);
                }
            }
            Err(error) => {
                is_failed = true;
                all.push(json!({
                    "blender": blender.version.to_string(), "path": blender.path, "error": format!("{error:#}"),
                }));
                printer::error(&error.context(blender.path.display().to_string()));
            }
        }
    }
    if as_json {
        printer::data(&Value::from(all).to_string())?;
    }
    if is_failed { Err(Failure::Told) } else { Ok(()) }
}

fn told(report: &Report) -> Result<Value, Failure> {
    let mut said = json!({"blender": report.blender_version.to_string()});
    let report = serde_json::to_value(report).map_err(Failure::failed)?;
    for (key, value) in report.as_object().into_iter().flatten() {
        said[key.as_str()] = value.clone();
    }
    Ok(said)
}

fn line(verb: Verb, is_dry: bool, report: &Report) -> String {
    let would_be = if is_dry { "would be " } else { "" };
    let version = report.version.as_deref().unwrap_or_default();
    let before = report.before.as_deref().unwrap_or_default();
    let what = match report.change {
        _ if report.refused => "left as it was".to_owned(),
        Change::Installed => format!("{would_be}installed: {version}"),
        Change::Updated => format!("{would_be}updated: {before} → {version}"),
        Change::Reinstalled => format!("{would_be}installed again: {version}"),
        Change::Enabled => format!("{would_be}enabled: {version}"),
        Change::Removed => format!("{would_be}removed: {before}"),
        Change::None if verb == Verb::Uninstall => "not installed".to_owned(),
        Change::None => format!("already installed: {version}"),
    };
    let kind = match report.change {
        Change::Installed | Change::Reinstalled => format!(" ({})", report.kind.told()),
        _ => String::new(),
    };
    format!("Blender {:8} {what}{kind}  {}", report.blender_version, report.path.display())
}

fn advise(verb: Verb, is_dry: bool, report: &Report) {
    let version = report.blender_version;
    for addon in &report.disabled {
        let would_be = if is_dry { "would be " } else { "" };
        printer::talk(&format!(
            "Blender {version}: {would_be}disabled: {} ({})",
            printer::one_line(&addon.name),
            addon.module
        ));
    }
    for addon in &report.others {
        printer::talk(&format!(
            "warning: Blender {version} has another add-on for MCP enabled, {} ({}): it wants the same port; `blendwire addon \
             install --disable-others` disables it",
            printer::one_line(&addon.name),
            addon.module
        ));
    }
    if is_dry || report.change == Change::None && report.disabled.is_empty() {
        return;
    }
    for pid in &report.restart {
        printer::talk(&format!(
            "Blender {version} runs (process {pid}) with what was there before: save your work and restart it"
        ));
    }
    if report.restart.is_empty() && verb == Verb::Install {
        printer::talk(&format!(
            "Blender {version}: next: start it; its server starts with it. One that is open already has to be restarted"
        ));
    }
}
