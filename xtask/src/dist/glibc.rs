// SPDX-License-Identifier: GPL-3.0-or-later
//! Which glibc a file needs: the newest of those that it names the versions of functions by.

use std::fmt;
use std::str::FromStr;

const MARK: &[u8] = b"GLIBC_2.";

/// A release of glibc, by its number after `2.`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Glibc(u32);

impl Glibc {
    /// Of a file for Linux; `None` where it names none.
    pub(super) fn needed(file: &[u8]) -> Option<Self> {
        let versions = memchr::memmem::find_iter(file, MARK).filter_map(|at| {
            let digits: String =
                file[at + MARK.len()..].iter().map(|byte| char::from(*byte)).take_while(char::is_ascii_digit).collect();
            digits.parse().ok().map(Self)
        });
        versions.max()
    }
}

impl fmt::Display for Glibc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "2.{}", self.0)
    }
}

impl FromStr for Glibc {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let minor = text.strip_prefix("2.").and_then(|minor| minor.parse().ok());
        minor.map(Self).ok_or_else(|| "a version of glibc is written as 2.28".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_counts() {
        assert_eq!(Glibc::needed(b"\0GLIBC_2.4\0GLIBC_2.28\0GLIBC_2.17\0GLIBC_PRIVATE\0"), Some(Glibc(28)));
        assert_eq!(Glibc::needed(b"none"), None);
        assert!("2.28".parse::<Glibc>().unwrap() > "2.4".parse().unwrap());
        assert!("3".parse::<Glibc>().is_err());
    }
}
