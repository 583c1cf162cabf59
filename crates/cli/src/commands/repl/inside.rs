// SPDX-License-Identifier: GPL-3.0-or-later
//! The prompt's other end: one session in Blender, and what it is asked about the input.

use std::cell::RefCell;
use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use blendwire_client::{Blender, Options, Outcome, Script, SentBy};
use blendwire_protocol::Status;
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::runtime::Runtime;

use crate::live::{Live, Sink};
use crate::{printer, running};

const IS_COMPLETE: &str = include_str!("is_complete.py");
const COMPLETE: &str = include_str!("complete.py");

/// What Blender's journal is told.
const REPL: SentBy<'_> = SentBy::named("blendwire repl");

/// Whoever presses Tab while Blender is busy gets no names rather than a prompt that hangs.
const COMPLETE_WITHIN: Duration = Duration::from_millis(500);

/// A script that ends at once after Ctrl-C needs no explanation at a prompt.
const CANCEL_GRACE: Duration = Duration::from_millis(500);

/// What to do when the user of Blender allows none.
const NO_SESSIONS: &str = "this Blender gives no prompt, which needs sessions (allow them in the preferences of Blender's \
    add-on, or use `blendwire exec`)";

/// See the module.
pub(super) struct Inside {
    runtime: Runtime,
    blender: Blender,
    /// Unlike that of any other prompt.
    session: String,
    /// The server's start that the names belong to.
    instance: RefCell<String>,
}

/// What a piece of Python came to.
pub(super) enum Ran {
    /// It ran.
    Well,
    /// It raised, and that was told.
    Raised,
    /// The same, after Ctrl-C.
    Stopped,
    /// It raised `SystemExit`, for this reason; empty where it gave none.
    Left(String),
}

impl Inside {
    /// Meets the Blender and makes the session there.
    ///
    /// # Errors
    /// When there is none, or when it keeps no sessions.
    pub(super) fn enter(runtime: Runtime, blender: Blender) -> Result<(Self, Status)> {
        let session = format!("repl-{}", Script::new("").id());
        let inside = Self { runtime, blender, session, instance: RefCell::default() };
        let status = inside.status()?;
        if status.instance.is_empty() {
            bail!("the add-on in Blender is too old for a prompt: update it, or use `blendwire exec`");
        }
        inside.instance.replace(status.instance.clone());
        let script = Script::new("").with_options(inside.options("blendwire repl"));
        if let Outcome::Failed { message, code, .. } = inside.runtime.block_on(inside.blender.run(&script))? {
            let hint = if code.as_deref() == Some("forbidden") { NO_SESSIONS } else { "Blender gives no prompt" };
            bail!("{hint}: {message}");
        }
        Ok((inside, status))
    }

    fn status(&self) -> Result<Status> {
        Ok(self.runtime.block_on(self.blender.status())?)
    }

    fn options<'a>(&'a self, title: &'a str) -> Options<'a> {
        Options { title: Some(title), session: Some(&self.session), sent_by: REPL, ..Options::default() }
    }

    /// Says so when the names are gone because the server was started anew.
    ///
    /// # Errors
    /// When Blender cannot be reached.
    pub(super) fn look_for_restart(&self) -> Result<()> {
        let now = self.status()?.instance;
        if *self.instance.borrow() != now {
            self.instance.replace(now);
            printer::talk("Blender or its server was started anew: the names of this prompt are gone");
        }
        Ok(())
    }

    /// Runs a piece of Python and tells what comes of it.
    ///
    /// # Errors
    /// When there was no answer, or when it was left running.
    pub(super) fn run(&self, code: &str, is_terminal: bool) -> Result<Ran> {
        let options = Options { session: Some(&self.session), echo: true, sent_by: REPL, ..Options::default() };
        let (script, live) = (Script::new(code).with_options(options), Live::new(Sink::Stdout));
        let outcome = self.runtime.block_on(running::run(&self.blender, &script, &live, CANCEL_GRACE));
        if is_terminal {
            live.end_line();
        }
        match outcome? {
            Outcome::Finished { .. } => Ok(Ran::Well),
            Outcome::Failed { message, .. } => {
                if let Some(reason) = system_exit(&message) {
                    return Ok(Ran::Left(reason));
                }
                printer::traceback(message.trim_end());
                Ok(if live.was_interrupted() { Ran::Stopped } else { Ran::Raised })
            }
        }
    }

    /// Whether `code` is a whole piece of Python, by the Python in Blender.
    ///
    /// # Errors
    /// When there was no answer.
    pub(super) fn is_complete(&self, code: &str) -> Result<bool> {
        // Not in the session, whose `result` it would take.
        let title = Some("blendwire repl: is the input complete?");
        let options = Options { title, sent_by: REPL, ..Options::default() };
        self.ask(&call(IS_COMPLETE, code), options)
    }

    /// Length in characters of the word at the end of `text`, and what it may become; nothing where that cannot be
    /// learnt.
    pub(super) fn complete(&self, text: &str) -> (usize, Vec<String>) {
        let mut options = self.options("blendwire repl: completion");
        options.timeout = Some(COMPLETE_WITHIN);
        let code = call(COMPLETE, text);
        let script = Script::new(&code).with_options(options);
        // A server that is gone altogether does not answer in time either.
        let asked = async { tokio::time::timeout(2 * COMPLETE_WITHIN, self.blender.run(&script)).await };
        match self.runtime.block_on(asked) {
            Ok(Ok(Outcome::Finished { result, .. })) => serde_json::from_str(result.get()).unwrap_or_default(),
            _ => (0, Vec::new()),
        }
    }

    /// Asks Blender something that prints nothing.
    fn ask<T: DeserializeOwned>(&self, code: &str, options: Options<'_>) -> Result<T> {
        let script = Script::new(code).with_options(options);
        let live = Live::new(Sink::Nowhere);
        match self.runtime.block_on(running::run(&self.blender, &script, &live, CANCEL_GRACE))? {
            Outcome::Finished { result, .. } => Ok(serde_json::from_str(result.get())?),
            Outcome::Failed { message, .. } => Err(anyhow!(message.trim_end().to_owned())),
        }
    }
}

/// One expression that calls `main` of `snippet`: it leaves no name behind but `result`. A string literal of JSON is one
/// of Python.
fn call(snippet: &str, text: &str) -> String {
    let (snippet, text) = (json!(snippet), json!(text));
    format!("result = (lambda scope: (exec({snippet}, scope), scope['main'](globals(), {text}))[1])({{}})")
}

/// The reason of the `SystemExit` that the traceback is about, empty where it gave none; `None` when it is about something
/// else.
fn system_exit(message: &str) -> Option<String> {
    let last = message.trim_end().rsplit('\n').next()?;
    let reason = last.strip_prefix("SystemExit")?;
    if reason.is_empty() { Some(String::new()) } else { reason.strip_prefix(": ").map(str::to_owned) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_typed_stays_inside_its_literal() {
        let code = call("def main(names, text): ...", "\") + \"\n\\");
        assert_eq!(code.lines().count(), 1);
        assert!(code.ends_with(r#"scope['main'](globals(), "\") + \"\n\\"))[1])({})"#), "{code}");
    }

    #[test]
    fn leaving_is_told_from_other_errors() {
        assert_eq!(system_exit("Traceback…\n  exit()\nSystemExit\n"), Some(String::new()));
        assert_eq!(system_exit("Traceback…\nSystemExit: 3\n"), Some("3".to_owned()));
        assert_eq!(system_exit("Traceback…\nSystemExitError: 3\n"), None);
        assert_eq!(system_exit("SystemExit was here\nValueError: 3\n"), None);
    }
}
