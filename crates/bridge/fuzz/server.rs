// SPDX-License-Identifier: GPL-3.0-or-later
//! A running server, and what must be so of it for whatever bytes a connection brings: it ends the connection, runs
//! nothing that has not proved itself, and answers the next client.
//!
//! The sockets are real, because what is tried is how the parts work together. A panic anywhere ends the process, which
//! libFuzzer reports.

#[path = "../../native/src/mcp.rs"]
mod mcp;

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use blendwire_bridge::{AccessRules, Config, Server};
use blendwire_credentials::Folder;
use blendwire_protocol::Reply;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use socket2::{Domain, Socket, Type};

/// What takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(8);

/// As many connections may be about to end.
const MOST_OPEN: usize = 64;

/// Every so many inputs a client like any other asks.
const ASKED_EVERY: u64 = 64;

struct Running {
    server: Server,
    port: u16,
    token: String,
    executed: Arc<AtomicUsize>,
    tls: Arc<ClientConfig>,
    _folder: tempfile::TempDir,
}

/// The server that strangers talk to.
static STRANGERS: LazyLock<Running> = LazyLock::new(start);

/// The one for those that bring the token: it runs what they send, and when that was, only the script's client knows.
static FRIENDS: LazyLock<Running> = LazyLock::new(start);

fn start() -> Running {
    let folder = tempfile::tempdir().expect("a folder for token and certificate");
    let token = Folder::at(folder.path()).token().read_or_make().expect("a token").expose().to_owned();
    let certificate = Folder::at(folder.path()).own_certificate();
    certificate.make(&["localhost".to_owned()]).expect("a certificate");
    let mut trusted = RootCertStore::empty();
    trusted.add_parsable_certificates(certificate.read_chain().expect("the same certificate"));
    let tls = ClientConfig::builder().with_root_certificates(trusted).with_no_client_auth();
    let config = Config {
        host: "127.0.0.1".to_owned(),
        port: 0,
        credentials: Some(Folder::at(folder.path())),
        // Whose connection it is was tried elsewhere, and costs a question to the kernel.
        access: AccessRules { other_users: true, ..AccessRules::default() },
        mount: Some(mcp::MOUNT),
        ..Config::default()
    };
    // The server logs panics of its tasks and goes on. Here each of them shall end the process, as libFuzzer arranged.
    let ends_the_process = std::panic::take_hook();
    let server = Server::start(config).expect("a server");
    std::panic::set_hook(ends_the_process);
    let endpoint: SocketAddr = server.shared().endpoint_names()[0].parse().expect("an endpoint");
    let (shared, executed) = (server.shared().clone(), Arc::<AtomicUsize>::default());
    let counted = executed.clone();
    std::thread::spawn(move || {
        loop {
            if let Some(job) = shared.queue().pop(Duration::from_millis(100)) {
                counted.fetch_add(1, Ordering::Relaxed);
                job.answer(Reply::of(&1));
            }
        }
    });
    Running { port: endpoint.port(), server, token, executed, tls: Arc::new(tls), _folder: folder }
}

/// What a connection that sends `bytes` gets until it ends. Nothing that it asks for may be run.
pub(crate) fn talk(bytes: &[u8]) -> Vec<u8> {
    let before = STRANGERS.executed.load(Ordering::Relaxed);
    let said = exchange(&STRANGERS, bytes);
    assert_eq!(STRANGERS.executed.load(Ordering::Relaxed), before, "something was run");
    said
}

/// The same of one whose first request over HTTP brings the token, behind its first line.
#[allow(dead_code, reason = "not every target does")]
pub(crate) fn talk_as_friend(bytes: &[u8]) -> Vec<u8> {
    let Some(at) = bytes.windows(2).position(|pair| pair == b"\r\n") else { return talk(bytes) };
    let (first, rest) = bytes.split_at(at);
    let header = format!("\r\nAuthorization: Bearer {}", FRIENDS.token);
    exchange(&FRIENDS, &[first, header.as_bytes(), rest].concat())
}

/// What one gets, inside TLS, that sends `inside` there and then, beneath it, the bytes `beneath`.
#[allow(dead_code, reason = "not every target does")]
pub(crate) fn talk_inside_tls(inside: &[u8], beneath: &[u8]) -> Vec<u8> {
    let mut stream = connect(FRIENDS.port);
    let name = ServerName::try_from("localhost").expect("a name");
    let mut tls = ClientConnection::new(FRIENDS.tls.clone(), name).expect("a client");
    while tls.is_handshaking() {
        tls.complete_io(&mut stream).expect("a handshake");
    }
    // As with `exchange`, what is not taken need not be.
    let _ = rustls::Stream::new(&mut tls, &mut stream).write_all(inside);
    let _ = stream.write_all(beneath);
    if beneath.is_empty() {
        tls.send_close_notify();
        let _ = tls.write_tls(&mut stream);
    }
    let _ = stream.shutdown(Shutdown::Write);
    let mut said = Vec::new();
    let read = rustls::Stream::new(&mut tls, &mut stream).read_to_end(&mut said);
    FRIENDS.has_ended(&read, &said);
    said
}

impl Running {
    /// Whatever ended a connection, patience did not. Now and then another client asks.
    fn has_ended(&self, read: &io::Result<usize>, said: &[u8]) {
        static INPUTS: AtomicU64 = AtomicU64::new(0);
        let ran_out = |error: &io::Error| matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut);
        let said = String::from_utf8_lossy(said);
        assert!(!read.as_ref().is_err_and(ran_out), "the connection did not end; it said {said:?}");
        if INPUTS.fetch_add(1, Ordering::Relaxed).is_multiple_of(ASKED_EVERY) {
            still_answers(self);
        }
    }
}

fn exchange(running: &Running, bytes: &[u8]) -> Vec<u8> {
    let mut stream = connect(running.port);
    // A server that has refused may close before all was sent.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    let mut said = Vec::new();
    let read = stream.read_to_end(&mut said);
    running.has_ended(&read, &said);
    said
}

fn still_answers(running: &Running) {
    let mut stream = connect(running.port);
    stream.write_all(b"{\"type\": \"ping\"}\0").expect("to be heard");
    let mut said = Vec::new();
    BufReader::new(stream).read_until(0, &mut said).expect("an answer");
    let said = String::from_utf8_lossy(&said);
    assert!(said.contains("pong"), "{said:?}");
    // A connection that has ended is not kept, though it may take a busy machine a moment to let go of it.
    let since = Instant::now();
    while running.server.shared().status().clients >= MOST_OPEN {
        assert!(since.elapsed() < PATIENCE, "{MOST_OPEN} connections and more stay open");
        std::thread::yield_now();
    }
}

/// libFuzzer's alarm clock may interrupt the attempt, which cannot be taken up again.
fn connect(port: u16) -> TcpStream {
    loop {
        match attempt(port) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done.expect("a connection"),
        }
    }
}

/// From one of very many addresses: a port that has just been used cannot be used again to the same address for a minute.
fn attempt(port: u16) -> io::Result<TcpStream> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let [.., a, b] = COUNT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::new(127, 1, a, b), 0)).into())?;
    socket.connect(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into())?;
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}
