// SPDX-License-Identifier: GPL-3.0-or-later
//! What this executable is, and what it carries.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};

use anyhow::{Context as _, Result};
use blendwire_protocol::PROTOCOL_VERSION;
use sha2::{Digest as _, Sha256};

use super::locked::{FORMAT, Locked, Sums};
use crate::carried;

/// The facts of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Here {
    pub(super) version: String,
    pub(super) protocol: u32,
    pub(super) mcp: Vec<String>,
    pub(super) platform: String,
    pub(super) sums: Sums,
}

/// Reads this executable.
pub(super) fn here() -> Result<Here> {
    let executable = std::env::current_exe().context("the system does not tell where this executable is")?;
    let command = fs_err::File::open(&executable).map_err(anyhow::Error::from).and_then(sha256);
    let addon = carried::zip().ok();
    Ok(Here {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        protocol: PROTOCOL_VERSION,
        mcp: blendwire_mcp::revisions(),
        platform: blendwire_protocol::platform(),
        sums: Sums {
            command: Some(command.context("this executable cannot be read")?),
            addon: addon.map(sha256).transpose()?,
            core: addon.map(core).transpose().context("the carried add-on cannot be read")?,
        },
    })
}

/// That of the native module in the add-on, whatever the system calls such files.
fn core(addon: &[u8]) -> Result<String> {
    let mut zip = zip::ZipArchive::new(Cursor::new(addon))?;
    let is_core = |name: &str| name.rsplit('/').next().is_some_and(|file| file.starts_with("_core."));
    let names: Vec<_> = zip.file_names().collect::<Result<_, _>>()?;
    let name = names.iter().find(|name| is_core(name)).context("it has no core")?.clone().into_owned();
    sha256(zip.by_name(&name)?)
}

fn sha256(mut from: impl Read) -> Result<String> {
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match from.read(&mut buffer)? {
            0 => break,
            count => digest.update(&buffer[..count]),
        }
    }
    Ok(digest.finalize().iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}")))
}

impl Here {
    /// The file with this in it; what it had of other systems stays where it is of the same versions. Gives the systems
    /// that are gone, too.
    pub(super) fn added_to(&self, before: Option<Locked>) -> (Locked, Vec<String>) {
        let Self { version, protocol, mcp, platform, sums } = self.clone();
        let is_same = |locked: &Locked| locked.version == version && locked.protocol == protocol && locked.mcp == mcp;
        let mut dropped = Vec::new();
        let mut others = BTreeMap::new();
        if let Some(before) = before {
            if is_same(&before) {
                others = before.platform;
            } else {
                dropped.extend(before.platform.into_keys().filter(|other| *other != platform));
            }
        }
        others.insert(platform, sums);
        (Locked { format: FORMAT, version, protocol, mcp, platform: others }, dropped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn here(version: &str, platform: &str) -> Here {
        let sums = Sums { command: Some(format!("{version} {platform}")), ..Sums::default() };
        Here {
            version: version.to_owned(),
            protocol: 1,
            mcp: vec!["a".to_owned()],
            platform: platform.to_owned(),
            sums,
        }
    }

    #[test]
    fn other_systems_stay_while_the_versions_are_the_same() {
        let (one, _) = here("1", "linux").added_to(None);
        let (two, dropped) = here("1", "macos").added_to(Some(one.clone()));
        assert_eq!((two.platform.len(), dropped.len()), (2, 0));
        assert_eq!(here("1", "linux").added_to(Some(two.clone())).0, two);
        let (three, dropped) = here("2", "linux").added_to(Some(two));
        assert_eq!((three.platform.len(), dropped), (1, vec!["macos".to_owned()]));
    }

    #[test]
    fn a_checksum_is_that_of_the_bytes() {
        let sum = sha256(Cursor::new("abc")).unwrap();
        assert_eq!(sum, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
