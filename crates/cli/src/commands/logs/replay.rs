// SPDX-License-Identifier: GPL-3.0-or-later
//! The journal as a Python script that does the same again. It is valid Python whatever the requests held.

use std::fmt::Write as _;

use blendwire_journal::{Begin, Entry, Kind, State};

const HEAD: &str = include_str!("replay_head.py");

/// The script.
pub(super) fn script(entries: &[Entry]) -> String {
    let mut text = HEAD.to_owned();
    for entry in entries {
        text += "\n\n";
        request(&mut text, entry);
    }
    if entries.is_empty() {
        text += "\n\n# The journal holds no such request.\n";
    }
    text.truncate(text.trim_end().len());
    text
}

fn request(text: &mut String, entry: &Entry) {
    let Begin { number, time, title, instance, kind, code, session, .. } = &*entry.begin;
    let peer = entry.begin.peer.as_deref().unwrap_or("somebody");
    let outcome = entry.end.as_ref().map_or("did not end", |end| &end.outcome);
    comment(text, &format!("{number}: {title}"));
    comment(text, &format!("{time:.0}, from {peer}, instance {instance}: {outcome}"));
    if let Some(error) = entry.end.as_ref().and_then(|end| end.error.as_ref()) {
        comment(text, error);
    }
    if *kind != Kind::Execute {
        let (word, steps) = if *kind == Kind::Undo { ("undid", "steps") } else { ("redid", "steps") };
        let count = entry.begin.steps.unwrap_or(1);
        left_out(text, *number, &format!("it {word} up to {count} {steps} of the history that Blender had then"));
        return;
    }
    match entry.state() {
        State::Ok if entry.begin.code_bytes.is_some() => {
            left_out(text, *number, "its code is longer than what the journal keeps");
        }
        State::Ok => {
            let session = session.as_ref().map(|name| format!(", session={}", literal(name))).unwrap_or_default();
            let _ = writeln!(text, "run({number}, {}{session})", literal(code));
        }
        State::Failed => {
            comment(text, "Not replayed, because it failed:");
            comment_code(text, code);
        }
        State::Open => {
            comment(text, "Not replayed, because Blender ended while it ran, or it still runs:");
            comment_code(text, code);
        }
    }
}

fn left_out(text: &mut String, number: u64, why: &str) {
    let _ = writeln!(text, "left_out({number}, {})", literal(why));
}

/// Python's comments end at a line break, and its source must not hold NUL.
fn comment(text: &mut String, words: &str) {
    let words: String = words.chars().map(|c| if c.is_control() { escaped(c) } else { c.to_string() }).collect();
    let _ = writeln!(text, "# {words}");
}

fn comment_code(text: &mut String, code: &str) {
    for line in code.lines() {
        comment(text, &format!("    {line}"));
    }
}

fn escaped(c: char) -> String {
    format!("\\x{:02x}", u32::from(c))
}

/// A string of Python's, over several lines where it has them.
fn literal(value: &str) -> String {
    let mut body = String::with_capacity(value.len() + 8);
    let mut quotes = 0;
    for c in value.chars() {
        quotes = if c == '"' { quotes + 1 } else { 0 };
        match c {
            '\\' => body += "\\\\",
            // Three would end it.
            '"' if quotes % 3 == 0 => body += "\\\"",
            '\n' | '\t' => body.push(c),
            c if c.is_control() => body += &escaped(c),
            c => body.push(c),
        }
    }
    let ends_bare = quotes % 3 != 0;
    if ends_bare {
        body.insert(body.len() - 1, '\\');
    }
    if value.contains('\n') { format!("\"\"\"\\\n{body}\"\"\"") } else { format!("\"\"\"{body}\"\"\"") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_hold_whatever_a_request_held() {
        assert_eq!(literal("x = 1"), r#""""x = 1""""#);
        assert_eq!(literal("a\nb\"\"\"c\"\"\"\"\\"), "\"\"\"\\\na\nb\"\"\\\"c\"\"\\\"\"\\\\\"\"\"");
        assert_eq!(literal("\\\""), "\"\"\"\\\\\\\"\"\"\"");
        assert_eq!(literal("say \"\""), "\"\"\"say \"\\\"\"\"\"");
        assert_eq!(literal("a\0\r\u{85}"), "\"\"\"a\\x00\\x0d\\x85\"\"\"");
    }

    #[test]
    fn comments_stay_one_line_each() {
        let mut text = String::new();
        comment(&mut text, "a\rb\0c\nd");
        comment_code(&mut text, "x = 1\n\ny = 2\r\n");
        assert_eq!(text, "# a\\x0db\\x00c\\x0ad\n#     x = 1\n#     \n#     y = 2\n");
    }
}
