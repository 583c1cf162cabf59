// SPDX-License-Identifier: GPL-3.0-or-later
//! What is brought to the Blender that is meant: the token, and how it is made sure that it is that Blender.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use blendwire_client::{Access, Blender, Endpoint, Fingerprint, Tls, TokenSource};
use blendwire_credentials::{Folder, NoFolder, TokenFile};
use blendwire_protocol::Token;

use crate::args::{AccessArgs, EndpointArgs};
use crate::config::{Chosen, NamedBy, Profile};
use crate::endpoint::{Source, Wanted};
use crate::env_vars;
use crate::instances::Advice;

/// What a person does when it is not clear which Blender is meant.
const ADVICE: Advice = Advice::at_a_shell(
    "say which with --instance or BLENDWIRE_INSTANCE: an ID, the beginning of one, a process or a port",
);

/// The Blender that options, environment and settings mean, or the only one that runs.
pub(crate) fn blender(args: &EndpointArgs) -> Result<Blender> {
    let wanted = Wanted::read(args)?;
    let endpoint = wanted.find(ADVICE)?.endpoint;
    let access = read(&args.access, &wanted, &endpoint)?;
    Ok(Blender::with_access(endpoint, access))
}

/// What this user brings to a server at `endpoint`.
pub(crate) fn read(args: &AccessArgs, wanted: &Wanted, endpoint: &Endpoint) -> Result<Access> {
    let profile = wanted.profile.as_ref();
    let (token, _) = token(profile, endpoint)?;
    let (tls, _) = tls(args, profile, endpoint, env_vars::read)?;
    Ok(Access { token, tls })
}

/// The folder of token, certificate and settings: `BLENDWIRE_CONFIG_DIR`, else the system's.
pub(crate) fn folder() -> Result<Folder, NoFolder> {
    env_vars::read(env_vars::CONFIG_DIR).map_or_else(Folder::of_user, |folder| Ok(Folder::at(folder)))
}

/// The token, and what says so; nothing does where it is this user's own.
pub(crate) fn token(profile: Option<&Chosen>, endpoint: &Endpoint) -> Result<(TokenSource, Option<Source>)> {
    let of_profile = || {
        let (chosen, path) = (profile?, profile?.profile.token_file.clone()?);
        Some((TokenSource::File(TokenFile::new(path)), Some(Source::Profile(chosen.name.clone()))))
    };
    let is_named_by_option = profile.is_some_and(|chosen| chosen.named_by == NamedBy::Option);
    if let Some(found) = of_profile().filter(|_| is_named_by_option) {
        return Ok(found);
    }
    if let Some(text) = env_vars::read(env_vars::TOKEN) {
        // Whatever it is, it is not shown.
        let token = Token::parse(text.trim()).with_context(|| {
            format!("the environment variable {} holds no token; `blendwire token` shows it", env_vars::TOKEN)
        })?;
        return Ok((TokenSource::Given(token), Some(Source::Variable(env_vars::TOKEN))));
    }
    if let Some(found) = of_profile() {
        return Ok(found);
    }
    if !endpoint.is_this_machine() {
        let nowhere = format!("{} is not set, and no profile with a token_file counts", env_vars::TOKEN);
        return Ok((TokenSource::Nowhere(nowhere), None));
    }
    Ok((own_token(), None))
}

/// The token of this user's own Blenders.
pub(crate) fn own_token() -> TokenSource {
    match folder() {
        Ok(folder) => TokenSource::File(folder.token()),
        Err(error) => TokenSource::Nowhere(error.to_string()),
    }
}

/// What one source says of TLS.
struct TlsSaid {
    fingerprint: Option<Fingerprint>,
    ca: Option<PathBuf>,
    tls: bool,
    plain: bool,
    by: Source,
}

