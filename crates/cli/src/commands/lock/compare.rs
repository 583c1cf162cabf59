// SPDX-License-Identifier: GPL-3.0-or-later
//! What differs between what was locked and what is there, each with how to mend it.

use std::path::Path;

use blendwire_protocol::Versions;
use serde::Serialize;

use super::NAME;
use super::here::Here;
use super::locked::{Locked, Sums};
use crate::printer;

/// One thing that is not as it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Difference {
    /// What.
    pub(crate) what: String,
    /// How it was locked.
    pub(crate) locked: String,
    /// How it is.
    pub(crate) found: String,
    /// What to do.
    pub(crate) mend: String,
}

impl Difference {
    /// All but how to mend it.
    pub(crate) fn line(&self) -> String {
        let Self { what, locked, found, .. } = self;
        // A server's versions are what it says.
        printer::one_line(&format!("  {what}: locked {locked}, found {found}"))
    }
}

/// What stands for what is not there.
const NONE: &str = "none";

/// What writes this file.
pub(super) fn command(file: &Path) -> String {
    if file == Path::new(NAME) { "blendwire lock".to_owned() } else { format!("blendwire lock {}", file.display()) }
}

/// What mends them: each once.
pub(super) fn mends(differences: &[Difference]) -> Vec<&str> {
    let mut mends: Vec<_> = differences.iter().map(|difference| difference.mend.as_str()).collect();
    mends.dedup();
    mends
}

/// This executable, with the file.
pub(super) fn with_here(locked: &Locked, here: &Here, file: &Path) -> Vec<Difference> {
    let accept = format!("or `{}` to accept what is there", command(file));
    let version = &locked.version;
    let mend = if *version == here.version {
        format!(
            "reinstall blendwire {version} from where the locked one came from: this is another build of it; {accept}"
        )
    } else {
        format!("install blendwire {version}; {accept}")
    };
    let difference = |what: &str, locked: String, found: String| {
        (locked != found).then(|| Difference { what: what.to_owned(), locked, found, mend: mend.clone() })
    };
    let mut differences: Vec<_> = [
        difference("version", version.clone(), here.version.clone()),
        difference("protocol", locked.protocol.to_string(), here.protocol.to_string()),
        difference("MCP revisions", locked.mcp.join(" "), here.mcp.join(" ")),
    ]
    .into_iter()
    .flatten()
    .collect();
    let Some(sums) = locked.platform.get(&here.platform) else {
        differences.push(Difference {
            what: format!("checksums for {}", here.platform),
            locked: NONE.to_owned(),
            found: "an executable for it".to_owned(),
            mend: format!("`{}` on this system adds them", command(file)),
        });
        return differences;
    };
    let Sums { command, addon, core } = &here.sums;
    let pairs = [
        ("SHA-256 of the executable", &sums.command, command),
        ("SHA-256 of the add-on that it carries", &sums.addon, addon),
        ("SHA-256 of the core in the add-on", &sums.core, core),
    ];
    let shown = |sum: &Option<String>| sum.clone().unwrap_or_else(|| NONE.to_owned());
    differences.extend(pairs.into_iter().filter_map(|(what, was, is)| difference(what, shown(was), shown(is))));
    differences
}

/// The server at `endpoint`, with the file. It tells versions and no checksums.
pub(super) fn with_running(locked: &Locked, running: &Versions, endpoint: &str) -> Vec<Difference> {
    let version = &locked.version;
    let mend = format!(
        "install the add-on of blendwire {version} in that Blender and restart it, or `blendwire launch` starts one with it"
    );
    let difference = |what: &str, locked: &str, found: &str| {
        let found = if found.is_empty() { NONE } else { found };
        let what = format!("{what} at {endpoint}");
        (locked != found).then(|| Difference {
            what,
            locked: locked.to_owned(),
            found: found.to_owned(),
            mend: mend.clone(),
        })
    };
    let protocols = (locked.protocol.to_string(), running.protocol.to_string());
    let differences = [
        difference("core", version, &running.core),
        difference("add-on", version, &running.addon),
        difference("protocol", &protocols.0, &protocols.1),
    ];
    differences.into_iter().flatten().collect()
}
