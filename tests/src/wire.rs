// SPDX-License-Identifier: GPL-3.0-or-later
//! A client of the plainest kind: a socket, bytes out, bytes in.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpStream, ToSocketAddrs};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

/// Far beyond what any reply in the tests takes; what hangs fails then instead of holding up everything.
const PATIENCE: Duration = Duration::from_mins(2);

/// One connection.
#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
    received: Vec<u8>,
}

/// The bytes of an `execute` request, NUL included.
pub fn execute_request(code: &str) -> Vec<u8> {
    let mut bytes = json!({"type": "execute", "code": code, "strict_json": false}).to_string().into_bytes();
    bytes.push(0);
    bytes
}

/// Reads some, whatever signals come meanwhile: one that has a deadline is not taken up again by the system.
fn read(stream: &mut TcpStream, chunk: &mut [u8]) -> std::io::Result<usize> {
    loop {
        match stream.read(chunk) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}

impl Wire {
    /// Connects to 127.0.0.1.
    ///
    /// # Errors
    /// The system's.
    pub fn connect(port: u16) -> Result<Self> {
        Self::connect_to((Ipv4Addr::LOCALHOST, port))
    }

    /// Connects to any address.
    ///
    /// # Errors
    /// The system's.
    pub fn connect_to(address: impl ToSocketAddrs) -> Result<Self> {
        let stream = TcpStream::connect(address).context("cannot connect")?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stream, received: Vec::new() })
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// The system's.
    pub fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.write_all(bytes).context("cannot send")
    }

    /// Another handle to the same socket, to send from another thread.
    ///
    /// # Errors
    /// The system's.
    pub fn sender(&self) -> Result<TcpStream> {
        Ok(self.stream.try_clone()?)
    }

    /// Says that nothing more will be sent.
    ///
    /// # Errors
    /// The system's.
    pub fn finish_sending(&self) -> Result<()> {
        Ok(self.stream.shutdown(Shutdown::Write)?)
    }

    /// Reads up to and without `terminator`.
    ///
    /// # Errors
    /// When the connection ends first or nothing comes for long.
    pub fn read_to(&mut self, terminator: u8) -> Result<Vec<u8>> {
        let mut looked_at = 0;
        let mut chunk = vec![0; 1 << 18];
        loop {
            if let Some(at) = self.received[looked_at..].iter().position(|byte| *byte == terminator) {
                let rest = self.received.split_off(looked_at + at + 1);
                let mut text = std::mem::replace(&mut self.received, rest);
                text.pop();
                return Ok(text);
            }
            looked_at = self.received.len();
            let count = read(&mut self.stream, &mut chunk).context("nothing more came")?;
            if count == 0 {
                let so_far = String::from_utf8_lossy(&self.received);
                bail!("the connection ended; received before: {so_far:?}");
            }
            self.received.extend_from_slice(&chunk[..count]);
        }
    }

    /// Reads everything until the server closes.
    ///
    /// # Errors
    /// When it does not close.
    pub fn read_to_end(&mut self) -> Result<Vec<u8>> {
        self.stream.read_to_end(&mut self.received).context("the server did not close the connection")?;
        Ok(std::mem::take(&mut self.received))
    }

    /// One reply that ends with NUL, parsed.
    ///
    /// # Errors
    /// As [`Wire::read_to`], or when it is not JSON.
    pub fn reply(&mut self) -> Result<Value> {
        let text = self.read_to(0)?;
        serde_json::from_slice(&text).with_context(|| format!("not JSON: {:?}", String::from_utf8_lossy(&text)))
    }

    /// Sends one request.
    ///
    /// # Errors
    /// The system's.
    pub fn ask(&mut self, request: &Value) -> Result<()> {
        self.send((request.to_string() + "\0").as_bytes())
    }

    /// Sends one request and returns its reply.
    ///
    /// # Errors
    /// As [`Wire::reply`].
    pub fn answer(&mut self, request: &Value) -> Result<Value> {
        self.ask(request)?;
        self.reply()
    }

    /// The messages of one request: its events, and its final reply.
    ///
    /// # Errors
    /// As [`Wire::reply`].
    pub fn events(&mut self) -> Result<(Vec<Value>, Value)> {
        let mut events = Vec::new();
        loop {
            let message = self.reply()?;
            if message.get("event").is_none() {
                return Ok((events, message));
            }
            events.push(message);
        }
    }

    /// One reply that nothing ends, as soon as its braces have closed, parsed.
    ///
    /// # Errors
    /// When the connection ends first, nothing comes for long, or what comes is not JSON.
    pub fn bare_reply(&mut self) -> Result<Value> {
        let mut chunk = vec![0; 1 << 18];
        loop {
            // Only a brace can end it: a long reply is not parsed again with every piece of it.
            if self.received.ends_with(b"}") {
                let mut values = serde_json::Deserializer::from_slice(&self.received).into_iter::<Value>();
                match values.next() {
                    Some(Ok(value)) => {
                        let length = values.byte_offset();
                        self.received.drain(..length);
                        return Ok(value);
                    }
                    Some(Err(error)) if !error.is_eof() => return Err(error.into()),
                    _ => {}
                }
            }
            let count = read(&mut self.stream, &mut chunk).context("nothing more came")?;
            if count == 0 {
                bail!("the connection ended; received before: {:?}", String::from_utf8_lossy(&self.received));
            }
            self.received.extend_from_slice(&chunk[..count]);
        }
    }

    /// Whether nothing comes, or has come, for this long.
    ///
    /// # Errors
    /// The system's.
    pub fn is_silent_for(&mut self, duration: Duration) -> Result<bool> {
        self.stream.set_read_timeout(Some(duration))?;
        let mut chunk = vec![0; 1 << 12];
        let read = read(&mut self.stream, &mut chunk);
        self.stream.set_read_timeout(Some(PATIENCE))?;
        if let Ok(count) = read {
            self.received.extend_from_slice(&chunk[..count]);
            return Ok(false);
        }
        Ok(self.received.is_empty())
    }

    /// Runs code and returns the reply.
    ///
    /// # Errors
    /// As [`Wire::reply`].
    pub fn execute(&mut self, code: &str) -> Result<Value> {
        self.send(&execute_request(code))?;
        self.reply()
    }

    /// Runs code that must end well, and returns its result.
    ///
    /// # Errors
    /// Holds the traceback when it does not.
    pub fn result(&mut self, code: &str) -> Result<Value> {
        let mut reply = self.execute(code)?;
        if reply["status"] != "ok" {
            bail!("the script failed: {}", reply["message"].as_str().unwrap_or("no message"));
        }
        Ok(reply["result"].take())
    }
}

/// Sends one HTTP request as raw text and returns the status code and the body.
///
/// # Errors
/// When no HTTP answer comes.
pub fn http(port: u16, request_line: &str, headers: &str) -> Result<(u16, String)> {
    let mut wire = Wire::connect(port)?;
    wire.send(
        format!("{request_line} HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n{headers}\r\n").as_bytes(),
    )?;
    let answer = String::from_utf8(wire.read_to_end()?)?;
    let code = answer.split(' ').nth(1).and_then(|code| code.parse().ok());
    let code = code.with_context(|| format!("no HTTP answer: {answer:?}"))?;
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default();
    Ok((code, body))
}
