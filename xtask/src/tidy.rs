// SPDX-License-Identifier: GPL-3.0-or-later
//! `cargo xtask tidy`: the rules of the repository that no compiler checks.
//!
//! It reads every file that git knows or would add, collects everything that is wrong, and says for each how to
//! mend it. Rules for one file are in `file_faults`; what several files must agree on is in `tidy/agree.rs` and
//! `tidy/protocol.rs`. It changes nothing.

mod agree;
mod proofs;
mod protocol;

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};
use fs_err as fs;

use crate::process;
use crate::workspace::Workspace;

const MAX_LINES: usize = 500;
const MAX_BYTES: usize = 1024 * 1024;

/// Pieces of text that have no place here: they tie the tree to one machine, one tracker, one mirror.
/// Joined from halves, so that this list does not accuse itself.
const FOREIGN: [&str; 6] = [
    concat!("pypi", ".org"),
    concat!("pythonhosted", ".org"),
    concat!("static.crates", ".io"),
    concat!("index.crates", ".io"),
    concat!("registry.npmjs", ".org"),
    concat!("deb.debian", ".org"),
];

pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let (mut faults, mut sources) = (Vec::new(), Vec::new());
    for name in tracked(&workspace.root)? {
        let content = fs::read(workspace.root.join(&name))?;
        faults.extend(file_faults(&name, &content).into_iter().map(|fault| format!("{name}: {fault}")));
        if proofs::is_source(&name) {
            sources.push((name, String::from_utf8_lossy(&content).into_owned()));
        }
    }
    faults.extend(agree::faults(workspace)?);
    faults.extend(protocol::faults(workspace));
    let document = fs::read_to_string(workspace.root.join(proofs::DOCUMENT)).unwrap_or_default();
    faults.extend(proofs::faults(&document, &sources));
    if faults.is_empty() {
        eprintln!("tidy: all rules hold");
        return Ok(());
    }
    bail!("{} rules broken:\n  {}", faults.len(), faults.join("\n  "))
}

/// Files that git tracks or would add, and that exist.
fn tracked(root: &Path) -> Result<Vec<String>> {
    let mut git = Command::new("git");
    git.current_dir(root).args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let listed = process::capture(&mut git)?;
    let mut names: Vec<String> = listed.split_terminator('\0').map(str::to_owned).collect();
    names.retain(|name| root.join(name).is_file());
    names.sort();
    names.dedup();
    Ok(names)
}

fn file_faults(name: &str, content: &[u8]) -> Vec<String> {
    let is_picture = name.starts_with("docs/") && has_extension(name, &["png"]);
    if is_picture {
        return Vec::new();
    }
    let mut faults = Vec::new();
    if content.len() > MAX_BYTES {
        faults.push(format!("{} bytes; files over 1 MiB do not belong in the repository", content.len()));
    }
    let Ok(text) = std::str::from_utf8(content) else {
        faults.push("not UTF-8 text: binaries do not belong in the repository".into());
        return faults;
    };
    if text.contains('\0') {
        faults.push("has NUL bytes: binaries do not belong in the repository".into());
    }
    faults.extend(source_faults(name, text));
    if name != "Cargo.lock" {
        faults.extend(text.lines().enumerate().flat_map(|(index, line)| line_faults(index + 1, line)));
    }
    faults
}

fn source_faults(name: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let needs_licence = has_extension(name, &["rs", "py", "pyi", "toml", "sh", "yml", "yaml"]) || name == ".ci/run";
    if needs_licence && !text.lines().take(3).any(|line| line.contains("SPDX-License-Identifier: ")) {
        faults.push("no licence: put `SPDX-License-Identifier: GPL-3.0-or-later` into the first three lines".into());
    }
    let lines = text.lines().count();
    if has_extension(name, &["rs", "py"]) && lines > MAX_LINES {
        faults.push(format!("{lines} lines; split it, {MAX_LINES} is the most"));
    }
    if has_extension(name, &["rs"]) && !name.starts_with("crates/native/") {
        faults.extend(unsafe_faults(text));
    }
    faults
}

fn line_faults(number: usize, line: &str) -> Vec<String> {
    let mut faults = Vec::new();
    if let Some(path) = machine_path(line) {
        faults.push(format!(
            "line {number}: `{path}…` is a path of one machine; make it relative, or use ~ or a variable"
        ));
    }
    for foreign in FOREIGN.iter().filter(|foreign| line.contains(**foreign)) {
        faults.push(format!("line {number}: names the host {foreign}; leave that to the tools' own settings"));
    }
    if names_issue(line) {
        faults.push(format!("line {number}: points to an issue number; say the reason itself"));
    }
    faults
}

