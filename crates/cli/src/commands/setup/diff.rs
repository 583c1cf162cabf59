// SPDX-License-Identifier: GPL-3.0-or-later
//! A change, shown line by line.

use owo_colors::OwoColorize as _;
use similar::{ChangeTag, TextDiff};

use crate::printer;

/// Lines shown around a change. Few: what is beside the entry may be the keys of other servers.
const CONTEXT: usize = 1;

/// Characters shown of a line: a file without line ends is one long line.
const WIDTH: usize = 120;

/// The lines that differ, and those around them.
pub(super) fn text(old: &str, new: &str) -> String {
    let diff = TextDiff::from_lines(old, new);
    let groups = diff.grouped_ops(CONTEXT);
    let group = |ops: &Vec<_>| {
        let changes = ops.iter().flat_map(|op| diff.iter_changes(op));
        changes.map(|change| line(change.tag(), change.value())).collect::<Vec<_>>().join("\n")
    };
    groups.iter().map(group).collect::<Vec<_>>().join("\n  …\n")
}

fn line(tag: ChangeTag, text: &str) -> String {
    // Tabs are made blanks with the rest of what a terminal would obey; two of them keep the shape.
    let text = printer::one_line(&text.trim_end().replace('\t', "  "));
    let is_long = text.chars().count() > WIDTH;
    let text = if is_long { text.chars().take(WIDTH).chain(['…']).collect() } else { text };
    match tag {
        ChangeTag::Equal => format!("  {text}"),
        ChangeTag::Delete => format!("{} {}", "-".red(), text.red()),
        ChangeTag::Insert => format!("{} {}", "+".green(), text.green()),
    }
}
