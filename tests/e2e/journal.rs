// SPDX-License-Identifier: GPL-3.0-or-later
//! The audit journal: what each kind of script leaves in it, whatever becomes of Blender and of the disk.
//!
//! `journal/replay.rs` has what `blendwire logs` makes of it, `journal/who.rs` whom it names.

mod replay;
pub(crate) mod who;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use blendwire_e2e::{Blender, Environment, Flavour, PREFERENCES, Settings, wait_until};
use serde_json::{Value, json};

use crate::suite::{EVERYWHERE, Suite};

/// Of a Blender that many tests share, the journal is tens of megabytes long, and each look reads all of it.
const SOON: Duration = Duration::from_mins(2);

pub(crate) fn add(suite: &mut Suite) {
    suite.shared(&EVERYWHERE, "journal::tells_what_scripts_do_outside", outside);
    suite.shared(&EVERYWHERE, "journal::tells_of_what_blender_writes", written_by_blender);
    suite.shared(&EVERYWHERE, "journal::leaves_out_what_is_not_the_scripts", not_the_scripts);
    suite.shared(&EVERYWHERE, "journal::tells_how_requests_ended", outcomes);
    suite.shared(&EVERYWHERE, "journal::is_its_owners_alone", modes);
    for flavour in EVERYWHERE {
        suite
            .own(&format!("{}::journal::shows_what_ran_when_blender_was_killed", flavour.name()), move |environment| {
                killed(environment, flavour)
            });
    }
    suite.own("journal::two_blenders_write_at_the_same_time", two);
    suite.own("journal::is_off_where_the_preference_or_an_option_says_so", off);
    #[cfg(target_os = "linux")]
    for flavour in [Flavour::Bpy52, Flavour::Windowed] {
        suite.own(&format!("{}::journal::a_full_disk_stops_no_request", flavour.name()), move |environment| {
            full_disk(environment, flavour)
        });
    }
    #[cfg(unix)]
    suite.own("journal::a_folder_that_cannot_be_written_stops_no_request", read_only);
    replay::add(suite);
    who::add(suite);
}

/// The lines of the journal so far.
fn lines(state: &Path) -> Result<Vec<Value>> {
    lines_with(state, "")
}

/// Those that `words` are in. A journal that others share may have tens of megabytes, too many to be read again and again.
fn lines_with(state: &Path, words: &str) -> Result<Vec<Value>> {
    let Ok(folder) = fs_err::read_dir(state.join("journal")) else { return Ok(Vec::new()) };
    let mut lines = Vec::new();
    for file in folder {
        let text = fs_err::read_to_string(file?.path())?;
        // Blender may be writing the last one.
        let whole = &text[..text.rfind('\n').map_or(0, |at| at + 1)];
        for line in whole.lines().filter(|line| line.contains(words)) {
            lines.push(serde_json::from_str(line).with_context(|| line.to_owned())?);
        }
    }
    Ok(lines)
}

fn begin(blender: &Blender, id: &str) -> Result<Value> {
    wait_until("a request to be in the journal", SOON, || {
        lines_with(&blender.state, id).ok()?.into_iter().find(|line| line["event"] == "begin" && line["id"] == id)
    })
}

/// The begin and the end of the request of this id.
pub(crate) fn told(blender: &Blender, id: &str) -> Result<(Value, Value)> {
    let begin = begin(blender, id)?;
    let number = format!("\"number\":{}", begin["number"]);
    let same = |line: &Value| line["instance"] == begin["instance"] && line["number"] == begin["number"];
    let end = wait_until("its end to be in the journal", SOON, || {
        lines_with(&blender.state, &number).ok()?.into_iter().find(|line| line["event"] == "end" && same(line))
    })?;
    Ok((begin, end))
}

/// Runs `code` and gives the end of its request.
fn run(blender: &Blender, id: &str, code: &str) -> Result<Value> {
    blender.wire()?.answer(&json!({"type": "execute", "code": code, "id": id}))?;
    Ok(told(blender, id)?.1)
}

fn has(end: &Value, key: &str, wanted: &str) -> Result<()> {
    let list = end[key].as_array().map_or(&[][..], Vec::as_slice);
    ensure!(list.iter().any(|what| what == wanted), "{wanted} is not in {key} of {end}");
    Ok(())
}

