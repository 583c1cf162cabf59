// SPDX-License-Identifier: GPL-3.0-or-later
//! The user's settings, `config.toml`: Blenders by name, and which of them is meant by default.
//!
//! `settings` says what may stand there, `parse` reads it and tells what is wrong with its place. Which value counts in
//! the end, `endpoint` and `access` decide. A secret is never among them: they name the file that holds it.

mod parse;
mod settings;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use self::settings::Settings;
pub(crate) use self::settings::{Profile, schema};
use crate::{access, env_vars, utf8};

/// The file's name in the folder of token and certificate.
const NAME: &str = "config.toml";

/// A file to begin with, every line of it right.
pub(crate) const EXAMPLE: &str = include_str!("config/example.toml");

/// What the file holds; nothing where there is none.
#[derive(Debug, Default)]
pub(crate) struct Config {
    /// Where it is, or would be; `None` without a home folder.
    pub(crate) path: Option<PathBuf>,
    /// Whether it is there.
    pub(crate) is_there: bool,
    settings: Settings,
}

/// By what a profile was named: it counts as much as that does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NamedBy {
    /// `--profile`
    Option,
    /// `BLENDWIRE_PROFILE`
    Variable,
    /// `default_profile` in the file.
    Default,
}

/// The profile that is meant. Its paths are absolute.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Chosen {
    pub(crate) name: String,
    pub(crate) named_by: NamedBy,
    pub(crate) profile: Profile,
}

/// Where the file is: `BLENDWIRE_CONFIG`, else beside token and certificate.
pub(crate) fn path() -> Option<PathBuf> {
    let named = env_vars::read(env_vars::CONFIG).map(PathBuf::from);
    named.or_else(|| Some(access::folder().ok()?.path().join(NAME)))
}

impl Config {
    /// Reads the file.
    ///
    /// # Errors
    /// When it cannot be read or something in it is wrong: with its place; or when `BLENDWIRE_CONFIG` names none.
    pub(crate) fn load() -> Result<Self> {
        let Some(path) = path() else { return Ok(Self::default()) };
        let path = std::path::absolute(&path).unwrap_or(path);
        match utf8::read(&path) {
            Ok(text) => Self::of(&path, &text),
            Err(error) if error.kind() == ErrorKind::NotFound && env_vars::read(env_vars::CONFIG).is_none() => {
                Ok(Self { path: Some(path), ..Self::default() })
            }
            Err(error) => Err(error).with_context(|| {
                format!(
                    "the settings in {} cannot be read; they are there, or where {} says (`blendwire config --path`)",
                    path.display(),
                    env_vars::CONFIG
                )
            }),
        }
    }

    fn of(path: &Path, text: &str) -> Result<Self> {
        let mut settings = match parse::parse(text) {
            Ok(settings) => settings,
            Err(wrong) => bail!(
                "{}:{}:{}: {}\n`blendwire config --example` shows settings as they should be",
                path.display(),
                wrong.line,
                wrong.column,
                wrong.what
            ),
        };
        let folder = path.parent().unwrap_or(Path::new("."));
        for profile in settings.profiles.values_mut() {
            let Profile { ca, token_file, .. } = profile.as_mut();
            [ca, token_file].into_iter().flatten().for_each(|path| *path = absolute(folder, path));
        }
        Ok(Self { path: Some(path.to_owned()), is_there: true, settings })
    }

    /// The names of all profiles.
    pub(crate) fn names(&self) -> Vec<&str> {
        self.settings.profiles.keys().map(String::as_str).collect()
    }

