// SPDX-License-Identifier: GPL-3.0-or-later
//! Opens the listening sockets, and says who is in the way when that fails.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

use crate::access::AccessError;
use crate::config::Config;

/// How many ports above the wanted one are tried with `next_free_port`.
const PORTS_TRIED: u16 = 32;

/// Why the server could not start, in words for the person in front of Blender.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Another socket listens there.
    #[error("port {port} is taken by {holder}; {}", remedy_for_taken(*.port))]
    PortTaken {
        /// The port.
        port: u16,
        /// Program and process id, as far as the system tells.
        holder: String,
    },
    /// The system keeps the port for itself (on Windows for Hyper-V, WSL or Docker).
    #[error(
        "the system does not let a program listen on {address} ({source}): the port is reserved (on Windows see \
         `netsh interface ipv4 show excludedportrange protocol=tcp`) or below 1024; choose another port in the \
         add-on's preferences, for instance 19876"
    )]
    PortReserved {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The host is no address.
    #[error(
        "{host:?} is no address to listen on: use \"localhost\" for clients of this machine, one of its addresses such as \
         192.168.1.5, or 0.0.0.0 for all of them"
    )]
    NotAnAddress {
        /// As given.
        host: String,
    },
    /// The address is another machine's, or was this one's in another network.
    #[error(
        "{0} is no address that this machine has now: use \"localhost\" for clients of this machine, one that {tool} shows, \
         or 0.0.0.0 for all of them",
        tool = if cfg!(windows) { "`ipconfig`" } else if cfg!(target_os = "macos") { "`ifconfig`" } else { "`ip address`" }
    )]
    NotOurs(IpAddr),
    /// The rules about who may connect do not allow that.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The token is needed and cannot be had.
    #[error("clients would need the token, and there is none: {0}")]
    Token(String),
    /// TLS is needed and cannot be had.
    #[error("the certificate for TLS cannot be used: {0}")]
    Tls(String),
    /// Anything else the system refused.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The network thread could not be made.
    #[error("cannot start the network thread: {0}")]
    Thread(#[source] io::Error),
}

impl StartError {
    /// Which check of `blendwire doctor` is about the same: the panel in Blender shows it by that name.
    pub fn check(&self) -> &'static str {
        match self {
            Self::PortTaken { .. } => "owner",
            Self::PortReserved { .. } => "reserved-port",
            Self::NotAnAddress { .. } | Self::NotOurs(_) => "name",
            Self::Access(_) => "config",
            Self::Token(_) => "token-file",
            Self::Tls(_) => "tls",
            Self::Listen { .. } | Self::Thread(_) => "listens",
        }
    }
}

fn remedy_for_taken(port: u16) -> String {
    format!(
        "quit that program, or choose another port (or \"next free port\") in the add-on's preferences and point the \
         clients at it (BLENDWIRE_PORT={})",
        port.saturating_add(1)
    )
}

/// Listens on every address that `config.host` names.
pub(crate) fn listen(config: &Config) -> Result<Vec<TcpListener>, StartError> {
    let addresses = addresses(config)?;
    config.access.check(&config.host, &addresses)?;
    let last = if config.next_free_port { config.port.saturating_add(PORTS_TRIED) } else { config.port };
    let mut refusal = None;
    for port in config.port..=last {
        match listen_on_all(&addresses, port) {
            Ok(listeners) => return Ok(listeners),
            Err(error @ (StartError::PortTaken { .. } | StartError::PortReserved { .. })) => {
                // The first refusal is about the port that the person asked for.
                refusal.get_or_insert(error);
            }
            Err(error) => return Err(error),
        }
    }
    Err(refusal.unwrap_or_else(|| StartError::NotAnAddress { host: config.host.clone() }))
}

fn addresses(config: &Config) -> Result<Vec<IpAddr>, StartError> {
    if config.host.eq_ignore_ascii_case("localhost") {
        return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
    }
    let bare = config.host.trim().trim_start_matches('[').trim_end_matches(']');
    match bare.parse::<IpAddr>() {
        Ok(address) => Ok(vec![address]),
        Err(_) => Err(StartError::NotAnAddress { host: config.host.clone() }),
    }
}

/// All addresses on one port, or none. An address family that this machine does not have is left out.
fn listen_on_all(addresses: &[IpAddr], port: u16) -> Result<Vec<TcpListener>, StartError> {
    let mut listeners: Vec<TcpListener> = Vec::new();
    for address in addresses {
        // With port 0 the first socket gets its port from the system and the second must have the same.
        let port = listeners.first().and_then(|first| first.local_addr().ok()).map_or(port, |first| first.port());
        let address = SocketAddr::new(*address, port);
        match open(address) {
            Ok(listener) => listeners.push(listener),
            Err(error) if !listeners.is_empty() && is_missing_family(&error) => {
                log::info!("this machine has no {} ({error}); listening without it", address.ip());
            }
            Err(error) => return Err(refusal(address, error)),
        }
    }
    Ok(listeners)
}

