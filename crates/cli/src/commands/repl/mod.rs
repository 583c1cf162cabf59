// SPDX-License-Identifier: GPL-3.0-or-later
//! `blendwire repl`: a Python prompt inside Blender.
//!
//! This file decides what becomes of each line; `editor` is the line that is typed, `inside` the session in Blender.
//! What is a whole piece of Python is decided there, because the Pythons of Blenders differ.

mod editor;
mod inside;

use std::io::{BufRead as _, IsTerminal as _, Lines, StdinLock};
use std::rc::Rc;

use anyhow::{Result, anyhow};
use blendwire_protocol::Status;
use rustyline::error::ReadlineError;

use self::editor::{Editor, Typed};
use self::inside::{Inside, Ran};
use crate::access;
use crate::args::ReplArgs;
use crate::exit::{Ended, Failure};
use crate::printer;

/// As Python has them: people look for these.
const PROMPT: &str = ">>> ";
const MORE: &str = "... ";

pub(crate) fn run(args: &ReplArgs) -> Ended {
    let blender = access::blender(&args.endpoint).map_err(Failure::could_not_start)?;
    let (inside, status) = Inside::enter(super::runtime()?, blender).map_err(Failure::Failed)?;
    let inside = Rc::new(inside);
    let source = if std::io::stdin().is_terminal() {
        printer::talk(&banner(&status));
        let editor = Editor::open(Rc::clone(&inside), std::io::stdout().is_terminal());
        Source::Terminal(Box::new(editor.map_err(Failure::could_not_start)?))
    } else {
        Source::Pipe(std::io::stdin().lock().lines())
    };
    Prompt { inside, source, has_raised: false }.go_on()
}

fn banner(status: &Status) -> String {
    let versions = &status.versions;
    let window = if status.background { "background" } else { "windowed" };
    let file = if status.file.is_empty() { "never saved" } else { &status.file };
    let python = versions.python.split_whitespace().next().unwrap_or_default();
    format!(
        "Python {python} in Blender {} ({window}, process {}), file: {file}\n\
         Ctrl-C stops what runs, Tab completes, a blank line ends a block, Ctrl-D or exit() leaves.",
        versions.blender, status.pid
    )
}

/// Where lines come from.
enum Source {
    Terminal(Box<Editor>),
    Pipe(Lines<StdinLock<'static>>),
}

impl Source {
    fn is_terminal(&self) -> bool {
        matches!(self, Self::Terminal(_))
    }

    fn read(&mut self, prompt: &str) -> Result<Typed> {
        match self {
            Self::Terminal(editor) => editor.read(prompt),
            Self::Pipe(lines) => Ok(lines.next().transpose()?.map_or(Typed::End, Typed::Line)),
        }
    }
}

/// One piece of input.
enum Input {
    Code(String),
    End,
}

struct Prompt {
    inside: Rc<Inside>,
    source: Source,
    has_raised: bool,
}

impl Prompt {
    fn go_on(mut self) -> Ended {
        loop {
            // At a terminal people see what went wrong and go on, unless it is the terminal; a pipe has nobody who would.
            let left = match self.read().and_then(|input| self.run(&input)) {
                Ok(left) => left,
                Err(error) if self.source.is_terminal() && !error.is::<ReadlineError>() => {
                    printer::error(&error);
                    None
                }
                Err(error) => return Err(Failure::Failed(error)),
            };
            if let Some(ended) = left {
                return ended;
            }
        }
    }

    /// The next whole piece of Python.
    fn read(&mut self) -> Result<Input> {
        let mut code = String::new();
        loop {
            let prompt = if code.is_empty() { PROMPT } else { MORE };
            match self.source.read(prompt)? {
                Typed::Cleared => code.clear(),
                Typed::End if code.is_empty() => return Ok(Input::End),
                Typed::End => break,
                Typed::Line(line) if code.is_empty() && line.trim().is_empty() => {}
                Typed::Line(line) if code.is_empty() && is_farewell(&line) => return Ok(Input::End),
                Typed::Line(line) => {
                    if code.is_empty() {
                        self.inside.look_for_restart().inspect_err(|_| self.remember(&line))?;
                    } else {
                        code.push('\n');
                    }
                    code.push_str(&line);
                    if self.inside.is_complete(&code).inspect_err(|_| self.remember(&code))? {
                        break;
                    }
                }
            }
        }
        Ok(Input::Code(code))
    }

    fn remember(&mut self, code: &str) {
        if let Source::Terminal(editor) = &mut self.source {
            editor.remember(code.trim_end());
        }
    }

    /// Runs it; gives how the prompt ended, if it has.
    fn run(&mut self, input: &Input) -> Result<Option<Ended>> {
        let is_terminal = self.source.is_terminal();
        let Input::Code(code) = input else {
            let failed = self.has_raised && !is_terminal;
            return Ok(Some(if failed { Err(Failure::Told) } else { Ok(()) }));
        };
        self.remember(code);
        match self.inside.run(code, is_terminal)? {
            Ran::Well => {}
            // At a terminal only the input is meant, else all that waits in the pipe.
            Ran::Stopped if !is_terminal => return Ok(Some(Err(Failure::Told))),
            Ran::Raised | Ran::Stopped => self.has_raised = true,
            Ran::Left(reason) => return Ok(Some(farewell(&reason))),
        }
        Ok(None)
    }
}

/// Without asking Blender, so that a prompt can be left while it is busy.
fn is_farewell(line: &str) -> bool {
    ["exit", "quit", "exit()", "quit()"].contains(&line.trim())
}

/// `sys.exit` with a text or a number other than 0 is a failure, as in Python.
fn farewell(reason: &str) -> Ended {
    match reason {
        "" | "0" | "None" => Ok(()),
        reason => Err(Failure::Failed(anyhow!("exit: {reason}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_say_goodbye_is_understood() {
        for line in ["exit", " quit", "exit()", "quit() "] {
            assert!(is_farewell(line), "{line}");
        }
        assert!(!is_farewell("exit(3)") && !is_farewell("quitting = 1"));
        assert!(farewell("").is_ok() && farewell("0").is_ok());
        assert!(farewell("3").is_err());
    }
}
