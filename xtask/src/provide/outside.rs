// SPDX-License-Identifier: GPL-3.0-or-later
//! What comes to the server from outside in tests: a browser, whose pages must reach nothing, `ip`, which makes other
//! machines out of network namespaces, `nft`, which is their firewall, and an ssh server, which is the other end of tunnels.
//!
//! Each is the host's own where it is on PATH, else one in the Debian root. All are used on Linux only.

use std::path::PathBuf;

use anyhow::Result;

use super::cache::Cache;
use super::debian::{self, Root};
use super::python::on_path;

/// Chromium without a window. The whole browser would bring twice as much.
const BROWSERS: [&str; 3] = ["chromium-headless-shell", "chromium", "google-chrome"];

/// A Chromium that can run headless.
pub(crate) fn browser(cache: &Cache) -> Result<PathBuf> {
    host_or_root(cache, "browser", "bin", &BROWSERS, "chromium-headless-shell")
}

/// The program that sets up network devices. Containers of Debian come without it.
pub(crate) fn ip(cache: &Cache) -> Result<PathBuf> {
    host_or_root(cache, "network", "bin", &["ip"], "iproute2")
}

/// The firewall of Linux.
pub(crate) fn nft(cache: &Cache) -> Result<PathBuf> {
    host_or_root(cache, "firewall", "sbin", &["nft"], "nftables")
}

/// The server of OpenSSH. Never installed on the host, where Debian would start it for the whole network.
pub(crate) fn sshd(cache: &Cache) -> Result<PathBuf> {
    host_or_root(cache, "ssh-server", "sbin", &["sshd"], "openssh-server")
}

/// The first of `programs` that the host has, else the first one itself, out of `package`, where it is in this folder of
/// `/usr`.
fn host_or_root(cache: &Cache, name: &str, folder: &str, programs: &[&str], package: &str) -> Result<PathBuf> {
    if let Some(found) = programs.iter().find_map(|program| on_path(program).into_iter().next()) {
        return Ok(found);
    }
    let dir = debian::ensure(cache, Root::Trixie)?;
    debian::extend(cache, &dir, name, &[package], &[(folder, programs[0])])?;
    Ok(dir.join("bin").join(programs[0]))
}
