// SPDX-License-Identifier: GPL-3.0-or-later
//! The `blendwire` command as people use it: exec, status, launch.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, Result, ensure};
use blendwire_e2e::{Blender, Environment, Flavour, Gate, free_port};
use serde_json::{Value, json};

use crate::suite::Suite;

pub(crate) fn add(suite: &mut Suite) {
    suite.own("command::exec_and_status", |environment| {
        let blender = Blender::start(environment, Flavour::Bpy52, &blendwire_e2e::Settings::default())?;
        exec(environment, &blender)?;
        live_output(environment, &blender)?;
        rollback(environment, &blender)?;
        status(environment, &blender)
    });
    #[cfg(unix)]
    suite.own("command::exec_at_a_terminal_tells_why_it_waits_and_how_far_it_is", at_a_terminal);
    suite.own("command::says_what_to_do_when_nothing_listens", nothing_listens);
    suite.own("command::the_schema_of_the_settings_takes_what_is_right_and_nothing_else", schema);
    suite.own("command::locks_the_add_on_that_it_carries", locks);
    suite.own("command::launches_an_installed_blender_in_the_background", |environment| {
        let blender = environment.blender.display().to_string();
        launch(environment, &["--background", "--blender", &blender], true)
    });
    suite.own("command::launches_with_the_file_that_is_named", with_a_file);
    suite.own("command::launches_an_installed_blender_with_its_window", |environment| {
        let blender = environment.blender.display().to_string();
        launch(environment, &["--blender", &blender], false)
    });
    suite.own("command::launches_the_embedded_blender", |environment| launch(environment, &["--embedded"], true));
}

fn blendwire(environment: &Environment, port: u16) -> Command {
    let mut command = Command::new(&environment.blendwire);
    command.env("BLENDWIRE_PORT", port.to_string()).stdin(Stdio::null());
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn expect(output: &Output, code: i32, stdout: &str, stderr: &str) -> Result<()> {
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    ensure!(output.status.code() == Some(code), "exit status {}, stdout {out:?}, stderr {err:?}", output.status);
    ensure!(out == stdout, "stdout is {out:?}, not {stdout:?}; stderr {err:?}");
    ensure!(err.contains(stderr), "{stderr:?} is not in stderr {err:?}");
    Ok(())
}

/// Checksums of an add-on's zip and of the core in it.
const SUMS: &str = "import hashlib, sys, zipfile
zip = zipfile.ZipFile(sys.argv[1])
core, = (name for name in zip.namelist() if name.split('/')[-1].startswith('_core.'))
print(*(hashlib.sha256(data).hexdigest() for data in (open(sys.argv[1], 'rb').read(), zip.read(core))))";

/// What tells one build of the add-on from another stands in the lock.
fn locks(environment: &Environment) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let lock = |arguments: &[&str]| {
        Command::new(&environment.blendwire).arg("lock").args(arguments).current_dir(folder.path()).output()
    };
    expect(&lock(&[])?, 0, "", "")?;
    let file = folder.path().join("blendwire.lock");
    let locked = fs_err::read_to_string(&file)?;
    let sums = Command::new(&environment.connector).args(["-c", SUMS]).arg(&environment.addon_zip).output()?;
    let sums = text(&sums.stdout);
    let (addon, core) = sums.trim().split_once(' ').context("no checksums")?;
    for (key, sum) in [("addon", addon), ("core", core)] {
        let line = format!("{key} = \"{sum}\"");
        ensure!(locked.contains(&line), "{line} is not in {locked}");
        let other = format!("{key} = \"{}\"", sum.chars().rev().collect::<String>());
        fs_err::write(&file, locked.replace(&line, &other))?;
        let checked = lock(&["--check", "--json"])?;
        let found: Value = serde_json::from_slice(&checked.stdout)?;
        ensure!(checked.status.code() == Some(1) && found["holds"] == false, "{found}");
        ensure!(found["differences"].as_array().is_some_and(|all| all.len() == 1), "{found}");
    }
    fs_err::write(&file, locked)?;
    ensure!(lock(&["--check"])?.status.success(), "what was just locked does not hold");
    Ok(())
}

fn exec(environment: &Environment, blender: &Blender) -> Result<()> {
    let run = |arguments: &[&str]| blendwire(environment, blender.port).arg("exec").args(arguments).output();
    expect(&run(&["-c", "print('said'); result = [1, 'ü']"])?, 0, "[1, \"ü\"]\n", "said\n")?;
    expect(&run(&["-c", "pass"])?, 0, "", "")?;
    expect(&run(&["-c", "x = 1\n1 / 0"])?, 1, "", "line 2, in <module>")?;
    let script = blender.file("script.py");
    fs_err::write(&script, "result = bpy.app.version_string\n")?;
    let version = serde_json::to_string(&blender.result("result = bpy.app.version_string")?)? + "\n";
    expect(&run(&[&script.display().to_string()])?, 0, &version, "")?;
    expect(&run(&["no-such-file.py"])?, 2, "", "no-such-file.py")?;
    let reply: Value = serde_json::from_slice(&run(&["--json", "-c", "print(1); result = 2"])?.stdout)?;
    ensure!(reply == json!({"status": "ok", "result": 2, "stdout": "1\n"}), "{reply}");
    from_stdin(environment, blender.port)
}

