// SPDX-License-Identifier: GPL-3.0-or-later
//! The way there: a name, an address, a port, and whose it is.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use blendwire_client::Endpoint;
use listeners::{Listener, Protocol, SocketState};

use super::context::Context;
use super::finding::Finding;
use super::{system, tunnel};
use crate::printer;

/// All addresses of a host together: longer than the clients of this project wait, and less than a check may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(4);

/// On this machine it takes no time.
const CONNECT_HERE_WITHIN: Duration = Duration::from_secs(1);

/// Why it matters that nothing is there.
const NO_SERVER: &str = "nothing can be asked of a Blender whose server is not there";

pub(super) fn name(context: &Context) -> Finding {
    let Endpoint { host, port } = context.endpoint();
    let resolved = (host.as_str(), port).to_socket_addrs().map(Iterator::collect::<Vec<_>>);
    let addresses = match resolved {
        Ok(addresses) if !addresses.is_empty() => addresses,
        _ if is_localhost(&host) => {
            let _ = context.addresses.set(loopback(port));
            return unknown_localhost();
        }
        Ok(_) => return unknown(&host, "it has no address"),
        Err(error) => return unknown(&host, &error.to_string()),
    };
    let shown: Vec<_> = addresses.iter().map(|address| address.ip().to_string()).collect();
    if host.parse::<IpAddr>().is_ok() {
        let _ = context.addresses.set(addresses);
        return Finding::ok(format!("{host} is an address"));
    }
    let finding = of_name(&host, &shown.join(", "), &addresses);
    // As the client has it, whatever the resolver says.
    let _ = context.addresses.set(if is_localhost(&host) { loopback(port) } else { addresses });
    finding
}

fn of_name(host: &str, shown: &str, addresses: &[SocketAddr]) -> Finding {
    let seen = format!("{host} is {shown}");
    let Some(other) = addresses.iter().find(|address| address.is_ipv4()).filter(|_| addresses[0].is_ipv6()) else {
        return Finding::ok(seen);
    };
    let takes = |address| TcpStream::connect_timeout(address, CONNECT_HERE_WITHIN).is_ok();
    // Elsewhere it is a matter of the network too, and takes longer.
    if !is_localhost(host) || takes(&addresses[0]) || !takes(other) {
        return Finding::ok(format!("{seen}: IPv6 first. Blendwire listens on both for localhost"));
    }
    let (first, other) = (addresses[0].ip(), other.ip());
    Finding::warning(
        format!("{seen}: {first} first, and the server is at {other} alone"),
        "clients that are given localhost and try only its first address find nothing; those of Blendwire try both",
    )
    .remedy(
        "in the add-on's preferences set the Address to localhost, which is both, and Restart in its panel (without a \
             window: leave --host out)",
    )
    .remedy(format!("give such clients {other} in place of localhost"))
}

fn is_localhost(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
}

fn loopback(port: u16) -> Vec<SocketAddr> {
    let both = [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)];
    both.map(|address| SocketAddr::new(address, port)).to_vec()
}

fn unknown_localhost() -> Finding {
    Finding::warning(
        "this system does not know the name localhost; Blendwire goes to 127.0.0.1 and ::1 all the same",
        "other clients of Blender ask the system, and find nothing",
    )
    .remedy(format!("add to the hosts file ({}): 127.0.0.1 localhost", system::hosts_file()))
}

fn unknown(host: &str, why: &str) -> Finding {
    let ask = if cfg!(windows) {
        format!("nslookup {host}")
    } else if cfg!(target_os = "macos") {
        format!("dscacheutil -q host -a name {host}")
    } else {
        format!("getent hosts {host}")
    };
    Finding::failure(
        format!("the name {host:?} leads nowhere: {why}"),
        "without an address nothing can be connected to",
    )
    .remedy(format!("{ask}: what the system knows of it; look for a typing error"))
    .remedy("give the address itself: blendwire doctor --host ADDRESS")
}

pub(super) fn listens(context: &Context) -> Finding {
    let endpoint = context.endpoint();
    let addresses = context.addresses.get().cloned().unwrap_or_default();
    let each = CONNECT_WITHIN / u32::try_from(addresses.len().max(1)).unwrap_or(u32::MAX);
    let mut refused: Option<io::Error> = None;
    for address in &addresses {
        match TcpStream::connect_timeout(address, each) {
            Ok(_) => {
                let _ = context.connected.set(Ok(()));
                return Finding::ok(format!("{address} takes connections"));
            }
            Err(error) if refused.as_ref().is_none_or(|first| telling(&error) > telling(first)) => {
                refused = Some(error);
            }
            Err(_) => {}
        }
    }
    if let Some(error) = &refused {
        let _ = context.connected.set(Err(error.kind()));
    }
    match refused {
        Some(error) if is_refusal(&error) || is_slow_refusal(&error, &addresses) => {
            nothing_listens(context, &endpoint, &addresses)
        }
        Some(error) => unreachable(&endpoint, &error),
        None => Finding::failure(format!("{endpoint} has no address"), NO_SERVER),
    }
}

