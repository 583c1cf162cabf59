// SPDX-License-Identifier: GPL-3.0-or-later
//! The user's rules about who may connect, and what follows from them for one address.

use std::net::{IpAddr, SocketAddr};

use blendwire_credentials::CertificateFiles;
use ipnet::IpNet;

/// The user's rules. The default lets in programs of this machine only, and of Blender's user only where the system
/// tells.
#[derive(Clone, Debug, Default)]
pub struct AccessRules {
    /// Let in programs of other users of this machine too. Off by default: whoever is let in can do what Blender's user
    /// can.
    pub other_users: bool,
    /// Programs of this machine need the token too. Off by default: clients that people have cannot send one.
    pub require_token: bool,
    /// Where other machines may be that connect with TLS and the token.
    pub allowed: Vec<IpNet>,
    /// Where other machines may be that need neither: for clients that can do neither, on networks that the user trusts
    /// as much as this machine.
    pub open: Vec<IpNet>,
    /// The certificate to show; `None` for one of our own, made on demand.
    pub certificate: Option<CertificateFiles>,
}

/// Rules that nothing starts with.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum AccessError {
    /// Listening for others, with nobody named who may come.
    #[error(
        "{host} can be reached from other machines, and none is allowed to connect: name those that may in \"Allowed \
         Clients\" (without a window: --allow), as addresses or networks such as 192.168.1.20 or 192.168.1.0/24; they \
         then need TLS and the token. For clients of this machine alone, listen on localhost"
    )]
    NobodyAllowed {
        /// As given.
        host: String,
    },
    /// No address or network.
    #[error("{text:?} is no address and no network: write 192.168.1.20, 192.168.1.0/24 or fd00::/8")]
    NotANetwork {
        /// As given.
        text: String,
    },
    /// Open to more than any private network has.
    #[error(
        "{network} is too wide for \"Open Networks\": whoever is in one needs neither TLS nor token, so it names a network that \
         you know, no wider than 10.0.0.0/8 or fc00::/7. Others go into \"Allowed Clients\" (--allow)"
    )]
    TooWide {
        /// As it was understood.
        network: IpNet,
    },
}

/// Bits that a network must fix at least to be open: those of the widest private ones, `10.0.0.0/8` (RFC 1918) and `fc00::/7`
/// (RFC 4193).
const OPEN_AT_LEAST: (u8, u8) = (8, 7);

/// What a connection must bring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    /// It comes from this machine: the system may tell whose it is.
    pub(crate) is_local: bool,
    /// Nothing is answered outside TLS.
    pub(crate) needs_tls: bool,
    /// Nothing is answered before the token.
    pub(crate) needs_token: bool,
}

impl AccessRules {
    /// Addresses and networks as people write them.
    ///
    /// # Errors
    /// [`AccessError::NotANetwork`] with the one that is none.
    pub fn networks(texts: &[String]) -> Result<Vec<IpNet>, AccessError> {
        texts.iter().map(|text| network(text)).collect()
    }

    /// The same for [`Self::open`], which are known one by one.
    ///
    /// # Errors
    /// [`AccessError::NotANetwork`], and [`AccessError::TooWide`] for the internet.
    pub fn open_networks(texts: &[String]) -> Result<Vec<IpNet>, AccessError> {
        let networks = Self::networks(texts)?;
        let is_wide = |network: &&IpNet| {
            network.prefix_len() < if network.addr().is_ipv4() { OPEN_AT_LEAST.0 } else { OPEN_AT_LEAST.1 }
        };
        match networks.iter().find(is_wide) {
            Some(network) => Err(AccessError::TooWide { network: *network }),
            None => Ok(networks),
        }
    }

    /// Whether a server may listen on `addresses`, which `host` stands for.
    pub(crate) fn check(&self, host: &str, addresses: &[IpAddr]) -> Result<(), AccessError> {
        let is_for_others = addresses.iter().any(|address| !address.is_loopback());
        if is_for_others && self.allowed.is_empty() && self.open.is_empty() {
            return Err(AccessError::NobodyAllowed { host: host.to_owned() });
        }
        Ok(())
    }