#[cfg(not(windows))]
fn open(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address)
}

/// Exclusively: without that, a program of the same user that asks for an address in use (`SO_REUSEADDR`, as mcp-for-blender's
/// add-on does) gets it too on Windows, and it is not said which of the two a client reaches.
#[cfg(windows)]
fn open(address: SocketAddr) -> io::Result<TcpListener> {
    use std::os::windows::io::AsRawSocket as _;

    use socket2::{Domain, Socket, Type};
    use windows_sys::Win32::Networking::WinSock::{SO_EXCLUSIVEADDRUSE, SOCKET, SOL_SOCKET, setsockopt};

    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    let on = 1_i32;
    #[expect(unsafe_code, reason = "no library that we have has a safe name for this option")]
    #[expect(clippy::cast_possible_truncation, reason = "a socket's handle is as wide as a pointer")]
    // SAFETY: `socket` is open until after the call; `on` is an integer of four bytes, as this option wants it and as the length
    // says, and is only read during the call.
    let refused = unsafe {
        setsockopt(socket.as_raw_socket() as SOCKET, SOL_SOCKET, SO_EXCLUSIVEADDRUSE, (&raw const on).cast(), 4)
    };
    if refused != 0 {
        return Err(io::Error::last_os_error());
    }
    socket.bind(&address.into())?;
    // As long as the standard library's.
    socket.listen(128)?;
    Ok(socket.into())
}

fn is_missing_family(error: &io::Error) -> bool {
    // `Unsupported`: EAFNOSUPPORT, IPv6 is compiled out or switched off.
    matches!(error.kind(), io::ErrorKind::AddrNotAvailable | io::ErrorKind::Unsupported)
        || error.raw_os_error() == Some(ADDRESS_FAMILY_NOT_SUPPORTED)
}

#[cfg(target_os = "linux")]
const ADDRESS_FAMILY_NOT_SUPPORTED: i32 = 97;
#[cfg(target_os = "macos")]
const ADDRESS_FAMILY_NOT_SUPPORTED: i32 = 47;
#[cfg(windows)]
const ADDRESS_FAMILY_NOT_SUPPORTED: i32 = 10047;

fn refusal(address: SocketAddr, source: io::Error) -> StartError {
    let port = address.port();
    match source.kind() {
        io::ErrorKind::AddrInUse => {
            let unknown = || "another program (the system does not say which)".to_owned();
            StartError::PortTaken { port, holder: holder_of(port).unwrap_or_else(unknown) }
        }
        // Windows also says so of a port that another program has for itself alone.
        io::ErrorKind::PermissionDenied => match holder_of(port).filter(|_| cfg!(windows)) {
            Some(holder) => StartError::PortTaken { port, holder },
            None => StartError::PortReserved { address, source },
        },
        io::ErrorKind::AddrNotAvailable => StartError::NotOurs(address.ip()),
        _ => StartError::Listen { address, source },
    }
}

/// Who listens on a port, in words; `None` where the system does not say.
fn holder_of(port: u16) -> Option<String> {
    let all = listeners::get_all().ok()?;
    let is_holder = |listener: &&listeners::Listener| {
        listener.socket.port() == port
            && listener.protocol == listeners::Protocol::TCP
            && listener.state == listeners::SocketState::Listen
    };
    let process = &all.iter().find(is_holder)?.process;
    Some(if process.pid == std::process::id() {
        "this Blender itself: another copy of the add-on, or another add-on, is running its server".to_owned()
    } else {
        format!("{} (process {})", process.name, process.pid)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(host: &str, port: u16) -> Config {
        Config { host: host.to_owned(), port, ..Config::default() }
    }

    #[test]
    fn localhost_is_both_loopbacks_on_one_port() {
        let listeners = listen(&config("localhost", 0)).unwrap();
        let ports: Vec<u16> = listeners.iter().map(|listener| listener.local_addr().unwrap().port()).collect();
        assert!(ports.iter().all(|port| *port == ports[0] && *port != 0), "{ports:?}");
    }

    #[test]
    fn refuses_addresses_beyond_this_machine() {
        for host in ["0.0.0.0", "::", "192.168.1.5"] {
            let error = listen(&config(host, 0)).unwrap_err();
            assert!(matches!(error, StartError::Access(AccessError::NobodyAllowed { .. })), "{host}: {error}");
        }
        for host in ["example.org", "", "localhost:9876"] {
            assert!(matches!(listen(&config(host, 0)), Err(StartError::NotAnAddress { .. })), "{host}");
        }
    }

    #[test]
    fn names_the_holder_of_a_taken_port_and_moves_on_when_told() {
        let holder = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = holder.local_addr().unwrap().port();
        let error = listen(&config("127.0.0.1", port)).unwrap_err().to_string();
        assert!(error.contains(&format!("port {port} is taken by this Blender itself")), "{error}");
        let moved = listen(&Config { next_free_port: true, ..config("127.0.0.1", port) }).unwrap();
        assert_ne!(moved[0].local_addr().unwrap().port(), port);
    }
}
