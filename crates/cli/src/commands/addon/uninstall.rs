// SPDX-License-Identifier: GPL-3.0-or-later
//! `blendwire addon uninstall`

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use super::inside::{self, Kind, Wanted, modules};
use super::plan::Change;
use super::talk::{self, Report, Verb};
use super::{chosen, package};
use crate::args::UninstallArgs;
use crate::blenders::Installed;
use crate::commands::setup;
use crate::exit::Ended;
use crate::{access, data, instances, printer};

pub(super) fn run(args: &UninstallArgs) -> Ended {
    let blenders = chosen::blenders(&args.blenders)?;
    let is_quiet = args.yes || args.json || args.dry_run || !setup::can_ask();
    let asks = !is_quiet && blenders.len() > 1 && !args.blenders.all && args.blenders.blender.is_empty();
    let uninstall = |blender: &Installed| {
        if asks && !talk::ask("Remove the add-on from", blender) {
            return Ok(Report::refused(blender));
        }
        uninstall(args, blender)
    };
    let ended = talk::each(Verb::Uninstall, args.dry_run, args.json, &blenders, uninstall);
    if !args.dry_run && !args.json && ended.is_ok() {
        tell_what_stays();
    }
    ended
}

fn uninstall(args: &UninstallArgs, blender: &Installed) -> Result<Report> {
    let before = inside::look(blender)?;
    let Some(first) = before.ours.first() else {
        return Ok(Report::new(blender, Kind::of(blender.version), Change::None));
    };
    let mut report = Report::new(blender, first.kind, Change::Removed);
    report.before = Some(first.version.clone());
    if args.dry_run {
        return Ok(report);
    }
    let (extensions, legacy): (Vec<_>, Vec<_>) = before.ours.iter().partition(|addon| addon.kind == Kind::Extension);
    let disable = modules(legacy.iter().copied());
    inside::change(blender, &Wanted { disable, uninstall: modules(extensions), ..Wanted::default() })?;
    // Not by Blender's own operator, which wants a window.
    for addon in legacy {
        package::remove(&addon.folder)
            .with_context(|| format!("{} is disabled, and cannot be removed", addon.folder.display()))?;
    }
    Ok(report)
}

/// The folders of Blendwire that are no part of the add-on.
fn tell_what_stays() {
    let token = access::folder().ok().map(|folder| folder.token().path().to_owned());
    let config = token.and_then(|token| token.parent().map(PathBuf::from));
    let folders = [
        (instances::state_folder(), "journal, descriptors of running servers"),
        (config, "settings, token and certificate"),
        (data::place(), "what `launch` unpacked and installed, and its logs"),
    ];
    // On some systems it is one folder.
    let mut there = BTreeMap::<_, Vec<_>>::new();
    for (folder, what) in folders.into_iter().filter_map(|(folder, what)| Some((folder?, what))) {
        if folder.is_dir() {
            there.entry(folder).or_default().push(what);
        }
    }
    if there.is_empty() {
        return;
    }
    printer::talk("Blendwire's own data stays; to remove it too:");
    for (folder, what) in there {
        let folder = folder.display();
        let command =
            if cfg!(windows) { format!("cmd /c rmdir /s /q \"{folder}\"") } else { format!("rm -r '{folder}'") };
        printer::talk(&format!("  {command}    ({})", what.join("; ")));
    }
}
