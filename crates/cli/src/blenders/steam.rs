// SPDX-License-Identifier: GPL-3.0-or-later
//! The folders into which Steam installs: its own, and those that the user has added on other disks.

use std::path::{Path, PathBuf};

/// Every library that is there.
pub(super) fn libraries(home: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for root in roots(home) {
        let list = std::fs::read_to_string(root.join("steamapps/libraryfolders.vdf")).unwrap_or_default();
        found.extend(listed(&list));
        found.push(root);
    }
    found
}

#[cfg(windows)]
fn roots(_home: &Path) -> Vec<PathBuf> {
    let programs = std::env::var_os("ProgramFiles(x86)").map(|programs| PathBuf::from(programs).join("Steam"));
    super::registry::steam().into_iter().chain(programs).collect()
}

#[cfg(not(windows))]
fn roots(home: &Path) -> Vec<PathBuf> {
    let usual = if cfg!(target_os = "macos") {
        &["Library/Application Support/Steam"][..]
    } else {
        &[
            ".steam/steam",
            ".local/share/Steam",
            ".var/app/com.valvesoftware.Steam/.local/share/Steam",
            "snap/steam/common/.local/share/Steam",
        ]
    };
    usual.iter().map(|path| home.join(path)).filter(|path| path.is_dir()).collect()
}

/// The paths in Steam's list: lines of a quoted key and a quoted value, with backslashes written twice.
fn listed(list: &str) -> Vec<PathBuf> {
    let path = |line: &str| {
        let value = line.trim().strip_prefix("\"path\"")?.trim();
        Some(PathBuf::from(value.strip_prefix('"')?.strip_suffix('"')?.replace("\\\\", "\\")))
    };
    list.lines().filter_map(path).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_read_from_steams_list() {
        let list = "\"libraryfolders\"\n{\n\t\"0\"\n\t{\n\t\t\"path\"\t\t\"D:\\\\Games\\\\Steam\"\n\t\t\"label\"\t\t\"\"\n\t}\n\
                    \t\"1\"\n\t{\n\t\t\"path\"\t\t\"/mnt/games\"\n\t}\n}\n";
        assert_eq!(listed(list), [PathBuf::from("D:\\Games\\Steam"), PathBuf::from("/mnt/games")]);
        assert!(listed("").is_empty());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_library_on_another_disk_is_found() {
        let home = tempfile::tempdir().unwrap();
        let steamapps = home.path().join(".local/share/Steam/steamapps");
        std::fs::create_dir_all(&steamapps).unwrap();
        std::fs::write(steamapps.join("libraryfolders.vdf"), "\"path\"\t\"/mnt/games\"\n").unwrap();
        let found = libraries(home.path());
        assert_eq!(found, [PathBuf::from("/mnt/games"), home.path().join(".local/share/Steam")]);
    }
}