/// Of several addresses the one counts whose error says most: a refusal or silence on one more than "no such address family"
/// on the other.
fn telling(error: &io::Error) -> u8 {
    match error.kind() {
        ErrorKind::ConnectionRefused => 4,
        ErrorKind::PermissionDenied => 3,
        ErrorKind::TimedOut => 2,
        ErrorKind::HostUnreachable => 1,
        _ => 0,
    }
}

fn is_refusal(error: &io::Error) -> bool {
    error.kind() == ErrorKind::ConnectionRefused
}

/// Windows tries for two seconds until it believes that nobody listens, also on this machine, where nothing else can keep it
/// waiting: its firewall leaves loopback alone.
fn is_slow_refusal(error: &io::Error, addresses: &[SocketAddr]) -> bool {
    cfg!(windows) && error.kind() == ErrorKind::TimedOut && addresses.iter().all(|address| address.ip().is_loopback())
}

fn nothing_listens(context: &Context, endpoint: &Endpoint, addresses: &[SocketAddr]) -> Finding {
    let finding = Finding::failure(format!("nothing listens at {endpoint}: the connection is refused"), NO_SERVER);
    let Endpoint { host, port } = endpoint;
    if !endpoint.is_this_machine() {
        let is_own = addresses.iter().any(|address| is_of_this_machine(address.ip()));
        return if is_own { beside_loopback(finding, *port) } else { forwarded(finding, host, *port) };
    }
    let elsewhere = context.running.get().into_iter().flatten().filter_map(Endpoint::of_instance);
    let elsewhere = elsewhere.filter(|other| other.port != *port);
    let finding = elsewhere.fold(finding, |finding, other| {
        finding.remedy(format!("a Blender runs at another port: leave --port out, or give --port {}", other.port))
    });
    finding
        .remedy(format!("blendwire launch --port {port}"))
        .remedy(
            "in Blender: 3D View, press N, tab MCP, Start (the add-on MCP Server has to be enabled in the preferences)",
        )
        .remedy("Blender shows its own port there: blendwire doctor --port PORT")
}

/// Whether the system lets us have it: then it is one of this machine's.
fn is_of_this_machine(address: IpAddr) -> bool {
    !address.is_loopback() && TcpListener::bind((address, 0)).is_ok()
}

fn beside_loopback(mut finding: Finding, port: u16) -> Finding {
    let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    if TcpStream::connect_timeout(&loopback, CONNECT_HERE_WITHIN).is_err() {
        return finding.remedy(format!("blendwire launch --port {port}"));
    }
    finding.seen += ", though something does at 127.0.0.1 of this machine: it is bound to loopback only";
    finding.remedy(format!("blendwire doctor --host localhost --port {port}")).remedy(
        "for other machines: in the add-on's preferences listen on that address and allow them (docs/security.md), and in \
         Blender's, under System, Allow Online Access",
    )
}

/// From here a server for its own machine alone looks like none.
fn forwarded(mut finding: Finding, host: &str, port: u16) -> Finding {
    finding.seen += ", though the machine answers: no server runs there, or it is bound to loopback only and takes connections \
                     of its own machine";
    finding
        .remedy(format!(
            "blendwire tunnel USER@{host} --port {port}, leave it open, and connect to the port that it prints"
        ))
        .remedy("where no server runs: start Blender there, or `blendwire launch --background`")
        .remedy("have its user listen on an address of that machine and allow yours (docs/security.md)")
}

fn unreachable(endpoint: &Endpoint, error: &io::Error) -> Finding {
    let Endpoint { host, port } = endpoint;
    let why = if error.kind() == ErrorKind::TimedOut {
        "no answer at all: the machine is off, the address is another's, or a firewall drops what is sent"
    } else {
        "the network does not lead there"
    };
    let finding = Finding::failure(format!("{endpoint} cannot be reached: {error}"), why);
    finding.remedy(format!("ping {host}: does the machine answer?")).remedy(format!(
        "blendwire tunnel USER@{host} --port {port}, leave it open, and connect to the port that it prints"
    ))
}

