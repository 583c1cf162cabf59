// SPDX-License-Identifier: GPL-3.0-or-later
//! Words of texts and identifiers, brought to the form in which they are looked up.

use rust_stemmers::{Algorithm, Stemmer};

/// Words that tell nothing of what is meant: of questions, and of every path.
const STOP: &[&str] = &[
    "a", "an", "and", "api", "are", "as", "at", "be", "blender", "bpy", "by", "can", "class", "do", "does", "for",
    "from", "how", "i", "if", "in", "is", "it", "its", "me", "my", "of", "on", "one", "or", "please", "python", "some",
    "ops", "that", "the", "this", "to", "type", "types", "use", "via", "was", "what", "when", "where", "which", "with",
    "you",
];

/// What people call it, and what Blender does: each line is words of which any finds the others.
const SYNONYMS: &[&str] = &[
    "color colour",
    "gray grey",
    "center centre origin",
    "subsurf subdivision subdivide multires",
    "delete remove erase unlink clear",
    "add create new insert make build",
    "duplicate copy clone",
    "join merge combine weld",
    "doubles duplicates distance",
    "keyframe key fcurve",
    "animation action nla playback",
    "frame time",
    "power energy strength intensity brightness",
    "light lamp",
    "lens zoom fov",
    "aperture fstop",
    "dof depth",
    "image picture texture bitmap",
    "video movie film clip",
    "hide visible visibility show",
    "rotation rotate orientation angle",
    "location position translate move",
    "scale size resize",
    "resolution width height",
    "count number amount quantity",
    "level iteration",
    "material shader shading",
    "bone armature rig skeleton",
    "child children descendant",
    "vertex vertices vert point",
    "face polygon poly triangle",
    "mesh geometry",
    "import load open read",
    "export save write",
    "file filepath path filename",
    "background backdrop world environment hdri",
    "select selection pick",
    "group collection",
    "timer delay later",
    "handler callback hook event",
    "weight influence",
    "gltf glb",
    "obj wavefront",
    "mist fog",
    "noise random jitter",
    "fps rate",
    "wire wireframe",
    "parameter property argument attribute",
    "input output socket",
    "toggle switch set mode",
    "go jump set change",
    "start begin first",
    "end last stop final",
    "matrix transform",
    "text font string",
    "link connect",
    "node shader",
    "expression formula script",
    "run call execute invoke",
];

/// With which people begin when they ask how to do something, and not what something is.
const DOING: &str = "add apply assign bake change clear copy create deform delete disable duplicate edit enable export \
    extrude find flip generate get go hide import insert invert join jump keyframe link load make merge move new open \
    parent paste play print recalculate register remove rename render replace reset reverse rotate run save scale sculpt \
    select separate set shade show snap sort split store subdivide switch toggle transfer translate triangulate unwrap \
    update weld write";

/// Makes words comparable.
pub(crate) struct Words {
    stemmer: Stemmer,
    /// For each stem the lines of synonyms that it stands in.
    synonyms: Vec<Vec<String>>,
    doing: Vec<String>,
}

impl Words {
    pub(crate) fn new() -> Self {
        let mut words = Self { stemmer: Stemmer::create(Algorithm::English), synonyms: Vec::new(), doing: Vec::new() };
        words.synonyms = SYNONYMS.iter().map(|line| line.split(' ').map(|word| words.stem(word)).collect()).collect();
        words.doing = DOING.split_whitespace().map(|word| words.stem(word)).collect();
        words
    }

    /// Whether a question that begins with this word is after something that does it.
    pub(crate) fn is_doing(&self, stem: &str) -> bool {
        self.doing.iter().any(|each| each == stem)
    }

    /// The words of a text or an identifier: `snake_case`, `CamelCase` and `dotted.paths` are split, each word is
    /// stemmed, and those that tell nothing are left out.
    pub(crate) fn of(&self, text: &str) -> Vec<String> {
        let mut found = Vec::new();
        for part in text.split(|c: char| !c.is_alphanumeric()).filter(|part| !part.is_empty()) {
            for word in camel(part) {
                let word = word.to_lowercase();
                if !STOP.contains(&word.as_str()) {
                    found.push(self.stem(&word));
                }
            }
        }
        found
    }

    /// Other words for the same.
    pub(crate) fn alternatives(&self, stem: &str) -> impl Iterator<Item = &str> {
        let lines = self.synonyms.iter().filter(move |line| line.iter().any(|each| each == stem));
        lines.flatten().map(String::as_str).filter(move |each| *each != stem)
    }

    fn stem(&self, word: &str) -> String {
        // Of short ones and of those with digits no end is a suffix: `uv`, `bsdf`, `obj`, `x3d`.
        if word.len() < 4 || !word.bytes().all(|byte| byte.is_ascii_lowercase()) {
            return word.to_owned();
        }
        self.stemmer.stem(word).into_owned()
    }
}

/// The words of an identifier in `CamelCase`: `UVLoop` is `UV` and `Loop`, `View3D` stays one with its digit.
fn camel(part: &str) -> Vec<&str> {
    let chars: Vec<(usize, char)> = part.char_indices().collect();
    let mut words = Vec::new();
    let mut start = 0;
    for (index, &(at, c)) in chars.iter().enumerate().skip(1) {
        let before = chars[index - 1].1;
        let after = chars.get(index + 1).map(|&(_, c)| c);
        let begins = c.is_uppercase()
            && (before.is_lowercase() || after.is_some_and(char::is_lowercase) && !before.is_numeric());
        if begins {
            words.push(&part[start..at]);
            start = at;
        }
    }
    words.push(&part[start..]);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_split_where_people_would() {
        assert_eq!(camel("BevelModifier"), ["Bevel", "Modifier"]);
        assert_eq!(camel("UVLoopLayers"), ["UV", "Loop", "Layers"]);
        assert_eq!(camel("View3DCursor"), ["View3D", "Cursor"]);
        assert_eq!(camel("x"), ["x"]);
        let words = Words::new();
        assert_eq!(words.of("bpy.ops.mesh.primitive_cube_add"), ["mesh", "primit", "cube", "add"]);
        assert_eq!(words.of("how to set Keyframes’ interpolation"), words.of("set keyframe interpolated"));
    }

    #[test]
    fn synonyms_go_both_ways() {
        let words = Words::new();
        assert!(words.alternatives("colour").any(|word| word == "color"));
        assert!(words.alternatives("color").any(|word| word == "colour"));
        assert_eq!(words.alternatives("bevel").count(), 0);
    }
}
