// SPDX-License-Identifier: GPL-3.0-or-later
//! Which Blender is meant: the options, else the environment, else the one that runs, else the default. A wrong value is told
//! with its name.

use anyhow::{Context as _, Result, anyhow, bail};
use blendwire_client::Endpoint;
use blendwire_protocol::Instance;

use crate::args::EndpointArgs;
use crate::{env_vars, instances};

/// What was asked for; `None` where neither an option nor a variable says anything.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Wanted {
    /// A host name or address.
    pub(crate) host: Option<String>,
    /// A port.
    pub(crate) port: Option<u16>,
    /// A running Blender: its id or the beginning of that, its process id or its port. Only without host and port.
    pub(crate) instance: Option<String>,
}

/// A Blender to talk to.
pub(crate) struct Target {
    /// Where it is.
    pub(crate) endpoint: Endpoint,
    /// Its descriptor, where it was found by that.
    pub(crate) instance: Option<Instance>,
}

impl Wanted {
    /// Reads options and environment.
    pub(crate) fn read(args: &EndpointArgs) -> Result<Self> {
        Self::read_from(args, env_vars::read)
    }

    /// This running Blender.
    pub(crate) fn instance(text: &str) -> Self {
        Self { instance: Some(text.to_owned()), ..Self::default() }
    }

    fn read_from(args: &EndpointArgs, variable: impl Fn(&str) -> Option<String>) -> Result<Self> {
        if let Some(instance) = &args.instance {
            return Ok(Self::instance(instance));
        }
        // Ours go before theirs, and among ours an address before a name.
        let is_set = |name: &str| variable(name).is_some();
        let is_addressed =
            args.host.is_some() || args.port.is_some() || is_set(env_vars::HOSTS[0]) || is_set(env_vars::PORTS[0]);
        if let Some(instance) = variable(env_vars::INSTANCE).filter(|_| !is_addressed) {
            return Ok(Self::instance(&instance));
        }
        let set_host = || env_vars::HOSTS.iter().find_map(|name| Some((name, variable(name)?)));
        let host = match (&args.host, set_host()) {
            (Some(host), _) => Some(parse_host("--host", host)?),
            (None, Some((name, value))) => Some(parse_host(&format!("the environment variable {name}"), &value)?),
            (None, None) => None,
        };
        let set_port = || env_vars::PORTS.iter().find_map(|name| Some((name, variable(name)?)));
        let port = match (args.port, set_port()) {
            (Some(port), _) => Some(port),
            (None, Some((name, value))) => Some(parse_port(name, &value)?),
            (None, None) => None,
        };
        Ok(Self { host, port, instance: None })
    }

    /// The Blender that is meant now; `how_to_choose` tells whoever has to what to do when that is not clear.
    ///
    /// # Errors
    /// When several run, or none that fits, or when it cannot be found out.
    pub(crate) fn find(&self, how_to_choose: &str) -> Result<Target> {
        if self.host.is_some() || self.port.is_some() {
            return Ok(Target { endpoint: self.endpoint(), instance: None });
        }
        let chosen = instances::choose(instances::look()?.running, self.instance.as_deref());
        let Some(instance) = chosen.map_err(|unclear| anyhow!(unclear.told(how_to_choose)))? else {
            return Ok(Target { endpoint: self.endpoint(), instance: None });
        };
        let endpoint = Endpoint::of_instance(&instance)
            .with_context(|| format!("the descriptor of Blender {} has no address", instance.instance))?;
        Ok(Target { endpoint, instance: Some(instance) })
    }

    /// The endpoint, with defaults for what was not asked for.
    fn endpoint(&self) -> Endpoint {
        let default = Endpoint::default();
        Endpoint::new(self.host.clone().unwrap_or(default.host), self.port.unwrap_or(default.port))
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
        Wanted::read_from(args, find)
    }

    #[test]
    fn options_go_before_variables_and_ours_before_theirs() {
        let variables =
            [("BLENDER_HOST", "c"), ("BLENDER_MCP_HOST", "b"), ("BLENDER_MCP_PORT", "2"), ("BLENDWIRE_PORT", "1")];
        let wanted = read(&EndpointArgs::default(), &variables).unwrap();
        assert_eq!(wanted, Wanted { host: Some("b".to_owned()), port: Some(1), instance: None });
        let args = EndpointArgs { host: Some("a".to_owned()), port: Some(7), ..EndpointArgs::default() };
        assert_eq!(read(&args, &variables).unwrap().endpoint(), Endpoint::new("a", 7));
    }

    #[test]
    fn nothing_said_is_localhost_9876() {
        assert_eq!(read(&EndpointArgs::default(), &[]).unwrap().endpoint(), Endpoint::new("localhost", 9876));
    }

    #[test]
    fn a_name_goes_after_an_address_and_ours_before_theirs() {
        let named = |args: &EndpointArgs, variables: &[_]| read(args, variables).unwrap().instance;
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
