// SPDX-License-Identifier: GPL-3.0-or-later
//! What several files must agree on: the version of the product, and the version of the protocol.
//!
//! Called by `tidy` only. It reads text, not code, so it demands that the versions are written plainly.

use std::path::Path;

use anyhow::Result;
use fs_err as fs;
use toml_edit::DocumentMut;

use crate::workspace::Workspace;

const MANIFEST: &str = "addon/blendwire/blender_manifest.toml";
const REGISTRATION: &str = "addon/blendwire/__init__.py";
const PROTOCOL: &str = "crates/protocol/src";
const PROTOCOL_DOCUMENT: &str = "docs/protocol.md";

pub(super) fn faults(workspace: &Workspace) -> Result<Vec<String>> {
    let Workspace { root, version, .. } = workspace;
    // A file that is missing says nothing, which is a fault like any other.
    let read = |name| fs::read_to_string(root.join(name)).unwrap_or_default();
    let manifest: DocumentMut = read(MANIFEST).parse()?;
    let in_manifest = manifest.get("version").and_then(|item| item.as_str());
    let in_bl_info = bl_info_version(&read(REGISTRATION));
    let constant = protocol_constant(&root.join(PROTOCOL))?;
    let document = read(PROTOCOL_DOCUMENT);
    let checks = [
        disagreement(MANIFEST, "`version`", in_manifest, "Cargo.toml", Some(version)),
        disagreement(REGISTRATION, "bl_info[\"version\"]", in_bl_info.as_deref(), "Cargo.toml", Some(version)),
        disagreement(
            PROTOCOL_DOCUMENT,
            "`Protocol version: N`",
            after(&document, "Protocol version:").as_deref(),
            PROTOCOL,
            constant.as_deref(),
        ),
    ];
    Ok(checks.into_iter().flatten().collect())
}

fn disagreement(file: &str, what: &str, found: Option<&str>, source: &str, wanted: Option<&str>) -> Option<String> {
    let said = |version: Option<&str>| version.unwrap_or("nothing").to_owned();
    let agrees = found.is_some() && found == wanted;
    (!agrees)
        .then(|| format!("{file}: {what} says {}, but {source} says {}; make them equal", said(found), said(wanted)))
}

/// `"version": (0, 1, 0)` as `0.1.0`.
fn bl_info_version(text: &str) -> Option<String> {
    let (_, rest) = text.split_once("bl_info")?;
    let (_, rest) = rest.split_once("\"version\"")?;
    let (numbers, _) = rest.split_once('(')?.1.split_once(')')?;
    let numbers: Vec<&str> = numbers.split(',').map(str::trim).filter(|number| !number.is_empty()).collect();
    Some(numbers.join("."))
}

/// The value of `PROTOCOL_VERSION`, wherever in the crate it stands.
fn protocol_constant(folder: &Path) -> Result<Option<String>> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let text = fs::read_to_string(path)?;
        let constant = text.lines().find(|line| line.contains("const PROTOCOL_VERSION:"));
        if let Some(value) = constant.and_then(|line| after(line, "=")) {
            return Ok(Some(value));
        }
    }
    Ok(None)
}

/// The number after a piece of text; emphasis in between does not matter.
fn after(text: &str, label: &str) -> Option<String> {
    let (_, rest) = text.split_once(label)?;
    let number = rest.trim_start_matches([' ', '*', '`']);
    let number: String = number.chars().take_while(char::is_ascii_digit).collect();
    (!number.is_empty()).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_version_of_bl_info() {
        let text = "bl_info = {\n    \"name\": \"x\",\n    \"version\": (0, 1, 0),\n    \"blender\": (4, 0, 0),\n}";
        assert_eq!(bl_info_version(text).as_deref(), Some("0.1.0"));
    }

    #[test]
    fn reads_numbers_after_labels() {
        assert_eq!(after("pub const PROTOCOL_VERSION: u32 = 12;", "=").as_deref(), Some("12"));
        assert_eq!(after("**Protocol version:** 3, normative", "Protocol version:").as_deref(), Some("3"));
        assert_eq!(after("none", "Protocol version:"), None);
    }

    #[test]
    fn silence_is_a_disagreement() {
        assert!(disagreement("a", "v", None, "b", None).is_some());
        assert!(disagreement("a", "v", Some("1"), "b", Some("2")).unwrap().contains("says 1, but b says 2"));
        assert!(disagreement("a", "v", Some("1"), "b", Some("1")).is_none());
    }
}
