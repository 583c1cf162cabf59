// SPDX-License-Identifier: GPL-3.0-or-later
//! Which Blender is meant: the options, else the environment, else the settings, else the one that runs, else the default.
//! A wrong value is told with its name.
//!
//! A profile counts as much as that by which it is named: one of `--profile` goes before variables. Where a host or an
//! instance is said above it, it is put aside as a whole: what is brought to one Blender is not for another. A port alone
//! takes the place of the profile's.

use std::fmt;

use anyhow::{Context as _, Result, anyhow, bail};
use blendwire_client::Endpoint;
use blendwire_protocol::Instance;

use crate::args::EndpointArgs;
use crate::config::{Chosen, Config, NamedBy};
use crate::instances::Advice;
use crate::{env_vars, instances};

/// What was asked for; `None` where nothing says anything.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Wanted {
    /// A host name or address.
    pub(crate) host: Option<Said<String>>,
    /// A port.
    pub(crate) port: Option<Said<u16>>,
    /// A running Blender: its id or the beginning of that, its process id or its port. Only without host and port.
    pub(crate) instance: Option<Said<String>>,
    /// The profile that counts: it says what is brought there, too.
    pub(crate) profile: Option<Chosen>,
}

/// A value, and what says so.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Said<T> {
    pub(crate) value: T,
    pub(crate) by: Source,
}

/// What can say a value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Source {
    /// An option, with its dashes.
    Option(&'static str),
    /// An environment variable.
    Variable(&'static str),
    /// A profile of the settings.
    Profile(String),
}

impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Option(name) | Self::Variable(name) => formatter.write_str(name),
            Self::Profile(name) => write!(formatter, "profile {name}"),
        }
    }
}

/// A Blender to talk to.
pub(crate) struct Target {
    /// Where it is.
    pub(crate) endpoint: Endpoint,
    /// Its descriptor, where it was found by that.
    pub(crate) instance: Option<Instance>,
}

/// The profile that options, environment and settings name.
pub(crate) fn profile(args: &EndpointArgs, config: &Config) -> Result<Option<Chosen>> {
    config.chosen(args.profile.as_deref(), env_vars::read(env_vars::PROFILE).as_deref())
}

impl Wanted {
    /// Reads options, environment and settings.
    pub(crate) fn read(args: &EndpointArgs) -> Result<Self> {
        Self::of(args, profile(args, &Config::load()?)?)
    }

    /// Reads options and environment, with this profile.
    pub(crate) fn of(args: &EndpointArgs, profile: Option<Chosen>) -> Result<Self> {
        Self::read_from(args, profile, env_vars::read)
    }

    /// This running Blender.
    pub(crate) fn instance(text: &str, by: Source) -> Self {
        Self { instance: Some(Said { value: text.to_owned(), by }), ..Self::default() }
    }

