// SPDX-License-Identifier: GPL-3.0-or-later
//! Whose program is at the other end of a connection from this machine, as far as the system tells. Linux lists sockets
//! with their users; macOS and Windows list the sockets of processes, and whose a process is.
//!
//! A peer whose socket is gone already is not let in: a kernel lists such a socket under root or not at all, so anyone
//! could send a request, close at once and be taken for root.

#[cfg(target_os = "linux")]
mod proc_net;
#[cfg(any(target_os = "macos", windows))]
mod processes;
#[cfg(target_os = "linux")]
mod sock_diag;

use std::net::SocketAddr;

use log::Level;
use tokio::net::TcpStream;

use crate::seldom::{AND_NO_MORE, Seldom};

/// The superuser can read and change every process: there is nothing to keep from it.
const ROOT: u32 = 0;

/// States of a socket as Linux numbers them.
const ESTABLISHED: u8 = 1;
#[cfg(target_os = "linux")]
const LISTEN: u8 = 10;

/// A table that changes while it is read may pass over a socket that is in it.
#[cfg(target_os = "linux")]
const LOOKED: usize = 3;

/// A socket as the system lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// User who made it, as this process's user namespace numbers them; one that has no number there is 65534.
    uid: u32,
    /// 0 when no process has it any more.
    inode: u64,
    state: u8,
}

/// What is to be done with a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is the same user, or root: the one of this number, where the system was asked.
    LetIn(Option<u32>),
    /// The system does not say who it is.
    CannotTell,
    /// It closed before the system could say who it was, or a defect of ours kept that from being asked.
    Gone,
    /// It is another user's, named in words.
    Other(String),
}

/// Where the system lists sockets with their users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// One question and one answer, however many sockets there are.
    #[cfg(target_os = "linux")]
    SockDiag,
    /// A table to be read from its start, where the kernel lacks the other.
    #[cfg(target_os = "linux")]
    ProcNet,
    /// The tables of processes and their sockets.
    #[cfg(any(target_os = "macos", windows))]
    Processes,
    Nowhere,
}

/// Tells users apart.
#[derive(Debug)]
pub(crate) struct Doorkeeper {
    source: Source,
    #[cfg_attr(
        not(any(test, target_os = "linux")),
        expect(dead_code, reason = "elsewhere processes are compared with our own")
    )]
    ours: u32,
    /// The system is asked for the journal alone.
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "elsewhere the system is not asked then"))]
    lets_in_all: bool,
    told: Seldom,
}

impl Doorkeeper {
    /// One that lets in everybody.
    pub(crate) fn open() -> Self {
        Self { source: Source::Nowhere, ours: ROOT, lets_in_all: true, told: Seldom::default() }
    }

    /// One for the server that listens on `endpoint`, which lets in programs of its own user, or of all of them. That
    /// socket is looked up first: where the system does not list it as ours, it cannot be believed about others.
    #[cfg(target_os = "linux")]
    pub(crate) fn of_listener(endpoint: SocketAddr, lets_in_all: bool) -> Self {
        let ours = rustix::process::geteuid().as_raw();
        let anyone = SocketAddr::new(unspecified(endpoint), 0);
        let is_sound = |row: Row| row.state == LISTEN && row.uid == ours;
        let sources = [Source::SockDiag, Source::ProcNet];
        let source = sources.into_iter().find(|source| source.row(endpoint, anyone).is_some_and(is_sound));
        if source.is_none() && !lets_in_all {
            log::info!("this system does not say whose connections are whose: every user of this machine is let in");
        }
        Self { source: source.unwrap_or(Source::Nowhere), ours, lets_in_all, told: Seldom::default() }
    }

    /// The same where processes tell.
    #[cfg(any(target_os = "macos", windows))]
    pub(crate) fn of_listener(endpoint: SocketAddr, lets_in_all: bool) -> Self {
        if lets_in_all {
            return Self::open();
        }
        if processes::lists_as_ours(endpoint) {
            return Self { source: Source::Processes, lets_in_all: false, ..Self::open() };
        }
        log::info!("this system does not say whose connections are whose: every user of this machine is let in");
        Self::open()
    }

    /// The same where no system is known to tell.
    #[cfg(not(any(target_os = "linux", target_os = "macos", windows)))]
    pub(crate) fn of_listener(_endpoint: SocketAddr, _lets_in_all: bool) -> Self {
        log::debug!("this system is not asked whose connections are whose: every user of this machine is let in");
        Self::open()
    }

