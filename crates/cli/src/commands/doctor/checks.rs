// SPDX-License-Identifier: GPL-3.0-or-later
//! What is looked at, in the order in which it is told. docs/troubleshooting.md has the same by the same names.

use std::time::Duration;

use super::context::Context;
use super::finding::Finding;
use super::schedule::{Check, DEADLINE};
use super::{
    addon, clients, clock, firewall, found, inside, machine, network, protocol, route, server, settings, tunnel,
};

/// Servers that say nothing are asked in several ways.
const PATIENT: Duration = Duration::from_secs(10);

/// All checks. What a check needs stands before it.
pub(super) const ALL: &[Check<Context>] = &[
    check("config", "whether the settings are right, and which profile of them counts", &[], settings::config),
    check(
        "instances",
        "which Blenders run, by what their servers leave in the state folder",
        &["config"],
        found::instances,
    ),
    check("name", "whether the host name has an address", &["instances"], network::name),
    check("listens", "whether something takes connections there", &["name"], network::listens),
    check("firewall", "whether a firewall is in the way, where nothing answers", &["name"], firewall::firewall)
        .after(&["listens"])
        .patient(),
    #[cfg(windows)]
    check("reserved-port", "whether Windows keeps the port for itself", &["name"], super::reserved::reserved_port)
        .patient(),
    check(
        "route",
        "whether localhost is that of a container or of WSL, where nothing listens there",
        &["name"],
        route::route,
    )
    .after(&["listens"]),
    check("tunnel", "whether something is at the other end, where ssh forwards the port", &["listens"], tunnel::tunnel)
        .patient(),
    check("tls", "whether the certificate is the right one, where TLS is wanted", &["tunnel"], server::tls).patient(),
    check("protocol", "whether it is Blendwire, or what else", &["tls"], protocol::protocol).patient(),
    check("owner", "which program of this machine that is", &["listens"], network::owner).after(&["protocol"]),
    check("token-file", "whether this user's token is there, and nobody else's to read", &[], machine::token_file),
    check("token", "whether the server lets this user in", &["protocol"], server::token),
    check("version", "whether server, add-on and this command are of one version", &["token"], server::version),
    check("main-thread", "whether Blender has time, or what keeps it", &["token"], server::main_thread),
    check("round-trip", "whether a script runs, and how long that takes", &["main-thread"], server::round_trip)
        .patient(),
    check("screenshot", "whether a small picture of the scene arrives", &["round-trip"], inside::screenshot).patient(),
    check("journal", "whether the audit journal is written", &["token"], server::journal),
    check(
        "online-access",
        "whether Blender may be online, where its server listens for other machines",
        &["main-thread"],
        inside::online_access,
    )
    .patient(),
    check("clock", "whether the server's clock and ours agree", &["main-thread"], clock::clock).patient(),
    check("defects", "whether the server met defects of its own", &["token"], server::defects),
    check("temporary-space", "whether there is room for temporary files and state", &[], machine::space),
    check("lock", "whether this is what a blendwire.lock in this folder wants", &[], settings::lock).patient(),
    check("blender", "whether a Blender is installed that `launch` can start", &[], machine::blender).patient(),
    check(
        "addon",
        "whether the add-on is installed, in this command's version; where nothing listens, whether it is enabled",
        &[],
        addon::addon,
    )
    .after(&["listens"])
    .within(addon::WITHIN),
    check("clients", "whether MCP clients are set up, and their entry starts", &[], clients::clients).patient(),
];

const fn check(
    id: &'static str,
    title: &'static str,
    needs: &'static [&'static str],
    look: fn(&Context) -> Finding,
) -> Check<Context> {
    Check { id, title, needs, after: &[], deadline: DEADLINE, look }
}

impl Check<Context> {
    const fn patient(self) -> Self {
        self.within(PATIENT)
    }

    const fn within(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    const fn after(self, after: &'static [&'static str]) -> Self {
        Self { after, ..self }
    }
}

/// Those of these names and what they need; all without names.
pub(super) fn chosen(ids: &[String]) -> Vec<&'static Check<Context>> {
    let mut chosen: Vec<&str> = ids.iter().map(String::as_str).collect();
    // What is needed stands before: looked at from the end, each need is there when its turn comes.
    for check in ALL.iter().rev() {
        if chosen.contains(&check.id) {
            chosen.extend(check.needs.iter().chain(check.after));
        }
    }
    ALL.iter().filter(|check| ids.is_empty() || chosen.contains(&check.id)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_needed_is_looked_at_too_and_stands_before() {
        let ids = |names: &[&str]| {
            let names: Vec<_> = names.iter().map(ToString::to_string).collect();
            chosen(&names).iter().map(|check| check.id).collect::<Vec<_>>()
        };
        assert_eq!(ids(&["listens", "blender"]), ["config", "instances", "name", "listens", "blender"]);
        assert_eq!(ids(&["firewall"]), ["config", "instances", "name", "listens", "firewall"]);
        assert_eq!(ids(&[]).len(), ALL.len());
        for (at, check) in ALL.iter().enumerate() {
            let stands_before = |need: &&'static str| ALL[..at].iter().any(|before| before.id == *need);
            assert!(check.needs.iter().chain(check.after).all(stands_before), "{}", check.id);
        }
    }

    const DOCUMENT: &str = include_str!("../../../../../docs/troubleshooting.md");

    #[test]
    fn each_is_explained_under_its_name() {
        for check in ALL {
            assert!(DOCUMENT.contains(&format!("\n## {}\n", check.id)), "{}", check.id);
        }
    }

    #[test]
    fn those_that_blender_shows_have_the_same_names() {
        let findings = include_str!("../../../../../addon/blendwire/findings.py");
        let (_, names) = findings.split_once("Check = Literal[").unwrap();
        let names: Vec<_> = names.split_once(']').unwrap().0.split('"').skip(1).step_by(2).collect();
        assert!(names.contains(&"journal"), "{names:?}");
        for name in names {
            // Not all are checks on every system, and all are explained for all.
            assert!(DOCUMENT.contains(&format!("\n## {name}\n")), "{name}");
        }
    }
}
