// SPDX-License-Identifier: GPL-3.0-or-later
//! Goes the way of a client's entry as the client would, and waits for the server's greeting: starts its command, or asks at its
//! address. And whether the Blender that an entry names lets it in, by `blendwire status` in place of `blendwire mcp`.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};

use crate::commands::setup::port;

/// Clients wait longer, but one of ours takes milliseconds.
const GREETS_WITHIN: Duration = Duration::from_secs(5);

/// Over a network it is one connection and one question; with the greeting it is less than a patient check may take.
const LETS_IN_WITHIN: Duration = Duration::from_secs(4);

/// What a server over HTTP may take for each step: it runs already.
const HTTP_WITHIN: Duration = Duration::from_secs(3);

/// A greeting has some kilobytes; what prints without end is no MCP server.
const LONGEST_BYTES: u64 = 1024 * 1024;

/// Ended when dropped, whatever came of it.
struct Started(Child);

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What came of asking at an address.
pub(super) enum Answer {
    /// An MCP server of this name and version.
    Greets(String),
    /// It wants a token, or another one.
    WantsToken,
    /// It is there; what it says is hidden by TLS, whose certificate is the client's to judge.
    InTls,
}

/// What it says it is.
///
/// # Errors
/// When it does not start, or says something else, or nothing in time.
pub(super) fn greet(words: &[String], variables: &[(String, String)]) -> Result<String> {
    let mut started = start(words, variables, |command| command.stdout(Stdio::piped()).stdin(Stdio::piped()))?;
    let mut stdin = started.0.stdin.take().context("it has no stdin")?;
    let stdout = started.0.stdout.take().context("it has no stdout")?;
    let told = in_background(move || {
        let mut line = String::new();
        BufReader::new(stdout.take(LONGEST_BYTES)).read_line(&mut line).map(|_| line)
    });
    // One that has ended already is told of by what it did not answer.
    let _ = writeln!(stdin, "{}", blendwire_mcp::greeting());
    let Ok(line) = told.recv_timeout(GREETS_WITHIN) else {
        bail!("it says nothing within {} s of the client's greeting", GREETS_WITHIN.as_secs());
    };
    let line = line.context("what it says is no text")?;
    match blendwire_mcp::greeted(&line) {
        Some((name, version)) => Ok(format!("{name} {version}")),
        None if line.is_empty() => bail!("it ends without a word"),
        None => bail!("it answers the client's greeting with something else"),
    }
}

/// Whether the Blender that these words and variables mean answers them, or what `blendwire status` says is wrong. `None`
/// where no word is `mcp`, as in a shell's script: what would ask in its place is not known.
pub(super) fn lets_in(words: &[String], variables: &[(String, String)]) -> Option<Result<()>> {
    let (program, args) = words.split_first()?;
    let before = args.iter().position(|word| word == "mcp")?;
    let asking = [std::slice::from_ref(program), &args[..before], &["status".to_owned()], &args[before + 1..]].concat();
    Some(is_let_in(&asking, variables))
}

fn is_let_in(asking: &[String], variables: &[(String, String)]) -> Result<()> {
    let mut started = start(asking, variables, |command| command.stderr(Stdio::piped()))?;
    let stderr = started.0.stderr.take().context("it has no stderr")?;
    let told = in_background(move || {
        let mut said = Vec::new();
        stderr.take(LONGEST_BYTES).read_to_end(&mut said).map(|_| String::from_utf8_lossy(&said).into_owned())
    });
    let Ok(said) = told.recv_timeout(LETS_IN_WITHIN) else {
        bail!("its Blender does not answer within {} s", LETS_IN_WITHIN.as_secs());
    };
    if started.0.wait()?.success() {
        return Ok(());
    }
    let said = said.unwrap_or_default();
    Err(anyhow!("{}", said.trim().trim_start_matches("error:").trim()))
}