    fn read_from(
        args: &EndpointArgs,
        profile: Option<Chosen>,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self> {
        // Variables that stand below the profile are as if they were not set.
        let counts = |name: &str| match profile.as_ref().map(|chosen| chosen.named_by) {
            Some(NamedBy::Option) => false,
            Some(NamedBy::Variable) => name.starts_with("BLENDWIRE_"),
            Some(NamedBy::Default) | None => true,
        };
        let said = Self::said(args, |name| variable(name).filter(|_| counts(name)))?;
        Ok(match profile {
            Some(chosen) => said.over(chosen),
            None => said,
        })
    }

    /// What options and variables say.
    fn said(args: &EndpointArgs, variable: impl Fn(&str) -> Option<String>) -> Result<Self> {
        if let Some(instance) = &args.instance {
            return Ok(Self::instance(instance, Source::Option("--instance")));
        }
        // Ours go before theirs, and among ours an address before a name.
        let is_set = |name: &str| variable(name).is_some();
        let is_addressed =
            args.host.is_some() || args.port.is_some() || is_set(env_vars::HOSTS[0]) || is_set(env_vars::PORTS[0]);
        if let Some(instance) = variable(env_vars::INSTANCE).filter(|_| !is_addressed) {
            return Ok(Self::instance(&instance, Source::Variable(env_vars::INSTANCE)));
        }
        let set_host = || env_vars::HOSTS.into_iter().find_map(|name| Some((name, variable(name)?)));
        let host = match (&args.host, set_host()) {
            (Some(host), _) => Some(Said { value: parse_host("--host", host)?, by: Source::Option("--host") }),
            (None, Some((name, value))) => {
                let value = parse_host(&format!("the environment variable {name}"), &value)?;
                Some(Said { value, by: Source::Variable(name) })
            }
            (None, None) => None,
        };
        let set_port = || env_vars::PORTS.into_iter().find_map(|name| Some((name, variable(name)?)));
        let port = match (args.port, set_port()) {
            (Some(value), _) => Some(Said { value, by: Source::Option("--port") }),
            (None, Some((name, value))) => Some(Said { value: parse_port(name, &value)?, by: Source::Variable(name) }),
            (None, None) => None,
        };
        Ok(Self { host, port, instance: None, profile: None })
    }

    /// This, and below it the profile.
    fn over(self, chosen: Chosen) -> Self {
        let is_elsewhere = self.host.is_some() || self.instance.is_some();
        if is_elsewhere || self.port.is_some() && chosen.profile.instance.is_some() {
            return self;
        }
        let by = || Source::Profile(chosen.name.clone());
        let said = |value: &Option<String>| value.clone().map(|value| Said { value, by: by() });
        let of_profile = || chosen.profile.port.map(|value| Said { value, by: by() });
        Self {
            host: said(&chosen.profile.host),
            port: self.port.or_else(of_profile),
            instance: said(&chosen.profile.instance),
            profile: Some(chosen),
        }
    }

    /// The Blender that is meant now; `how_to_choose` tells whoever has to what to do when that is not clear.
    ///
    /// # Errors
    /// When several run, or none that fits, or when it cannot be found out.
    pub(crate) fn find(&self, advice: Advice) -> Result<Target> {
        if self.host.is_some() || self.port.is_some() {
            return Ok(Target { endpoint: self.endpoint(), instance: None });
        }
        let chosen =
            instances::choose(instances::look()?.running, self.instance.as_ref().map(|said| said.value.as_str()));
        let Some(instance) = chosen.map_err(|unclear| anyhow!(unclear.told(advice)))? else {
            return Ok(Target { endpoint: self.endpoint(), instance: None });
        };
        let endpoint = Endpoint::of_instance(&instance)
            .with_context(|| format!("the descriptor of Blender {} has no address", instance.instance))?;
        Ok(Target { endpoint, instance: Some(instance) })
    }

    /// The endpoint, with defaults for what was not asked for.
    pub(crate) fn endpoint(&self) -> Endpoint {
        let Endpoint { host, port } = Endpoint::default();
        let said_host = self.host.as_ref().map(|said| said.value.clone());
        Endpoint::new(said_host.unwrap_or(host), self.port.as_ref().map_or(port, |said| said.value))
    }
}

/// A host name or address. People put the port or a whole URL there, which no resolver explains to them.
pub(crate) fn parse_host(source: &str, value: &str) -> Result<String> {
    let host = value.trim();
    let has_port = host.matches(':').count() == 1 || host.contains("]:");
    if host.is_empty() || host.contains('/') || host.contains(char::is_whitespace) || has_port {
        bail!("{source} is {value:?}: give a host name or address alone, such as localhost; the port goes to --port");
    }
    Ok(host.to_owned())
}

fn parse_port(name: &str, value: &str) -> Result<u16> {
    match value.trim().parse() {
        Ok(port) if port > 0 => Ok(port),
        _ => bail!("the environment variable {name} is {value:?}: a port is a whole number from 1 to 65535"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(args: &EndpointArgs, variables: &[(&str, &str)]) -> Result<Wanted> {
        let find = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        Wanted::read_from(args, None, find)
    }

    /// With a profile that is named by `by`.
    fn read_with(args: &EndpointArgs, by: NamedBy, profile: &str, variables: &[(&str, &str)]) -> Wanted {
        let find = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        let profile = toml::from_str(profile).unwrap();
        let chosen = Chosen { name: "p".to_owned(), named_by: by, profile };
        Wanted::read_from(args, Some(chosen), find).unwrap()
    }

    #[test]
    fn a_profile_counts_as_much_as_what_names_it() {
        let profile = "host = 'p'\nport = 7";
        let none = EndpointArgs::default();
        let at = |by, variables: &[_]| {
            let wanted = read_with(&none, by, profile, variables);
            (wanted.endpoint().to_string(), wanted.profile.is_some())
        };
        let (ours, theirs) = (("BLENDWIRE_HOST", "o"), ("BLENDER_HOST", "t"));
        assert_eq!(at(NamedBy::Option, &[ours, theirs]), ("p:7".to_owned(), true));
        assert_eq!(at(NamedBy::Variable, &[theirs]), ("p:7".to_owned(), true));
        assert_eq!(at(NamedBy::Variable, &[ours]), ("o:9876".to_owned(), false));
        assert_eq!(at(NamedBy::Default, &[theirs]), ("t:9876".to_owned(), false));
        assert!(!at(NamedBy::Default, &[("BLENDWIRE_INSTANCE", "a")]).1);
        assert_eq!(at(NamedBy::Default, &[]), ("p:7".to_owned(), true));
    }

    #[test]
    fn a_port_alone_takes_the_place_of_the_profiles() {
        let args = EndpointArgs { port: Some(8), ..EndpointArgs::default() };
        let wanted = read_with(&args, NamedBy::Default, "host = 'p'\nport = 7", &[]);
        assert_eq!(wanted.endpoint(), Endpoint::new("p", 8));
        assert_eq!(wanted.host.unwrap().by.to_string(), "profile p");
        assert!(wanted.profile.is_some());
        let wanted = read_with(&args, NamedBy::Default, "instance = 'a'", &[]);
        assert_eq!((wanted.endpoint(), wanted.profile), (Endpoint::new("localhost", 8), None));
        let wanted = read_with(&EndpointArgs::default(), NamedBy::Default, "instance = 'a'", &[]);
        assert_eq!(wanted.instance.unwrap().value, "a");
    }

    #[test]
    fn options_go_before_variables_and_ours_before_theirs() {
        let variables =
            [("BLENDER_HOST", "c"), ("BLENDER_MCP_HOST", "b"), ("BLENDER_MCP_PORT", "2"), ("BLENDWIRE_PORT", "1")];
        let wanted = read(&EndpointArgs::default(), &variables).unwrap();
        assert_eq!(wanted.endpoint(), Endpoint::new("b", 1));
        assert_eq!(wanted.port.unwrap().by, Source::Variable("BLENDWIRE_PORT"));
        let args = EndpointArgs { host: Some("a".to_owned()), port: Some(7), ..EndpointArgs::default() };
        assert_eq!(read(&args, &variables).unwrap().endpoint(), Endpoint::new("a", 7));
    }

    #[test]
    fn nothing_said_is_localhost_9876() {
        assert_eq!(read(&EndpointArgs::default(), &[]).unwrap().endpoint(), Endpoint::new("localhost", 9876));
    }

    #[test]
    fn a_name_goes_after_an_address_and_ours_before_theirs() {
        let named =
            |args: &EndpointArgs, variables: &[_]| read(args, variables).unwrap().instance.map(|said| said.value);
        let (ours, theirs) = (("BLENDWIRE_INSTANCE", "a"), ("BLENDER_PORT", "2"));
        assert_eq!(named(&EndpointArgs::default(), &[ours, theirs]).as_deref(), Some("a"));
        assert_eq!(named(&EndpointArgs::default(), &[ours, ("BLENDWIRE_PORT", "1")]), None);
        let port = EndpointArgs { port: Some(7), ..EndpointArgs::default() };
        assert_eq!(named(&port, &[ours]), None);
        let option = EndpointArgs { instance: Some("b".to_owned()), ..EndpointArgs::default() };
        assert_eq!(named(&option, &[ours, ("BLENDWIRE_PORT", "1")]).as_deref(), Some("b"));
    }

    #[test]
    fn a_host_is_a_name_or_address_alone() {
        for right in ["localhost", "render7.example", "10.0.0.7", "::1", "[::1]", "fe80::1%eth0"] {
            assert_eq!(parse_host("--host", right).unwrap(), right);
        }
        for wrong in ["localhost:9876", "http://localhost:9876", "http://localhost", "[::1]:9876", "", " ", "a b"] {
            let args = EndpointArgs { host: Some(wrong.to_owned()), ..EndpointArgs::default() };
            let error = read(&args, &[]).unwrap_err().to_string();
            assert!(error.contains("--host is") && error.contains("--port"), "{error}");
        }
        let error = read(&EndpointArgs::default(), &[("BLENDER_MCP_HOST", "x:1")]).unwrap_err().to_string();
        assert!(error.contains("BLENDER_MCP_HOST"), "{error}");
    }

    #[test]
    fn a_wrong_port_names_its_variable() {
        for wrong in ["0", "x", "70000", "-1"] {
            let error = read(&EndpointArgs::default(), &[("BLENDER_PORT", wrong)]).unwrap_err().to_string();
            assert!(error.contains("BLENDER_PORT") && error.contains(wrong), "{error}");
        }
    }
}
