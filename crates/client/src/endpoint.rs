// SPDX-License-Identifier: GPL-3.0-or-later
//! Where a Blender listens: a host and a port.
//!
//! The command line decides which one; this module only turns it into addresses to try, in order.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use blendwire_protocol::{DEFAULT_PORT, Instance};

/// A host name or address, and a TCP port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// A name, an IPv4 address, or an IPv6 address without brackets.
    pub host: String,
    /// The TCP port; 9876 by default, which Blender's official connector uses too.
    pub port: u16,
}

impl Default for Endpoint {
    fn default() -> Self {
        Self::new("localhost", DEFAULT_PORT)
    }
}

impl Endpoint {
    /// An endpoint of this host and port. Brackets around an IPv6 address are taken off.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        let host = host.into();
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).map(str::to_owned);
        Self { host: bare.unwrap_or(host), port }
    }

    /// Where a server of this machine is reached by its descriptor: over loopback where it listens there. `None` when the
    /// descriptor has no address.
    pub fn of_instance(instance: &Instance) -> Option<Self> {
        let addresses: Vec<SocketAddr> =
            instance.endpoints.iter().filter_map(|endpoint| endpoint.parse().ok()).collect();
        Self::reaching(&addresses)
    }

    /// Where a server of this machine is reached that listens on these addresses: over loopback where it listens there.
    pub fn reaching(addresses: &[SocketAddr]) -> Option<Self> {
        let local = addresses.iter().find_map(|address| {
            let ip = match address.ip() {
                IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
                IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
                ip => ip,
            };
            ip.is_loopback().then(|| SocketAddr::new(ip, address.port()))
        });
        local.or_else(|| addresses.first().copied()).map(|address| Self::new(address.ip().to_string(), address.port()))
    }

    /// Whether it is on this machine by its name: `localhost`, or a loopback address.
    pub fn is_this_machine(&self) -> bool {
        self.host.eq_ignore_ascii_case("localhost")
            || self.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    /// The addresses to try, in order. `localhost` is both loopback addresses without asking the system: a server of
    /// ours listens on both, others on either, and a resolver may name one only.
    ///
    /// # Errors
    /// The resolver's, when the name is unknown.
    pub(crate) async fn addresses(&self) -> std::io::Result<Vec<SocketAddr>> {
        if self.host.eq_ignore_ascii_case("localhost") {
            let loopback = [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)];
            return Ok(loopback.map(|address| SocketAddr::new(address, self.port)).to_vec());
        }
        Ok(tokio::net::lookup_host((self.host.as_str(), self.port)).await?.collect())
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(formatter, "[{}]:{}", self.host, self.port)
        } else {
            write!(formatter, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ipv6_is_shown_in_brackets_and_kept_without() {
        let endpoint = Endpoint::new("[::1]", 5);
        assert_eq!(endpoint.host, "::1");
        assert_eq!(endpoint.to_string(), "[::1]:5");
    }

    #[test]
    fn a_server_of_this_machine_is_reached_over_loopback_where_it_listens_there() {
        let reached = |endpoints: &[&str]| {
            let endpoints = endpoints.iter().map(ToString::to_string).collect();
            Endpoint::of_instance(&Instance { endpoints, ..Instance::default() }).map(|endpoint| endpoint.to_string())
        };
        for (endpoints, at) in [
            (&["127.0.0.1:5", "[::1]:5"][..], "127.0.0.1:5"),
            (&["[::1]:5"], "[::1]:5"),
            (&["0.0.0.0:5"], "127.0.0.1:5"),
            (&["[::]:5"], "[::1]:5"),
            (&["192.168.1.5:5"], "192.168.1.5:5"),
            (&["192.168.1.5:5", "127.0.0.1:6"], "127.0.0.1:6"),
        ] {
            assert_eq!(reached(endpoints).as_deref(), Some(at));
        }
        assert_eq!(reached(&["nonsense"]), None);
    }

    #[tokio::test]
    async fn localhost_is_ipv4_first_then_ipv6() {
        let addresses = Endpoint::default().addresses().await.unwrap();
        assert_eq!(addresses, ["127.0.0.1:9876".parse().unwrap(), "[::1]:9876".parse().unwrap()]);
    }
}