/// How the server proves who it is, and what says so; nothing does where it follows from the address.
pub(crate) fn tls(
    args: &AccessArgs,
    profile: Option<&Chosen>,
    endpoint: &Endpoint,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<(Tls, Option<Source>)> {
    let profile = profile.map(|chosen| (chosen.named_by, TlsSaid::of_profile(chosen)));
    let (above, below) = match profile {
        Some((NamedBy::Option, said)) => (Some(said), None),
        Some((_, said)) => (None, Some(said)),
        None => (None, None),
    };
    let mut wanted_by = None;
    for said in [Some(TlsSaid::of_options(args)), above].into_iter().flatten() {
        if let Some(decided) = said.decide(&mut wanted_by) {
            return Ok(decided);
        }
    }
    // Not looked at before: a wrong value that something above it puts aside is no fault.
    for said in [TlsSaid::of_variables(variable)?, below].into_iter().flatten() {
        if let Some(decided) = said.decide(&mut wanted_by) {
            return Ok(decided);
        }
    }
    // What crosses a network is worth the handshake, and the script that is sent may be as secret as the token.
    let is_on = wanted_by.is_some() || !endpoint.is_this_machine();
    Ok((if is_on { Tls::Verified { ca: None } } else { Tls::Off }, wanted_by))
}

impl TlsSaid {
    fn of_options(args: &AccessArgs) -> Self {
        let AccessArgs { fingerprint, ca, tls, plain } = args.clone();
        let by = match (fingerprint.is_some(), ca.is_some(), plain) {
            (true, ..) => "--fingerprint",
            (_, true, _) => "--ca",
            (_, _, true) => "--plain",
            _ => "--tls",
        };
        Self { fingerprint, ca, tls, plain, by: Source::Option(by) }
    }

    fn of_profile(chosen: &Chosen) -> Self {
        let Profile { fingerprint, ca, tls, plain, .. } = chosen.profile.clone();
        Self { fingerprint, ca, tls, plain, by: Source::Profile(chosen.name.clone()) }
    }

    /// The fingerprint goes before the authority: it says more.
    fn of_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Self>> {
        let said = |name| Self { fingerprint: None, ca: None, tls: false, plain: false, by: Source::Variable(name) };
        if let Some(text) = variable(env_vars::FINGERPRINT) {
            let fingerprint = text.parse();
            let fingerprint = fingerprint
                .with_context(|| format!("the environment variable {} is {text:?}", env_vars::FINGERPRINT))?;
            return Ok(Some(Self { fingerprint: Some(fingerprint), ..said(env_vars::FINGERPRINT) }));
        }
        let ca = variable(env_vars::CA).map(PathBuf::from);
        Ok(ca.map(|ca| Self { ca: Some(ca), ..said(env_vars::CA) }))
    }

    /// What it is by this, unless this leaves it open; whoever wants TLS without saying which is noted.
    fn decide(self, wanted_by: &mut Option<Source>) -> Option<(Tls, Option<Source>)> {
        let Self { fingerprint, ca, tls, plain, by } = self;
        let tls_is_open = wanted_by.is_none();
        let decided = match (fingerprint, ca) {
            (Some(fingerprint), _) => Tls::Pinned(fingerprint),
            (None, Some(ca)) => Tls::Verified { ca: Some(ca) },
            (None, None) if plain && tls_is_open => Tls::Off,
            (None, None) => {
                if tls && tls_is_open {
                    *wanted_by = Some(by);
                }
                return None;
            }
        };
        Some((decided, Some(by)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD";

    fn chosen(args: &AccessArgs, host: &str, variables: &[(&str, &str)]) -> Result<Tls> {
        let find = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        Ok(tls(args, None, &Endpoint::new(host, 1), find)?.0)
    }

    /// With a profile that is named by `by`; gives what says so, too.
    fn with_profile(args: &AccessArgs, by: NamedBy, profile: &str, variables: &[(&str, &str)]) -> (Tls, String) {
        let find = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        let profile = toml::from_str(profile).unwrap();
        let chosen = Chosen { name: "p".to_owned(), named_by: by, profile };
        let (tls, by) = tls(args, Some(&chosen), &Endpoint::new("render7", 1), find).unwrap();
        (tls, by.map_or_else(String::new, |by| by.to_string()))
    }

    #[test]
    fn a_profile_stands_where_it_is_named() {
        let (none, ca) = (AccessArgs::default(), || Tls::Verified { ca: Some("ca.pem".into()) });
        let (pinned, variables) = (Tls::Pinned(HEX.parse().unwrap()), [(env_vars::FINGERPRINT, HEX)]);
        let profile = "ca = 'ca.pem'";
        assert_eq!(with_profile(&none, NamedBy::Default, profile, &[]), (ca(), "profile p".to_owned()));
        let by_variable = (pinned, env_vars::FINGERPRINT.to_owned());
        assert_eq!(with_profile(&none, NamedBy::Default, profile, &variables), by_variable);
        assert_eq!(with_profile(&none, NamedBy::Option, profile, &variables), (ca(), "profile p".to_owned()));
        let plain = AccessArgs { plain: true, ..AccessArgs::default() };
        assert_eq!(with_profile(&plain, NamedBy::Option, profile, &[]), (Tls::Off, "--plain".to_owned()));
        assert_eq!(with_profile(&none, NamedBy::Default, "plain = true", &[]), (Tls::Off, "profile p".to_owned()));
        let tls = AccessArgs { tls: true, ..AccessArgs::default() };
        let verified = (Tls::Verified { ca: None }, "--tls".to_owned());
        assert_eq!(with_profile(&tls, NamedBy::Default, "plain = true", &[]), verified);
    }

    #[test]
    fn other_machines_are_talked_to_inside_tls() {
        let none = AccessArgs::default();
        assert_eq!(chosen(&none, "localhost", &[]).unwrap(), Tls::Off);
        assert_eq!(chosen(&none, "render7", &[]).unwrap(), Tls::Verified { ca: None });
        let plain = AccessArgs { plain: true, ..AccessArgs::default() };
        assert_eq!(chosen(&plain, "render7", &[(env_vars::FINGERPRINT, HEX)]).unwrap(), Tls::Off);
        let asked = AccessArgs { tls: true, ..AccessArgs::default() };
        assert_eq!(chosen(&asked, "localhost", &[]).unwrap(), Tls::Verified { ca: None });
    }

    #[test]
    fn options_go_before_variables() {
        let pinned = Tls::Pinned(HEX.parse().unwrap());
        assert_eq!(chosen(&AccessArgs::default(), "localhost", &[(env_vars::FINGERPRINT, HEX)]).unwrap(), pinned);
        let ca = AccessArgs { ca: Some("ca.pem".into()), ..AccessArgs::default() };
        let verified = Tls::Verified { ca: Some("ca.pem".into()) };
        assert_eq!(chosen(&ca, "localhost", &[(env_vars::FINGERPRINT, HEX)]).unwrap(), verified);
        let error = chosen(&AccessArgs::default(), "localhost", &[(env_vars::FINGERPRINT, "x")]).unwrap_err();
        assert!(error.to_string().contains(env_vars::FINGERPRINT), "{error}");
    }
}
