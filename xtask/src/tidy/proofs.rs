// SPDX-License-Identifier: GPL-3.0-or-later
//! Every unsafe block stands in ARCHITECTURE.md with its proof, and every proof there has its block.
//!
//! Called by `tidy` only. A block is known by its file and function, and there are as many rows as blocks.

use std::path::Path;

use super::has_unsafe;

pub(super) const DOCUMENT: &str = "ARCHITECTURE.md";
const HEADING: &str = concat!("## Every `un", "safe` block");

/// File and function of a block, both as in the document: `native/exit.rs`, `register_with_c`.
type Place = (String, String);

/// `sources`: names and texts of all Rust files.
pub(super) fn faults(document: &str, sources: &[(String, String)]) -> Vec<String> {
    let (mut proofs, mut faults) = (rows(document), Vec::new());
    for (name, text) in sources {
        for place in blocks(name, text) {
            if let Some(at) = proofs.iter().position(|proof| *proof == place) {
                proofs.swap_remove(at);
            } else {
                let (file, function) = place;
                faults.push(format!(
                    "{DOCUMENT}: has no row `{file}`, `{function}` under “{HEADING}”; say why it is sound"
                ));
            }
        }
    }
    let stale = proofs.iter().map(|(file, function)| {
        format!("{DOCUMENT}: proves `{file}`, `{function}`, where there is no such block; take the row out")
    });
    faults.extend(stale);
    faults
}

/// The rows of the table, each with the last part of the function's path.
fn rows(document: &str) -> Vec<Place> {
    let table = document.split_once(HEADING).map_or("", |(_, table)| table);
    let cells = table.lines().filter_map(|line| line.strip_prefix("| `"));
    cells
        .filter_map(|row| {
            let (file, rest) = row.split_once('`')?;
            let function = rest.split('`').nth(1)?;
            Some((file.to_owned(), function.rsplit("::").next()?.to_owned()))
        })
        .collect()
}

fn blocks(name: &str, text: &str) -> Vec<Place> {
    // Texts about such code, this one among them, are no code.
    let Some(name) = name.strip_prefix("crates/") else { return Vec::new() };
    let file = name.replacen("/src/", "/", 1);
    let indent = |line: &str| line.len() - line.trim_start().len();
    let mut functions: Vec<(usize, String)> = Vec::new();
    let mut found = Vec::new();
    for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
        if let Some((_, rest)) = line.split_once("fn ") {
            let name = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            functions.push((indent(line), name));
        }
        if has_unsafe(line) {
            // A function inside the function stands as deep as the block, and is not what the block is in.
            let around = functions.iter().rev().find(|(depth, _)| *depth < indent(line));
            found.push((file.clone(), around.map_or_else(String::new, |(_, name)| name.clone())));
        }
    }
    found
}

pub(super) fn is_source(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension == "rs")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(rows: &str, code: &str) -> String {
        let document = format!("{HEADING}\n\n| Where | Why |\n|---|---|\n{rows}");
        faults(&document, &[("crates/native/src/a.rs".to_owned(), code.to_owned())]).join("\n")
    }

    #[test]
    fn each_block_needs_its_row_and_each_row_its_block() {
        let code = concat!("mod m {\n    fn f() {\n        let x = un", "safe { g() };\n    }\n}");
        assert_eq!(found("| `native/a.rs`, `m::f` | It is. |", code), "");
        assert!(found("", code).contains("has no row `native/a.rs`, `f`"));
        assert!(found("| `native/a.rs`, `m::f` | It is. |", "").contains("no such block"));
        // A second one in the same function needs a second proof.
        let twice = code.replace("};", concat!("}\n        + un", "safe { h() };"));
        assert!(found("| `native/a.rs`, `m::f` | It is. |", &twice).contains("has no row"), "{twice}");
    }
}
