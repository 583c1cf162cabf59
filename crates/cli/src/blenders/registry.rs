// SPDX-License-Identifier: GPL-3.0-or-later
//! What the registry of Windows knows: where the installer has put Blenders, what opens .blend files, where Steam is.

use std::path::{Path, PathBuf};

use windows_registry::{CURRENT_USER, Key, LOCAL_MACHINE};

/// Where programs tell how they are removed, those of 32 bits in a view of their own.
const UNINSTALL: [&str; 2] = [
    r"Software\Microsoft\Windows\CurrentVersion\Uninstall",
    r"Software\WOW6432Node\Microsoft\Windows\CurrentVersion\Uninstall",
];

/// What kinds of files there are, and what opens them: `blendfile` by the installer, `blender.4.5` and the like by Blender's
/// own registration.
const CLASSES: &str = r"Software\Classes";

/// The folders of Blenders.
pub(super) fn blenders() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for root in [CURRENT_USER, LOCAL_MACHINE] {
        found.extend(UNINSTALL.iter().flat_map(|path| installed(root, path)));
        let classes = root.open(CLASSES).ok().and_then(|classes| Some(classes.keys().ok()?.collect::<Vec<_>>()));
        let of_blender = |name: &String| name.to_lowercase().starts_with("blend");
        let opened = classes.into_iter().flatten().filter(of_blender);
        found.extend(opened.filter_map(|name| opens(root, &format!(r"{CLASSES}\{name}\shell\open\command"))));
    }
    found
}

/// Steam's own folder.
pub(super) fn steam() -> Option<PathBuf> {
    CURRENT_USER.open(r"Software\Valve\Steam").ok()?.get_string("SteamPath").ok().map(PathBuf::from)
}

fn installed(root: &Key, path: &str) -> Vec<PathBuf> {
    let Ok(list) = root.open(path) else { return Vec::new() };
    let folder = |name: String| {
        let program = list.open(name).ok()?;
        let is_blender = program.get_string("DisplayName").ok()?.to_lowercase().starts_with("blender");
        let folder = program.get_string("InstallLocation").ok().filter(|folder| is_blender && !folder.is_empty())?;
        Some(PathBuf::from(folder))
    };
    list.keys().into_iter().flatten().filter_map(folder).collect()
}

/// The folder of the program in `"C:\…\blender-launcher.exe" "%1"`.
fn opens(root: &Key, path: &str) -> Option<PathBuf> {
    let command = root.open(path).ok()?.get_string("").ok()?;
    let program = command.strip_prefix('"')?.split('"').next()?;
    Path::new(program).parent().map(Path::to_owned)
}
