// SPDX-License-Identifier: GPL-3.0-or-later
//! Ranked search: BM25 over several fields (BM25F), where a word in the name says more than one in the description.

#![expect(clippy::cast_precision_loss, reason = "numbers of words are small, and scores rough")]

use std::collections::HashMap;

use super::index::{FIELDS, Index, NAME, OWNER, Posting, TEXT, WORDS};

/// What a word in each field is worth.
const WEIGHT: [f32; FIELDS] = {
    let mut weight = [0.0; FIELDS];
    weight[NAME] = 3.0;
    weight[OWNER] = 2.0;
    weight[TEXT] = 1.0;
    weight[WORDS] = 0.7;
    weight
};

/// How much a field's length takes from each of its words: a name of one word is that word, a long one only has it.
const LENGTH: [f32; FIELDS] = {
    let mut length = [0.0; FIELDS];
    length[NAME] = 0.5;
    length[OWNER] = 0.3;
    length[TEXT] = 0.6;
    length[WORDS] = 0.3;
    length
};

/// From where on more of the same word adds little (BM25's k1).
const SATURATION: f32 = 1.5;

/// What another word for the same is worth, and one that is spelt nearly so.
const SYNONYM: f32 = 0.5;
const MISSPELT: f32 = 0.7;

/// What an operator or a function is worth to who asks how to do something.
const DOES: f32 = 1.2;

/// The same of one that has its name from that and nothing else: `bpy.ops.render.render`.
const NAMED: f32 = 1.6;

/// How alike words must be to be one misspelt.
const ALIKE: f64 = 0.8;

/// A match of a query's word in an entry.
#[derive(Clone, Copy, Default)]
struct Match {
    score: f32,
    /// Whether it is in the name.
    in_name: bool,
    in_owner: bool,
}

impl Index {
    /// Entries for this question with their score, best first.
    pub(crate) fn search(&self, question: &str) -> Vec<(u32, f32)> {
        let mut asked = self.words.of(question);
        asked.dedup();
        if asked.is_empty() {
            // Of nothing but words that tell nothing, all are searched for.
            asked = question.split_whitespace().map(str::to_lowercase).collect();
        }
        let matches: Vec<HashMap<u32, Match>> = asked.iter().map(|word| self.matches(word)).collect();
        let rarity: Vec<f32> = asked.iter().map(|word| self.rarity_of(word)).collect();
        // What is nowhere in this Blender is no reason to prefer what lacks the rest too.
        let known = matches.iter().zip(&rarity).filter(|(found, _)| !found.is_empty());
        let all: f32 = known.map(|(_, rarity)| rarity).sum();

        let mut scores: HashMap<u32, (f32, f32, u32, u32)> = HashMap::new();
        for (found, rarity) in matches.iter().zip(&rarity) {
            for (&entry, found) in found {
                let (score, covered, in_name, in_owner) = scores.entry(entry).or_default();
                *score += found.score;
                *covered += rarity;
                *in_name += u32::from(found.in_name);
                *in_owner += u32::from(found.in_owner);
            }
        }
        let exact = self.find(question.trim()).or_else(|| self.find(&format!("bpy.{}", question.trim())));
        let doing = asked.first().filter(|first| self.words.is_doing(first)).and(matches.first());
        let mut ranked: Vec<(u32, f32)> = scores
            .into_iter()
            .map(|(entry, (score, covered, in_name, in_owner))| {
                let [name, owner, ..] = self.lengths[entry as usize].map(|length| f32::from(length.max(1)));
                let in_name = (in_name as f32 / name).min(1.0);
                let in_owner = (in_owner as f32 / owner).min(1.0);
                let is_exact = if exact == Some(entry) { 100.0 } else { 1.0 };
                let covered = (covered / all.max(f32::MIN_POSITIVE)).powf(1.2);
                (
                    entry,
                    score
                        * covered
                        * (1.0 + 1.1 * in_name + 0.25 * in_owner)
                        * self.standing[entry as usize]
                        * is_exact
                        * doing.map_or(1.0, |named| self.acts(entry, named)),
                )
            })
            .collect();
        ranked.sort_by(|(one, high), (other, low)| low.total_cmp(high).then_with(|| self.order(*one, *other)));
        ranked
    }

    /// What it counts for that an entry does something, where that is asked for; `named` are those that have its word.
    fn acts(&self, entry: u32, named: &HashMap<u32, Match>) -> f32 {
        let at = entry as usize;
        let is_named = || self.lengths[at][NAME] == 1 && named.get(&entry).is_some_and(|found| found.in_name);
        match &*self.entries[at].kind {
            "operator" if is_named() => NAMED,
            "operator" | "function" | "method" => DOES,
            _ => 1.0,
        }
    }

    /// Paths that are spelt most like this one, best first.
    pub(crate) fn nearest(&self, path: &str, most: usize) -> Vec<&str> {
        let asked = path.to_lowercase();
        let last = asked.rsplit('.').next().unwrap_or(&asked);
        let likeness = |path: &str| {
            let path = path.to_lowercase();
            let name = path.rsplit('.').next().unwrap_or(&path);
            strsim::jaro_winkler(name, last) + 0.7 * strsim::normalized_levenshtein(&path, &asked)
        };
        let mut found: Vec<(f64, &str)> = self.present().map(|entry| (likeness(&entry.path), &*entry.path)).collect();
        found.sort_by(|(one, _), (other, _)| other.total_cmp(one));
        found.into_iter().take(most).map(|(_, path)| path).collect()
    }

