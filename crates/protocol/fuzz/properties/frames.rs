// SPDX-License-Identifier: GPL-3.0-or-later
//! The decoder: it agrees with a model that has the whole stream before it, however the stream is cut.

use blendwire_protocol::{Decoder, FrameTooLarge, Look, Request, Terminator};
use bytes::{Bytes, BytesMut};

/// Longest stream in bytes that is looked at after each piece: the time for it grows with the square.
const LONGEST_LOOK: usize = 1024;

/// What became of a stream.
#[derive(Debug, Default, PartialEq, Eq)]
struct Found {
    messages: Vec<(Bytes, Terminator)>,
    /// How it ended.
    end: End,
    /// What was kept. Of a stream that could not be followed, all from there on.
    rest: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum End {
    /// At the end of what has come.
    #[default]
    Open,
    /// At a message over the limit.
    TooLarge,
    /// Bare only: at text that is no object.
    NoObject,
}

pub(crate) fn framed(limit: usize, cuts: u8, stream: &[u8]) {
    let whole = decode(limit, &[stream]);
    assert_eq!(whole, model_of_framed(limit, stream), "not what the document says");
    for pieces in [stream.chunks(1).collect(), cut(stream, cuts)] {
        assert_eq!(decode(limit, &pieces), whole, "cut into {pieces:?}");
    }
    for (text, _) in &whole.messages {
        assert!(!text.is_empty() && text.len() <= limit && !text.contains(&0), "{text:?}");
        let _ = Request::parse(text);
    }
}

pub(crate) fn bare(limit: usize, cuts: u8, stream: &[u8]) {
    let whole = decode_bare(limit, &[stream]);
    assert_eq!(whole, model_of_bare(limit, stream), "not what the document says");
    for pieces in [stream.chunks(1).collect(), cut(stream, cuts)] {
        assert_eq!(decode_bare(limit, &pieces), whole, "cut into {pieces:?}");
    }
    for (text, _) in &whole.messages {
        assert!(text.starts_with(b"{") && text.len() <= limit && !text.contains(&0), "{text:?}");
    }
}

/// Looking takes nothing, can be done again and again, and says what the two ways of decoding then find.
pub(crate) fn look(limit: usize, cuts: u8, stream: &[u8]) {
    let stream = &stream[stream.iter().take_while(|byte| is_blank(**byte)).count()..];
    if stream.len() > LONGEST_LOOK {
        return;
    }
    let mut decoder = Decoder::new(limit);
    let mut came = 0;
    for piece in cut(stream, cuts) {
        came += piece.len();
        let buffer = &stream[..came];
        let looked = decoder.look(buffer);
        assert_eq!(looked, Decoder::new(limit).look(buffer), "looking again is no different");
        let first = |decoder: &mut Decoder| decoder.decode(&mut BytesMut::from(buffer));
        let first_bare = |decoder: &mut Decoder| decoder.decode_bare(&mut BytesMut::from(buffer));
        let (fresh, fresh_bare) = (first(&mut Decoder::new(limit)), first_bare(&mut Decoder::new(limit)));
        match looked {
            Look::Open => {
                assert_eq!((fresh, fresh_bare), (Ok(None), Ok(None)), "{buffer:?}");
                continue;
            }
            Look::Closed(text) => {
                assert_eq!(Some(text.len()), closing(buffer), "{buffer:?}");
                assert_eq!(first_bare(&mut decoder).expect("short enough").as_deref(), Some(text));
                assert_eq!(fresh_bare.expect("short enough").as_deref(), Some(text));
            }
            Look::Framed => assert_eq!(first(&mut decoder), fresh, "{buffer:?}"),
        }
        return;
    }
}

/// Runs the decoder, checks what must hold at each step, and takes the documented late NUL for what it is.
fn decode(limit: usize, pieces: &[&[u8]]) -> Found {
    let (mut decoder, mut buffer, mut found) = (Decoder::new(limit), BytesMut::new(), Found::default());
    for piece in pieces {
        buffer.extend_from_slice(piece);
        let mut is_first = true;
        loop {
            let before = buffer.len();
            match decoder.decode(&mut buffer) {
                Ok(Some(frame)) => {
                    assert!(found.end == End::Open, "a decoder that has given up found {frame:?}");
                    assert!(buffer.len() < before, "nothing was taken for {frame:?}");
                    if frame.text.is_empty() {
                        let line = found.messages.last_mut().filter(|_| is_first).expect("a late NUL needs its line");
                        assert_eq!((line.1, frame.terminator), (Terminator::Newline, Terminator::Nul));
                        line.1 = Terminator::Nul;
                    } else {
                        found.messages.push((frame.text, frame.terminator));
                    }
                    is_first = false;
                }
                Ok(None) => {
                    assert!(found.end == End::Open, "a decoder that has given up waits for more");
                    assert_eq!(decoder.is_mid_frame(), !buffer.is_empty());
                    break;
                }
                Err(error) => {
                    assert_eq!(error, FrameTooLarge { limit_bytes: limit });
                    assert_eq!(decoder.decode(&mut buffer), Err(error), "asked again, it says something else");
                    found.end = End::TooLarge;
                    break;
                }
            }
        }
    }
    found.rest = buffer.to_vec();
    found
}

/// Up to the first text that is no object: of that the document says that the connection ends with it.
fn decode_bare(limit: usize, pieces: &[&[u8]]) -> Found {
    let (mut decoder, mut buffer, mut found) = (Decoder::new(limit), BytesMut::new(), Found::default());
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            match decoder.decode_bare(&mut buffer) {
                Ok(Some(text)) if text.starts_with(b"{") => {
                    assert!(found.end == End::Open, "a decoder that has given up found {text:?}");
                    found.messages.push((text, Terminator::Nul));
                }
                Ok(Some(text)) => {
                    assert!(buffer.is_empty() && !text.is_empty() && text.len() <= limit, "{text:?}");
                    return Found { end: End::NoObject, ..found };
                }
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(decoder.decode_bare(&mut buffer), Err(error), "asked again, it says something else");
                    if !buffer.starts_with(b"{") {
                        return Found { end: End::NoObject, ..found };
                    }
                    found.end = End::TooLarge;
                    break;
                }
            }
        }
    }
    found.rest = buffer.to_vec();
    found
}

