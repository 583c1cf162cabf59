// SPDX-License-Identifier: GPL-3.0-or-later
//! Asks a Blender about its add-ons, and has it change them: by `inside.py`, in a Blender without a window.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::blenders::{Installed, Version, output_within};
use crate::{env_vars, printer};

const SCRIPT: &str = include_str!("inside.py");

/// What stands before the answer, as in the script.
const MARKER: &str = "blendwire-addon:";

/// A second or two; with dozens of add-ons on a slow disk, a minute.
const ANSWERS_WITHIN: Duration = Duration::from_mins(3);

/// The end of its output that is shown when it fails.
const SHOWN_LINES: usize = 10;

/// How Blender keeps an add-on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    /// Since 4.2.
    Extension,
    /// Before that, and still.
    Legacy,
}

/// An add-on in a Blender.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct Addon {
    /// What Blender calls it: `bl_ext.user_default.blendwire`, `blendwire`.
    pub(super) module: String,
    pub(super) kind: Kind,
    /// What people call it.
    pub(super) name: String,
    pub(super) version: String,
    pub(super) enabled: bool,
    pub(super) folder: PathBuf,
}

/// What a Blender told of itself.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Inside {
    /// Every copy of ours.
    pub(super) ours: Vec<Addon>,
    /// Others that serve MCP clients.
    pub(super) rivals: Vec<Addon>,
    /// Where this user's legacy add-ons are.
    pub(super) legacy_folder: PathBuf,
    /// What the user had set in the copies of which that was asked for.
    #[serde(default)]
    pub(super) settings: Map<String, Value>,
}

/// What is to be changed, in this order; the preferences are saved at the end.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct Wanted {
    /// Modules of which the settings are kept, and given to the one that is enabled.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) settings_of: Vec<String>,
    /// Modules to disable.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) disable: Vec<String>,
    /// Extensions to remove.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) uninstall: Vec<String>,
    /// The zip of an extension to install and enable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) install: Option<PathBuf>,
    /// A module to enable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) enable: Option<String>,
    /// Settings for it.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub(super) settings: Map<String, Value>,
}

impl Wanted {
    /// Whether nothing is to be changed.
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What is there.
///
/// # Errors
/// When that Blender cannot be started, hangs, or fails.
pub(super) fn look(blender: &Installed) -> Result<Inside> {
    look_within(blender, ANSWERS_WITHIN)
}

/// The same for somebody who does not wait as long.
///
/// # Errors
/// As [`look`].
pub(super) fn look_within(blender: &Installed, longest: Duration) -> Result<Inside> {
    ask(blender, &Wanted::default(), longest)
}

/// Changes it, and gives what is there then.
///
/// # Errors
/// As [`look`], and with the reason where Blender refuses.
pub(super) fn change(blender: &Installed, wanted: &Wanted) -> Result<Inside> {
    ask(blender, wanted, ANSWERS_WITHIN)
}

fn ask(blender: &Installed, wanted: &Wanted, longest: Duration) -> Result<Inside> {
    let Installed { path, version } = blender;
    let mut command = Command::new(path);
    // What a script of the user's own does with the exit status is nothing to us: the answer is what counts.
    command.args(["--background", "--python-expr", SCRIPT, "--"]).arg(serde_json::to_string(wanted)?);
    // Set for a Blender that `launch` starts; from there this may be called.
    command.env_remove(env_vars::BIND);
    let output = output_within(&mut command, longest);
    let output = output.with_context(|| format!("Blender {version} ({}) gives no answer", path.display()))?;
    let stdout = String::from_utf8_lossy(&output.stdout);
    let Some(answer) = stdout.lines().rev().find_map(|line| line.strip_prefix(MARKER)) else {
        let said = stdout.into_owned() + &String::from_utf8_lossy(&output.stderr);
        bail!("Blender {version} ({}) ended without an answer ({}):\n{}", path.display(), output.status, tail(&said));
    };
    let answer: Value = serde_json::from_str(answer).context("Blender's answer cannot be read")?;
    if let Some(error) = answer.get("error").and_then(Value::as_str) {
        bail!("Blender {version} refused: {}", printer::one_line(error));
    }
    serde_json::from_value(answer).context("Blender's answer cannot be read")
}

fn tail(text: &str) -> String {
    let lines: Vec<_> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let shown = lines[lines.len().saturating_sub(SHOWN_LINES)..].iter().map(|line| printer::one_line(line));
    shown.collect::<Vec<_>>().join("\n")
}

impl Kind {
    /// The one that a Blender of this version is given.
    pub(super) fn of(version: Version) -> Self {
        if version >= Version::EXTENSIONS { Self::Extension } else { Self::Legacy }
    }

    pub(super) fn told(self) -> &'static str {
        match self {
            Self::Extension => "extension",
            Self::Legacy => "legacy add-on",
        }
    }
}

/// The names of modules.
pub(super) fn modules<'a>(addons: impl IntoIterator<Item = &'a Addon>) -> Vec<String> {
    addons.into_iter().map(|addon| addon.module.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_wanted_is_an_empty_object() {
        // By that the script knows that it must not save anything.
        assert_eq!(serde_json::to_string(&Wanted::default()).unwrap(), "{}");
        assert!(SCRIPT.contains(&format!("MARKER = \"{MARKER}\"")));
    }

    #[test]
    fn extensions_are_for_those_that_have_them() {
        assert_eq!(Kind::of(Version(4, 1, 1)), Kind::Legacy);
        assert_eq!(Kind::of(Version(4, 2, 0)), Kind::Extension);
    }
}
