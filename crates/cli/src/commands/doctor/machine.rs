// SPDX-License-Identifier: GPL-3.0-or-later
//! What this machine has: the token's file, room on its disks, a Blender.

use std::path::{Path, PathBuf};

use blendwire_credentials::TokenFile;

use super::context::Context;
use super::finding::Finding;
use super::system;
use crate::{access, blenders, env_vars};

pub(super) fn token_file(_: &Context) -> Finding {
    let file = match access::folder() {
        Ok(folder) => folder.token(),
        Err(error) => {
            return Finding::warning(error.to_string(), "the token of this user's own Blenders has no place").remedy(
                format!("{}, for Blender and for this command", system::variable(env_vars::CONFIG_DIR, "FOLDER")),
            );
        }
    };
    let shown = file.path().display().to_string();
    match file.read() {
        Ok(_) => Finding::ok(shown),
        Err(error) if error.is_missing() => Finding::ok(format!("none yet; it is made when one is wanted, at {shown}")),
        Err(error) => refused(&file, &error.to_string()),
    }
}

/// It is there, and cannot be used.
fn refused(file: &TokenFile, error: &str) -> Finding {
    let finding = Finding::failure(
        error.to_owned(),
        "whoever has the token may run anything in Blender; a file that others can read is not used",
    );
    let path = file.path().to_owned();
    match std::fs::metadata(&path).map(|metadata| blendwire_state::open_to_others(&metadata)) {
        #[cfg(unix)]
        Ok(Some(_)) => finding
            .remedy(system::own_alone(&path))
            .remedy("blendwire token --rotate: when somebody may have seen it")
            .fix(move || {
                let own = std::os::unix::fs::PermissionsExt::from_mode(0o600);
                fs_err::set_permissions(&path, own)?;
                Ok(format!(
                    "closed {} to other users; `blendwire token --rotate` if one may have seen it",
                    path.display()
                ))
            }),
        _ => finding.remedy("blendwire token --rotate: makes a new one"),
    }
}

/// Below that a large scene's copy for --rollback or --changes may not fit.
const LITTLE_BYTES: u64 = 1024 * 1024 * 1024;

/// Below that not even pictures and the journal are safe.
const TOO_LITTLE_BYTES: u64 = 64 * 1024 * 1024;

pub(super) fn space(_: &Context) -> Finding {
    let folders = [Some(std::env::temp_dir()), crate::instances::state_folder()].into_iter().flatten();
    // The state folder is made when something is kept: its disk is that of the folder above.
    let existing = folders.filter_map(|folder| folder.ancestors().find(|folder| folder.is_dir()).map(Path::to_owned));
    let rooms: Vec<_> = existing.filter_map(|folder| Some((fs4::available_space(&folder).ok()?, folder))).collect();
    of_rooms(&rooms)
}

/// The finding for so many bytes at each of these folders.
fn of_rooms(rooms: &[(u64, PathBuf)]) -> Finding {
    let mib = |bytes: u64| bytes / (1024 * 1024);
    let shown: Vec<_> =
        rooms.iter().map(|(room, folder)| format!("{} MiB at {}", mib(*room), folder.display())).collect();
    let (shown, least) = (shown.join(", "), rooms.iter().map(|(room, _)| *room).min().unwrap_or(u64::MAX));
    let why = "pictures and copies of the file for rollback and changes are temporary files, the journal is state";
    let finding = match least {
        ..TOO_LITTLE_BYTES => Finding::failure(format!("hardly any room: {shown}"), why),
        TOO_LITTLE_BYTES..LITTLE_BYTES => Finding::warning(format!("little room: {shown}"), why),
        LITTLE_BYTES.. => return Finding::ok(shown),
    };
    finding.remedy(format!("make room there: {}", system::disks())).remedy(format!(
        "{}, before Blender and this command are started: a folder on a larger disk",
        system::variable(system::TEMPORARY, "FOLDER")
    ))
}

pub(super) fn blender(context: &Context) -> Finding {
    // A minute, for which `launch` waits, is more than a check may take.
    match blenders::to_start(None, blenders::VERSION_WITHIN, || context.blenders().to_vec()) {
        Ok(found) => Finding::ok(format!("Blender {} ({})", found.version, found.path.display())),
        Err(error) => Finding::warning(
            // Of one that was named the cause is told; else what to do is below.
            if env_vars::read(env_vars::BLENDER).is_some() { format!("{error:#}") } else { error.to_string() },
            "`blendwire launch` has nothing to start; a Blender that runs already, here or elsewhere, needs none",
        )
        .remedy("blendwire launch --embedded: fetches Blender's own Python module (400 MB), once")
        .remedy(format!(
            "install one from https://www.blender.org/download/, or name it: {}",
            system::variable(env_vars::BLENDER, "PATH")
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::State;
    use super::*;

    #[test]
    fn the_disk_with_the_least_room_counts() {
        let gib = 1024 * 1024 * 1024;
        let state = |rooms: &[u64]| {
            let rooms: Vec<_> = rooms.iter().map(|room| (*room, PathBuf::from("/tmp"))).collect();
            of_rooms(&rooms).state
        };
        assert_eq!(state(&[2 * gib, gib]), State::Ok);
        assert_eq!(state(&[2 * gib, gib - 1]), State::Warning);
        assert_eq!(state(&[gib / 16 - 1, 2 * gib]), State::Failure);
    }

    #[test]
    fn a_real_disk_has_room_that_is_told() {
        let folder = tempfile::tempdir().unwrap();
        assert!(fs4::available_space(folder.path()).unwrap() > 0);
    }
}
