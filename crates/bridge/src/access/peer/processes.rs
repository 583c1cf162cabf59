// SPDX-License-Identifier: GPL-3.0-or-later
//! Whose connection it is on macOS and Windows: the process that has the socket at the other end, and its user.
//!
//! macOS shows a process the sockets of its own user's processes only (and root those of all): a socket that is not
//! among them is another user's, or gone. Windows shows the sockets of all.

use std::collections::HashSet;
use std::net::SocketAddr;

use listeners::Protocol;
use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System, UpdateKind};

use super::Verdict;

/// The superuser of Unix, and the system's own account of Windows, as text.
const SUPERUSERS: [&str; 2] = ["0", "S-1-5-18"];

/// Whether the system lists the listener on `endpoint` as this process's own. Where it does not, it cannot be believed
/// about others.
pub(super) fn lists_as_ours(endpoint: SocketAddr) -> bool {
    pids_with(endpoint).is_some_and(|pids| pids.contains(&std::process::id()))
}

/// Decides about the peer of a connection from this machine.
pub(super) fn judge(peer: SocketAddr) -> Verdict {
    let Some(pids) = pids_with(peer) else { return Verdict::CannotTell };
    let ours = user_of(std::process::id());
    if ours.is_none() {
        return Verdict::CannotTell;
    }
    let may = |user: &Option<String>| *user == ours || user.as_deref().is_some_and(|user| SUPERUSERS.contains(&user));
    // Several sockets may share a local address; all of them have to be let in.
    if !pids.is_empty() && pids.iter().all(|pid| may(&user_of(*pid))) {
        return Verdict::LetIn(None);
    }
    Verdict::Other("another user".to_owned())
}

fn pids_with(local: SocketAddr) -> Option<HashSet<u32>> {
    // A socket for both families shows IPv4 as part of IPv6.
    let plain = |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
    let sockets = listeners::get_all().ok()?.into_iter();
    let found = sockets.filter(|socket| socket.protocol == Protocol::TCP && plain(socket.socket) == plain(local));
    Some(found.map(|socket| socket.process.pid).collect())
}

fn user_of(pid: u32) -> Option<String> {
    let pid = Pid::from_u32(pid);
    let mut system = System::new().ok()?;
    let user = ProcessRefreshKind::nothing().with_user(UpdateKind::Always);
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), true, user);
    Some(system.process(pid)?.user_id()?.to_string())
}