pub(super) fn owner(context: &Context) -> Finding {
    if !is_here(context) {
        return Finding::ok("it is on another machine, which does not tell");
    }
    let Some(Listener { process, .. }) = listener(context) else {
        return Finding::ok("the system does not say: it may be another user's, in a container, or forwarded by ssh");
    };
    let seen = format!("{} (process {})", printer::one_line(&process.name), process.pid);
    // Of a tunnel it is at the other end.
    if context.is_another.get().is_none() || tunnel::is_ssh(&process.name) {
        return Finding::ok(seen);
    }
    Finding::warning(
        format!("the port is taken by {seen}, which is not Blendwire's server there"),
        "while it has the port, Blendwire in a Blender of this machine cannot listen there",
    )
    .remedy("quit it, or the add-on in it; then in Blender: 3D View, press N, tab MCP, Start")
    .remedy(
        "in the add-on's preferences: another Port, or Next Free Port When Taken; our clients find it by themselves",
    )
}

/// Whether the address is one of this machine's.
pub(super) fn is_here(context: &Context) -> bool {
    let addresses = context.addresses.get().cloned().unwrap_or_default();
    addresses.iter().any(|address| address.ip().is_loopback() || is_of_this_machine(address.ip()))
}

/// The program of this machine that listens there, where the system tells.
pub(super) fn listener(context: &Context) -> Option<Listener> {
    let all = listeners::get_all().ok().filter(|_| is_here(context))?;
    of_addresses(all, context.addresses.get()?)
}

/// The one to which a connection comes: the first of these addresses that somebody listens on is the one that takes it.
/// Others may have the same port at addresses that were not asked for.
fn of_addresses(all: impl IntoIterator<Item = Listener>, asked: &[SocketAddr]) -> Option<Listener> {
    let listening =
        all.into_iter().filter(|listener| listener.protocol == Protocol::TCP && listener.state == SocketState::Listen);
    let ranked = listening.filter_map(|listener| {
        let rank = |(at, asked): (usize, &SocketAddr)| Some((at, nearness(listener.socket, *asked)?));
        let best = asked.iter().enumerate().filter_map(rank).min()?;
        Some((best, listener))
    });
    ranked.min_by_key(|(best, _)| *best).map(|(_, listener)| listener)
}

/// How closely a socket is bound to an address; the system hands a connection to the closest (the lowest number). `None`
/// where it has nothing to do with it.
fn nearness(socket: SocketAddr, asked: SocketAddr) -> Option<u8> {
    // A socket of IPv6 may have an address of IPv4 inside.
    let (bound, wanted) = (socket.ip().to_canonical(), asked.ip().to_canonical());
    if socket.port() != asked.port() {
        return None;
    }
    if bound == wanted {
        return Some(0);
    }
    // All addresses; those of IPv6 are on most systems those of IPv4 too.
    let is_same_family = bound.is_ipv4() == wanted.is_ipv4();
    (bound.is_unspecified() && (is_same_family || bound.is_ipv6())).then_some(if is_same_family { 1 } else { 2 })
}

#[cfg(test)]
mod tests {
    use listeners::Process;

    use super::*;

    #[test]
    fn the_owner_is_who_listens_at_the_address_that_is_asked() {
        let listener = |name: &str, socket: &str| Listener {
            process: Process { pid: 7, name: name.to_owned(), path: String::new() },
            socket: socket.parse().unwrap(),
            protocol: Protocol::TCP,
            state: SocketState::Listen,
        };
        let all = [
            listener("proxy", "172.17.0.1:9876"),
            listener("everywhere", "0.0.0.0:9876"),
            listener("other port", "127.0.0.1:9877"),
            listener("six", "[::1]:9876"),
            listener("java", "[::ffff:127.0.0.2]:9876"),
            listener("six everywhere", "[::]:9878"),
        ];
        let owner = |asked: &[&str]| {
            let asked: Vec<_> = asked.iter().map(|address| address.parse().unwrap()).collect();
            let forwards = of_addresses(all.clone(), &asked).map(|found| found.process.name);
            let backwards = of_addresses(all.clone().into_iter().rev(), &asked).map(|found| found.process.name);
            assert_eq!(forwards, backwards, "the system gives them in no order");
            forwards.unwrap_or_default()
        };
        assert_eq!(owner(&["127.0.0.1:9876"]), "everywhere");
        assert_eq!(owner(&["172.17.0.1:9876"]), "proxy");
        assert_eq!(owner(&["127.0.0.2:9876"]), "java");
        assert_eq!(owner(&["[::1]:9876"]), "six");
        assert_eq!(owner(&["127.0.0.1:9876", "[::1]:9876"]), "everywhere", "the first that is tried");
        assert_eq!(owner(&["127.0.0.1:9878"]), "six everywhere");
        assert_eq!(owner(&["127.0.0.1:9999", "[::1]:9999"]), "");
    }
}
