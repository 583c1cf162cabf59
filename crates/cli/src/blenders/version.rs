// SPDX-License-Identifier: GPL-3.0-or-later
//! A version of Blender.

use std::fmt;

/// Major, minor and patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version(pub(crate) u32, pub(crate) u32, pub(crate) u32);

impl Version {
    /// The first with extensions; before it there are legacy add-ons only.
    pub(crate) const EXTENSIONS: Self = Self(4, 2, 0);

    /// From a line such as `Blender 4.3.2` or `Blender 4.5.1 LTS`.
    pub(super) fn parse(line: &str) -> Option<Self> {
        Self::of(line.strip_prefix("Blender ")?)
    }

    /// From what Blender calls itself: `4.3.2`, `4.5.1 LTS`.
    pub(crate) fn of(text: &str) -> Option<Self> {
        let mut numbers = text.split_whitespace().next()?.split('.').map(|number| number.parse().ok());
        let (major, minor) = (numbers.next()??, numbers.next()??);
        Some(Self(major, minor, numbers.next().flatten().unwrap_or(0)))
    }

    /// What its folders of settings are named after.
    pub(crate) fn series(self) -> String {
        format!("{}.{}", self.0, self.1)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&format!("{}.{}.{}", self.0, self.1, self.2))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_and_compared_by_number() {
        assert_eq!(Version::parse("Blender 4.3.2"), Some(Version(4, 3, 2)));
        assert_eq!(Version::parse("Blender 4.5.1 LTS"), Some(Version(4, 5, 1)));
        assert_eq!(Version::parse("Blender 2.79 (sub 7)"), Some(Version(2, 79, 0)));
        assert_eq!(Version::parse("Read prefs: …"), None);
        assert_eq!(Version::of("5.2.3 LTS"), Some(Version(5, 2, 3)));
        assert!(Version(4, 10, 0) > Version(4, 9, 9));
        assert_eq!(Version(4, 10, 1).series(), "4.10");
    }
}
