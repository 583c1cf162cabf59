// SPDX-License-Identifier: GPL-3.0-or-later
//! Whose localhost this is: a container has its own, and so has WSL.

use std::fs;
use std::io::ErrorKind;
use std::net::Ipv4Addr;
use std::path::Path;

use super::context::Context;
use super::finding::Finding;

/// What this runs in that has a localhost of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Inside {
    Docker,
    Podman,
    /// A container of another kind.
    Container,
    /// Of version 2; version 1 shares the localhost of Windows.
    Wsl,
}

pub(super) fn route(context: &Context) -> Finding {
    let root = Path::new("/");
    let endpoint = context.endpoint();
    let Some(inside) = inside(root) else {
        return Finding::ok("this is no container and no WSL: localhost is this machine's");
    };
    let name = inside.name();
    if !endpoint.is_this_machine() {
        return Finding::ok(format!("this is {name}, and {endpoint} is not its own localhost"));
    }
    match context.connected.get() {
        Some(Ok(())) => Finding::ok(format!("this is {name}, and something listens at its own localhost")),
        Some(Err(ErrorKind::ConnectionRefused)) => own_localhost(inside, endpoint.port, gateway(root)),
        _ => Finding::ok(format!("this is {name}; its own localhost is meant")),
    }
}

/// The finding where nothing listens there.
fn own_localhost(inside: Inside, port: u16, gateway: Option<Ipv4Addr>) -> Finding {
    let doctor = |host: &str| format!("blendwire doctor --host {host} --port {port}");
    let gateway = gateway.map(|address| doctor(&address.to_string()));
    let finding = Finding::warning(
        format!("this is {}, and nothing listens at its own localhost:{port}", inside.name()),
        "localhost leads out of it only where it was started so: a Blender outside is not there",
    );
    if inside == Inside::Wsl {
        let finding = finding.remedy(
            "in Windows write networkingMode=mirrored under [wsl2] in %USERPROFILE%\\.wslconfig, then wsl --shutdown: \
             localhost is the same on both sides",
        );
        let finding = gateway.into_iter().fold(finding, |finding, doctor| {
            finding.remedy(format!(
                "{doctor}: that is mostly Windows; Blender has to listen there and allow WSL's network (docs/remote.md)"
            ))
        });
        return finding.remedy("blendwire.exe doctor: the Windows build, started from here, has Windows' localhost");
    }
    let outside = "Blender has to listen there and allow the container's network (docs/remote.md)";
    let finding = gateway.into_iter().fold(finding, |finding, doctor| {
        finding.remedy(format!("{doctor}: that is mostly the container's host; {outside}"))
    });
    let finding = match inside {
        Inside::Docker => finding.remedy(format!(
            "{}: Docker Desktop knows the host by that name; elsewhere start the container with \
             --add-host=host.docker.internal:host-gateway",
            doctor("host.docker.internal")
        )),
        Inside::Podman => finding.remedy(format!("{}: podman's name of the host", doctor("host.containers.internal"))),
        _ => finding,
    };
    finding.remedy("start the container with --network host: it then has the localhost of its host")
}

impl Inside {
    fn name(self) -> &'static str {
        match self {
            Self::Docker => "a container of Docker's",
            Self::Podman => "a container of podman's",
            Self::Container => "a container",
            Self::Wsl => "WSL",
        }
    }
}

/// What this system's files say of it, where they lie under `root`.
fn inside(root: &Path) -> Option<Inside> {
    let read = |path: &str| fs::read_to_string(root.join(path)).unwrap_or_default();
    if root.join("run/.containerenv").exists() {
        return Some(Inside::Podman);
    }
    if root.join(".dockerenv").exists() {
        return Some(Inside::Docker);
    }
    let cgroup = read("proc/1/cgroup");
    if ["docker", "kubepods", "containerd", "lxc"].iter().any(|kind| cgroup.contains(kind)) {
        return Some(Inside::Container);
    }
    // Version 1 ends in Microsoft with a capital.
    read("proc/sys/kernel/osrelease").contains("microsoft").then_some(Inside::Wsl)
}

/// Where the default route leads.
fn gateway(root: &Path) -> Option<Ipv4Addr> {
    let routes = fs::read_to_string(root.join("proc/net/route")).ok()?;
    let gateway = |line: &str| match line.split_whitespace().collect::<Vec<_>>().as_slice() {
        // Addresses are numbers as the processor has them in memory.
        [_, "00000000", gateway, ..] => u32::from_str_radix(gateway, 16).ok().map(|bytes| bytes.to_ne_bytes().into()),
        _ => None,
    };
    routes.lines().find_map(gateway).filter(|address: &Ipv4Addr| !address.is_unspecified())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files of a system.
    fn system(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    #[test]
    fn a_system_is_known_by_its_files() {
        let release = "proc/sys/kernel/osrelease";
        for (files, expected) in [
            (&[(release, "6.12.48+deb13-amd64\n"), ("proc/1/cgroup", "0::/init.scope\n")][..], None),
            (
                &[(release, "5.15.167.4-microsoft-standard-WSL2\n"), ("proc/1/cgroup", "0::/init.scope\n")],
                Some(Inside::Wsl),
            ),
            (&[(release, "4.4.0-22621-Microsoft\n")], None),
            (&[(release, "5.15.167.4-microsoft-standard-WSL2\n"), (".dockerenv", "")], Some(Inside::Docker)),
            (&[("run/.containerenv", "engine=\"podman-5.4.2\"\n")], Some(Inside::Podman)),
            (&[("proc/1/cgroup", "11:cpu:/kubepods/besteffort/pod4f5c/0b9d\n")], Some(Inside::Container)),
        ] {
            assert_eq!(inside(system(files).path()), expected, "{files:?}");
        }
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn the_way_out_is_the_default_route() {
        let head = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n";
        let routes = format!("{head}eth0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n");
        assert_eq!(gateway(system(&[("proc/net/route", &routes)]).path()), None);
        let routes = format!("{routes}eth0\t00000000\t010011AC\t0003\t0\t0\t0\t00000000\t0\t0\t0\n");
        assert_eq!(gateway(system(&[("proc/net/route", &routes)]).path()), Some(Ipv4Addr::new(172, 17, 0, 1)));
    }

    #[test]
    fn each_is_told_its_own_way_out() {
        let offers = |inside, words: &str| {
            let finding = own_localhost(inside, 9877, Some(Ipv4Addr::new(172, 20, 0, 1)));
            assert!(finding.remedies.iter().any(|remedy| remedy.contains(words)), "{words}: {:?}", finding.remedies);
        };
        for inside in [Inside::Docker, Inside::Podman, Inside::Container, Inside::Wsl] {
            offers(inside, "blendwire doctor --host 172.20.0.1 --port 9877");
        }
        offers(Inside::Docker, "--host host.docker.internal --port 9877");
        offers(Inside::Podman, "--host host.containers.internal --port 9877");
        offers(Inside::Container, "--network host");
        offers(Inside::Wsl, "networkingMode=mirrored");
    }
}
