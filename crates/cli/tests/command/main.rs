// SPDX-License-Identifier: GPL-3.0-or-later
//! The executable as users and MCP clients meet it, with no Blender anywhere: help, exit statuses, what goes to stdout.
//! What needs a Blender is tested in `tests/`.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

#[cfg(unix)]
mod addon;
mod config;
mod doctor;
mod exec;
mod exit_status;
mod help;
#[cfg(unix)]
mod launch;
mod lock;
mod mcp_stdio;
mod setup;
mod shapes;
#[cfg(unix)]
mod terminal;
#[cfg(unix)]
mod watch;

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};
use std::thread;

/// The executable with none of the environment variables that it reads, and no running Blender to be found.
fn blendwire(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_blendwire"));
    for name in ["BLENDWIRE", "BLENDER_MCP", "BLENDER"] {
        command.env_remove(format!("{name}_HOST")).env_remove(format!("{name}_PORT"));
    }
    for name in ["INSTANCE", "PROFILE", "CONFIG", "TOKEN", "FINGERPRINT", "CA"] {
        command.env_remove(format!("BLENDWIRE_{name}"));
    }
    command.env("BLENDWIRE_STATE_DIR", "/nonexistent").env("BLENDWIRE_CONFIG_DIR", "/nonexistent");
    command.env_remove("BLENDWIRE_BLENDER").env_remove("BLENDWIRE_PYTHON").stdin(Stdio::null()).args(args);
    command
}

fn run(args: &[&str]) -> Output {
    blendwire(args).output().unwrap()
}

/// A port that was free a moment ago.
fn free_port() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// Answers one request with these messages; gives the port.
fn server(messages: &'static str) -> String {
    recording_server(messages).0
}

/// The same; the thread gives the request.
fn recording_server(messages: &'static str) -> (String, thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let served = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let (mut request, mut byte) = (Vec::new(), [0]);
        while stream.read_exact(&mut byte).is_ok() && byte != [0] {
            request.push(byte[0]);
        }
        stream.write_all(format!("{messages}\0").as_bytes()).unwrap();
        String::from_utf8(request).unwrap()
    });
    (port, served)
}