    /// The profile that is meant: of the option, else of the variable, else the file's default.
    ///
    /// # Errors
    /// When there is none of that name.
    pub(crate) fn chosen(&self, option: Option<&str>, variable: Option<&str>) -> Result<Option<Chosen>> {
        let default = self.settings.default_profile.as_ref().map(|name| name.as_ref().as_str());
        let named = [(option, NamedBy::Option), (variable, NamedBy::Variable), (default, NamedBy::Default)];
        let Some((name, named_by)) = named.into_iter().find_map(|(name, by)| Some((name?, by))) else {
            return Ok(None);
        };
        let Some(profile) = self.settings.profiles.get(name) else {
            bail!("{named_by} names the profile {name:?}: {}", self.told());
        };
        Ok(Some(Chosen { name: name.to_owned(), named_by, profile: profile.as_ref().clone() }))
    }

    /// Which profiles there are, for whoever named another.
    fn told(&self) -> String {
        let path = self.path.as_ref().map_or_else(|| NAME.to_owned(), |path| path.display().to_string());
        match self.names().as_slice() {
            [] if !self.is_there => {
                format!("there are no settings yet; `blendwire config --example` shows what goes into {path}")
            }
            [] => format!("{path} has no profiles; it begins with a line [profiles.NAME]"),
            names => format!("{path} has {}", names.join(", ")),
        }
    }
}

impl std::fmt::Display for NamedBy {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Option => "--profile",
            Self::Variable => env_vars::PROFILE,
            Self::Default => "default_profile",
        })
    }
}

/// Beside the settings, unless it says otherwise; `~` is what people write for their home folder.
fn absolute(folder: &Path, path: &Path) -> PathBuf {
    match (path.strip_prefix("~"), etcetera::home_dir()) {
        (Ok(rest), Ok(home)) => home.join(rest),
        _ => folder.join(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Result<Config> {
        Config::of(Path::new("/settings/config.toml"), text)
    }

    #[test]
    fn the_option_goes_before_the_variable_and_that_before_the_default() {
        let config = config("default_profile = 'c'\n[profiles.a]\n[profiles.b]\n[profiles.c]").unwrap();
        let named = |option, variable| {
            let chosen = config.chosen(option, variable).unwrap().unwrap();
            (chosen.name, chosen.named_by)
        };
        assert_eq!(named(Some("a"), Some("b")), ("a".to_owned(), NamedBy::Option));
        assert_eq!(named(None, Some("b")), ("b".to_owned(), NamedBy::Variable));
        assert_eq!(named(None, None), ("c".to_owned(), NamedBy::Default));
        let error = config.chosen(None, Some("d")).unwrap_err().to_string();
        assert!(error.contains("BLENDWIRE_PROFILE") && error.contains("a, b, c"), "{error}");
    }

    #[test]
    fn paths_are_beside_the_settings() {
        let config = config("[profiles.a]\nca = 'ca.pem'\ntoken_file = '/secret/token'").unwrap();
        let profile = config.chosen(Some("a"), None).unwrap().unwrap().profile;
        assert_eq!(profile.ca, Some(Path::new("/settings").join("ca.pem")));
        assert_eq!(profile.token_file, Some(PathBuf::from("/secret/token")));
    }

    #[test]
    fn the_example_is_right_and_shows_every_setting() {
        // As it is, it changes nothing for who has one Blender.
        assert!(config(EXAMPLE).unwrap().chosen(None, None).unwrap().is_none());
        let with_default = EXAMPLE.replace("# default_profile", "default_profile");
        assert!(config(&with_default).unwrap().chosen(None, None).unwrap().is_some());
        let schema = schema();
        for key in schema["definitions"]["Profile"]["properties"].as_object().unwrap().keys() {
            assert!(EXAMPLE.contains(&format!("{key} = ")), "{key}");
        }
    }

    #[test]
    fn the_document_has_every_setting_in_its_table() {
        let document = include_str!("../../../docs/configuration.md");
        let schema = schema();
        let properties =
            |schema: &serde_json::Value| schema["properties"].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        for key in [properties(&schema), properties(&schema["definitions"]["Profile"])].concat() {
            let cell = if key == "profiles" { "`[profiles.NAME]`".to_owned() } else { format!("`{key}`") };
            assert!(document.contains(&format!("\n| {cell} |")), "{key}");
        }
    }
}
