// SPDX-License-Identifier: GPL-3.0-or-later
//! Where nothing answers: whether a firewall is in the way, and how it lets the port through.

use std::io::ErrorKind;

use super::context::Context;
use super::finding::Finding;
use super::network;
use super::walls::{Chain, Here, Wall};

/// Why it matters.
const WHY: &str = "a firewall that drops what is sent lets clients wait until they give up, without a word of why";

pub(super) fn firewall(context: &Context) -> Finding {
    let endpoint = context.endpoint();
    let seen = match context.connected.get() {
        Some(Ok(())) if !endpoint.is_this_machine() && network::is_here(context) => return for_others(context),
        Some(Ok(())) => return Finding::ok("none is in the way: connections are taken"),
        Some(Err(ErrorKind::ConnectionRefused)) => {
            return Finding::ok("none drops what is sent: it is refused at once");
        }
        // There even a refusal takes seconds, and loopback passes by the firewall.
        Some(Err(_)) if cfg!(windows) && endpoint.is_this_machine() => {
            return Finding::ok("not asked: on Windows none is in the way of localhost");
        }
        Some(Err(ErrorKind::TimedOut)) => format!("what is sent to {endpoint} is dropped without an answer"),
        // What firewalld sends, and routers; also what the system says when nobody has the address.
        Some(Err(ErrorKind::HostUnreachable)) => format!("what is sent to {endpoint} is turned back"),
        // A rule for what leaves this machine.
        Some(Err(ErrorKind::PermissionDenied)) => {
            return Finding::failure(format!("this machine lets nothing be sent to {endpoint}"), WHY).remedy(
                "look at the rules for outgoing connections of this machine's firewall, and of a security program",
            );
        }
        Some(Err(_)) => {
            return Finding::ok(format!("not asked: it is not a firewall that keeps {endpoint} from being reached"));
        }
        None => return Finding::ok("not asked: whether anything takes connections there is not known"),
    };
    if network::is_here(context) {
        of_this_machine(&seen, endpoint.port, &here(context))
    } else {
        elsewhere(&seen, endpoint.port)
    }
}

/// What this machine sends to its own address passes by most firewalls; what others send does not.
fn for_others(context: &Context) -> Finding {
    let port = context.endpoint().port;
    let walls = here(context).walls;
    let opened: Vec<_> = walls.iter().map(|wall| format!("{} ({})", wall.name(), wall.opened(port))).collect();
    Finding::ok(if opened.is_empty() {
        "none is in the way: connections of this machine are taken".to_owned()
    } else {
        format!(
            "connections of this machine are taken; those of others have to be let through {}",
            opened.join(" and ")
        )
    })
}

fn here(context: &Context) -> Here {
    Here::look(context.endpoint().port, context.addresses.get().map_or(&[], Vec::as_slice))
}

fn of_this_machine(seen: &str, port: u16, Here { walls, suspects, hidden }: &Here) -> Finding {
    let names = |walls: &[Wall]| walls.iter().map(Wall::name).collect::<Vec<_>>().join(" and ");
    let finding = match (walls.as_slice(), suspects.as_slice(), hidden.as_slice()) {
        ([_, ..], ..) => Finding::failure(format!("{seen}, and {} is active on this machine", names(walls)), WHY),
        ([], [_, ..], _) => Finding::warning(
            format!("{seen}; {} of this machine drops some of what comes in, and may drop this", names(suspects)),
            WHY,
        ),
        ([], [], []) => {
            Finding::warning(format!("{seen}, though no firewall of this machine is known to be active"), WHY)
        }
        ([], [], _) => {
            Finding::warning(format!("{seen}; only root can see whether a firewall of this machine does that"), WHY)
        }
    };
    let itself = |finding: Finding, wall: &Wall| match wall.opened_to_itself() {
        Some(command) => finding.remedy(format!("{command}: lets this machine talk to itself")),
        None => finding,
    };
    let opened = |finding: Finding, wall: &Wall| {
        itself(finding, wall).remedy(format!("{}: lets everybody through to that port", wall.opened(port)))
    };
    let finding = walls.iter().chain(suspects).fold(finding, opened);
    let shown = suspects.iter().filter_map(Wall::shown);
    let finding =
        shown.fold(finding, |finding, command| finding.remedy(format!("{command}: shows which rule that could be")));
    let finding =
        hidden.iter().fold(finding, |finding, command| finding.remedy(format!("{command}: shows what drops it")));
    finding.remedy(format!("blendwire doctor --host localhost --port {port}: loopback is rarely behind a firewall"))
}

/// On which system it is, nobody knows.
fn elsewhere(seen: &str, port: u16) -> Finding {
    let finding = Finding::warning(format!("{seen}, by a firewall there or on the way, or the machine is off"), WHY);
    let all = [Wall::Ufw, Wall::Firewalld, Wall::Nft(Chain::usual()), Wall::Defender, Wall::Application];
    let finding = all
        .iter()
        .fold(finding, |finding, wall| finding.remedy(format!("there, with {}: {}", wall.name(), wall.opened(port))));
    finding.remedy(format!("where it is a provider's machine: let TCP port {port} in by its security group"))
}

#[cfg(test)]
mod tests {
    use super::super::finding::State;
    use super::*;

    #[test]
    fn what_only_may_drop_it_is_not_blamed() {
        let told = |here| of_this_machine("what is sent is dropped", 9876, &here);
        let perhaps = told(Here { suspects: vec![Wall::Iptables], ..Here::default() });
        assert_eq!(perhaps.state, State::Warning);
        assert!(perhaps.seen.contains("iptables of this machine") && perhaps.seen.contains("may drop this"));
        let remedies = perhaps.remedies.join("\n");
        assert!(remedies.contains("--dport 9876 -j ACCEPT") && remedies.contains("sudo iptables -S: "), "{remedies}");
        let plainly = told(Here { walls: vec![Wall::Iptables], ..Here::default() });
        assert_eq!(plainly.state, State::Failure);
        assert!(plainly.seen.contains("iptables is active"), "{}", plainly.seen);
    }
}