    /// Whether the system lists the other end of a connection that is not over loopback: then it is on this machine.
    #[cfg(target_os = "linux")]
    pub(crate) fn lists(peer: SocketAddr, local: SocketAddr) -> bool {
        // One question, for which the table need not be read.
        sock_diag::row(peer, local).is_ok_and(|row| row.is_some())
    }

    /// The same where that would take a look at every process.
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn lists(_peer: SocketAddr, _local: SocketAddr) -> bool {
        false
    }

    /// Decides about the peer of an accepted connection.
    #[cfg(target_os = "linux")]
    pub(crate) async fn judge(&self, stream: &TcpStream, peer: SocketAddr) -> Verdict {
        let (source, ours) = (self.source, (!self.lets_in_all).then_some(self.ours));
        let Ok(local) = stream.local_addr() else { return Verdict::Gone };
        match source {
            Source::Nowhere => Verdict::LetIn(None),
            Source::SockDiag => source.judge(ours, peer, local),
            Source::ProcNet => {
                // Milliseconds where there are many sockets, and others wait for this thread.
                let judged = tokio::task::spawn_blocking(move || source.judge(ours, peer, local)).await;
                judged.unwrap_or(Verdict::Gone)
            }
        }
    }

    /// Decides about the peer of an accepted connection.
    #[cfg(any(target_os = "macos", windows))]
    pub(crate) async fn judge(&self, _stream: &TcpStream, peer: SocketAddr) -> Verdict {
        match self.source {
            Source::Nowhere => Verdict::LetIn(None),
            Source::Processes => {
                // Every process is looked at: milliseconds, and others wait for this thread.
                let judged = tokio::task::spawn_blocking(move || processes::judge(peer)).await;
                judged.unwrap_or(Verdict::Gone)
            }
        }
    }

    /// Decides about the peer of an accepted connection.
    #[cfg(not(any(target_os = "linux", target_os = "macos", windows)))]
    pub(crate) async fn judge(&self, _stream: &TcpStream, _peer: SocketAddr) -> Verdict {
        std::future::ready(Verdict::LetIn(None)).await
    }

    /// What programs of another user are told.
    pub(crate) fn words(&self, whose: &str) -> String {
        format!(
            "this Blender runs as {} of this machine and lets in programs of that user only, not those of {whose}: run \
             the client as that user, or have them switch on \"Other Users of This Machine\" in the add-on's preferences \
             (without a window: the option --other-users) and restart the server",
            self.our_name()
        )
    }

    /// Tells Blender's user of a refusal, now and then.
    pub(crate) fn log(&self, whose: &str) {
        log::log!(
            self.told.level(Level::Info),
            "refused a connection of {whose}: only programs of {} are let in; the preference \"Other Users of This \
             Machine\" changes that {AND_NO_MORE}",
            self.our_name()
        );
    }

    #[cfg(target_os = "linux")]
    fn our_name(&self) -> String {
        format!("user {}", self.ours)
    }

    #[cfg(not(target_os = "linux"))]
    #[expect(clippy::unused_self, reason = "as on Linux, where users have numbers that tell them apart")]
    fn our_name(&self) -> String {
        "one user".to_owned()
    }
}

#[cfg(target_os = "linux")]
impl Source {
    /// The socket that has this address and is connected to that one.
    fn row(self, of: SocketAddr, to: SocketAddr) -> Option<Row> {
        match self {
            Self::SockDiag => sock_diag::row(of, to).ok().flatten(),
            Self::ProcNet => proc_net::row(of, to).ok().flatten(),
            Self::Nowhere => None,
        }
    }

    fn judge(self, ours: Option<u32>, peer: SocketAddr, local: SocketAddr) -> Verdict {
        let mut verdict = Verdict::CannotTell;
        for _ in 0..LOOKED {
            verdict = judge(ours, self.row(peer, local), || self.row(local, peer));
            if verdict != Verdict::CannotTell {
                break;
            }
        }
        verdict
    }
}

/// Decides by the peer's socket, which has to be of the user `ours` where that is given; where it is not listed, by our own
/// end of the connection.
#[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "only Linux lists sockets with their users"))]
fn judge(ours: Option<u32>, peer: Option<Row>, own: impl FnOnce() -> Option<Row>) -> Verdict {
    match peer {
        // Nobody's: what is listed as its user may be root, whoever it was.
        Some(Row { uid: ROOT, inode: 0, .. }) => Verdict::Gone,
        Some(Row { uid, .. }) if ours.is_none_or(|ours| uid == ours) || uid == ROOT => Verdict::LetIn(Some(uid)),
        Some(Row { uid, .. }) => Verdict::Other(format!("user {uid}")),
        // Our end knows at once when the other has closed. Where it has not, the peer is there and not listed: its
        // packets are sent on by a rule of the system's firewall, perhaps.
        None if own().is_some_and(|own| own.state == ESTABLISHED) => Verdict::CannotTell,
        None => Verdict::Gone,
    }
}

