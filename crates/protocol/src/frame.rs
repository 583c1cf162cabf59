// SPDX-License-Identifier: GPL-3.0-or-later
//! Finds the end of each message in a stream of bytes.
//!
//! Two dialects share the stream. *Framed JSON* ends with a NUL byte, which no JSON text can hold. A person's line
//! ends with a line break after the closing brace; line breaks before it are white space. The decoder never fails on
//! malformed JSON: it hands the text on and the request parser says what is wrong, so that one bad message costs
//! one error reply and not the connection. "Incomplete" is a state, not an error.
//!
//! A third dialect has no terminator at all ([`crate::BareRequest`]): there an object ends with its closing brace.
//! [`Decoder::look`] tells when the first message of a connection may be of that kind, [`Decoder::decode_bare`] takes
//! such messages.

use bytes::{Buf, Bytes, BytesMut};

/// What ended a message; the reply to it ends with the same byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Terminator {
    /// `\0`: framed JSON, spoken by programs.
    Nul,
    /// `\n`: typed by a person, for instance with `nc`.
    Newline,
}

impl Terminator {
    /// The byte on the wire, as a piece of a reply.
    pub(crate) fn bytes(self) -> Bytes {
        Bytes::from_static(match self {
            Self::Nul => b"\0",
            Self::Newline => b"\n",
        })
    }

    /// The byte on the wire.
    pub fn byte(self) -> u8 {
        match self {
            Self::Nul => b'\0',
            Self::Newline => b'\n',
        }
    }
}

/// One message: its text without the terminator, not yet parsed, perhaps not even JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The bytes before the terminator, leading white space removed. Empty for a NUL that comes late, right behind the
    /// line break that seemed to end the message before: that message's sender waits for a NUL.
    pub text: Bytes,
    /// What ended it.
    pub terminator: Terminator,
}

/// A message grew past the limit before its end was seen. The rest of the stream cannot be understood any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the request is longer than the limit of {limit_bytes} bytes; split it, or write the data to a file and read it from there"
)]
pub struct FrameTooLarge {
    /// The limit in bytes, terminator excluded.
    pub limit_bytes: usize,
}

/// How the first message of a connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look<'a> {
    /// Its end has not come.
    Open,
    /// Its braces have closed and no terminator has come, or not yet. This is its text.
    Closed(&'a [u8]),
    /// It has a terminator, or is no object, or is too long: [`Decoder::decode`] says which.
    Framed,
}

/// Where in a message the scan stands.
#[derive(Clone, Copy, Debug)]
enum Scan {
    /// Before the first byte of a message; white space and stray NULs are skipped.
    Start,
    /// Inside the braces, `depth` brackets deep.
    Inside { depth: usize },
    /// Inside a string.
    String { depth: usize },
    /// Inside a string, the last byte was a backslash.
    Escape { depth: usize },
    /// After the closing brace, or in text that is no object: only a terminator counts.
    Tail,
}

/// Incremental decoder of one connection's bytes. Every byte is looked at once.
#[derive(Debug)]
pub struct Decoder {
    limit_bytes: usize,
    scan: Scan,
    /// Bytes at the front of the buffer that were already looked at.
    scanned: usize,
    /// Once a NUL has ended a message, line breaks are white space for the rest of the connection.
    nul_only: bool,
    /// The last message ended with a line break, and nothing has come since.
    after_line: bool,
}

impl Decoder {
    /// A decoder that refuses messages longer than `limit_bytes` (terminator excluded).
    pub fn new(limit_bytes: usize) -> Self {
        Self { limit_bytes, scan: Scan::Start, scanned: 0, nul_only: false, after_line: false }
    }

    /// Takes longer messages from now on.
    pub fn set_limit(&mut self, limit_bytes: usize) {
        self.limit_bytes = limit_bytes;
    }

    /// Takes the next whole message off the front of `buffer`; `None` when it is not complete yet.
    ///
    /// # Errors
    /// [`FrameTooLarge`] as soon as the message cannot end within the limit. The decoder is of no use after that.
    pub fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<Frame>, FrameTooLarge> {
        if self.takes_late_nul(buffer) {
            return Ok(Some(Frame { text: Bytes::new(), terminator: Terminator::Nul }));
        }
        if matches!(self.scan, Scan::Start) && !self.skip_to_start(buffer) {
            return Ok(None);
        }
        let end = self.find_end(buffer);
        let length = end.map_or(buffer.len(), |(at, _)| at);
        if length > self.limit_bytes {
            return Err(FrameTooLarge { limit_bytes: self.limit_bytes });
        }
        let Some((at, terminator)) = end else { return Ok(None) };
        let text = buffer.split_to(at).freeze();
        buffer.advance(1);
        self.scan = Scan::Start;
        self.scanned = 0;
        Ok(Some(Frame { text, terminator: self.settle(terminator, buffer) }))
    }

