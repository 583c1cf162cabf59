// SPDX-License-Identifier: GPL-3.0-or-later
//! The commands of remedies, as the system at hand has them.

use std::path::Path;

/// What gives a variable to whatever is started from the same shell.
pub(super) fn variable(name: &str, value: &str) -> String {
    if cfg!(windows) {
        format!("set {name}={value} (in PowerShell: $env:{name} = '{value}')")
    } else {
        format!("export {name}={value}")
    }
}

/// What closes a file or a folder to other users.
pub(super) fn own_alone(path: &Path) -> String {
    let shown = path.display();
    if cfg!(windows) {
        // Quoted so that the shell itself puts the name in.
        // What is in a folder has its rights from there.
        let within = if path.is_dir() { "(OI)(CI)" } else { "" };
        return format!("icacls \"{shown}\" /inheritance:r /grant:r \"%USERNAME%:{within}F\" (in a Command Prompt)");
    }
    let mode = if path.is_dir() { "700" } else { "600" };
    format!("chmod {mode} '{}'", shown.to_string().replace('\'', r"'\''"))
}

/// The file in which names of hosts can be written.
pub(super) fn hosts_file() -> &'static str {
    if cfg!(windows) { r"C:\Windows\System32\drivers\etc\hosts" } else { "/etc/hosts" }
}

/// The variable that names the folder for temporary files, the one that counts before others.
pub(super) const TEMPORARY: &str = if cfg!(windows) { "TMP" } else { "TMPDIR" };

/// What shows which disk is full, and of what.
pub(super) fn disks() -> &'static str {
    if cfg!(windows) {
        "Settings, System, Storage shows which disk it is, and what fills it"
    } else {
        "df -h shows which disk it is, du -xh -d 2 what fills it"
    }
}

/// What installs Mesa on this Linux: a graphics driver that needs no graphics card.
pub(super) fn mesa() -> &'static str {
    mesa_of(&std::fs::read_to_string("/etc/os-release").unwrap_or_default())
}

/// By what a system says of itself, and whose relative it says that it is.
fn mesa_of(os_release: &str) -> &'static str {
    const FAMILIES: [(&[&str], &str); 4] = [
        (&["debian", "ubuntu"], "sudo apt-get install libegl-mesa0 libgl1-mesa-dri"),
        (&["fedora", "rhel"], "sudo dnf install mesa-libEGL mesa-dri-drivers"),
        (&["suse", "opensuse"], "sudo zypper install Mesa-libEGL1 Mesa-dri"),
        (&["arch"], "sudo pacman -S mesa"),
    ];
    let values = os_release.lines().filter_map(|line| line.strip_prefix("ID=").or(line.strip_prefix("ID_LIKE=")));
    let names: Vec<_> = values.flat_map(|value| value.trim_matches('"').split_whitespace()).collect();
    let family = FAMILIES.iter().find(|(family, _)| names.iter().any(|name| family.contains(name)));
    family
        .map_or("install Mesa's EGL and its drivers, by whatever this system installs programs with", |(_, command)| {
            command
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_driver_is_installed_as_the_system_installs() {
        for (says, program) in [
            ("PRETTY_NAME=\"Debian GNU/Linux 13\"\nID=debian\n", "apt-get"),
            ("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n", "apt-get"),
            ("ID=fedora\n", "dnf"),
            ("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n", "dnf"),
            ("ID=\"opensuse-leap\"\nID_LIKE=\"suse opensuse\"\n", "zypper"),
            ("ID=arch\n", "pacman"),
            ("ID=nixos\n", "whatever this system"),
            ("", "whatever this system"),
        ] {
            assert!(mesa_of(says).contains(program), "{says}: {}", mesa_of(says));
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_stays_one_that_can_be_entered() {
        assert_eq!(own_alone(Path::new("/")), "chmod 700 '/'");
        assert_eq!(own_alone(Path::new("/nowhere/token")), "chmod 600 '/nowhere/token'");
    }
}
