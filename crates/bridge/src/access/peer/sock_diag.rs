// SPDX-License-Identifier: GPL-3.0-or-later
//! One socket by its addresses, asked of the kernel over netlink (`man 7 sock_diag`). Takes about ten microseconds,
//! however many sockets there are, and needs no privileges.

use std::io;
use std::net::{IpAddr, SocketAddr};

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink};

use super::Row;

/// `SOCK_DIAG_BY_FAMILY`, the type of the question and of its answer.
const BY_FAMILY: u16 = 20;
const NLM_F_REQUEST: u16 = 1;
const IPPROTO_TCP: u8 = 6;

/// Bytes of `nlmsghdr`, and of it with `inet_diag_req_v2` behind it.
const HEADER: usize = 16;
const QUESTION: usize = HEADER + 56;

/// Where the answer, `inet_diag_msg` behind the header, has what is of interest.
const STATE_AT: usize = HEADER + 1;
const PORTS_AT: usize = HEADER + 4;
const UID_AT: usize = HEADER + 64;
const INODE_AT: usize = HEADER + 68;

/// The socket that has the address `of` and is connected to `to`; for a listening one `to` has port 0.
///
/// # Errors
/// The system's, when it does not offer this.
pub(super) fn row(of: SocketAddr, to: SocketAddr) -> io::Result<Option<Row>> {
    let socket = rustix::net::socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        Some(netlink::SOCK_DIAG),
    )?;
    rustix::net::send(&socket, &question(of, to), SendFlags::empty())?;
    let mut answer = [0; 1024];
    // The kernel answers while it is being asked, so there is nothing to wait for.
    let (length, _) = rustix::net::recv(&socket, &mut answer[..], RecvFlags::DONTWAIT)?;
    Ok(read(&answer[..length.min(1024)], of, to))
}

fn question(of: SocketAddr, to: SocketAddr) -> Vec<u8> {
    let family = if of.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let family = u8::try_from(family.as_raw()).unwrap_or_default();
    let mut text = Vec::with_capacity(QUESTION);
    text.extend(u32::try_from(QUESTION).unwrap_or_default().to_ne_bytes());
    text.extend(BY_FAMILY.to_ne_bytes());
    text.extend(NLM_F_REQUEST.to_ne_bytes());
    // Sequence number, and our address, which the kernel fills in.
    text.extend([1_u32.to_ne_bytes(), [0; 4]].concat());
    text.extend([family, IPPROTO_TCP, 0, 0]);
    // In every state.
    text.extend(u32::MAX.to_ne_bytes());
    text.extend([of.port().to_be_bytes(), to.port().to_be_bytes()].concat());
    text.extend([sixteen(of.ip()), sixteen(to.ip())].concat());
    // On any interface, with any cookie.
    text.extend([[0; 4], [0xff; 4], [0xff; 4]].concat());
    text
}

fn sixteen(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V6(address) => address.octets(),
        IpAddr::V4(address) => {
            let mut bytes = [0; 16];
            bytes[..4].copy_from_slice(&address.octets());
            bytes
        }
    }
}

/// What an answer says. An error message (there is no such socket), or the answer about another socket (one that listens
/// on the port of a peer that has gone), is nothing.
fn read(answer: &[u8], of: SocketAddr, to: SocketAddr) -> Option<Row> {
    let number = |at: usize| Some(u32::from_ne_bytes(answer.get(at..at + 4)?.try_into().ok()?));
    let r#type = u16::from_ne_bytes(answer.get(4..6)?.try_into().ok()?);
    let ports = [of.port().to_be_bytes(), to.port().to_be_bytes()].concat();
    if r#type != BY_FAMILY || answer.get(PORTS_AT..PORTS_AT + 4)? != ports {
        return None;
    }
    Some(Row { uid: number(UID_AT)?, inode: number(INODE_AT)?.into(), state: *answer.get(STATE_AT)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NLMSG_ERROR: u16 = 2;

    #[test]
    fn answers_about_other_sockets_and_cut_ones_are_nothing() {
        let (of, to) = ("127.0.0.1:4660".parse().unwrap(), "127.0.0.1:22136".parse().unwrap());
        let mut answer = vec![0; HEADER + 72];
        answer[4..6].copy_from_slice(&BY_FAMILY.to_ne_bytes());
        answer[STATE_AT] = 1;
        answer[PORTS_AT..PORTS_AT + 4].copy_from_slice(&[0x12, 0x34, 0x56, 0x78]);
        answer[UID_AT..UID_AT + 4].copy_from_slice(&1000_u32.to_ne_bytes());
        answer[INODE_AT..INODE_AT + 4].copy_from_slice(&77_u32.to_ne_bytes());
        assert_eq!(read(&answer, of, to), Some(Row { uid: 1000, inode: 77, state: 1 }));
        assert_eq!(read(&answer, to, of), None);
        for length in 0..INODE_AT + 4 {
            assert_eq!(read(&answer[..length], of, to), None, "{length}");
        }
        answer[4..6].copy_from_slice(&NLMSG_ERROR.to_ne_bytes());
        assert_eq!(read(&answer, of, to), None);
    }

    #[test]
    fn a_question_is_as_long_as_it_says() {
        assert_eq!(question("[::1]:5".parse().unwrap(), "[::1]:6".parse().unwrap()).len(), QUESTION);
    }
}
