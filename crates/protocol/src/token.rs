// SPDX-License-Identifier: GPL-3.0-or-later
//! The secret that lets a client in: never shown by `Debug`, compared in constant time.

use std::fmt;

use subtle::ConstantTimeEq as _;

/// A token. Anything of the right shape; which one is right only the server's file tells.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    /// Fewest and most characters. Ours have 43; whoever chooses one must not be guessed, and a megabyte is none.
    pub const LENGTH: std::ops::RangeInclusive<usize> = 32..=512;

    /// A token of visible ASCII characters; `None` when `text` cannot be one.
    pub fn parse(text: &str) -> Option<Self> {
        let is_token = Self::LENGTH.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        is_token.then(|| Self(text.to_owned()))
    }

    /// The token in the value of an `Authorization` header, `Bearer TOKEN`.
    pub fn in_authorization(value: &str) -> Option<Self> {
        let (scheme, token) = value.split_once(' ')?;
        if scheme.eq_ignore_ascii_case("bearer") { Self::parse(token.trim()) } else { None }
    }

    /// The secret itself, to send it or to show it to its owner.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl PartialEq for Token {
    /// In a time that tells nothing but whether the lengths are the same.
    fn eq(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl Eq for Token {}

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Token(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_never_shown_and_compares_by_value() {
        let text = "x".repeat(43);
        let token = Token::parse(&text).unwrap();
        assert_eq!(format!("{token:?}"), "Token(…)");
        assert_eq!(token, Token::parse(&text).unwrap());
        assert_ne!(token, Token::parse(&"y".repeat(43)).unwrap());
        assert_ne!(token, Token::parse(&"x".repeat(44)).unwrap());
    }

    #[test]
    fn a_header_brings_one() {
        let text = "x".repeat(43);
        assert_eq!(Token::in_authorization(&format!("bearer  {text}")), Token::parse(&text));
        for header in [format!("Basic {text}"), text, "Bearer".to_owned(), "Bearer short".to_owned()] {
            assert!(Token::in_authorization(&header).is_none(), "{header:?}");
        }
    }

    #[test]
    fn what_cannot_be_one_is_none() {
        for text in ["", "short", &"x".repeat(513), &format!("{} x", "x".repeat(40)), &"é".repeat(20)] {
            assert!(Token::parse(text).is_none(), "{text:?}");
        }
    }
}
