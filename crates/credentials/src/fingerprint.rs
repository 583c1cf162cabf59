// SPDX-License-Identifier: GPL-3.0-or-later
//! The SHA-256 of a certificate: what two people can compare.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

/// SHA-256 of a certificate in DER, as browsers and `openssl x509 -fingerprint -sha256` show it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

/// The fingerprint of a certificate that may be renewed: asked for whenever it is needed.
#[derive(Clone)]
pub struct CurrentFingerprint(Arc<dyn Fn() -> Option<Fingerprint> + Send + Sync>);

impl CurrentFingerprint {
    /// One that `look` finds out; `None` where there is no certificate. It must not wait for anything.
    pub fn new(look: impl Fn() -> Option<Fingerprint> + Send + Sync + 'static) -> Self {
        Self(Arc::new(look))
    }

    /// As it is now.
    pub fn get(&self) -> Option<Fingerprint> {
        (self.0)()
    }
}

impl PartialEq for CurrentFingerprint {
    /// Whether both ask the same.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for CurrentFingerprint {}

impl fmt::Debug for CurrentFingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(formatter)
    }
}

/// A text that is no fingerprint.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a fingerprint is 64 hexadecimal digits (SHA-256), with or without colons; `blendwire tls` shows it")]
pub struct NotAFingerprint;

impl Fingerprint {
    /// That of a certificate.
    pub fn of(certificate_der: &[u8]) -> Self {
        Self(Sha256::digest(certificate_der).into())
    }
}

impl FromStr for Fingerprint {
    type Err = NotAFingerprint;

    fn from_str(text: &str) -> Result<Self, NotAFingerprint> {
        let text = text.trim();
        // As `openssl` prints it, label and all.
        let text = text.rsplit_once('=').map_or(text, |(_, digits)| digits);
        let digits: Vec<u8> = text.bytes().filter(|byte| !matches!(byte, b':' | b' ')).collect();
        if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(NotAFingerprint);
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| NotAFingerprint)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| NotAFingerprint)?;
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            let colon = if index > 0 { ":" } else { "" };
            write!(formatter, "{colon}{byte:02X}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_read_as_it_is_written_and_as_openssl_writes_it() {
        let fingerprint = Fingerprint::of(b"abc");
        let text = fingerprint.to_string();
        assert!(text.starts_with("BA:78:16:BF"), "{text}");
        for form in [text.clone(), text.replace(':', "").to_lowercase(), format!("sha256 Fingerprint={text}\n")] {
            assert_eq!(form.parse(), Ok(fingerprint), "{form}");
        }
        for wrong in ["", "BA:78", &text[1..], &text.replace("BA", "XY"), &text.replace("BA", "+A")] {
            assert_eq!(wrong.parse::<Fingerprint>(), Err(NotAFingerprint), "{wrong}");
        }
    }
}