    /// The entries that match a word, or another one for the same.
    fn matches(&self, word: &str) -> HashMap<u32, Match> {
        let mut found = HashMap::new();
        // Another word for the same says no more than the word that was asked for, however rare it is.
        let most = self.rarity_of(word);
        self.matches_as(word, 1.0, most, &mut found);
        for other in self.words.alternatives(word) {
            self.matches_as(other, SYNONYM, most, &mut found);
        }
        if found.is_empty() && word.len() > 3 {
            let likeness = |known: &str| strsim::normalized_damerau_levenshtein(known, word);
            let known = self.postings.keys().map(|known| (likeness(known), known));
            let best = known.filter(|(alike, _)| *alike >= ALIKE).max_by(|(one, _), (other, _)| one.total_cmp(other));
            if let Some((_, known)) = best {
                self.matches_as(known, MISSPELT, most, &mut found);
            }
        }
        found
    }

    /// Adds the entries that match exactly this word, where they do so better than what was found before.
    fn matches_as(&self, word: &str, worth: f32, most: f32, found: &mut HashMap<u32, Match>) {
        let Some(postings) = self.postings.get(word) else { return };
        let rarity = self.rarity(Some(postings)).min(most) * worth;
        for posting in postings {
            let lengths = self.lengths[posting.entry as usize];
            let mut weight = 0.0;
            for field in 0..FIELDS {
                let length = f32::from(lengths[field]) / self.average[field];
                let shortened = 1.0 - LENGTH[field] + LENGTH[field] * length;
                weight += WEIGHT[field] * f32::from(posting.counts[field]) / shortened;
            }
            let score = rarity * weight / (SATURATION + weight);
            let best = found.entry(posting.entry).or_default();
            if score > best.score {
                let [in_name, in_owner] = [NAME, OWNER].map(|field| posting.counts[field] > 0);
                *best = Match { score, in_name, in_owner };
            }
        }
    }

    /// How much a word of a question says; that of another for the same, where Blender does not know this one.
    fn rarity_of(&self, word: &str) -> f32 {
        let known = |word: &str| self.postings.get(word).map(|postings| self.rarity(Some(postings)));
        let other = || self.words.alternatives(word).filter_map(known).max_by(f32::total_cmp);
        known(word).or_else(other).unwrap_or_else(|| self.rarity(None))
    }

    /// How much it says that an entry has a word which so many have.
    fn rarity(&self, postings: Option<&Vec<Posting>>) -> f32 {
        let (all, with) = (self.entries.len() as f32, postings.map_or(0, Vec::len) as f32);
        (1.0 + (all - with + 0.5) / (with + 0.5)).ln()
    }

    /// Of two that match as well, the one with the shorter path first, and always the same.
    fn order(&self, one: u32, other: u32) -> std::cmp::Ordering {
        let path = |entry: u32| &self.entries[entry as usize].path;
        path(one).len().cmp(&path(other).len()).then_with(|| path(one).cmp(path(other)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index() -> Index {
        let rows = serde_json::json!([
            [
                "type",
                "bpy.types.BevelModifier",
                "Bevel Modifier",
                "Makes edges round",
                "class BevelModifier(Modifier)",
                ""
            ],
            ["property", "bpy.types.BevelModifier.segments", "Segments", "Number of segments", "int = 1", ""],
            ["property", "bpy.types.BevelModifier.width", "Width", "Bevel amount", "float = 0.1", ""],
            ["operator", "bpy.ops.mesh.primitive_cube_add", "Add Cube", "Construct a cube", "…", "size Size"],
            ["operator", "bpy.ops.mesh.bevel", "Bevel", "Cut into selected items", "…", "segments Segments"],
        ]);
        Index::new(serde_json::from_value(rows).unwrap())
    }

    fn first(question: &str) -> String {
        let index = index();
        let ranked = index.search(question);
        ranked.first().map(|(entry, _)| index.entries[*entry as usize].path.to_string()).unwrap_or_default()
    }

    #[test]
    fn the_name_counts_most_and_synonyms_and_misspellings_find_it_too() {
        assert_eq!(first("how many segments has a bevel modifier?"), "bpy.types.BevelModifier.segments");
        assert_eq!(first("create cube"), "bpy.ops.mesh.primitive_cube_add");
        assert_eq!(first("bevle modifer width"), "bpy.types.BevelModifier.width");
        assert_eq!(first("bpy.ops.mesh.bevel"), "bpy.ops.mesh.bevel");
        assert_eq!(first("qwertzuiop"), "");
    }

    #[test]
    fn a_name_that_is_nearly_right_has_the_right_one_first() {
        assert_eq!(index().nearest("BevelModifier.segmets", 1), ["bpy.types.BevelModifier.segments"]);
    }

    #[test]
    fn what_has_gone_is_found_with_what_to_write_instead() {
        assert_eq!(first("mesh use_auto_smooth"), "bpy.types.Mesh.use_auto_smooth");
    }

    #[test]
    fn names_are_listed_below_a_group() {
        assert_eq!(index().below("bpy.ops"), ["bpy.ops.mesh"]);
        assert_eq!(index().below("bpy.types.BevelModifier").len(), 2);
    }
}