#[cfg(target_os = "linux")]
fn unspecified(endpoint: SocketAddr) -> std::net::IpAddr {
    use std::net::{Ipv4Addr, Ipv6Addr};
    if endpoint.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn row(uid: u32, inode: u64, state: u8) -> Row {
        Row { uid, inode, state }
    }

    fn judged(peer: Option<Row>, own: Option<Row>) -> Verdict {
        judge(Some(1000), peer, || own)
    }

    #[test]
    fn where_all_are_let_in_the_journal_is_told_who_it_is() {
        assert_eq!(judge(None, Some(row(1001, 7, ESTABLISHED)), || None), Verdict::LetIn(Some(1001)));
        assert_eq!(judge(None, None, || Some(row(1000, 8, ESTABLISHED))), Verdict::CannotTell);
    }

    #[test]
    fn the_same_user_and_root_are_let_in_and_nobody_else() {
        assert_eq!(judged(Some(row(1000, 7, ESTABLISHED)), None), Verdict::LetIn(Some(1000)));
        assert_eq!(judged(Some(row(ROOT, 7, ESTABLISHED)), None), Verdict::LetIn(Some(ROOT)));
        assert_eq!(judged(Some(row(1001, 7, ESTABLISHED)), None), Verdict::Other("user 1001".to_owned()));
        // A user without a number in our user namespace.
        assert_eq!(judged(Some(row(65534, 7, ESTABLISHED)), None), Verdict::Other("user 65534".to_owned()));
    }

    #[test]
    fn whoever_closes_at_once_is_not_taken_for_root() {
        const CLOSE_WAIT: u8 = 8;
        const FIN_WAIT_2: u8 = 5;
        assert_eq!(judged(Some(row(ROOT, 0, FIN_WAIT_2)), None), Verdict::Gone);
        assert_eq!(judged(None, Some(row(1000, 8, CLOSE_WAIT))), Verdict::Gone);
        assert_eq!(judged(None, None), Verdict::Gone);
        // Newer kernels remember whose it was.
        assert_eq!(judged(Some(row(1001, 0, FIN_WAIT_2)), None), Verdict::Other("user 1001".to_owned()));
        assert_eq!(judged(Some(row(1000, 0, FIN_WAIT_2)), None), Verdict::LetIn(Some(1000)));
    }

    #[test]
    fn a_peer_that_is_there_but_not_listed_cannot_be_told() {
        assert_eq!(judged(None, Some(row(1000, 8, ESTABLISHED))), Verdict::CannotTell);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn both_sources_know_our_own_connections() {
        use std::net::{TcpListener, TcpStream};
        let ours = rustix::process::geteuid().as_raw();
        for host in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(host) else { continue };
            let local = listener.local_addr().unwrap();
            let stream = TcpStream::connect(local).unwrap();
            let (_accepted, peer) = listener.accept().unwrap();
            for source in [Source::SockDiag, Source::ProcNet] {
                let row = source.row(peer, local);
                assert!(row.is_some_and(|row| row.uid == ours && row.inode != 0), "{source:?} {host}: {row:?}");
                assert_eq!(source.judge(Some(ours), peer, local), Verdict::LetIn(Some(ours)));
                let listening = source.row(local, SocketAddr::new(unspecified(local), 0));
                assert!(listening.is_some_and(|row| row.state == LISTEN), "{source:?} {host}: {listening:?}");
                let before = std::time::Instant::now();
                for _ in 0..100 {
                    assert_eq!(source.judge(Some(ours), peer, local), Verdict::LetIn(Some(ours)));
                }
                println!("{source:?} {host}: {:?} each", before.elapsed() / 100);
            }
            assert_eq!(Doorkeeper::of_listener(local, false).source, Source::SockDiag);
            drop(stream);
            let nobody_else = Source::ProcNet.judge(Some(ours), peer, local);
            assert!(nobody_else == Verdict::Gone || nobody_else == Verdict::LetIn(Some(ours)), "{nobody_else:?}");
        }
    }
}