    /// Looks at the first message of a connection, whose bytes so far are `buffer`, without taking it. To be asked
    /// again with more bytes as long as it is open.
    pub fn look<'a>(&mut self, buffer: &'a [u8]) -> Look<'a> {
        if !buffer.starts_with(b"{") || buffer.len() > self.limit_bytes {
            return Look::Framed;
        }
        let Some(end) = self.scan_object(buffer) else { return Look::Open };
        let (text, rest) = buffer.split_at(end);
        // Behind an object of a framed message there is nothing but white space and the terminator, behind one
        // without terminator perhaps the next object.
        match rest.iter().find(|byte| !matches!(byte, b' ' | b'\t' | b'\r')) {
            None | Some(b'{') => Look::Closed(text),
            Some(_) => Look::Framed,
        }
    }

    /// Takes the next message of a client that ends none: up to its closing brace, or to a NUL where one stands in the
    /// middle. Text that is no object has no end that could be told, so all that has come of it is one message.
    ///
    /// # Errors
    /// As [`Decoder::decode`].
    pub fn decode_bare(&mut self, buffer: &mut BytesMut) -> Result<Option<Bytes>, FrameTooLarge> {
        if matches!(self.scan, Scan::Start) && !self.skip_to_start(buffer) {
            return Ok(None);
        }
        let is_object = buffer.starts_with(b"{");
        let end = self.scan_object(buffer).map(|end| if is_object { end } else { buffer.len() });
        if end.unwrap_or(buffer.len()) > self.limit_bytes {
            return Err(FrameTooLarge { limit_bytes: self.limit_bytes });
        }
        let Some(end) = end else { return Ok(None) };
        self.scan = Scan::Start;
        self.scanned = 0;
        Ok(Some(buffer.split_to(end).freeze()))
    }

    /// Whether a message has begun whose end has not been seen.
    pub fn is_mid_frame(&self) -> bool {
        !matches!(self.scan, Scan::Start)
    }

    /// A NUL right behind the line break is the real end: some programs write both.
    fn settle(&mut self, terminator: Terminator, rest: &mut BytesMut) -> Terminator {
        if terminator == Terminator::Newline && rest.first() == Some(&b'\0') {
            rest.advance(1);
            self.nul_only = true;
            return Terminator::Nul;
        }
        self.nul_only |= terminator == Terminator::Nul;
        self.after_line = terminator == Terminator::Newline;
        terminator
    }

    fn takes_late_nul(&mut self, buffer: &mut BytesMut) -> bool {
        let Some(first) = buffer.first() else { return false };
        let is_late_nul = self.after_line && *first == b'\0';
        self.after_line = false;
        if is_late_nul {
            buffer.advance(1);
            self.nul_only = true;
        }
        is_late_nul
    }

    fn skip_to_start(&mut self, buffer: &mut BytesMut) -> bool {
        let blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b'\0');
        let skip = buffer.iter().take_while(|byte| blank(byte)).count();
        buffer.advance(skip);
        let Some(first) = buffer.first() else { return false };
        self.scan = if *first == b'{' { Scan::Inside { depth: 0 } } else { Scan::Tail };
        true
    }

    fn find_end(&mut self, buffer: &[u8]) -> Option<(usize, Terminator)> {
        self.scan_object(buffer)?;
        let tail = &buffer[self.scanned..];
        let found = if self.nul_only { memchr::memchr(b'\0', tail) } else { memchr::memchr2(b'\0', b'\n', tail) };
        let Some(at) = found else {
            self.scanned = buffer.len();
            return None;
        };
        let terminator = if tail[at] == b'\0' { Terminator::Nul } else { Terminator::Newline };
        Some((self.scanned + at, terminator))
    }

    /// Looks for the end of the object: where the first byte behind its closing brace is or will be, or the NUL that
    /// stands in the middle of it. `None` when neither has come.
    fn scan_object(&mut self, buffer: &[u8]) -> Option<usize> {
        let mut at = self.scanned;
        while at < buffer.len() && !matches!(self.scan, Scan::Tail) {
            let byte = buffer[at];
            if byte == b'\0' {
                self.scan = Scan::Tail;
                break;
            }
            match self.scan {
                Scan::Start | Scan::Inside { depth: 0 } => self.scan = Scan::Inside { depth: 1 },
                Scan::Inside { depth } => self.scan = after_structural(byte, depth),
                Scan::String { depth } => match byte {
                    b'"' => self.scan = Scan::Inside { depth },
                    b'\\' => self.scan = Scan::Escape { depth },
                    _ => {
                        at += plain_string_bytes(&buffer[at..]);
                        continue;
                    }
                },
                Scan::Escape { depth } => self.scan = Scan::String { depth },
                Scan::Tail => {}
            }
            at += 1;
        }
        self.scanned = at;
        matches!(self.scan, Scan::Tail).then_some(at)
    }
}