/// Scripts, with what the journal has to say of them; `DIR` is a folder of the test's own.
const OUTSIDE: [(&str, &str, &str, &str); 18] = [
    ("open", "open('DIR/a', 'w').close()", "files_written", "DIR/a"),
    ("pathlib", "import pathlib; pathlib.Path('DIR/b').write_bytes(b'x')", "files_written", "DIR/b"),
    ("os_open", "import os; os.close(os.open(b'DIR/c', os.O_CREAT))", "files_written", "DIR/c"),
    ("relative", "import os; os.chdir('DIR'); open('d', 'x').close(); os.chdir('/')", "files_written", "DIR/d"),
    ("rename", "import os; os.rename('DIR/a', 'DIR/a2')", "files_removed", "DIR/a"),
    ("renamed", "import os; os.rename('DIR/a2', 'DIR/a3')", "files_written", "DIR/a3"),
    ("copy", "import shutil; shutil.copy('DIR/a3', 'DIR/e')", "files_written", "DIR/e"),
    ("tree", "import os, shutil\nos.makedirs('DIR/f/g')\nshutil.rmtree('DIR/f')", "files_removed", "DIR/f/g"),
    ("sqlite", "import sqlite3; sqlite3.connect('DIR/h.db').close()", "files_written", "DIR/h.db"),
    (
        "repr",
        "class R:\n  def __repr__(self): open('DIR/r', 'w').close(); return 'r'\nresult = R()",
        "files_written",
        "DIR/r",
    ),
    ("run", "import subprocess; subprocess.run(['true', 'a b', 'c'])", "processes", "true \"a b\" c"),
    ("system", "import os; os.system('true x')", "processes", "true x"),
    ("popen", "import os; os.popen('true y').close()", "processes", "/bin/sh -c \"true y\""),
    ("socket", "import socket\ns = socket.socket()\ns.connect_ex(('127.0.0.1', 1))\ns.close()", "hosts", "127.0.0.1:1"),
    (
        "url",
        "import urllib.request\ntry: urllib.request.urlopen('http://localhost:1/')\nexcept OSError: pass",
        "hosts",
        "localhost:1",
    ),
    (
        "listen",
        "import socket\ns = socket.socket()\ns.bind(('127.0.0.1', 0))\ns.close()",
        "hosts",
        "listens on 127.0.0.1",
    ),
    (
        "thread",
        "import threading\nt = threading.Thread(target=lambda: open('DIR/t', 'w').close())\nt.start()\nt.join()",
        "files_written",
        "DIR/t",
    ),
    (
        "pool",
        "from concurrent.futures import ThreadPoolExecutor as Pool\nimport socket\n\
         with Pool(2) as pool: list(pool.map(lambda port: socket.getaddrinfo('localhost', port), [1, 2, 3]))",
        "hosts",
        "localhost:3",
    ),
];

fn outside(blender: &mut Blender) -> Result<()> {
    let folder = blender.file("outside");
    fs_err::create_dir(&folder)?;
    let folder = folder.display().to_string();
    for (id, code, key, wanted) in OUTSIDE {
        let end = run(blender, &format!("outside-{id}"), &code.replace("DIR", &folder))?;
        ensure!(end["outcome"] == "ok", "{id}: {end}");
        has(&end, key, &wanted.replace("DIR", &folder)).context(id)?;
    }
    let code = format!("for n in range(150): open(f'{folder}/many-{{n}}', 'w').close()");
    let end = run(blender, "outside-many", &code)?;
    ensure!(end["files_written"].as_array().map(Vec::len) == Some(100) && end["more_files_written"] == 50, "{end}");
    Ok(())
}

fn written_by_blender(blender: &mut Blender) -> Result<()> {
    let path = |name: &str| blender.file(name).display().to_string();
    let end =
        run(blender, "saved", &format!("bpy.ops.wm.save_as_mainfile(filepath='{}', copy=True)", path("copy.blend")))?;
    has(&end, "files_written", &path("copy.blend"))?;
    let code = format!(
        "scene = bpy.data.scenes.new('S')\nscene.render.engine = 'CYCLES'\nscene.cycles.samples = 1\nscene.cycles.use_denoising = False\n\
         scene.cycles.device = 'CPU'\nscene.render.resolution_x = scene.render.resolution_y = 16\n\
         scene.collection.objects.link(bpy.data.objects.new('C', bpy.data.cameras.new('C')))\n\
         scene.camera = bpy.data.objects['C']\nscene.frame_end = 2\nscene.render.filepath = '{}'\n\
         bpy.ops.render.render(write_still=True, scene='S')\nscene.render.filepath = '{}'\n\
         bpy.ops.render.render(animation=True, scene='S')\nbpy.data.scenes.remove(scene)",
        path("still"),
        path("frame_")
    );
    let end = run(blender, "rendered", &code)?;
    for name in ["still.png", "frame_0001.png", "frame_0002.png"] {
        has(&end, "files_written", &path(name))?;
    }
    Ok(())
}

