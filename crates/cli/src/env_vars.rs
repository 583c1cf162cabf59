// SPDX-License-Identifier: GPL-3.0-or-later
//! Every environment variable that the command reads. An empty one counts as not set, and so does what Claude Desktop leaves
//! there for a setting of its bundle that its user has not filled in.
//!
//! Beside these, the data and state folders follow the system's rules (`XDG_DATA_HOME`, `XDG_STATE_HOME`, `APPDATA`), colours follow `NO_COLOR` and
//! `CLICOLOR_FORCE`, `PATH` is searched for Blender, Python and MCP clients, and
//! `setup` finds the files of those by their own variables (`commands/setup/places.rs`).

/// Hosts of the Blender to talk to, most important first: ours, the official connector's, mcp-for-blender's.
pub(crate) const HOSTS: [&str; 3] = ["BLENDWIRE_HOST", "BLENDER_MCP_HOST", "BLENDER_HOST"];

/// Ports of the Blender to talk to, in the same order.
pub(crate) const PORTS: [&str; 3] = ["BLENDWIRE_PORT", "BLENDER_MCP_PORT", "BLENDER_PORT"];

/// The running Blender to talk to, as --instance names it.
pub(crate) const INSTANCE: &str = "BLENDWIRE_INSTANCE";

/// The settings, instead of `config.toml` beside token and certificate.
pub(crate) const CONFIG: &str = "BLENDWIRE_CONFIG";

/// The profile of the settings, as --profile names it.
pub(crate) const PROFILE: &str = "BLENDWIRE_PROFILE";

/// The token for servers that want one.
pub(crate) const TOKEN: &str = "BLENDWIRE_TOKEN";

/// SHA-256 of the one certificate to take.
pub(crate) const FINGERPRINT: &str = "BLENDWIRE_FINGERPRINT";

/// PEM file of an authority to trust beside those of the system.
pub(crate) const CA: &str = "BLENDWIRE_CA";

/// The folder of token, certificate and settings, instead of the system's place; the add-on reads it too.
pub(crate) const CONFIG_DIR: &str = "BLENDWIRE_CONFIG_DIR";

/// The Blender executable that `launch` starts; `addon` counts it among those that are found.
pub(crate) const BLENDER: &str = "BLENDWIRE_BLENDER";

/// Blender's own: the folder of its settings, extensions and scripts, instead of the system's place.
pub(crate) const USER_RESOURCES: &str = "BLENDER_USER_RESOURCES";

/// Blender's own: the folder of extensions alone.
pub(crate) const USER_EXTENSIONS: &str = "BLENDER_USER_EXTENSIONS";

/// Blender's own: the folder of scripts alone, with its legacy add-ons.
pub(crate) const USER_SCRIPTS: &str = "BLENDER_USER_SCRIPTS";

/// The Python that `launch --embedded` makes its environment with.
pub(crate) const PYTHON: &str = "BLENDWIRE_PYTHON";

/// Where pyenv keeps its Pythons, looked into beside `~/.pyenv`.
pub(crate) const PYENV_ROOT: &str = "PYENV_ROOT";

/// The folder for everything that `launch` unpacks, installs and logs and for the history of `repl`, instead of the system's place.
pub(crate) const DATA_DIR: &str = "BLENDWIRE_DATA_DIR";

/// The folder for what the add-on keeps between starts, the audit journal, and where running servers are found, instead of
/// the system's place. The add-on reads it too.
pub(crate) const STATE_DIR: &str = blendwire_state::STATE_DIR;

/// Set for the Blender that `launch` starts, never read: the address that the add-on has to listen on, `host:port`.
pub(crate) const BIND: &str = "BLENDWIRE_BIND";

/// Set for the Blender that `render` starts, never read: folders to remove when this command has gone.
pub(crate) const LEFTOVERS: &str = "BLENDWIRE_LEFTOVERS";

/// The value of a variable, unless it is unset or empty.
pub(crate) fn read(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| is_set(value))
}

/// A client that starts a bundle (`.mcpb`) puts the user's settings in place of `${user_config.NAME}`; one that was never
/// filled in may stay as it is.
fn is_set(value: &str) -> bool {
    let is_placeholder = value.trim().strip_prefix("${user_config.").is_some_and(|rest| rest.ends_with('}'));
    !value.is_empty() && !is_placeholder
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_that_nobody_filled_in_is_not_set() {
        for unset in ["", "${user_config.host}", "${user_config.token}", " ${user_config.port} "] {
            assert!(!is_set(unset), "{unset:?}");
        }
        for set in ["localhost", "9876", "${HOME}", "user_config.host", "${user_config.host"] {
            assert!(is_set(set), "{set:?}");
        }
    }
}
