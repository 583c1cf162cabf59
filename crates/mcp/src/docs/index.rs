// SPDX-License-Identifier: GPL-3.0-or-later
//! What one Blender's API has, ready to be searched.

#![expect(clippy::cast_precision_loss, reason = "numbers of words are small, and averages rough")]

use std::collections::{BTreeSet, HashMap};

use serde::Deserialize;

use super::notes;
use super::standing::Standing;
use super::words::Words;

/// Longest text and signature that are kept of an entry, in bytes: results show their beginning.
const LONGEST_TEXT: usize = 600;

/// One thing of the API as Blender tells it: kind, path, name in the interface, description, signature, further words.
#[derive(Debug, Deserialize)]
pub(crate) struct Row(
    pub(super) String,
    pub(super) String,
    pub(super) String,
    pub(super) String,
    pub(super) String,
    pub(super) String,
);

/// One thing that is found.
#[derive(Debug)]
pub(crate) struct Entry {
    /// What it is: property, operator, node, …
    pub(crate) kind: Box<str>,
    /// Where it is, dotted.
    pub(crate) path: Box<str>,
    /// What it does.
    pub(crate) text: Box<str>,
    /// How it is written.
    pub(crate) signature: Box<str>,
}

/// The parts of an entry that are searched, by how much they say of what it is.
pub(crate) const FIELDS: usize = 4;
pub(crate) const NAME: usize = 0;
pub(crate) const OWNER: usize = 1;
pub(crate) const TEXT: usize = 2;
pub(crate) const WORDS: usize = 3;

/// An entry that has a word, and how often in each field.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Posting {
    pub(crate) entry: u32,
    pub(crate) counts: [u8; FIELDS],
}

/// See the module.
pub(crate) struct Index {
    pub(crate) entries: Vec<Entry>,
    /// How many words each field of an entry has.
    pub(crate) lengths: Vec<[u16; FIELDS]>,
    pub(crate) average: [f32; FIELDS],
    pub(crate) postings: HashMap<Box<str>, Vec<Posting>>,
    /// By path in small letters.
    by_path: HashMap<Box<str>, u32>,
    pub(crate) words: Words,
    /// How likely it is that an entry is meant, whatever the question.
    pub(crate) standing: Vec<f32>,
}

impl Index {
    /// An index of these rows; of a type's members, the type comes first.
    pub(crate) fn new(rows: Vec<Row>) -> Self {
        let mut index = Self {
            entries: Vec::with_capacity(rows.len()),
            lengths: Vec::with_capacity(rows.len()),
            average: [1.0; FIELDS],
            postings: HashMap::new(),
            by_path: HashMap::new(),
            words: Words::new(),
            standing: Vec::new(),
        };
        let standing = Standing::of(&rows);
        let mut owner = (String::new(), String::new());
        for Row(kind, path, label, text, signature, more) in rows {
            let parent = path.rsplit_once('.').map_or("", |(parent, _)| parent);
            let label_of_owner = if parent == owner.0 { owner.1.as_str() } else { "" };
            let around = format!("{parent} {label_of_owner}");
            if ["type", "node", "class"].contains(&kind.as_str()) {
                owner = (path.clone(), label.clone());
            }
            index.add(&kind, &path, &label, &around, (text, signature), &more);
        }
        for (path, note) in notes::NOTES.iter().flat_map(|note| note.about.iter().map(move |path| (path, note))) {
            if !index.has(path) {
                let told =
                    (note.text.to_owned(), format!("not here: changed in Blender {}.{}", note.since.0, note.since.1));
                index.add("changed", path, "", path, told, "");
            }
        }
        index.standing = index.entries.iter().map(|entry| standing.at(&entry.kind, &entry.path)).collect();
        let count = index.lengths.len().max(1);
        for field in 0..FIELDS {
            let total: u32 = index.lengths.iter().map(|lengths| u32::from(lengths[field])).sum();
            index.average[field] = (total as f32 / count as f32).max(0.1);
        }
        index.postings.values_mut().for_each(Vec::shrink_to_fit);
        index
    }

    fn add(&mut self, kind: &str, path: &str, label: &str, owner: &str, told: (String, String), more: &str) {
        let (mut text, mut signature) = told;
        let name = path.rsplit('.').next().unwrap_or(path);
        // Name and label mostly say the same, which is not to count twice.
        let names: BTreeSet<String> = self.words.of(&format!("{name} {label}")).into_iter().collect();
        let owners: BTreeSet<String> = self.words.of(owner).into_iter().collect();
        let fields =
            [names.into_iter().collect(), owners.into_iter().collect(), self.words.of(&text), self.words.of(more)];
        let entry = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        let mut counts: HashMap<&str, [u8; FIELDS]> = HashMap::new();
        for (field, words) in fields.iter().enumerate() {
            for word in words {
                let count = &mut counts.entry(word).or_default()[field];
                *count = count.saturating_add(1);
            }
        }
        for (word, counts) in counts {
            let posting = Posting { entry, counts };
            match self.postings.get_mut(word) {
                Some(postings) => postings.push(posting),
                None => drop(self.postings.insert(word.into(), vec![posting])),
            }
        }
        // `location_x` and `location` are equally much about a location.
        let length = |words: Vec<String>| words.iter().filter(|word| word.len() > 1).count();
        self.lengths.push(fields.map(|words| u16::try_from(length(words)).unwrap_or(u16::MAX)));
        self.by_path.insert(path.to_lowercase().into(), entry);
        for kept in [&mut text, &mut signature] {
            kept.truncate(kept.floor_char_boundary(LONGEST_TEXT));
        }
        let [kind, path] = [kind, path].map(Into::into);
        self.entries.push(Entry { kind, path, text: text.into(), signature: signature.into() });
    }

    /// Whether there is an entry of exactly this path.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.find(path).is_some()
    }

    /// The entry of this path, in whatever letters.
    pub(crate) fn find(&self, path: &str) -> Option<u32> {
        self.by_path.get(path.to_lowercase().as_str()).copied()
    }

    /// What there is, without what has gone.
    pub(crate) fn present(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| &*entry.kind != "changed")
    }

    /// Paths right below this one, sorted; below nothing, the modules.
    pub(crate) fn below(&self, path: &str) -> Vec<&str> {
        let depth = if path.is_empty() { 0 } else { path.split('.').count() };
        let begin = if path.is_empty() { String::new() } else { format!("{path}.") };
        let mut found: BTreeSet<&str> = BTreeSet::new();
        for entry in self.present().filter(|entry| entry.path.starts_with(&begin)) {
            let end = entry.path.match_indices('.').nth(depth).map_or(entry.path.len(), |(at, _)| at);
            found.insert(&entry.path[..end]);
        }
        found.into_iter().collect()
    }
}