fn after_structural(byte: u8, depth: usize) -> Scan {
    match byte {
        b'"' => Scan::String { depth },
        b'{' | b'[' => Scan::Inside { depth: depth + 1 },
        b'}' | b']' if depth == 1 => Scan::Tail,
        b'}' | b']' => Scan::Inside { depth: depth - 1 },
        _ => Scan::Inside { depth },
    }
}

/// How many bytes from here on cannot end the string, escape or the frame; at least one.
fn plain_string_bytes(rest: &[u8]) -> usize {
    memchr::memchr3(b'"', b'\\', b'\0', &rest[1..]).map_or(rest.len(), |at| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decode_all(decoder: &mut Decoder, bytes: &[u8]) -> Vec<(Vec<u8>, Terminator)> {
        let mut buffer = BytesMut::from(bytes);
        let mut frames = Vec::new();
        while let Some(frame) = decoder.decode(&mut buffer).unwrap() {
            frames.push((frame.text.to_vec(), frame.terminator));
        }
        frames
    }

    fn frames(bytes: &[u8]) -> Vec<(Vec<u8>, Terminator)> {
        decode_all(&mut Decoder::new(1 << 20), bytes)
    }

    #[test]
    fn nul_ends_a_frame_and_line_breaks_inside_are_white_space() {
        let found = frames(b"{\n \"a\": 1\n}\0{\"b\":2}\n\0");
        assert_eq!(
            found,
            vec![(b"{\n \"a\": 1\n}".to_vec(), Terminator::Nul), (b"{\"b\":2}\n".to_vec(), Terminator::Nul),]
        );
    }

    #[test]
    fn line_break_after_the_closing_brace_ends_a_typed_line() {
        let found = frames(b"{\"a\":\n[1,{\"}\":\"\\\"}\"}]} \r\n\n{\"b\":2}\n");
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].1, Terminator::Newline);
        assert_eq!(found[1], (b"{\"b\":2}".to_vec(), Terminator::Newline));
    }

    #[test]
    fn line_break_then_nul_is_framed_json() {
        assert_eq!(frames(b"{}\n\0"), vec![(b"{}".to_vec(), Terminator::Nul)]);
    }

    #[test]
    fn malformed_text_is_one_frame_and_the_next_is_found() {
        let found = frames(b"{]}}\"\0nonsense\0{}\0");
        assert_eq!(found.len(), 3);
        assert_eq!(found[2].0, b"{}");
    }

    /// What is found after each of several arrivals of bytes.
    fn arrivals(parts: &[&[u8]]) -> Vec<Vec<(Vec<u8>, Terminator)>> {
        let (mut decoder, mut buffer) = (Decoder::new(100), BytesMut::new());
        let mut found = Vec::new();
        for part in parts {
            buffer.extend_from_slice(part);
            let mut frames = Vec::new();
            while let Some(frame) = decoder.decode(&mut buffer).unwrap() {
                frames.push((frame.text.to_vec(), frame.terminator));
            }
            found.push(frames);
        }
        found
    }

    #[test]
    fn nul_that_comes_late_behind_a_line_break_is_told() {
        let found = arrivals(&[b"{}\n", b"\0", b"{\"b\":2}\n", b"\0\0"]);
        assert_eq!(found[0], vec![(b"{}".to_vec(), Terminator::Newline)]);
        assert_eq!(found[1], vec![(Vec::new(), Terminator::Nul)]);
        assert_eq!(found[2], vec![]);
        assert_eq!(found[3], vec![(b"{\"b\":2}\n".to_vec(), Terminator::Nul)]);
    }

    #[test]
    fn a_line_break_inside_a_string_ends_nothing() {
        let found = arrivals(&[b"{\"code\": \"1\n", b"2\"}\0"]);
        assert_eq!((found[0].len(), found[1].len()), (0, 1));
    }

    #[test]
    fn a_closed_object_is_told_from_one_that_has_its_terminator() {
        let look = |bytes: &'static [u8]| Decoder::new(30).look(bytes);
        assert_eq!(look(b"{\"a\": \"}"), Look::Open);
        assert_eq!(look(b"{\"a\": {}} \r"), Look::Closed(b"{\"a\": {}}"));
        assert_eq!(look(b"{\"a\": 1}{\"b\""), Look::Closed(b"{\"a\": 1}"));
        for framed in [&b"{}\0"[..], b"{} \n", b"{\"a\0", b"[1]", b"{}]", b"{\"a\": \"much longer than thirty bytes"] {
            assert_eq!(look(framed), Look::Framed, "{framed:?}");
        }
    }

    #[test]
    fn looking_again_goes_on_where_it_stopped() {
        let mut decoder = Decoder::new(100);
        assert_eq!(decoder.look(b"{\"a\": \"\\"), Look::Open);
        assert_eq!(decoder.look(b"{\"a\": \"\\\"}"), Look::Open);
        assert_eq!(decoder.look(b"{\"a\": \"\\\"}\"}"), Look::Closed(b"{\"a\": \"\\\"}\"}"));
    }

    #[test]
    fn bare_messages_end_with_their_closing_brace() {
        let (mut decoder, mut buffer) = (Decoder::new(20), BytesMut::from(&b"{\"a\": 1}{}\0\n{\"b"[..]));
        let mut next = |more: &[u8]| {
            buffer.extend_from_slice(more);
            decoder.decode_bare(&mut buffer).map(|text| text.map(|text| text.to_vec()))
        };
        assert_eq!(next(b""), Ok(Some(b"{\"a\": 1}".to_vec())));
        assert_eq!(next(b""), Ok(Some(b"{}".to_vec())));
        assert_eq!(next(b""), Ok(None));
        assert_eq!(next(b"\": \0"), Ok(Some(b"{\"b\": ".to_vec())));
        assert_eq!(next(b"hello {}"), Ok(Some(b"hello {}".to_vec())));
        assert_eq!(next(b"{\"longer than twenty bytes"), Err(FrameTooLarge { limit_bytes: 20 }));
    }

    #[test]
    fn half_a_frame_is_incomplete() {
        let mut decoder = Decoder::new(100);
        assert!(decode_all(&mut decoder, b"{\"a\": \"x").is_empty());
        assert!(decoder.is_mid_frame());
    }

    #[test]
    fn refuses_frame_longer_than_limit_and_takes_one_at_the_limit() {
        let mut decoder = Decoder::new(8);
        assert!(decoder.decode(&mut BytesMut::from(&b"{\"a\":12}\0"[..])).unwrap().is_some());
        let refused = decoder.decode(&mut BytesMut::from(&b"{\"a\":123"[..]));
        assert_eq!(refused, Ok(None));
        let refused = Decoder::new(8).decode(&mut BytesMut::from(&b"{\"a\":123}\0"[..]));
        assert_eq!(refused, Err(FrameTooLarge { limit_bytes: 8 }));
    }

    proptest! {
        #[test]
        fn random_bytes_never_hurt(bytes in proptest::collection::vec(any::<u8>(), 0..2000), limit in 1_usize..500) {
            let mut decoder = Decoder::new(limit);
            let mut buffer = BytesMut::from(&bytes[..]);
            while let Ok(Some(frame)) = decoder.decode(&mut buffer) {
                prop_assert!(frame.text.len() <= limit);
                prop_assert!(!frame.text.contains(&0));
            }
        }

        #[test]
        fn however_the_bytes_are_cut_the_framed_messages_are_the_same(
            texts in proptest::collection::vec("[ -~\\n]{0,30}", 1..8),
            cuts in proptest::collection::vec(1_usize..9, 1..60),
        ) {
            let mut stream = Vec::new();
            for text in &texts {
                serde_json::to_writer(&mut stream, &serde_json::json!({"code": text, "n": [1, {"x": text}]})).unwrap();
                stream.push(0);
            }
            let mut decoder = Decoder::new(1 << 16);
            let mut buffer = BytesMut::new();
            let mut found = Vec::new();
            let mut rest = &stream[..];
            for cut in cuts.iter().cycle() {
                if rest.is_empty() { break; }
                let (now, later) = rest.split_at((*cut).min(rest.len()));
                buffer.extend_from_slice(now);
                rest = later;
                while let Some(frame) = decoder.decode(&mut buffer).unwrap() {
                    let value: serde_json::Value = serde_json::from_slice(&frame.text).unwrap();
                    found.push(value["code"].as_str().unwrap().to_owned());
                }
            }
            prop_assert_eq!(found, texts);
        }
    }
}