/// As a client starts it. Streams that `change` does not open lead nowhere.
fn start(
    words: &[String],
    variables: &[(String, String)],
    change: impl FnOnce(&mut Command) -> &mut Command,
) -> Result<Started> {
    let (program, args) = words.split_first().context("the entry has no command")?;
    let mut command = Command::new(program);
    command.args(args).envs(variables.iter().cloned());
    // Clients start their servers in folders of their own.
    command.current_dir(std::env::temp_dir());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let child = change(&mut command).spawn().with_context(|| format!("{program} does not start"))?;
    Ok(Started(child))
}

/// Reading has no time limit of its own.
fn in_background<T: Send + 'static>(read: impl FnOnce() -> T + Send + 'static) -> Receiver<T> {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || drop(tell.send(read())));
    told
}

/// What is at the address of a server over HTTP. The session that the greeting begins is ended again.
///
/// # Errors
/// When nothing is there, or no MCP server.
pub(super) fn ask(url: &hyper::Uri, headers: &[(String, String)]) -> Result<Answer> {
    if url.scheme_str() == Some("https") {
        connect(url)?;
        return Ok(Answer::InTls);
    }
    let accepts = ("Accept".to_owned(), "application/json, text/event-stream".to_owned());
    let is_json = ("Content-Type".to_owned(), "application/json".to_owned());
    let headers = [headers, &[accepts, is_json]].concat();
    let stream = request(url, "POST", &headers, &blendwire_mcp::greeting())?;
    let mut lines = BufReader::new(stream.take(LONGEST_BYTES)).lines().map_while(Result::ok);
    let status = lines.next().unwrap_or_default();
    let is_status = |code: &str| status.split(' ').nth(1) == Some(code);
    if is_status("401") {
        return Ok(Answer::WantsToken);
    }
    let (mut session, mut server) = (None, None);
    for line in lines {
        let header = line.split_once(':').filter(|(name, _)| name.eq_ignore_ascii_case("mcp-session-id"));
        session = session.or_else(|| header.map(|(_, value)| value.trim().to_owned()));
        server = blendwire_mcp::greeted(line.strip_prefix("data:").unwrap_or(&line).trim());
        if server.is_some() {
            break;
        }
    }
    if let Some(session) = session {
        let headers = [headers, vec![("Mcp-Session-Id".to_owned(), session)]].concat();
        // Where that fails, the server ends it in time.
        let _ = request(url, "DELETE", &headers, "").map(|mut stream| stream.read(&mut [0]));
    }
    match server {
        Some((name, version)) => Ok(Answer::Greets(format!("{name} {version}"))),
        None if status.is_empty() => bail!("it says nothing to the client's greeting"),
        None => bail!("no MCP server answers there, but {}", status.chars().take(60).collect::<String>()),
    }
}

/// Sends one request, by version 1.0: the answer then ends with the connection and comes in one piece.
fn request(url: &hyper::Uri, method: &str, headers: &[(String, String)], body: &str) -> Result<TcpStream> {
    let mut stream = connect(url)?;
    stream.set_read_timeout(Some(HTTP_WITHIN))?;
    stream.set_write_timeout(Some(HTTP_WITHIN))?;
    let host = format!("{}:{}", url.host().unwrap_or_default(), port(url));
    let is_one_line = |(name, value): &&(String, String)| !name.chars().chain(value.chars()).any(char::is_control);
    let headers: Vec<_> =
        headers.iter().filter(is_one_line).map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let headers = headers.concat();
    let (path, length) = (url.path(), body.len());
    write!(stream, "{method} {path} HTTP/1.0\r\nHost: {host}\r\nContent-Length: {length}\r\n{headers}\r\n{body}")?;
    Ok(stream)
}

fn connect(url: &hyper::Uri) -> Result<TcpStream> {
    let host = url.host().unwrap_or_default().trim_matches(['[', ']']);
    let mut failed = anyhow!("{host} has no address");
    for address in (host, port(url)).to_socket_addrs().with_context(|| format!("{host} has no address"))? {
        match TcpStream::connect_timeout(&address, HTTP_WITHIN) {
            Ok(stream) => return Ok(stream),
            Err(error) => failed = error.into(),
        }
    }
    Err(failed.context("nothing takes connections there"))
}