/// Copies that the add-on makes around a script, files that are only read, and other threads.
fn not_the_scripts(blender: &mut Blender) -> Result<()> {
    let ours = blender.file("ours").display().to_string();
    blender.result(&format!(
        "import threading, time\nstop = bpy.app.driver_namespace['stop'] = threading.Event()\n\
         def write():\n  while not stop.is_set(): open('{ours}', 'w').close(); time.sleep(0.001)\n\
         threading.Thread(target=write).start()"
    ))?;
    let code = "import time\nopen(__import__('os').__file__).close()\ntime.sleep(0.2)\n\
        bpy.data.objects.new('O', None)\nraise ValueError('why')";
    let request = json!({"type": "execute", "code": code, "id": "not", "on_error": "rollback", "changes": true});
    let reply = blender.wire()?.answer(&request)?;
    let end = told(blender, "not")?.1;
    blender.result("bpy.app.driver_namespace.pop('stop').set()")?;
    ensure!(reply["changes"].is_object() && end["rolled_back"] == reply["rolled_back"], "{reply} {end}");
    for key in ["files_written", "files_removed", "processes", "hosts"] {
        ensure!(end.get(key).is_none(), "{end}");
    }
    Ok(())
}

fn outcomes(blender: &mut Blender) -> Result<()> {
    let (begin, end) = {
        let request = json!({"type": "execute", "code": "1 / 0", "id": "raises", "title": "It raises", "session": "s"});
        blender.wire()?.answer(&request)?;
        told(blender, "raises")?
    };
    ensure!(end["outcome"] == "error" && end["error"] == "ZeroDivisionError: division by zero", "{end}");
    ensure!(begin["code"] == "1 / 0" && begin["title"] == "It raises" && begin["session"] == "s", "{begin}");
    ensure!(begin["dialect"] == "framed" && begin["kind"] == "execute", "{begin}");
    ensure!(begin["peer"].as_str().is_some_and(|peer| peer.starts_with("127.0.0.1:")), "{begin}");
    ensure!(!cfg!(target_os = "linux") || begin["uid"].is_u64(), "{begin}");
    ensure!(begin["pid"] == blender.wire()?.answer(&json!({"type": "status"}))?["result"]["pid"], "{begin}");

    let mut wire = blender.wire()?;
    wire.answer(&json!({"type": "execute", "code": "while True: pass", "id": "late", "timeout_secs": 3}))?;
    ensure!(told(blender, "late")?.1["outcome"] == "timeout");

    wire.ask(&json!({"type": "execute", "code": "while True: pass", "id": "cancelled in the journal"}))?;
    wait_until("it to run", SOON, || runs(blender, "cancelled in the journal"))?;
    // Waits behind it, and never begins.
    let mut other = blender.wire()?;
    other.answer(&json!({"type": "execute", "code": "x = 1", "id": "behind", "timeout_secs": 0.05}))?;
    other.answer(&json!({"type": "cancel", "id": "cancelled in the journal"}))?;
    wire.reply()?;
    ensure!(told(blender, "cancelled in the journal")?.1["outcome"] == "cancelled");
    let (begin, end) = told(blender, "behind")?;
    ensure!(end["outcome"] == "timeout" && end["never_began"] == true && begin["code"] == "x = 1", "{end}");

    wire.answer(&json!({"type": "undo", "steps": 3, "id": "undoes"}))?;
    let (begin, _) = told(blender, "undoes")?;
    ensure!(begin["kind"] == "undo" && begin["steps"] == 3, "{begin}");
    let mut bare = blender.wire()?;
    bare.send(br#"{"type": "execute_code", "params": {"code": "x = 'in the bare dialect'"}}"#)?;
    bare.bare_reply()?;
    wait_until("the bare request", SOON, || {
        let lines = lines(&blender.state).ok()?;
        let is_it = |line: &&Value| line["code"] == "x = 'in the bare dialect'" && line["dialect"] == "bare";
        lines.iter().any(|line| is_it(&line)).then_some(())
    })
}

fn runs(blender: &Blender, id: &str) -> Option<()> {
    let status = blender.wire().ok()?.answer(&json!({"type": "status"})).ok()?;
    (status["result"]["running"]["id"] == id).then_some(())
}

#[cfg(unix)]
fn modes(blender: &mut Blender) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    run(blender, "modes", "result = 1")?;
    let mode = |path: &Path| -> Result<u32> { Ok(fs_err::metadata(path)?.permissions().mode() & 0o777) };
    let folder = blender.state.join("journal");
    ensure!(mode(&folder)? == 0o700, "{:o}", mode(&folder)?);
    for file in fs_err::read_dir(&folder)? {
        let path = file?.path();
        ensure!(mode(&path)? == 0o600, "{:o} {}", mode(&path)?, path.display());
    }
    let status = blender.wire()?.answer(&json!({"type": "status"}))?;
    ensure!(status["result"]["journal"] == json!({"folder": folder.display().to_string(), "lost": 0}), "{status}");
    Ok(())
}