/// Section 2 of the document, with the whole stream in view.
fn model_of_framed(limit: usize, stream: &[u8]) -> Found {
    let (mut found, mut rest, mut is_nul_only) = (Found::default(), stream, false);
    loop {
        rest = &rest[rest.iter().take_while(|byte| is_blank(**byte)).count()..];
        let nul = rest.iter().position(|byte| *byte == 0);
        let closed = if rest.starts_with(b"{") { closing(rest) } else { Some(0) };
        let line = closed.filter(|_| !is_nul_only).and_then(|closed| find(rest, closed, b'\n'));
        let end = [nul, line].into_iter().flatten().min();
        if end.unwrap_or(rest.len()) > limit {
            return Found { end: End::TooLarge, rest: rest.to_vec(), ..found };
        }
        let Some(end) = end else { return Found { rest: rest.to_vec(), ..found } };
        let is_nul = rest[end] == 0 || rest.get(end + 1) == Some(&0);
        let terminator = if is_nul { Terminator::Nul } else { Terminator::Newline };
        found.messages.push((Bytes::copy_from_slice(&rest[..end]), terminator));
        is_nul_only |= is_nul;
        rest = &rest[end + 1..];
    }
}

/// Section 8 of the document, with the whole stream in view.
fn model_of_bare(limit: usize, stream: &[u8]) -> Found {
    let (mut found, mut rest) = (Found::default(), stream);
    loop {
        rest = &rest[rest.iter().take_while(|byte| is_blank(**byte)).count()..];
        if !rest.is_empty() && !rest.starts_with(b"{") {
            return Found { end: End::NoObject, ..found };
        }
        let end = [find(rest, 0, 0), closing(rest)].into_iter().flatten().min();
        if end.unwrap_or(rest.len()) > limit {
            return Found { end: End::TooLarge, rest: rest.to_vec(), ..found };
        }
        let Some(end) = end else { return Found { rest: rest.to_vec(), ..found } };
        found.messages.push((Bytes::copy_from_slice(&rest[..end]), Terminator::Nul));
        rest = &rest[end..];
    }
}

fn is_blank(byte: u8) -> bool {
    b" \t\r\n\0".contains(&byte)
}

fn find(bytes: &[u8], from: usize, wanted: u8) -> Option<usize> {
    bytes.iter().skip(from).position(|byte| *byte == wanted).map(|at| from + at)
}

/// Where the first byte behind the object is, at whose brace `bytes` begins.
fn closing(bytes: &[u8]) -> Option<usize> {
    let (mut depth, mut is_string, mut is_escaped) = (0_usize, false, false);
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_string => is_escaped = true,
            b'"' => is_string = !is_string,
            b'{' | b'[' if !is_string => depth += 1,
            b'}' | b']' if !is_string => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(at + 1);
        }
    }
    None
}

/// Pieces of 1 to 16 bytes, or to 256 for every fourth seed.
fn cut(mut stream: &[u8], seed: u8) -> Vec<&[u8]> {
    let (mut pieces, mut state) = (Vec::new(), u32::from(seed) | 0x100);
    let longest = if seed % 4 == 3 { 256 } else { 16 };
    while !stream.is_empty() {
        // Xorshift: short, and each state but zero is as good as another.
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        let (piece, rest) = stream.split_at((state as usize % longest + 1).min(stream.len()));
        pieces.push(piece);
        stream = rest;
    }
    pieces
}
