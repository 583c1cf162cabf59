// SPDX-License-Identifier: GPL-3.0-or-later
//! The line that is typed: editing, history, Tab.

use std::path::PathBuf;
use std::rc::Rc;

use anyhow::Result;
use rustyline::completion::Completer;
use rustyline::config::{Behavior, Config};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::Validator;
use rustyline::{
    Cmd, ConditionalEventHandler, Context, Event, EventContext, EventHandler, Helper, KeyEvent, RepeatCount,
};

use super::inside::Inside;
use crate::{data, printer};

/// Inputs that are kept, whole blocks counting as one.
const KEPT_INPUTS: usize = 10_000;

/// What Tab puts where there is nothing to complete, as PEP 8 wants it.
const INDENT: &str = "    ";

/// A line of a terminal.
pub(super) struct Editor {
    editor: rustyline::Editor<Names, FileHistory>,
    /// `None` where there is no place for it, which was told.
    history: Option<PathBuf>,
}

/// What came of asking for a line.
pub(super) enum Typed {
    Line(String),
    /// Ctrl-C.
    Cleared,
    /// Ctrl-D, or the end of the pipe.
    End,
}

impl Editor {
    pub(super) fn open(inside: Rc<Inside>, is_stdout_terminal: bool) -> Result<Self> {
        // With the values going elsewhere, the prompt must not go with them.
        let behavior = if is_stdout_terminal { Behavior::Stdio } else { Behavior::PreferTerm };
        let config = Config::builder()
            .behavior(behavior)
            .completion_type(rustyline::CompletionType::List)
            .max_history_size(KEPT_INPUTS)?
            .history_ignore_dups(true)?
            .build();
        let mut editor = rustyline::Editor::with_config(config)?;
        editor.set_helper(Some(Names(inside)));
        editor.bind_sequence(KeyEvent::from('\t'), EventHandler::Conditional(Box::new(Indent)));
        let history = data::folder().map(|folder| folder.join("repl_history"));
        let history = history.inspect_err(|error| printer::talk(&format!("no history: {error:#}"))).ok();
        if let Some(history) = history.as_deref().filter(|history| history.exists())
            && let Err(error) = editor.load_history(history)
        {
            printer::talk(&format!("cannot read the history in {}: {error}", history.display()));
        }
        Ok(Self { editor, history })
    }

    /// The next line.
    pub(super) fn read(&mut self, prompt: &str) -> Result<Typed> {
        match self.editor.readline(prompt) {
            Ok(line) => Ok(Typed::Line(line)),
            Err(ReadlineError::Interrupted) => Ok(Typed::Cleared),
            Err(ReadlineError::Eof) => Ok(Typed::End),
            Err(error) => Err(error.into()),
        }
    }

    /// Keeps an input, at once: the terminal may be closed any time.
    pub(super) fn remember(&mut self, input: &str) {
        let kept = self.editor.add_history_entry(input).and_then(|_| match &self.history {
            Some(history) => self.editor.append_history(history),
            None => Ok(()),
        });
        if let Err(error) = kept {
            printer::talk(&format!("the history is not kept: {error}"));
            self.history = None;
        }
    }
}

/// Completes with the names of the session in Blender.
struct Names(Rc<Inside>);

impl Completer for Names {
    type Candidate = String;

    fn complete(&self, line: &str, pos: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        let before = &line[..pos];
        let text = before.rsplit('\n').next().unwrap_or(before);
        let (word_chars, candidates) = self.0.complete(text);
        let word_bytes: usize = text.chars().rev().take(word_chars).map(char::len_utf8).sum();
        Ok((pos - word_bytes, candidates))
    }
}

impl Hinter for Names {
    type Hint = String;
}

impl Highlighter for Names {}
impl Validator for Names {}
impl Helper for Names {}

/// Tab indents where no word stands before it.
struct Indent;

impl ConditionalEventHandler for Indent {
    fn handle(&self, _: &Event, count: RepeatCount, _: bool, context: &EventContext<'_>) -> Option<Cmd> {
        let before = &context.line()[..context.pos()];
        let line = before.rsplit('\n').next().unwrap_or(before);
        line.trim().is_empty().then(|| Cmd::Insert(count, INDENT.to_owned()))
    }
}
