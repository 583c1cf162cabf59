// SPDX-License-Identifier: GPL-3.0-or-later
//! What is brought to the Blender that is meant: the token, and how it is made sure that it is that Blender.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use blendwire_client::{Access, Blender, Endpoint, Fingerprint, Tls, TokenSource};
use blendwire_credentials::{Folder, NoFolder};
use blendwire_protocol::Token;

use crate::args::{AccessArgs, EndpointArgs};
use crate::endpoint::Wanted;
use crate::env_vars;

/// What a person does when it is not clear which Blender is meant.
const HOW_TO_CHOOSE: &str =
    "say which with --instance or BLENDWIRE_INSTANCE: an ID, the beginning of one, a process or a port";

/// The Blender that options and environment mean, or the only one that runs.
pub(crate) fn blender(args: &EndpointArgs) -> Result<Blender> {
    let endpoint = Wanted::read(args)?.find(HOW_TO_CHOOSE)?.endpoint;
    let access = read(&args.access, &endpoint)?;
    Ok(Blender::with_access(endpoint, access))
}

/// What this user brings to a server at `endpoint`.
pub(crate) fn read(args: &AccessArgs, endpoint: &Endpoint) -> Result<Access> {
    Ok(Access { token: token(endpoint)?, tls: tls(args, endpoint, env_vars::read)? })
}

/// The folder of token and certificate: `BLENDWIRE_CONFIG_DIR`, else the system's.
pub(crate) fn folder() -> Result<Folder, NoFolder> {
    env_vars::read(env_vars::CONFIG_DIR).map_or_else(Folder::of_user, |folder| Ok(Folder::at(folder)))
}

fn token(endpoint: &Endpoint) -> Result<TokenSource> {
    if let Some(text) = env_vars::read(env_vars::TOKEN) {
        // Whatever it is, it is not shown.
        let token = Token::parse(text.trim());
        return token.map(TokenSource::Given).with_context(|| {
            format!("the environment variable {} holds no token; `blendwire token` shows it", env_vars::TOKEN)
        });
    }
    if !endpoint.is_this_machine() {
        return Ok(TokenSource::Nowhere(format!("{} is not set", env_vars::TOKEN)));
    }
    Ok(own_token())
}

/// The token of this user's own Blenders.
pub(crate) fn own_token() -> TokenSource {
    match folder() {
        Ok(folder) => TokenSource::File(folder.token()),
        Err(error) => TokenSource::Nowhere(error.to_string()),
    }
}

fn tls(args: &AccessArgs, endpoint: &Endpoint, variable: impl Fn(&str) -> Option<String>) -> Result<Tls> {
    if args.plain {
        return Ok(Tls::Off);
    }
    let is_said = args.fingerprint.is_some() || args.ca.is_some();
    let set = |name: &str| variable(name).filter(|_| !is_said);
    let set_fingerprint = match set(env_vars::FINGERPRINT).map(|text| (text.parse::<Fingerprint>(), text)) {
        Some((Ok(fingerprint), _)) => Some(fingerprint),
        Some((Err(error), text)) => {
            bail!("the environment variable {} is {text:?}: {error}", env_vars::FINGERPRINT)
        }
        None => None,
    };
    if let Some(fingerprint) = args.fingerprint.or(set_fingerprint) {
        return Ok(Tls::Pinned(fingerprint));
    }
    let ca = args.ca.clone().or_else(|| set(env_vars::CA).map(PathBuf::from));
    // What crosses a network is worth the handshake, and the script that is sent may be as secret as the token.
    Ok(if ca.is_some() || args.tls || !endpoint.is_this_machine() { Tls::Verified { ca } } else { Tls::Off })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD";

    fn chosen(args: &AccessArgs, host: &str, variables: &[(&str, &str)]) -> Result<Tls> {
        let find = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        tls(args, &Endpoint::new(host, 1), find)
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
