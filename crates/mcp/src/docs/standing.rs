// SPDX-License-Identifier: GPL-3.0-or-later
//! How likely it is that somebody means an entry, whatever the question: the nearer a type is to the scene and the file,
//! the more is asked of it.

use std::collections::HashMap;

use super::index::Row;

/// From where scripts set out.
const ROOTS: [&str; 2] = ["Scene", "BlendData"];

/// What a type is worth that many steps from there.
const BY_DISTANCE: [f32; 4] = [1.4, 1.25, 1.1, 1.05];

/// Of the user interface, of add-ons' inner life, or for few.
const RARE: [&str; 8] = [
    "bpy.types.Theme",
    "bpy.types.Preferences",
    "bpy.types.KeyMap",
    "bpy.types.RenderEngine",
    "freestyle.",
    "idprop.",
    "aud.",
    "imbuf.",
];

/// Operators that work in one editor only, by their module; most have a sibling that works everywhere.
const EDITORS: [&str; 17] = [
    "action",
    "asset",
    "buttons",
    "clip",
    "console",
    "file",
    "graph",
    "image",
    "info",
    "marker",
    "nla",
    "node",
    "outliner",
    "sequencer",
    "spreadsheet",
    "text",
    "view2d",
];

/// See the module.
pub(super) struct Standing {
    /// How far each type of RNA is from a root, as far as one gets there at all.
    distance: HashMap<String, usize>,
}

impl Standing {
    /// Follows the properties in these rows from type to type.
    pub(super) fn of(rows: &[Row]) -> Self {
        let mut leads: HashMap<&str, Vec<&str>> = HashMap::new();
        for Row(kind, path, .., signature, _) in rows {
            let owner = path.strip_prefix("bpy.types.").and_then(|path| path.split_once('.'));
            if let ("property", Some((owner, _))) = (kind.as_str(), owner) {
                let target = signature.trim_end_matches(", read-only").trim_start_matches("collection of ");
                if target.starts_with(|c: char| c.is_ascii_uppercase()) && !target.contains(' ') {
                    leads.entry(owner).or_default().push(target);
                }
            }
        }
        let mut distance: HashMap<String, usize> = HashMap::new();
        let mut reached: Vec<&str> = ROOTS.to_vec();
        for steps in 0..BY_DISTANCE.len() {
            reached.retain(|name| !distance.contains_key(*name));
            distance.extend(reached.iter().map(|name| ((*name).to_owned(), steps)));
            reached = reached.iter().filter_map(|name| leads.get(name)).flatten().copied().collect();
        }
        Self { distance }
    }

    /// A factor for an entry's score.
    pub(super) fn at(&self, kind: &str, path: &str) -> f32 {
        if RARE.iter().any(|begin| path.starts_with(begin)) {
            return 0.5;
        }
        let by_kind = if ["attribute", "module", "class", "changed"].contains(&kind) { 0.9 } else { 1.0 };
        let by_place = if let Some(rest) = path.strip_prefix("bpy.ops.") {
            match rest.split('.').next() {
                Some("object") => BY_DISTANCE[1],
                Some(module) if EDITORS.contains(&module) => 0.85,
                _ => BY_DISTANCE[2],
            }
        } else {
            let owner = path.strip_prefix("bpy.types.").and_then(|rest| rest.split('.').next());
            owner.and_then(|owner| self.distance.get(owner)).map_or(1.0, |steps| BY_DISTANCE[*steps])
        };
        by_kind * by_place
    }
}
