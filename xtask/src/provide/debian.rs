// SPDX-License-Identifier: GPL-3.0-or-later
//! Debian roots: a whole small system in a folder, for what the host's own registries cannot give.
//!
//! Made by debootstrap, used through `enter.sh` (see there for how), which makes its programs look like the
//! host's. Needs Linux, root, and the right to mount in a namespace. `window` takes Blenders from it, `python`
//! a Python, `outside` a browser and an ssh server. Folder of a root: `root/` the system, `bin/` the scripts that start its programs.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use fs_err as fs;

use super::cache::Cache;
use super::python::on_path;
use super::task::Task;
use crate::process;

/// What a `bpy` wheel is linked to and does not bring.
pub(crate) const BPY_LIBRARIES: &[&str] =
    &["libx11-6", "libxrender1", "libxfixes3", "libxi6", "libxkbcommon0", "libsm6", "libgl1", "libegl1"];

const PYTHON: &[&str] = &["python3", "python3-venv", "python3-pip", "ca-certificates"];
const WINDOW: &[&str] = &["blender", "xvfb", "xauth", "libgl1-mesa-dri", "libegl1", "procps"];
/// What Blender's own builds bring for add-ons, and Debian's leaves to those who need it: mcp-for-blender's does.
pub(crate) const BUNDLED: &[&str] = &["python3-requests"];
/// What Blender's commands for extensions import, and Debian's package of Blender 5 does not ask for.
const EXTENSIONS: &[&str] = &["python3-cattr"];
/// No questions; no flushing to disk after each file, since a root that breaks is made anew.
const INSTALL: &[&str] =
    &["apt-get", "install", "--yes", "--no-install-recommends", "--option=Dpkg::Options::=--force-unsafe-io"];

/// The releases that are of use.
#[derive(Clone, Copy)]
pub(crate) enum Root {
    /// Python 3.11.
    Bookworm,
    /// Python 3.13, and Blender 4.3 with its window.
    Trixie,
    /// Debian's unstable release, which moves: the newest Blender with its window.
    Sid,
}

impl Root {
    fn release(self) -> &'static str {
        match self {
            Self::Bookworm => "bookworm",
            Self::Trixie => "trixie",
            Self::Sid => "sid",
        }
    }

    fn packages(self) -> Vec<&'static str> {
        match self {
            Self::Bookworm => [PYTHON, BPY_LIBRARIES].concat(),
            Self::Trixie => [PYTHON, WINDOW].concat(),
            Self::Sid => [&["python3", "ca-certificates"], WINDOW, BUNDLED, EXTENSIONS].concat(),
        }
    }
}

/// Makes the root unless it is there; returns its folder.
pub(crate) fn ensure(cache: &Cache, root: Root) -> Result<PathBuf> {
    let packages = root.packages();
    let name = format!("debian-{}", root.release());
    let is_there = |dir: &Path| dir.join("root/usr/bin/python3").exists();
    let dir = cache.ensure(&name, &packages.join(" "), is_there, |dir, task| {
        check_rights()?;
        bootstrap(dir, root.release(), task)?;
        write_scripts(dir)?;
        install(dir, &packages, task)
    })?;
    // Again for a root of an earlier run: the scripts belong to this version, not to the root.
    write_scripts(&dir)?;
    Ok(dir)
}

/// Installs more packages into a finished root, unless they are there; `programs` of them, with their folders in `/usr`,
/// get scripts that start them.
pub(crate) fn extend(
    cache: &Cache,
    dir: &Path,
    name: &str,
    packages: &[&str],
    programs: &[(&str, &str)],
) -> Result<()> {
    let is_there =
        |dir: &Path| programs.iter().all(|(folder, program)| dir.join("root/usr").join(folder).join(program).exists());
    cache.extend(dir, name, &packages.join(" "), is_there, |task| {
        check_rights()?;
        install(dir, packages, task)
    })?;
    let enter = enter(dir);
    programs.iter().try_for_each(|(folder, program)| {
        write_launcher(&dir.join("bin").join(program), &enter, &Path::new("/usr").join(folder).join(program))
    })
}

/// The script that runs any program of the root.
pub(crate) fn enter(dir: &Path) -> PathBuf {
    dir.join("bin/enter")
}

/// Writes an executable script that starts one program through `enter`.
pub(crate) fn write_launcher(path: &Path, enter: &Path, program: &Path) -> Result<()> {
    let line = format!("exec '{}' '{}' \"$@\"", enter.display(), program.display());
    write_script(path, &format!("#!/bin/sh\n# SPDX-License-Identifier: GPL-3.0-or-later\n{line}\n"))
}