/// The start of an absolute path below a home or work directory, if the line has one.
fn machine_path(line: &str) -> Option<&'static str> {
    const STARTS: [&str; 3] = [concat!("/", "root/"), concat!("/", "home/"), concat!("/", "work/")];
    STARTS.into_iter().find(|start| line.match_indices(start).any(|(at, _)| starts_path(line, at, start)))
}

fn starts_path(line: &str, at: usize, start: &str) -> bool {
    // Part of a longer path, a URL or a variable's value is something else.
    let continues = |c: char| c.is_alphanumeric() || "/._-~}>$*)".contains(c);
    if line[..at].chars().next_back().is_some_and(continues) {
        return false;
    }
    let rest = &line[at + start.len()..];
    let owner = rest.chars().take_while(|c| c.is_alphanumeric() || "._-".contains(*c)).count();
    !start.ends_with("home/") || (owner > 0 && rest[owner..].starts_with('/'))
}

fn names_issue(line: &str) -> bool {
    let line = line.to_lowercase();
    line.match_indices("issue #").any(|(at, word)| line[at + word.len()..].starts_with(|c: char| c.is_ascii_digit()))
}

/// Unsafe code that gives no reason. The compiler denies it everywhere; this keeps exceptions explained.
fn unsafe_faults(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().collect();
    let is_explained = text.contains("#![expect(unsafe_code, reason");
    let explains = |line: &&str| line.contains("expect(unsafe_code, reason");
    let is_fault =
        |index: usize| has_unsafe(lines[index]) && !lines[index.saturating_sub(5)..index].iter().any(explains);
    let faulty = (0..lines.len()).filter(|&index| !is_explained && is_fault(index));
    faulty
        .map(|index| {
            format!(
                "line {}: unsafe code outside crates/native; write it safely, or expect it with a reason",
                index + 1
            )
        })
        .collect()
}

fn has_unsafe(line: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default().trim_start();
    let keyword = concat!("un", "safe");
    ["{", "fn ", "impl ", "extern "].iter().any(|next| code.contains(&format!("{keyword} {next}")))
}

fn has_extension(name: &str, extensions: &[&str]) -> bool {
    let extension = Path::new(name).extension().unwrap_or_default();
    extensions.iter().any(|wanted| extension == *wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LICENCE: &str = "// SPDX-License-Identifier: GPL-3.0-or-later\n";

    fn faults(name: &str, text: &str) -> String {
        file_faults(name, text.as_bytes()).join("\n")
    }

    #[test]
    fn accepts_clean_file() {
        assert_eq!(faults("crates/x/src/lib.rs", LICENCE), "");
        assert_eq!(faults("README.md", "no licence line needed"), "");
    }

    #[test]
    fn demands_licence_line() {
        assert!(faults("a.py", "x = 1\n").contains("no licence"));
        assert!(faults(".ci/run", "#!/bin/bash\n").contains("no licence"));
    }

    #[test]
    fn finds_paths_of_one_machine() {
        for path in [concat!("/", "root/x"), concat!("(/", "home/ana/x)"), concat!("\"/", "work/x\"")] {
            assert!(faults("a.md", path).contains("path of one machine"), "{path}");
        }
        for path in ["$HOME/x", "~/work/x", "dir/root/bin", concat!("/", "home/<you>/x"), "/workspace/x"] {
            assert_eq!(faults("a.md", path), "", "{path}");
        }
    }

    #[test]
    fn finds_issue_numbers_and_hosts() {
        assert!(faults("a.md", concat!("see issue ", "#12")).contains("issue number"));
        assert!(faults("a.md", FOREIGN[0]).contains("names the host"));
        assert_eq!(faults("a.md", "PyO3 #4874, crates.io, PyPI"), "");
    }

    #[test]
    fn finds_unexplained_unsafe_code() {
        let code = concat!("let x = un", "safe { f() };");
        assert!(faults("tests/a.rs", &format!("{LICENCE}{code}")).contains("outside crates/native"));
        assert_eq!(faults("crates/native/src/a.rs", &format!("{LICENCE}{code}")), "");
        let explained = format!("{LICENCE}#[expect(unsafe_code, reason = \"why\")]\n{code}");
        assert_eq!(faults("tests/a.rs", &explained), "");
    }

    #[test]
    fn finds_long_files_and_binaries() {
        let long = format!("{LICENCE}{}", "\n".repeat(MAX_LINES));
        assert!(faults("a.rs", &long).contains("split it"));
        assert!(faults("a.bin", "\0").contains("NUL"));
        assert!(!file_faults("a.png", &[0xff]).is_empty());
        assert!(file_faults("docs/a.png", &[0xff]).is_empty());
    }
}