#[cfg(not(unix))]
fn modes(_blender: &mut Blender) -> Result<()> {
    Ok(())
}

/// What `blendwire logs` says.
pub(crate) fn logs(environment: &Environment, state: &Path, arguments: &[&str]) -> Result<String> {
    let mut command = Command::new(&environment.blendwire);
    command.arg("logs").args(arguments).env("BLENDWIRE_STATE_DIR", state).stdin(Stdio::null());
    let output = command.output()?;
    let (out, err) = (String::from_utf8(output.stdout)?, String::from_utf8_lossy(&output.stderr).into_owned());
    ensure!(output.status.success(), "{}: {out}{err}", output.status);
    ensure!(!out.contains('\u{1b}'), "colours where there is no terminal: {out:?}");
    Ok(out)
}

fn killed(environment: &Environment, flavour: Flavour) -> Result<()> {
    let mut blender = Blender::start(environment, flavour, &Settings::default())?;
    let mut wire = blender.wire()?;
    wire.ask(&json!({"type": "execute", "code": "import time; time.sleep(600)", "id": "runs"}))?;
    begin(&blender, "runs")?;
    let said = logs(environment, &blender.state, &[])?;
    ensure!(said.contains("it is still running") && said.contains("import time; time.sleep(600)"), "{said}");
    blender.process.kill()?;
    let said = logs(environment, &blender.state, &["--failed"])?;
    ensure!(said.contains("Blender ended while it ran"), "{said}");
    ["import os; os._exit(3)", "import ctypes; ctypes.string_at(0)"]
        .iter()
        .try_for_each(|code| ended_at_once(environment, flavour, code))
}

/// Before anything could be written in the background. The script waits for its line, but for milliseconds only, and a
/// busy machine may take longer. Of one that did not wait there would never be a line: they are gathered first.
fn ended_at_once(environment: &Environment, flavour: Flavour, code: &str) -> Result<()> {
    const STARTS: usize = 5;
    for _ in 0..STARTS {
        let mut blender = Blender::start(environment, flavour, &Settings::default())?;
        let mut wire = blender.wire()?;
        wire.ask(&json!({"type": "execute", "code": code, "id": "ends"}))?;
        blender.process.wait(Duration::from_mins(1))?;
        let lines = lines(&blender.state)?;
        ensure!(lines.len() <= 1 && lines.iter().all(|line| line["code"] == code), "{lines:?}");
        if !lines.is_empty() {
            return Ok(());
        }
    }
    anyhow::bail!("of {STARTS} Blenders, each ended by {code:?}, none has left a line")
}