/// The script goes on only when its first line has arrived here.
fn live_output(environment: &Environment, blender: &Blender) -> Result<()> {
    use std::io::Read as _;
    let gate = Gate::closed(blender.file("go"));
    let code = format!("print('first')\n{}\nprint('second', end='')", gate.wait());
    let mut child = blendwire(environment, blender.port)
        .args(["exec", "-c", &code])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut stderr = child.stderr.take().context("no stderr")?;
    let mut first = [0; 6];
    stderr.read_exact(&mut first)?;
    gate.open()?;
    let mut rest = String::new();
    stderr.read_to_string(&mut rest)?;
    ensure!(child.wait()?.success() && &first == b"first\n" && rest == "second", "{first:?} {rest:?}");
    Ok(())
}

#[cfg(unix)]
fn at_a_terminal(environment: &Environment) -> Result<()> {
    use rexpect::session::spawn_with_options;
    let blender = Blender::start(environment, Flavour::Bpy52, &blendwire_e2e::Settings::default())?;
    let [go, end] = ["go", "end"].map(|name| Gate::closed(blender.file(name)));
    let mut busy = blender.wire()?;
    busy.send((json!({"type": "execute", "code": go.wait(), "title": "a bake"}).to_string() + "\0").as_bytes())?;
    let mut exec = blendwire(environment, blender.port);
    exec.env("TERM", "xterm-256color").args(["exec", "-c"]).arg(format!(
        "import blendwire\nprint('one')\nblendwire.progress(0.4, 'baking')\n{}\nresult = 'done'",
        end.wait()
    ));
    let options = rexpect::reader::Options::new().timeout_ms(Some(60_000)).strip_ansi_escape_codes(true);
    let mut terminal = spawn_with_options(exec, options)?;
    terminal.exp_string("waiting: request 1 has been running for")?;
    terminal.exp_string("a bake")?;
    go.open()?;
    terminal.exp_string("one\r\n")?;
    terminal.exp_string("40 % baking")?;
    end.open()?;
    terminal.exp_string("\"done\"\r\n")?;
    let rest = terminal.exp_eof()?;
    ensure!(rest.is_empty(), "{rest:?}");
    Ok(())
}

fn rollback(environment: &Environment, blender: &Blender) -> Result<()> {
    let code = "bpy.ops.mesh.primitive_monkey_add()\n1 / 0";
    let run = |arguments: &[&str]| blendwire(environment, blender.port).args(arguments).output();
    let output = run(&["exec", "--rollback", "--json", "-c", code])?;
    let reply: Value = serde_json::from_slice(&output.stdout)?;
    ensure!(reply["rolled_back"] == true && output.stderr.is_empty(), "{reply}");
    ensure!(blender.result("result = 'Suzanne' in bpy.data.objects")? == false, "it is still there");
    expect(&run(&["exec", "--rollback", "-c", code])?, 1, "", "rolled back: the file is as it was")
}