/// Installs packages on this very machine, if it is a Debian and this is its root; refuses otherwise.
pub(crate) fn install_on_host(task: &Task, packages: &[&str]) -> Result<()> {
    ensure!(is_debian(), "not on a Debian system: install what `{}` stands for by hand", packages.join(" "));
    ensure!(is_root(), "not root: run `apt-get install {}` as root", packages.join(" "));
    eprintln!("installing on this machine: {}", packages.join(" "));
    // Other people's broken package sources are no reason to stop: the lists may be fresh enough.
    let _ = task.run(Command::new("apt-get").arg("update"));
    let mut command = Command::new(INSTALL[0]);
    command.args(&INSTALL[1..]).args(packages).env("DEBIAN_FRONTEND", "noninteractive");
    task.run(&mut command)
}

fn check_rights() -> Result<()> {
    const INSTEAD: &str = "Or name a Blender (4.2 or later) in BLENDWIRE_TEST_BLENDER, and Pythons in \
        BLENDWIRE_PYTHON311 and BLENDWIRE_PYTHON313";
    ensure!(cfg!(target_os = "linux"), "a Debian root works on Linux only. {INSTEAD}");
    ensure!(is_root(), "a Debian root can only be made and used by root: run this as root. {INSTEAD}");
    let mut mount = Command::new("unshare");
    mount.args(["--mount", "true"]);
    process::capture(&mut mount).map(drop).with_context(|| {
        format!("this root may not mount (a container without CAP_SYS_ADMIN?): give it that right. {INSTEAD}")
    })
}

fn bootstrap(dir: &Path, release: &str, task: &Task) -> Result<()> {
    if on_path("debootstrap").is_empty() {
        install_on_host(task, &["debootstrap"]).context("a Debian root is made by debootstrap")?;
    }
    // In a namespace of its own: what it mounts cannot stay behind when it is killed.
    let mut command = Command::new("unshare");
    command.args(["--mount", "debootstrap", "--variant=minbase", release]).arg(dir.join("root"));
    task.run(&mut command)?;
    // A mirror may lag behind a release that moves daily, whose lists say that they are good for a week.
    let late = "Acquire::Check-Valid-Until \"false\";\n";
    Ok(fs::write(dir.join("root/etc/apt/apt.conf.d/10-late-mirror"), late)?)
}

fn install(dir: &Path, packages: &[&str], task: &Task) -> Result<()> {
    task.run(Command::new(enter(dir)).args(["apt-get", "update"]))?;
    let mut command = Command::new(enter(dir));
    command.args(INSTALL).args(packages).env("DEBIAN_FRONTEND", "noninteractive");
    task.run(&mut command)?;
    // Blender reads the table of mounts by its old name, which a minimal system lacks.
    task.run(Command::new(enter(dir)).args(["ln", "-sf", "/proc/self/mounts", "/etc/mtab"]))?;
    task.run(Command::new(enter(dir)).args(["apt-get", "clean"]))
}

fn write_scripts(dir: &Path) -> Result<()> {
    fs::create_dir_all(dir.join("bin"))?;
    let enter = enter(dir);
    write_script(&enter, include_str!("enter.sh"))?;
    for program in ["blender", "Xvfb"] {
        write_launcher(&dir.join("bin").join(program), &enter, &Path::new("/usr/bin").join(program))?;
    }
    Ok(())
}

/// Replaces the script in one step: another run may be reading it.
fn write_script(path: &Path, text: &str) -> Result<()> {
    if std::fs::read_to_string(path).is_ok_and(|old| old == text) {
        return Ok(());
    }
    let new = path.with_extension("new");
    fs::write(&new, text)?;
    #[cfg(unix)]
    fs::set_permissions(&new, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    Ok(fs::rename(&new, path)?)
}

/// Debian and what descends from it.
pub(crate) fn is_debian() -> bool {
    let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let named = release.lines().filter(|line| line.starts_with("ID=") || line.starts_with("ID_LIKE="));
    named.flat_map(|line| line.split(['=', ' ', '"'])).any(|word| word == "debian")
}

#[cfg(unix)]
fn is_root() -> bool {
    // The owner of this process, without calling into C.
    std::fs::metadata("/proc/self").is_ok_and(|process| std::os::unix::fs::MetadataExt::uid(&process) == 0)
}

#[cfg(not(unix))]
fn is_root() -> bool {
    false
}