fn two(environment: &Environment) -> Result<()> {
    let first = Blender::start(environment, Flavour::Bpy52, &Settings::default())?;
    let settings = Settings { state: Some(first.state.clone()), ..Settings::default() };
    let second = Blender::start(environment, Flavour::Bpy50, &settings)?;
    let (one, other) = (&first, &second);
    std::thread::scope(|scope| {
        let write = |blender: &Blender| -> Result<()> {
            let mut wire = blender.wire()?;
            (0..300).try_for_each(|n| wire.result(&format!("x = {n}\ny = '{}'", "z".repeat(2000))).map(drop))
        };
        let (one, other) = (scope.spawn(move || write(one)), scope.spawn(move || write(other)));
        one.join().map_err(|_| anyhow::anyhow!("a panic"))??;
        other.join().map_err(|_| anyhow::anyhow!("a panic"))?
    })?;
    let lines = wait_until("all to be written", SOON, || lines(&first.state).ok().filter(|lines| lines.len() == 1200))?;
    let of = |blender: &Blender| lines.iter().filter(|line| line["pid"] == blender.process.pid()).count();
    ensure!((of(&first), of(&second)) == (300, 300), "{} {}", of(&first), of(&second));
    let said = logs(environment, &first.state, &["--last", "all"])?;
    ensure!(said.matches(" ok ").count() == 600 && said.contains("Blender 5.0") && said.contains("Blender 5.2"));
    let (_, end) = (run(&first, "more", "result = 1")?, run(&second, "more-2", "result = 1")?);
    let instance = end["instance"].as_str().context("no instance")?;
    let said = logs(environment, &first.state, &["--instance", &instance[..6], "--json"])?;
    ensure!(said.lines().count() == 602 && !said.contains("\"more\""), "{}", said.lines().count());
    Ok(())
}

fn off(environment: &Environment) -> Result<()> {
    let is_off = |blender: &Blender| -> Result<()> {
        blender.result("open(bpy.app.tempdir + 'x', 'w').close()")?;
        let status = blender.wire()?.answer(&json!({"type": "status"}))?;
        ensure!(status["result"].get("journal").is_none() && !blender.state.join("journal").exists(), "{status}");
        Ok(())
    };
    let arguments = vec!["--no-journal".to_owned()];
    is_off(&Blender::start(environment, Flavour::Bpy52, &Settings { arguments, ..Settings::default() })?)?;
    let wish = format!("{PREFERENCES}.journal = False");
    let settings = Settings { python_expr: Some(wish), ..Settings::default() };
    is_off(&Blender::start(environment, Flavour::Windowed, &settings)?)
}

fn problem(blender: &Blender) -> Result<String> {
    wait_until("the problem to be told", SOON, || {
        let status = blender.wire().ok()?.answer(&json!({"type": "status"})).ok()?;
        status["result"]["journal"]["problem"].as_str().map(str::to_owned)
    })
}

#[cfg(target_os = "linux")]
fn full_disk(environment: &Environment, flavour: Flavour) -> Result<()> {
    let disk = crate::disk::Disk::mount("64k")?;
    // A Blender of a Debian root sees this disk because it is where temporary files go.
    let variables = vec![("TMPDIR".to_owned(), disk.path().display().to_string())];
    let settings = Settings { state: Some(disk.path().to_owned()), variables, ..Settings::default() };
    let blender = Blender::start(environment, flavour, &settings)?;
    run(&blender, "before", "result = 1")?;
    let filler = disk.fill(0)?;
    let mut wire = blender.wire()?;
    for n in 0..50 {
        ensure!(wire.result(&format!("x = '{}'\nresult = {n}", "y".repeat(1000)))? == n);
    }
    ensure!(problem(&blender)?.contains("No space left"), "{}", problem(&blender)?);
    let told = wait_until("the log to tell", SOON, || {
        Some(blender.process.output()).filter(|told| told.contains("cannot be written"))
    })?;
    ensure!(told.matches("cannot be written").count() == 1, "told more than once: {told}");
    fs_err::remove_file(&filler)?;
    run(&blender, "after", "result = 1")?;
    let lines = lines(disk.path())?;
    let lost = lines.iter().find(|line| line["event"] == "lost").context("no line about lost ones")?;
    ensure!(lost["count"].as_u64() >= Some(50) && lost["why"].to_string().contains("No space left"), "{lost}");
    let status = blender.wire()?.answer(&json!({"type": "status"}))?;
    ensure!(status["result"]["journal"].get("problem").is_none(), "{status}");
    ensure!(logs(environment, disk.path(), &[])?.contains("lines are missing since"));
    Ok(())
}

/// As a user who may not write there, since root may.
#[cfg(unix)]
fn read_only(environment: &Environment) -> Result<()> {
    let folder = tempfile::tempdir()?;
    Command::new("chmod").arg("755").arg(folder.path()).status()?;
    let (user, state) = (Some("65534".to_owned()), Some(folder.path().join("state")));
    let blender = Blender::start(environment, Flavour::Bpy52, &Settings { user, state, ..Settings::default() })?;
    ensure!(blender.result("result = 6 * 7")? == 42);
    ensure!(problem(&blender)?.contains("denied"), "{}", problem(&blender)?);
    ensure!(blender.result("result = 6 * 7")? == 42);
    Ok(())
}
