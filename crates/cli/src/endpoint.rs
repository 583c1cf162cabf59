// SPDX-License-Identifier: GPL-3.0-or-later
//! Which Blender is meant: the options, else the environment, else the default. A wrong value is told with its name.

use anyhow::{Result, bail};
use blendwire_client::Endpoint;

use crate::args::EndpointArgs;
use crate::env_vars;

/// What was asked for; `None` where neither an option nor a variable says anything.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Wanted {
    /// A host name or address.
    pub(crate) host: Option<String>,
    /// A port.
    pub(crate) port: Option<u16>,
}

impl Wanted {
    /// Reads options and environment.
    pub(crate) fn read(args: &EndpointArgs) -> Result<Self> {
        Self::read_from(args, env_vars::read)
    }

    fn read_from(args: &EndpointArgs, variable: impl Fn(&str) -> Option<String>) -> Result<Self> {
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
        Ok(Self { host, port })
    }

    /// The endpoint, with defaults for what was not asked for.
    pub(crate) fn endpoint(self) -> Endpoint {
        let default = Endpoint::default();
        Endpoint::new(self.host.unwrap_or(default.host), self.port.unwrap_or(default.port))
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
        assert_eq!(wanted, Wanted { host: Some("b".to_owned()), port: Some(1) });
        let args = EndpointArgs { host: Some("a".to_owned()), port: Some(7), ..EndpointArgs::default() };
        assert_eq!(read(&args, &variables).unwrap().endpoint(), Endpoint::new("a", 7));
    }

    #[test]
    fn nothing_said_is_localhost_9876() {
        assert_eq!(read(&EndpointArgs::default(), &[]).unwrap().endpoint(), Endpoint::new("localhost", 9876));
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
