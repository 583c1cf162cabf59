// SPDX-License-Identifier: GPL-3.0-or-later
//! `blendwire repl`: at a real pseudo-terminal, and with its input from a pipe.

use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use blendwire_e2e::{Blender, Environment, Flavour, Settings, free_port, wait_until};
use rexpect::reader::Options;
use rexpect::session::{PtySession, spawn_with_options};

use crate::suite::Suite;

/// Far beyond what anything here takes.
const PATIENCE: Duration = Duration::from_mins(1);

/// What ends the line that was typed.
const ENTER: &str = "\r";

pub(crate) fn add(suite: &mut Suite) {
    suite.own("repl::is_a_python_prompt_at_a_terminal", terminal);
    suite.own("repl::reads_a_pipe", piped);
    suite.own("repl::outlives_its_blender", restart);
    suite.own("repl::one_input_is_one_undo_step", undo);
}

/// A prompt at a pseudo-terminal.
struct Prompt {
    pty: PtySession,
    /// All that was shown, escapes left out.
    shown: String,
}

impl Prompt {
    fn open(environment: &Environment, blender: &Blender) -> Result<Self> {
        let mut command = Command::new(&environment.blendwire);
        command.arg("repl").env("BLENDWIRE_PORT", blender.port.to_string()).env("TERM", "xterm-256color");
        command.env("BLENDWIRE_DATA_DIR", blender.file("data"));
        let patience = u64::try_from(PATIENCE.as_millis())?;
        let options = Options::new().timeout_ms(Some(patience)).strip_ansi_escape_codes(true);
        let mut prompt = Self { pty: spawn_with_options(command, options)?, shown: String::new() };
        prompt.until(">>> ")?;
        Ok(prompt)
    }

    /// Types, without Enter.
    fn keys(&mut self, keys: &str) -> Result<()> {
        self.pty.send(keys)?;
        Ok(self.pty.flush()?)
    }

    /// Waits until `text` is shown; gives what came before it.
    fn until(&mut self, text: &str) -> Result<String> {
        let before = self.pty.exp_string(text).with_context(|| format!("after:\n{}", self.shown))?;
        self.shown += &before;
        self.shown += text;
        Ok(before)
    }

    /// Presses Tab until `text` is shown: of a Blender that does not answer in time nothing is learnt.
    fn completes_to(&mut self, text: &str) -> Result<()> {
        const AGAIN_AFTER: Duration = Duration::from_secs(2);
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            self.keys("\t")?;
            let shown = wait_until(text, AGAIN_AFTER, || {
                while let Some(shown) = self.pty.try_read() {
                    self.shown.push(shown);
                    if self.shown.ends_with(text) {
                        return Some(());
                    }
                }
                None
            });
            if shown.is_ok() {
                return Ok(());
            }
        }
        anyhow::bail!("{text} was not completed, after:\n{}", self.shown)
    }

    /// Types a line and gives all that is shown up to the next prompt.
    fn line(&mut self, line: &str) -> Result<String> {
        self.keys(line)?;
        self.keys(ENTER)?;
        self.until("\n\r>>> ")
    }

    /// The same, for a line that leaves a block open.
    fn part(&mut self, line: &str) -> Result<String> {
        self.keys(line)?;
        self.keys(ENTER)?;
        self.until("\n\r... ")
    }
}

fn terminal(environment: &Environment) -> Result<()> {
    let blender = Blender::start(environment, Flavour::Bpy52, &Settings::default())?;
    let mut prompt = Prompt::open(environment, &blender)?;
    let checked = at_the_prompt(&mut prompt, &blender);
    fs_err::write(environment.artefacts.join("repl.txt"), &prompt.shown)?;
    checked?;
    let history = blender.file("data").join("repl_history");
    let text = fs_err::read_to_string(&history)?;
    ensure!(text.contains("\n6 * 7\n") && text.contains("def double(x):\\n    return x * 2\n"), "{text}");
    ensure!(fs_err::metadata(&history)?.permissions().mode() & 0o777 == 0o600, "others may read the history");
    let mut again = Prompt::open(environment, &blender)?;
    again.keys("\u{1b}[A")?;
    again.until("double(1)")?;
    Ok(())
}

