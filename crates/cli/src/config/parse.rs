// SPDX-License-Identifier: GPL-3.0-or-later
//! Reads the settings, and says what is wrong with its line and column. The line itself is not shown: who has put a secret
//! there has enough trouble.

use std::ops::Range;

use toml::de::{DeTable, DeValue, Error};

use super::settings::Settings;

/// What is wrong, and where: counted from 1.
#[derive(Debug, PartialEq)]
pub(super) struct Wrong {
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) what: String,
}

/// Why a token is refused.
const NO_SECRETS: &str = "a token does not belong into settings, which are copied and shown around: take it out, replace it \
    (`blendwire token --rotate` on Blender's machine), write the new one into a file that only you can read (chmod 600), \
    and name that with token_file";

pub(super) fn parse(text: &str) -> Result<Settings, Wrong> {
    let told = |error: &Error| wrong(text, error.span(), error.message());
    let tables = DeTable::parse(text).map_err(|error| told(&error))?;
    if let Some(span) = token_in(tables.get_ref()) {
        return Err(wrong(text, Some(span), NO_SECRETS));
    }
    let settings: Settings = toml::from_str(text).map_err(|error| told(&error))?;
    for (name, profile) in &settings.profiles {
        if let Some(what) = profile.as_ref().contradiction() {
            return Err(wrong(text, Some(profile.span()), &format!("profile {name}: {what}")));
        }
    }
    if let Some(name) = &settings.default_profile
        && !settings.profiles.contains_key(name.as_ref())
    {
        let what = format!("default_profile names {:?}, and there is no [profiles.{0}]", name.as_ref());
        return Err(wrong(text, Some(name.span()), &what));
    }
    Ok(settings)
}

/// Where a token stands, at the top or in a profile.
fn token_in(table: &DeTable<'_>) -> Option<Range<usize>> {
    table.iter().find_map(|(key, value)| match value.get_ref() {
        DeValue::Table(inner) => token_in(inner),
        _ if key.get_ref() == "token" => Some(key.span()),
        _ => None,
    })
}

fn wrong(text: &str, span: Option<Range<usize>>, what: &str) -> Wrong {
    let before = text.get(..span.map_or(0, |span| span.start)).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    Wrong {
        line: before.matches('\n').count() + 1,
        column: before[line_start..].chars().count() + 1,
        what: what.trim().replace('\n', " "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What each is told, with its place.
    fn told(text: &str) -> String {
        let Wrong { line, column, what } = parse(text).unwrap_err();
        format!("{line}:{column}: {what}")
    }

    #[test]
    fn mistakes_are_told_with_their_place_and_what_is_allowed() {
        let cases = [
            ("default = 'a'", "1:1: unknown field `default`, expected `default_profile` or `profiles`"),
            ("\n[profiles.a]\n  hots = 'x'", "3:3: unknown field `hots`, expected one of `host`, `port`, "),
            ("[profiles.a]\nport = '9876'", "2:8: a port is a whole number from 1 to 65535, without quotes"),
            ("[profiles.a]\nport = 0", "2:8: a port is a whole number from 1 to 65535"),
            ("[profiles.a]\nport = 70000", "2:8: a port is a whole number from 1 to 65535"),
            ("[profiles.a]\nhost = 'x:1'", "2:8: host is \"x:1\": give a host name or address alone"),
            ("[profiles.a]\nfingerprint = 'x'", "2:15: a fingerprint is 64 hexadecimal digits"),
            ("[profiles.a]\ntls = 1", "2:7: invalid type: integer `1`, expected a boolean"),
            ("default_profile = 'b'\n[profiles.a]", "1:19: default_profile names \"b\", and there is no [profiles.b]"),
            ("[profiles.a]\ninstance = '1'\nport = 1", "1:1: profile a: instance names a Blender by itself"),
            ("[profiles.a]\nplain = true\ntls = true", "1:1: profile a: plain means no TLS"),
            ("[profiles.a\nport = 1", "1:12: "),
        ];
        for (text, expected) in cases {
            assert!(told(text).starts_with(expected), "{text:?}: {}", told(text));
        }
    }

    #[test]
    fn a_token_is_refused_wherever_it_stands_and_not_shown() {
        let secret = "Xk3vQe5Zr8Tt1Yb6Nw0Ls9Hd4Gf7Mc2PXk3vQe5Zr8T";
        let places = [
            format!("token = '{secret}'"),
            format!("[profiles.a]\ntoken = '{secret}'"),
            format!("profiles.a.token = '{secret}'"),
            format!("[profiles.a]\ntoken_file = '{secret}'"),
        ];
        for text in places {
            let told = told(&text);
            assert!(told.contains("token_file") && !told.contains(secret), "{told}");
        }
    }
}
