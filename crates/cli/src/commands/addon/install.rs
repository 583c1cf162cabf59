// SPDX-License-Identifier: GPL-3.0-or-later
//! `blendwire addon install`
//!
//! An extension is installed by Blender itself: it keeps the settings of an older version, and on Windows gets along with
//! files that a running Blender has locked. A legacy add-on is unpacked here, between two starts: Blender's own installer
//! for those throws the user's settings away, and cannot replace what it has loaded itself.

use anyhow::{Context as _, Result, bail};
use serde_json::Map;

use super::chosen;
use super::inside::{self, Addon, Inside, Kind, Wanted};
use super::package::{self, Package};
use super::plan::{Change, Plan};
use super::talk::{self, Report, Verb};
use crate::args::{InstallArgs, KindName};
use crate::blenders::{Installed, Version};
use crate::commands::setup;
use crate::exit::{Ended, Failure};
use crate::printer;

pub(super) fn run(args: &InstallArgs) -> Ended {
    let package = Package::open(args.zip.as_deref()).map_err(Failure::could_not_start)?;
    let blenders = chosen::blenders(&args.blenders)?;
    let is_quiet = args.yes || args.json || args.dry_run || !setup::can_ask();
    let asks = !is_quiet && blenders.len() > 1 && !args.blenders.all && args.blenders.blender.is_empty();
    let install = |blender: &Installed| {
        if asks && !talk::ask(&format!("Install the add-on {} in", package.version), blender) {
            return Ok(Report::refused(blender));
        }
        install(args, &package, blender, !is_quiet)
    };
    talk::each(Verb::Install, args.dry_run, args.json, &blenders, install)
}

fn install(args: &InstallArgs, package: &Package, blender: &Installed, may_ask: bool) -> Result<Report> {
    let kind = kind(args.kind, blender.version)?;
    let before = inside::look(blender)?;
    let plan = Plan::new(&before, kind, &package.version, |addon| {
        // A folder that cannot be read is put right by installing.
        package.is_unpacked_at(&addon.folder).unwrap_or(false)
    });
    let mut report = Report::new(blender, kind, plan.change);
    report.before = plan.before().map(|version| version.0);
    report.version = Some(package.version.0.clone());
    if let Some(newer) = plan.before().filter(|before| before.is_newer_than(&package.version) && !args.downgrade) {
        bail!(
            "Blender {} has {newer}, which is newer than {}: use the blendwire command of that version, or replace it all \
             the same with --downgrade",
            blender.version,
            package.version
        );
    }
    let rivals: Vec<_> = before.rivals.iter().filter(|rival| rival.enabled).cloned().collect();
    let turns_off = !rivals.is_empty() && (args.disable_others || may_ask && ask_to_disable(blender, &rivals));
    let (disabled, left) = if turns_off { (rivals, Vec::new()) } else { (Vec::new(), rivals) };
    if !args.dry_run && (plan.change != Change::None || turns_off) {
        let after = carry_out(&plan, package, blender, kind, &before, &disabled)?;
        check(blender, &plan, package, kind, &after)?;
    }
    (report.disabled, report.others) = (disabled, left);
    Ok(report)
}

fn kind(wanted: Option<KindName>, version: Version) -> Result<Kind> {
    match wanted {
        None => Ok(Kind::of(version)),
        Some(KindName::Legacy) => Ok(Kind::Legacy),
        Some(KindName::Extension) if Kind::of(version) == Kind::Extension => Ok(Kind::Extension),
        Some(KindName::Extension) => bail!(
            "Blender {version} has no extensions, which came with {}: leave --as out, or say --as legacy",
            Version::EXTENSIONS
        ),
    }
}

fn carry_out(
    plan: &Plan,
    package: &Package,
    blender: &Installed,
    kind: Kind,
    before: &Inside,
    rivals: &[Addon],
) -> Result<Inside> {
    let out = plan.out(rivals);
    let module = plan.target.as_ref().map(|target| target.module.clone());
    let after = match kind {
        Kind::Extension if plan.unpacks => {
            let file = package.temporary_file()?;
            inside::change(blender, &Wanted { install: Some(file.path().to_owned()), ..out })?
        }
        Kind::Legacy if plan.unpacks => {
            // A start of Blender less where there is nothing to take out.
            let settings = if out.is_empty() { Map::new() } else { inside::change(blender, &out)?.settings };
            let in_place = plan.target.as_ref().map(|target| target.folder.clone());
            let folder = in_place.unwrap_or_else(|| before.legacy_folder.join("blendwire"));
            package.unpack_as(&folder).with_context(|| format!("cannot unpack the add-on to {}", folder.display()))?;
            inside::change(blender, &Wanted { enable: Some("blendwire".to_owned()), settings, ..Wanted::default() })?
        }
        _ => inside::change(blender, &Wanted { enable: module, ..out })?,
    };
    for addon in plan.others.iter().filter(|addon| addon.kind == Kind::Legacy) {
        if let Err(error) = package::remove(&addon.folder) {
            // It is disabled, which is what matters.
            printer::talk(&format!("warning: {} is disabled and stays: {error:#}", addon.folder.display()));
        }
    }
    Ok(after)
}

/// What Blender tells afterwards is what was done, whatever its installer said.
fn check(blender: &Installed, plan: &Plan, package: &Package, kind: Kind, after: &Inside) -> Result<()> {
    let is_right = |addon: &&Addon| addon.kind == kind && addon.enabled && addon.version == package.version.0;
    if after.ours.iter().any(|addon| is_right(&addon)) {
        return Ok(());
    }
    let found: Vec<_> = after.ours.iter().map(|addon| format!("{} {}", addon.module, addon.version)).collect();
    bail!(
        "Blender {} did not take the add-on {} ({:?} was tried; it has: {}): look at Edit > Preferences > Add-ons there, and \
         report it with the output of `blendwire doctor --report`",
        blender.version,
        package.version,
        plan.change,
        if found.is_empty() { "none".to_owned() } else { found.join(", ") }
    )
}

fn ask_to_disable(blender: &Installed, rivals: &[Addon]) -> bool {
    printer::talk(&format!("Blender {} has other add-ons for MCP enabled:", blender.version));
    for rival in rivals {
        printer::talk(&format!("  {} {} ({})", printer::one_line(&rival.name), rival.version, rival.module));
    }
    setup::ask("They want the same port. Disable them? They stay installed.")
}
