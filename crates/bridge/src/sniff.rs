// SPDX-License-Identifier: GPL-3.0-or-later
//! What a client speaks, told from the first bytes that it sends.

/// HTTP methods that lead to the HTTP parser, each with the space that follows it.
const HTTP_METHODS: [&[u8]; 9] =
    [b"GET ", b"HEAD ", b"POST ", b"PUT ", b"DELETE ", b"OPTIONS ", b"PATCH ", b"TRACE ", b"CONNECT "];

/// First byte of a TLS record of type handshake (RFC 8446, section 5.1).
const TLS_HANDSHAKE: u8 = 0x16;

/// A dialect, or what is missing to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// Too few bytes yet.
    Unclear,
    /// JSON: framed by NUL, typed by a person, or bare.
    Json,
    /// HTTP/1.x.
    Http,
    /// A TLS client; this server has no TLS.
    Tls,
    /// Nothing that this port speaks.
    Unknown,
}

/// Tells the dialect from what has been read so far.
pub(crate) fn sniff(bytes: &[u8]) -> Dialect {
    let start = bytes.trim_ascii_start();
    match start.first() {
        None => Dialect::Unclear,
        Some(b'{') => Dialect::Json,
        Some(&TLS_HANDSHAKE) => Dialect::Tls,
        Some(_) if HTTP_METHODS.iter().any(|method| start.starts_with(method)) => Dialect::Http,
        Some(_) if HTTP_METHODS.iter().any(|method| method.starts_with(start)) => Dialect::Unclear,
        Some(_) => Dialect::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_bytes_tell_the_dialect() {
        for (bytes, dialect) in [
            (&b""[..], Dialect::Unclear),
            (b"\r\n ", Dialect::Unclear),
            (b" {", Dialect::Json),
            (b"G", Dialect::Unclear),
            (b"GET", Dialect::Unclear),
            (b"GET /", Dialect::Http),
            (b"GETS", Dialect::Unknown),
            (b"hello", Dialect::Unknown),
            (b"\0{\"type\"", Dialect::Unknown),
            (b"\x16\x03\x01", Dialect::Tls),
            (b"PRI * HTTP/2.0", Dialect::Unknown),
        ] {
            assert_eq!(sniff(bytes), dialect, "{bytes:?}");
        }
    }
}