fn from_stdin(environment: &Environment, port: u16) -> Result<()> {
    use std::io::Write as _;
    let mut child = blendwire(environment, port)
        .args(["exec", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    child.stdin.take().context("no stdin")?.write_all("\u{feff}result = 'from stdin'".as_bytes())?;
    expect(&child.wait_with_output()?, 0, "\"from stdin\"\n", "")
}

fn status(environment: &Environment, blender: &Blender) -> Result<()> {
    let output = blendwire(environment, blender.port).args(["status", "--json"]).output()?;
    let status: Value = serde_json::from_slice(&output.stdout)?;
    ensure!(output.status.success() && status["state"] == "idle", "{status}");
    ensure!(status["pid"] == blender.process.pid(), "{status}");
    let plain = blendwire(environment, blender.port).arg("status").output()?;
    ensure!(text(&plain.stdout).contains(&blender.port.to_string()), "{}", text(&plain.stdout));
    ensure!(!text(&plain.stdout).contains('\u{1b}'), "colours although nobody looks");
    Ok(())
}

fn nothing_listens(environment: &Environment) -> Result<()> {
    let port = free_port()?;
    for arguments in [&["status"][..], &["exec", "-c", "1"]] {
        let output = blendwire(environment, port).args(arguments).output()?;
        let said = text(&output.stderr);
        ensure!(output.status.code() == Some(1) && output.stdout.is_empty(), "{}: {said}", output.status);
        ensure!(said.contains(&port.to_string()) && said.contains("blendwire launch"), "{said}");
    }
    let wrong = blendwire(environment, port).args(["status", "--port", "99999"]).output()?;
    ensure!(wrong.status.code() == Some(2), "{}", wrong.status);
    Ok(())
}

/// Where `launch` keeps what it unpacks and installs. Kept between runs, because the embedded Blender is large.
pub(crate) fn data_folder(environment: &Environment) -> Result<std::path::PathBuf> {
    let provided = environment.bpy_5_0.ancestors().nth(3).unwrap_or(Path::new("/tmp"));
    let folder = provided.join("launch-data");
    fs_err::create_dir_all(&folder)?;
    Ok(folder)
}

fn launch(environment: &Environment, arguments: &[&str], background: bool) -> Result<()> {
    launched(environment, arguments, |wire, pid| {
        let found = wire.result("import os\nresult = [os.getpid(), bpy.app.background]")?;
        ensure!(found == json!([pid, background]), "{found} and {pid}");
        Ok(())
    })
}

/// A file that this Blender has saved, with an object named `Saved` in it.
pub(crate) fn saved_scene(python: &Path, folder: &Path) -> Result<String> {
    let file = folder.join("a scene.blend").display().to_string();
    let code =
        format!("import bpy\nbpy.data.objects['Cube'].name = 'Saved'\nbpy.ops.wm.save_as_mainfile(filepath={file:?})");
    let saved = Command::new(python).args(["-c", &code]).output()?;
    ensure!(Path::new(&file).exists(), "{saved:?}");
    Ok(file)
}

fn with_a_file(environment: &Environment) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = saved_scene(&environment.bpy_5_2, folder.path())?;
    launched(environment, &["--embedded", &file], |wire, _| {
        let found = wire.result("result = [bpy.data.filepath, 'Saved' in bpy.data.objects]")?;
        ensure!(found == json!([file, true]), "{found}");
        Ok(())
    })
}

/// What holds of a Blender that is launched with these words, given its process.
fn launched(
    environment: &Environment,
    arguments: &[&str],
    holds: impl FnOnce(&mut blendwire_e2e::Wire, &Value) -> Result<()>,
) -> Result<()> {
    let port = free_port()?;
    let display = blendwire_e2e::Display::start(&environment.xvfb)?;
    let folder = tempfile::tempdir()?;
    let output = Command::new(&environment.blendwire)
        .args(["launch", "--json", "--port", &port.to_string()])
        .args(arguments)
        .env("BLENDWIRE_DATA_DIR", data_folder(environment)?)
        .env("DISPLAY", &display.name)
        .env("LIBGL_ALWAYS_SOFTWARE", "1")
        .env("BLENDER_USER_RESOURCES", folder.path())
        .env("BLENDWIRE_STATE_DIR", folder.path())
        .env("XDG_RUNTIME_DIR", folder.path())
        .stdin(Stdio::null())
        .output()?;
    ensure!(output.status.success(), "{}: {}", output.status, text(&output.stderr));
    let launched: Value = serde_json::from_slice(&output.stdout).with_context(|| text(&output.stdout))?;
    let pid = launched["pid"].as_u64().context("no pid")?.to_string();
    let checked = blendwire_e2e::Wire::connect(port).and_then(|mut wire| holds(&mut wire, &launched["pid"]));
    let _ = Command::new("kill").arg(&pid).status();
    checked
}

/// By a validator that is not ours: that of MCP's SDK, as editors have others.
const VALIDATES: &str = "
import json, sys, tomllib
from jsonschema import validators
schema = json.loads(sys.argv[1])
validator = validators.validator_for(schema)
validator.check_schema(schema)
for error in validator(schema).iter_errors(tomllib.loads(sys.argv[2])):
    print(error.json_path, error.message)
";

/// An editor that goes by it and the command itself say the same of settings.
fn schema(environment: &Environment) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let config = |arguments: &[&str]| {
        let mut command = Command::new(&environment.blendwire);
        command.arg("config").args(arguments).env("BLENDWIRE_CONFIG_DIR", folder.path()).stdin(Stdio::null()).output()
    };
    let schema = text(&config(&["--schema"])?.stdout);
    let told = |settings: &str| -> Result<String> {
        let output = Command::new(&environment.mcp_2_3).args(["-c", VALIDATES, &schema, settings]).output()?;
        ensure!(output.status.success(), "{output:?}");
        Ok(text(&output.stdout))
    };
    let is_taken = |settings: &str| -> Result<bool> {
        fs_err::write(folder.path().join("config.toml"), settings)?;
        Ok(config(&["--json"])?.status.success())
    };
    let example = text(&config(&["--example"])?.stdout);
    // It has a default that is only a remark.
    for right in [example.as_str(), &example.replace("# default_profile", "default_profile"), ""] {
        let told = told(right)?;
        ensure!(told.is_empty() && is_taken(right)?, "{told}: {right}");
    }
    for (wrong, where_) in [
        ("[profiles.a]\nport = 0", "$.profiles.a.port"),
        ("[profiles.a]\nport = 65536", "$.profiles.a.port"),
        ("[profiles.a]\nhost = 7", "$.profiles.a.host"),
        ("[profiles.a]\ntoken = 'secret'", "$.profiles.a"),
        ("default = 'a'", "$"),
    ] {
        let told = told(wrong)?;
        ensure!(told.starts_with(&format!("{where_} ")) && !is_taken(wrong)?, "{told:?}: {wrong}");
    }
    Ok(())
}
