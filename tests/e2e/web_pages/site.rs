// SPDX-License-Identifier: GPL-3.0-or-later
//! The attacker's site: serves the page, takes its reports, redirects, and can become a tunnel to Blender's server.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use blendwire_e2e::wait_until;
use serde_json::Value;

const SCRIPT: &str = include_str!("page.js");

/// A loopback address that Blender does not listen on.
const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// See the module. It ends with the process.
pub(super) struct Site {
    pub(super) port: u16,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    port: u16,
    settings: Mutex<Value>,
    reports: Mutex<Vec<Value>>,
    /// Has sent the sandboxed page.
    has_sandboxed: AtomicBool,
    /// Leads to Blender's server from now on.
    is_rebound: AtomicBool,
    forwarded: AtomicUsize,
    /// The one that is rebound when the page says so.
    other: Mutex<Option<Arc<State>>>,
}

impl Site {
    /// Opens one; port 0 takes a free one.
    pub(super) fn open(port: u16) -> Result<Self> {
        let listener = TcpListener::bind((ADDRESS, port))?;
        let port = listener.local_addr()?.port();
        let state = Arc::new(State { port, ..State::default() });
        let serving = state.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = serving.clone();
                // A browser that hangs up is none of our business.
                std::thread::spawn(move || drop(serve(&state, stream)));
            }
        });
        Ok(Self { port, state })
    }

    pub(super) fn serve_page(&self, settings: &Value) {
        *lock(&self.state.settings) = settings.clone();
    }

    pub(super) fn on_rebind(&self, other: &Self) {
        *lock(&self.state.other) = Some(other.state.clone());
    }

    pub(super) fn reports(&self) -> Vec<Value> {
        lock(&self.state.reports).clone()
    }

    /// Connections that it has led on.
    pub(super) fn forwarded(&self) -> usize {
        self.state.forwarded.load(Ordering::Relaxed)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(state: &State, mut stream: TcpStream) -> Result<()> {
    if state.is_rebound.load(Ordering::SeqCst) {
        state.forwarded.fetch_add(1, Ordering::Relaxed);
        return forward(stream, TcpStream::connect((Ipv4Addr::LOCALHOST, state.port))?);
    }
    let (head, body) = request(&mut stream)?;
    let target = head.split(' ').nth(1).unwrap_or_default();
    let path = target.split('?').next().unwrap_or_default();
    let answer = match path {
        "/" => page(&lock(&state.settings)),
        "/sandboxed" => {
            let mut settings = lock(&state.settings).clone();
            settings["sandboxed"] = true.into();
            page(&settings)
        }
        "/report" => {
            lock(&state.reports).push(serde_json::from_str(&body)?);
            "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n".to_owned()
        }
        "/rebind" => {
            let other = lock(&state.other).clone().context("nothing to rebind")?;
            wait_until("the sandboxed page to be sent", Duration::from_mins(1), || {
                other.has_sandboxed.load(Ordering::SeqCst).then_some(())
            })?;
            other.is_rebound.store(true, Ordering::SeqCst);
            "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n".to_owned()
        }
        "/redirect" => {
            let (code, to) =
                target.split_once('?').and_then(|(_, query)| query.split_once('&')).context("no target")?;
            format!(
                "HTTP/1.1 {code} Elsewhere\r\nLocation: {to}\r\nAccess-Control-Allow-Origin: *\r\n\
                 Content-Length: 0\r\nConnection: close\r\n\r\n"
            )
        }
        _ => "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_owned(),
    };
    stream.write_all(answer.as_bytes())?;
    if path == "/sandboxed" {
        state.has_sandboxed.store(true, Ordering::SeqCst);
    }
    Ok(())
}

fn page(settings: &Value) -> String {
    let body =
        format!("<!doctype html><title>evil</title><body><script>const settings = {settings};\n{SCRIPT}</script>");
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

fn request(stream: &mut TcpStream) -> Result<(String, String)> {
    let mut received = Vec::new();
    let mut chunk = vec![0; 1 << 16];
    loop {
        let text = String::from_utf8_lossy(&received);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let lengths = head
                .lines()
                .filter_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ").map(str::to_owned));
            let length: usize = lengths.max().and_then(|length| length.trim().parse().ok()).unwrap_or(0);
            if body.len() >= length {
                return Ok((head.to_owned(), body.to_owned()));
            }
        }
        let count = stream.read(&mut chunk)?;
        if count == 0 {
            return Ok((text.into_owned(), String::new()));
        }
        received.extend_from_slice(&chunk[..count]);
    }
}

/// Copies both ways until both sides have ended.
fn forward(mut browser: TcpStream, mut server: TcpStream) -> Result<()> {
    let (mut from_browser, mut to_server) = (browser.try_clone()?, server.try_clone()?);
    let up = std::thread::spawn(move || {
        let _ = std::io::copy(&mut from_browser, &mut to_server);
        let _ = to_server.shutdown(Shutdown::Write);
    });
    let _ = std::io::copy(&mut server, &mut browser);
    let _ = browser.shutdown(Shutdown::Write);
    let _ = up.join();
    Ok(())
}