    /// What a connection from `peer` must bring; `None` when it may not come at all. One that `is_local` comes from this
    /// machine, whatever address it chose: a program can have its connection come from any of the machine's own.
    pub(crate) fn terms(&self, peer: SocketAddr, is_local: bool) -> Option<Terms> {
        // A socket for both families shows IPv4 as part of IPv6.
        let address = peer.ip().to_canonical();
        let is_in = |networks: &[IpNet]| networks.iter().any(|network| network.contains(&address));
        if is_local {
            Some(Terms { is_local: true, needs_tls: false, needs_token: self.require_token })
        } else if is_in(&self.open) {
            Some(Terms { is_local: false, needs_tls: false, needs_token: false })
        } else if is_in(&self.allowed) {
            Some(Terms { is_local: false, needs_tls: true, needs_token: true })
        } else {
            None
        }
    }
}

fn network(text: &str) -> Result<IpNet, AccessError> {
    let text = text.trim();
    let network = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    network.map(|network| network.trunc()).map_err(|_| AccessError::NotANetwork { text: text.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> AccessRules {
        let networks = |texts: &[&str]| {
            AccessRules::networks(&texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>()).unwrap()
        };
        AccessRules {
            allowed: networks(&["192.168.1.0/24", "fd00::7"]),
            open: networks(&["172.17.0.1/16"]),
            ..AccessRules::default()
        }
    }

    fn terms(rules: &AccessRules, peer: &str) -> Option<(bool, bool, bool)> {
        let peer: SocketAddr = peer.parse().unwrap();
        let Terms { is_local, needs_tls, needs_token } = rules.terms(peer, peer.ip().to_canonical().is_loopback())?;
        Some((is_local, needs_tls, needs_token))
    }

    #[test]
    fn where_it_comes_from_decides_what_it_must_bring() {
        for (peer, expected) in [
            ("127.0.0.1:5", Some((true, false, false))),
            ("127.8.9.10:5", Some((true, false, false))),
            ("[::1]:5", Some((true, false, false))),
            ("[::ffff:127.0.0.1]:5", Some((true, false, false))),
            ("192.168.1.77:5", Some((false, true, true))),
            ("[::ffff:192.168.1.77]:5", Some((false, true, true))),
            ("[fd00::7]:5", Some((false, true, true))),
            ("172.17.255.1:5", Some((false, false, false))),
            ("192.168.2.77:5", None),
            ("[fd00::8]:5", None),
            ("8.8.8.8:5", None),
        ] {
            assert_eq!(terms(&rules(), peer), expected, "{peer}");
        }
        let strict = AccessRules { require_token: true, ..rules() };
        assert_eq!(terms(&strict, "127.0.0.1:5"), Some((true, false, true)));
        assert_eq!(terms(&AccessRules::default(), "192.168.1.77:5"), None);
        // From an address in an open network, and from this machine all the same.
        let local = rules().terms("172.17.0.1:5".parse().unwrap(), true);
        assert_eq!(local, Some(Terms { is_local: true, needs_tls: false, needs_token: false }));
    }

    #[test]
    fn beyond_this_machine_somebody_must_be_named() {
        let everywhere = ["0.0.0.0".parse().unwrap()];
        assert!(AccessRules::default().check("0.0.0.0", &everywhere).is_err());
        assert!(rules().check("0.0.0.0", &everywhere).is_ok());
        assert!(AccessRules::default().check("localhost", &["127.0.0.1".parse().unwrap()]).is_ok());
        for wrong in ["", "192.168.1", "192.168.1.0/33", "example.org", "*"] {
            let error = AccessRules::networks(&[wrong.to_owned()]).unwrap_err().to_string();
            assert!(error.contains("192.168.1.0/24"), "{error}");
        }
    }

    #[test]
    fn the_internet_is_no_open_network() {
        let open = |text: &str| AccessRules::open_networks(&[text.to_owned()]);
        for wide in ["0.0.0.0/0", "::/0", "128.0.0.0/1", "8.0.0.0/7", "2000::/3", "::ffff:0.0.0.0/6"] {
            assert!(matches!(open(wide), Err(AccessError::TooWide { .. })), "{wide}");
        }
        for known in ["10.0.0.0/8", "192.168.1.7", "fc00::/7", "fe80::/10"] {
            assert!(open(known).is_ok(), "{known}");
        }
    }
}
