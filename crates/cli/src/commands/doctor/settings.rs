// SPDX-License-Identifier: GPL-3.0-or-later
//! The files that people write about Blendwire: its settings, and the lock file of the folder that this runs in.

use std::path::Path;

use blendwire_credentials::TokenFile;

use super::context::Context;
use super::finding::Finding;
use super::system;
use crate::commands::lock;
use crate::{config, printer};

pub(super) fn config(context: &Context) -> Finding {
    let config = match &context.config {
        Ok(config) => config,
        Err(error) => return wrong(error),
    };
    let Some(path) = config.path.as_ref().map(|path| path.display()) else {
        return Finding::ok("no home folder, and so no settings");
    };
    if !config.is_there {
        return Finding::ok(format!("none; they would be in {path}"));
    }
    let Some(chosen) = &context.wanted.profile else {
        return Finding::ok(format!("{path}; no profile of it counts here"));
    };
    let token = chosen.profile.token_file.clone().map(TokenFile::new);
    if let Some((file, Err(error))) = token.map(|file| (file.path().display().to_string(), file.read())) {
        return Finding::failure(
            format!("the token of profile {}: {error}", chosen.name),
            "the server is not let in to without it, or others could read it",
        )
        .remedy(format!("{}, where it is there and others can read it", system::own_alone(Path::new(&file))))
        .remedy(format!(
            "write what `blendwire token` shows on Blender's machine into {file}, readable for you alone"
        ));
    }
    Finding::ok(printer::one_line(&format!("{path}; profile {}, by {}", chosen.name, chosen.named_by)))
}

fn wrong(error: &anyhow::Error) -> Finding {
    let text = format!("{error:#}");
    let path = config::path().map_or_else(|| "config.toml".to_owned(), |path| path.display().to_string());
    Finding::failure(
        printer::one_line(text.lines().next().unwrap_or_default()),
        "which Blender is meant is not clear, and every command that talks to one refuses to guess",
    )
    .remedy(format!("correct {path} there; `blendwire config` says whether it is right"))
    .remedy("blendwire config --example: settings as they should be")
    .remedy(format!("move {path} out of the way: without settings the Blender that runs is meant"))
}

pub(super) fn lock(_: &Context) -> Finding {
    let why = "what is deployed is not what was locked: what was tested with one may not hold for the other";
    match lock::look(Path::new(lock::NAME)) {
        Ok(None) => Finding::ok(format!("no {} in this folder", lock::NAME)),
        Ok(Some(differences)) => {
            let Some(first) = differences.first() else { return Finding::ok(format!("{} holds", lock::NAME)) };
            let seen: Vec<_> = differences.iter().map(|difference| difference.line().trim().to_owned()).collect();
            Finding::failure(format!("{} does not hold: {}", lock::NAME, seen.join("; ")), why)
                .remedy(first.mend.clone())
                .remedy("blendwire lock --check: shows each difference")
        }
        Err(error) => {
            Finding::failure(format!("{error:#}"), why).remedy("blendwire lock: writes it anew, once it is moved away")
        }
    }
}
