// SPDX-License-Identifier: GPL-3.0-or-later
//! `blendwire doctor`: what it looks at is broken for real, it finds that and says what mends it, and with that done finds
//! it no more. What needs a Blender is tested in `tests/`.

mod around;
mod clients;
mod foreign;
mod healthy;
mod refused;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use blendwire_bridge::{Config, Server, StartError};
use blendwire_credentials::Folder;
use blendwire_protocol::Reply;
use blendwire_state::Instances;
use serde_json::Value;
use socket2::{Domain, Socket, Type};

use crate::setup::User;
use crate::text;

impl User {
    /// `blendwire doctor`, with folders for state and token of this user's own.
    fn doctor(&self, args: &[&str]) -> Command {
        self.own(&[&["doctor"], args].concat())
    }

    /// Any command, with the same folders.
    pub(crate) fn own(&self, args: &[&str]) -> Command {
        let mut command = self.blendwire(args);
        command.env("BLENDWIRE_STATE_DIR", self.home.path().join("state"));
        command.env("BLENDWIRE_CONFIG_DIR", self.home.path().join("config")).env_remove("BLENDWIRE_TOKEN");
        command
    }

    pub(crate) fn found(&self, args: &[&str]) -> Findings {
        Findings::of(&self.doctor(&[args, &["--json"]].concat()).output().unwrap())
    }
}

/// What was found.
pub(crate) struct Findings {
    all: Vec<Value>,
    code: Option<i32>,
}

impl Findings {
    pub(crate) fn of(output: &Output) -> Self {
        let all = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
        Self { all, code: output.status.code() }
    }

    pub(crate) fn of_id(&self, id: &str) -> &Value {
        self.all.iter().find(|finding| finding["id"] == id).unwrap_or_else(|| panic!("no {id}"))
    }

    fn state(&self, id: &str) -> &str {
        self.of_id(id)["state"].as_str().unwrap()
    }

    /// Is in this state, says this, and offers this.
    pub(crate) fn expect(&self, id: &str, state: &str, seen: &str, remedy: &str) {
        let finding = self.of_id(id);
        let offers = |wanted: &str| finding["remedies"].to_string().contains(wanted);
        assert_eq!(self.state(id), state, "{finding}");
        assert!(finding["seen"].as_str().unwrap().contains(seen), "{seen:?} is not in {finding}");
        assert!(remedy.is_empty() || offers(remedy), "{remedy:?} is not in {finding}");
        assert!(state == "ok" || !finding["why"].as_str().unwrap().is_empty(), "{finding}");
        assert_eq!(self.code == Some(1), self.all.iter().any(|finding| finding["state"] == "failure"));
    }
}

/// A server of ours in this process, whose host answers 1 to every script. It announces itself to `user`.
pub(crate) fn server(user: &User, change: impl FnOnce(&mut Config)) -> (Server, String) {
    try_server(user, change).unwrap()
}

/// The same, at a port that was given up just now; `None` where another program was faster.
fn server_at(user: &User, port: &str) -> Option<Server> {
    match try_server(user, |config| config.port = port.parse().unwrap()) {
        Ok((server, _)) => Some(server),
        Err(StartError::PortTaken { .. }) => None,
        Err(error) => panic!("{error}"),
    }
}

/// A test that needs a port again which it has given up: tried anew, with another one, where that was taken meanwhile.
fn with_a_port_that_stays(attempt: impl Fn() -> Option<()>) {
    assert!((0..5).any(|_| attempt().is_some()), "other programs take every port that this test gives up");
}

/// Keeps a port to itself at which nothing listens, until it is dropped; `None` where another program has it.
fn held(port: u16) -> Option<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    // Connections of whoever had it before may not have ended quite. On Windows this would let others in.
    #[cfg(unix)]
    socket.set_reuse_address(true).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], port)).into()).ok().map(|()| socket)
}

fn try_server(user: &User, change: impl FnOnce(&mut Config)) -> Result<(Server, String), StartError> {
    let mut config = Config {
        host: "127.0.0.1".to_owned(),
        port: 0,
        credentials: Some(Folder::at(user.home.path().join("config"))),
        instances: Some(Instances::in_state(&user.home.path().join("state"))),
        ..Config::default()
    };
    change(&mut config);
    let server = Server::start(config)?;
    let port = server.shared().endpoint_names()[0].rsplit_once(':').unwrap().1.to_owned();
    Ok((server, port))
}

/// Its main thread comes round, until the server is dropped.
pub(crate) fn lend_main_thread(server: &Server) {
    server.shared().main_thread_seen();
    let shared = Arc::downgrade(server.shared());
    thread::spawn(move || {
        // The queue of a server that has stopped keeps nobody waiting.
        while let Some(shared) = shared.upgrade() {
            shared.main_thread_seen();
            if let Some(mut job) = shared.queue().pop(Duration::from_millis(20)) {
                let number = job.number;
                job.tell_begin(None);
                shared.job_begins(&mut job);
                shared.job_ends(number, Some(true));
                job.answer(Reply::of(&1));
            }
        }
    });
}

/// A server of another kind, which is quit when dropped.
struct Stranger {
    port: String,
    is_quit: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// One that hands each connection to `serve`.
fn stranger(serve: fn(TcpStream)) -> Stranger {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let is_quit = Arc::new(AtomicBool::new(false));
    let until = is_quit.clone();
    let thread = thread::spawn(move || {
        for stream in listener.incoming().take_while(|_| !until.load(Ordering::Relaxed)).flatten() {
            thread::spawn(move || serve(stream));
        }
    });
    Stranger { port, is_quit, thread: Some(thread) }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        self.is_quit.store(true, Ordering::Relaxed);
        // It looks when somebody connects.
        let _ = TcpStream::connect(format!("127.0.0.1:{}", self.port));
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Reads up to and with these bytes; `None` when the client goes before.
fn read_to(stream: &mut TcpStream, end: &[u8]) -> Option<Vec<u8>> {
    let (mut read, mut byte) = (Vec::new(), [0]);
    while !read.ends_with(end) {
        stream.read_exact(&mut byte).ok()?;
        read.push(byte[0]);
    }
    Some(read)
}

fn say(stream: &mut TcpStream, bytes: &[u8]) {
    // A client that has heard enough may be gone.
    let _ = stream.write_all(bytes);
}

#[test]
fn says_what_it_looks_at_and_looks_at_what_is_named_and_what_that_needs() {
    let user = User::new();
    let list = user.doctor(&["--list"]).output().unwrap();
    assert!(text(&list.stdout).contains("round-trip"), "{list:?}");
    let found = user.found(&["listens", "--port", &crate::free_port()]);
    let ids: Vec<_> = found.all.iter().map(|finding| finding["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["config", "instances", "name", "listens"]);
    assert_eq!(user.doctor(&["no-such-check"]).output().unwrap().status.code(), Some(2));
}