fn at_the_prompt(prompt: &mut Prompt, blender: &Blender) -> Result<()> {
    ensure!(prompt.shown.contains("in Blender 5.2") && prompt.shown.contains("Ctrl-D or exit() leaves"), "no banner");
    ensure!(prompt.line("6 * 7")?.ends_with("\n42\r"), "the value");
    ensure!(prompt.line("_ + 1")?.ends_with("\n43\r"), "the last value");
    prompt.part("def double(x):")?;
    // Tab where no word stands indents.
    prompt.part("\treturn x * 2")?;
    prompt.line("")?;
    ensure!(prompt.line("double(21)")?.ends_with("\n42\r"), "a function of several lines");
    ensure!(prompt.line("print('open', end='')")?.ends_with("\nopen\r"), "an open line is ended");
    ensure!(prompt.line("1 / 0")?.contains("ZeroDivisionError: division by zero"), "a traceback");
    prompt.keys("bpy.data.obj")?;
    prompt.completes_to("bpy.data.objects")?;
    prompt.keys("['Cu")?;
    prompt.completes_to("['Cube']")?;
    ensure!(prompt.line(".name")?.ends_with("\n'Cube'\r"), "what was completed");
    prompt.keys("'never run' +\u{3}")?;
    prompt.until("\n\r>>> ")?;
    prompt.keys("while True: pass\r")?;
    prompt.until("\n\r... ")?;
    prompt.keys(ENTER)?;
    wait_until("the loop to run", PATIENCE, || {
        let (_, status) = blendwire_e2e::http(blender.port, "GET /status", "").ok()?;
        status.contains("while True: pass\",\"running_secs").then_some(())
    })?;
    prompt.keys("\u{3}")?;
    ensure!(prompt.until("\n\r>>> ")?.contains("Interrupted: the request was cancelled"), "Ctrl-C while it runs");
    ensure!(prompt.line("double(1)")?.ends_with("\n2\r"), "the names outlive a cancelled input");
    prompt.keys("\u{4}")?;
    prompt.shown += &prompt.pty.exp_eof()?;
    let ended = prompt.pty.process().wait()?;
    ensure!(format!("{ended:?}").contains("Exited") && format!("{ended:?}").ends_with(" 0)"), "{ended:?}");
    Ok(())
}

fn pipe(environment: &Environment, port: u16, input: &str) -> Result<Output> {
    use std::io::Write as _;
    let mut command = Command::new(&environment.blendwire);
    command
        .args(["repl", "--port", &port.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn()?;
    child.stdin.take().context("no stdin")?.write_all(input.as_bytes())?;
    Ok(child.wait_with_output()?)
}

fn piped(environment: &Environment) -> Result<()> {
    let blender = Blender::start(environment, Flavour::Bpy50, &Settings::default())?;
    let run = |input: &str| -> Result<(Option<i32>, String, String)> {
        let Output { status, stdout, stderr } = pipe(environment, blender.port, input)?;
        Ok((status.code(), String::from_utf8(stdout)?, String::from_utf8(stderr)?))
    };
    let well = run("# a comment\nx = 6\nx * 7\nfor i in range(2):\n    print('n', i)\n\n'ü'\n_")?;
    ensure!(well == (Some(0), "42\nn 0\nn 1\n'ü'\n'ü'\n".to_owned(), String::new()), "{well:?}");
    // An end in the middle of a block runs the block.
    let open = run("if True:\n    print('open')")?;
    ensure!(open == (Some(0), "open\n".to_owned(), String::new()), "{open:?}");
    let (status, stdout, stderr) = run("1 / 0\n'goes on'\n1 +\n")?;
    ensure!((status, stdout.as_str()) == (Some(1), "'goes on'\n"), "{status:?} {stdout}");
    ensure!(stderr.contains("ZeroDivisionError") && stderr.contains("SyntaxError"), "{stderr}");
    ensure!(!stderr.contains('\u{1b}'), "colours although nobody looks: {stderr}");
    let left = run("exit()\n'not reached'")?;
    ensure!(left == (Some(0), String::new(), String::new()), "{left:?}");
    let (status, stdout, stderr) = run("import sys\nsys.exit(3)\n'not reached'")?;
    ensure!((status, stdout.as_str()) == (Some(1), "") && stderr.contains("exit: 3"), "{status:?} {stdout} {stderr}");
    ensure!(run("'x' in globals()")?.1 == "False\n", "two prompts share their names");
    Ok(())
}

fn restart(environment: &Environment) -> Result<()> {
    let settings = Settings { port: Some(free_port()?), ..Settings::default() };
    let blender = Blender::start(environment, Flavour::Bpy52, &settings)?;
    let mut prompt = Prompt::open(environment, &blender)?;
    prompt.line("kept = 1")?;
    drop(blender);
    ensure!(prompt.line("kept")?.contains("nothing listens at"), "{}", prompt.shown);
    let _blender = Blender::start(environment, Flavour::Bpy52, &settings)?;
    let told = prompt.line("kept")?;
    ensure!(told.contains("the names of this prompt are gone") && told.contains("NameError"), "{told}");
    ensure!(prompt.line("6 * 7")?.ends_with("\n42\r"), "{}", prompt.shown);
    Ok(())
}

/// What the prompt asks Blender for itself, whether an input is complete for instance, must leave no steps.
fn undo(environment: &Environment) -> Result<()> {
    let blender = Blender::start(environment, Flavour::Windowed, &Settings::default())?;
    let there = "'Suzanne' in bpy.data.objects";
    let output = pipe(environment, blender.port, &format!("bpy.ops.mesh.primitive_monkey_add()\n{there}\nlen('a')\n"))?;
    ensure!(String::from_utf8_lossy(&output.stdout).ends_with("True\n1\n"), "{output:?}");
    let mut wire = blender.wire()?;
    wire.send(b"{\"type\": \"undo\", \"steps\": 1}\0")?;
    let undone = wire.reply()?;
    ensure!(undone["status"] == "ok" && wire.result(&format!("result = {there}"))? == false, "{undone}");
    Ok(())
}
