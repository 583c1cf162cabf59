// SPDX-License-Identifier: GPL-3.0-or-later
//! Where Blenders are found: PATH, and what installers, packages, shops and people use on each system.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::steam;

/// The file's name in the folder of a Blender.
const NAME: &str = if cfg!(windows) { "blender.exe" } else { "blender" };

/// The executable of a folder or a macOS application, else the path itself.
///
/// # Errors
/// When it is not there.
pub(super) fn executable(path: &Path) -> Result<PathBuf> {
    let file = if is_application(path) {
        path.join("Contents/MacOS/Blender")
    } else if path.is_dir() {
        path.join(NAME)
    } else {
        path.to_owned()
    };
    if !path.exists() {
        bail!("{} is not there", path.display());
    }
    if !file.is_file() {
        bail!("there is no Blender in {}, and none in the folders in it", path.display());
    }
    Ok(std::path::absolute(file)?)
}

fn is_application(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "app")
}

/// The executables of a folder: of the one Blender that it is of, else of those in folders or applications in it.
pub(super) fn in_folder(folder: &Path) -> Vec<PathBuf> {
    if let Ok(executable) = executable(folder) {
        return vec![executable];
    }
    let inside = fs_err::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    inside.filter(|path| path.is_dir()).filter_map(|path| executable(&path).ok()).collect()
}

/// Those on PATH.
pub(super) fn on_path() -> Vec<PathBuf> {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&folders).map(|folder| folder.join(NAME)).filter(|path| path.is_file()).collect()
}

/// Those in the usual places of this system.
pub(super) fn usual() -> Vec<PathBuf> {
    let home = etcetera::home_dir().unwrap_or_default();
    let mut found = if cfg!(target_os = "macos") {
        let applications = [PathBuf::from("/Applications"), home.join("Applications")];
        let mut folders = applications.to_vec();
        // Several versions are kept apart in folders of their own.
        folders.extend(applications.iter().flat_map(|folder| folders_of_blender(folder)));
        folders.iter().flat_map(|folder| in_folder(folder)).collect()
    } else if cfg!(windows) {
        windows()
    } else {
        linux(&home)
    };
    found.extend(
        steam::libraries(&home).iter().flat_map(|library| in_folder(&library.join("steamapps/common/Blender"))),
    );
    found
}

fn linux(home: &Path) -> Vec<PathBuf> {
    let of_packages = [
        "/usr/bin/blender",
        "/usr/local/bin/blender",
        "/snap/bin/blender",
        "/var/lib/snapd/snap/bin/blender",
        "/var/lib/flatpak/exports/bin/org.blender.Blender",
    ];
    let of_user = [".local/share/flatpak/exports/bin/org.blender.Blender", ".local/bin/blender", "bin/blender"];
    let files = of_packages.iter().map(PathBuf::from).chain(of_user.iter().map(|path| home.join(path)));
    let mut found: Vec<_> = files.filter(|path| path.is_file()).collect();
    // The archive from blender.org, where people unpack it.
    let unpacked_in = ["/opt", "/usr/local"].iter().map(PathBuf::from);
    for folder in unpacked_in.chain(["Applications", ".local/opt", ""].iter().map(|folder| home.join(folder))) {
        found.extend(folders_of_blender(&folder).iter().flat_map(|folder| in_folder(folder)));
    }
    found
}

#[cfg(windows)]
fn windows() -> Vec<PathBuf> {
    let variables = ["ProgramFiles", "ProgramW6432", "LOCALAPPDATA"];
    let roots = variables.iter().filter_map(std::env::var_os).map(PathBuf::from);
    let roots: Vec<_> = roots.flat_map(|root| [root.join("Blender Foundation"), root.join("Programs")]).collect();
    roots.into_iter().chain(super::registry::blenders()).flat_map(|folder| in_folder(&folder)).collect()
}

#[cfg(not(windows))]
fn windows() -> Vec<PathBuf> {
    Vec::new()
}

/// The folders in this one with a name that begins with Blender's, in any case of letters.
fn folders_of_blender(folder: &Path) -> Vec<PathBuf> {
    let entries = fs_err::read_dir(folder).into_iter().flatten().flatten();
    let named = entries.filter(|entry| entry.file_name().to_string_lossy().to_lowercase().starts_with("blender"));
    named.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blender(folder: &Path) -> PathBuf {
        std::fs::create_dir_all(folder).unwrap();
        std::fs::write(folder.join(NAME), "").unwrap();
        folder.join(NAME)
    }

    #[test]
    fn a_folder_is_of_one_blender_or_of_several() {
        let folder = tempfile::tempdir().unwrap();
        let one = blender(&folder.path().join("blender-4.5.1-linux-x64"));
        let two = blender(&folder.path().join("Blender 5.2"));
        std::fs::create_dir(folder.path().join("another")).unwrap();
        let application = folder.path().join("Blender.app/Contents/MacOS");
        std::fs::create_dir_all(&application).unwrap();
        std::fs::write(application.join("Blender"), "").unwrap();
        let mut found = in_folder(folder.path());
        found.sort();
        assert_eq!(found, [two, application.join("Blender"), one.clone()]);
        assert_eq!(in_folder(one.parent().unwrap()), [one]);
        assert!(in_folder(&folder.path().join("another")).is_empty());
        assert!(in_folder(&folder.path().join("missing")).is_empty());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_home_folder_is_looked_through() {
        let home = tempfile::tempdir().unwrap();
        let unpacked = blender(&home.path().join("blender-4.2.1-linux-x64"));
        let several = blender(&home.path().join("Applications/Blender/blender-5.0"));
        let flatpak = home.path().join(".local/share/flatpak/exports/bin/org.blender.Blender");
        std::fs::create_dir_all(flatpak.parent().unwrap()).unwrap();
        std::fs::write(&flatpak, "").unwrap();
        let found = linux(home.path());
        assert!([unpacked, several, flatpak].iter().all(|path| found.contains(path)), "{found:?}");
    }
}
