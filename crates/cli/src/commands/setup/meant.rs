// SPDX-License-Identifier: GPL-3.0-or-later
//! Which Blender an entry of ours is for, and whether it brings that one's token.

use std::iter;

use anyhow::Result;
use blendwire_client::Endpoint;
use clap::Parser as _;

use super::kind;
use crate::args::{AccessArgs, Args, Command, EndpointArgs};
use crate::config::{Config, Profile};
use crate::env_vars;

/// What an entry says of where its Blender is. Two that say the same give an assistant the same tools twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Meant {
    profile: Option<String>,
    instance: Option<String>,
    host: String,
    port: u16,
}

impl Meant {
    /// By the options of `blendwire mcp`, else by the variables that the client sets.
    pub(super) fn by(args: &[String], variables: &[(String, String)]) -> Self {
        let EndpointArgs { profile, host, port, instance, .. } = options(args);
        let variable = |names: &[&str]| {
            let value =
                |name: &&str| Some(variables.iter().find(|(set, value)| set == name && is_set(value))?.1.clone());
            names.iter().find_map(value)
        };
        let port = port.or_else(|| variable(&env_vars::PORTS)?.trim().parse().ok());
        let here = Endpoint::default();
        Self {
            profile: profile.or_else(|| variable(&[env_vars::PROFILE])),
            instance: instance.or_else(|| variable(&[env_vars::INSTANCE])),
            host: here_or(host.or_else(|| variable(&env_vars::HOSTS)).unwrap_or(here.host)),
            port: port.unwrap_or(here.port),
        }
    }

    /// By the address of its server over HTTP.
    pub(super) fn at(url: &hyper::Uri) -> Self {
        let host = here_or(url.host().unwrap_or_default().to_owned());
        Self { profile: None, instance: None, host, port: kind::port(url) }
    }

    /// Whether the entry itself names a Blender that may be on another machine, which no other check looks at.
    pub(crate) fn is_elsewhere(&self) -> bool {
        self.profile.is_some() || !Endpoint::new(self.host.as_str(), self.port).is_this_machine()
    }
}

/// Loopback has several names, and clients of ours take all of them.
fn here_or(host: String) -> String {
    let endpoint = Endpoint::new(host, 0);
    if endpoint.is_this_machine() { Endpoint::default().host } else { endpoint.host }
}

/// Claude Desktop leaves the names of settings that nobody has filled in.
fn is_set(value: &str) -> bool {
    !value.is_empty() && !value.starts_with("${")
}

/// The options as the command itself reads them; none where it would refuse them.
fn options(args: &[String]) -> EndpointArgs {
    let words = iter::once("blendwire").chain(args.iter().map(String::as_str));
    match Args::try_parse_from(words).map(|args| args.command) {
        Ok(Command::Mcp(mcp)) => mcp.endpoint,
        _ => EndpointArgs::default(),
    }
}

/// What is missing of the token for a Blender on another machine, and how to give it. Nothing is where the network is
/// trusted (`--plain`): that Blender may want none.
///
/// # Errors
/// When the settings are wrong, or have no such profile.
pub(super) fn missing_token(args: &[String], variables: &[(String, String)], client: &str) -> Result<Option<String>> {
    let is_given = variables.iter().any(|(name, value)| name == env_vars::TOKEN && is_set(value));
    let EndpointArgs { profile: name, host, access: AccessArgs { plain, .. }, .. } = options(args);
    let profile = name.as_deref().map(|name| Config::load()?.chosen(Some(name), None)).transpose()?.flatten();
    let profile = profile.map(|chosen| chosen.profile).unwrap_or_default();
    let Profile { host: of_profile, token_file, plain: is_plain, .. } = profile;
    let Some(host) = host.or(of_profile).filter(|host| !Endpoint::new(host.as_str(), 0).is_this_machine()) else {
        return Ok(None);
    };
    if is_given || token_file.is_some() || plain || is_plain {
        return Ok(None);
    }
    let start = format!("warning: the Blender at {host} wants its token, and the entry brings none: ");
    Ok(Some(
        start
            + &match name {
                Some(name) => format!(
                    "give the profile {name} a token_file in {}, which holds what `blendwire token` shows there",
                    settings_file()
                ),
                None => format!(
                    "put what `blendwire token` shows there into a file, name that as token_file of a profile with this host and \
             fingerprint in {}, and run `blendwire setup {client} --profile NAME` (docs/remote.md shows it line by line)",
                    settings_file()
                ),
            },
    ))
}

fn settings_file() -> String {
    crate::config::path().map_or_else(|| "config.toml".to_owned(), |path| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meant(args: &[&str], variables: &[(&str, &str)]) -> Meant {
        let variables: Vec<_> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Meant::by(&args.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>(), &variables)
    }

    #[test]
    fn one_blender_is_the_same_however_it_is_named() {
        let default = meant(&["mcp"], &[]);
        let at = |url: &str| Meant::at(&url.parse().unwrap());
        for same in [
            meant(&["mcp", "--port", "9876"], &[]),
            meant(&["mcp", "--host", "127.0.0.1"], &[]),
            meant(&["mcp"], &[("BLENDWIRE_HOST", "${user_config.host}"), ("BLENDWIRE_PORT", "")]),
            at("http://localhost:9876/mcp"),
            at("http://[::1]:9876/mcp"),
        ] {
            assert_eq!(same, default);
        }
        let second = meant(&["mcp", "--port=9877"], &[]);
        assert_eq!(second, meant(&["mcp"], &[("BLENDER_PORT", "9877")]));
        assert_eq!(second, at("http://127.0.0.1:9877/mcp"));
        for another in [
            second,
            meant(&["mcp", "--host", "render7"], &[]),
            meant(&["mcp", "--profile", "p"], &[]),
            meant(&["mcp"], &[("BLENDWIRE_INSTANCE", "9877")]),
        ] {
            assert_ne!(another, default);
        }
    }

    #[test]
    fn a_blender_elsewhere_is_known_by_host_and_profile() {
        assert!(meant(&["mcp", "--host", "render7"], &[]).is_elsewhere());
        assert!(meant(&["mcp"], &[("BLENDWIRE_PROFILE", "p")]).is_elsewhere());
        assert!(!meant(&["mcp", "--host", "::1", "--port", "1"], &[]).is_elsewhere());
    }
}
