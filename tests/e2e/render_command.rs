// SPDX-License-Identifier: GPL-3.0-or-later
//! `blendwire render`: frames of a real file in a real Blender, stopped in every way and gone on with.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use blendwire_e2e::{Environment, wait_until};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::command::data_folder;
use crate::suite::Suite;

/// A start of Blender and a second of rendering, on a busy machine.
const SOON: Duration = Duration::from_mins(2);

/// Sizes and samples that take Cycles a second or two.
const SLOW: [&str; 4] = ["--resolution", "320x240", "--samples", "20"];

pub(crate) fn add(suite: &mut Suite) {
    suite.own("render_command::makes_a_range_replaces_nothing_and_makes_what_is_missing", range);
    suite.own("render_command::goes_on_where_it_was_killed_or_stopped", stopped);
    #[cfg(unix)]
    suite.own("render_command::shows_a_bar_at_a_terminal_and_the_data_beside_it", at_a_terminal);
    suite.own("render_command::says_what_cannot_be_rendered", no_camera);
    suite.own("render_command::goes_on_after_a_handler_that_raises_and_a_crash", crash);
}

/// A .blend file in a folder of its own, with this done to it before it is saved.
fn scene(blender: &mut Command, python: &str) -> Result<(TempDir, PathBuf)> {
    let folder = tempfile::Builder::new().prefix("blendwire-test-").tempdir()?;
    let (script, file) = (folder.path().join("make.py"), folder.path().join("scene.blend"));
    let code = format!(
        "import bpy\nscene = bpy.context.scene\nscene.render.engine = 'CYCLES'\nscene.cycles.samples = 1\n\
         scene.cycles.use_denoising = False\nscene.cycles.use_adaptive_sampling = False\n\
         scene.render.resolution_x, scene.render.resolution_y = 64, 48\n{python}\n\
         bpy.ops.wm.save_as_mainfile(filepath={:?})\n",
        file.display().to_string()
    );
    fs_err::write(&script, code)?;
    let output = blender.arg(&script).stdin(Stdio::null()).output()?;
    ensure!(file.exists(), "{output:?}");
    Ok((folder, file))
}

fn embedded_scene(environment: &Environment, python: &str) -> Result<(TempDir, PathBuf)> {
    scene(&mut Command::new(&environment.bpy_5_2), python)
}

fn render(environment: &Environment, file: &Path, arguments: &[&str]) -> Result<Command> {
    let mut command = Command::new(&environment.blendwire);
    command.arg("render").arg(file).args(arguments).stdin(Stdio::null());
    command.env("BLENDWIRE_DATA_DIR", data_folder(environment)?).env_remove("BLENDWIRE_TOKEN");
    let folder = file.parent().context("no folder")?;
    command.env("BLENDER_USER_RESOURCES", folder.join("resources")).env("BLENDWIRE_CONFIG_DIR", folder.join("config"));
    Ok(command)
}

/// The lines of data of a run that has to end with this status and say that.
fn expect(output: &Output, code: i32, told: &str) -> Result<Vec<String>> {
    let (data, talk) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.code() == Some(code) && talk.contains(told), "{}: {talk}\n{data}", output.status);
    ensure!(!talk.contains('\u{1b}'), "a bar although nobody looks: {talk}");
    Ok(data.lines().map(str::to_owned).collect())
}

fn size(picture: &Path) -> Result<(u32, u32)> {
    let mut reader = png::Decoder::new(std::io::BufReader::new(fs_err::File::open(picture)?)).read_info()?;
    let mut pixels = vec![0; reader.output_buffer_size().context("too large")?];
    let frame = reader.next_frame(&mut pixels)?;
    ensure!(pixels.iter().any(|byte| *byte != pixels[0]), "{} is of one colour", picture.display());
    Ok((frame.width, frame.height))
}

fn names(folder: &Path) -> Result<Vec<String>> {
    let entries = fs_err::read_dir(folder)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let mut names = entries.collect::<Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
}

fn range(environment: &Environment) -> Result<()> {
    let (folder, file) = embedded_scene(environment, "scene.render.filepath = '//own/shot_'")?;
    let before = fs_err::read(&file)?;
    let output = folder.path().join("out");
    let path = |name: &str| output.join(name).display().to_string();
    let arguments = ["--embedded", "--frames", "1-3:2,2,1", "--output", "//out/##.png", "--scale", "50%"];
    let run = |more: &[&str]| -> Result<Output> {
        Ok(render(environment, &file, &[&arguments[..], more].concat())?.output()?)
    };
    let lines = expect(&run(&[])?, 0, "frame 3 (2 of 3, about ")?;
    ensure!(lines == [path("01.png"), path("03.png"), path("02.png")], "{lines:?}");
    for line in &lines {
        ensure!(size(Path::new(line))? == (32, 24), "{line}");
    }
    let kept = fs_err::read(path("01.png"))?;

    fs_err::write(path("03.png"), "somebody's")?;
    ensure!(expect(&run(&[])?, 2, "--resume")?.is_empty(), "it rendered all the same");
    ensure!(fs_err::read(path("03.png"))? == b"somebody's", "it was replaced");

    fs_err::remove_file(path("02.png"))?;
    let lines = expect(&run(&["--resume", "--json"])?, 0, "2 of 3 pictures are there and left out")?;
    let told: Value = serde_json::from_str(lines.first().context("no data")?)?;
    ensure!(lines.len() == 1 && told["frame"] == 2 && told["paths"] == json!([path("02.png")]), "{lines:?}");
    ensure!(fs_err::read(path("03.png"))? == b"somebody's" && fs_err::read(path("01.png"))? == kept, "replaced");
    ensure!(names(&output)? == ["01.png", "02.png", "03.png"], "{:?}", names(&output)?);

    // The file's own frame, place and format, and a camera and an engine that are not its own.
    let lines = expect(&render(environment, &file, &["--embedded"])?.output()?, 0, "1 frame in ")?;
    let own = folder.path().join("own/shot_0001.png");
    ensure!(lines == [own.display().to_string()] && size(&own)? == (64, 48), "{lines:?}");
    ensure!(fs_err::read(&file)? == before, "the file was changed");
    Ok(())
}

/// Processes that have this path on their command line.
fn running_with(path: &Path) -> Result<Vec<String>> {
    let path = path.display().to_string();
    let mut found = Vec::new();
    for entry in fs_err::read_dir("/proc")? {
        let command = std::fs::read(entry?.path().join("cmdline")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        if command.contains(&path) {
            found.push(command);
        }
    }
    Ok(found)
}

fn begin(environment: &Environment, file: &Path, arguments: &[&str]) -> Result<Child> {
    let mut command = render(environment, file, arguments)?;
    Ok(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?)
}

fn signal(child: &Child, signal: &str) -> Result<()> {
    ensure!(Command::new("kill").args([signal, &child.id().to_string()]).status()?.success(), "no {signal}");
    Ok(())
}

fn stopped(environment: &Environment) -> Result<()> {
    let (folder, file) = embedded_scene(environment, "")?;
    let out = folder.path().join("out");
    let arguments = ["--embedded", "--frames", "1-4", "--output", "//out/#.png", "--resume"];
    let slow = [&arguments[..], &SLOW].concat();
    let appears = |name: &str| {
        let picture = out.join(name);
        wait_until("a picture", SOON, || picture.exists().then_some(()))
    };
    let nothing_runs = || {
        wait_until("Blender to be gone", Duration::from_secs(20), || {
            running_with(&file).is_ok_and(|found| found.is_empty()).then_some(())
        })
    };

    let mut killed = begin(environment, &file, &slow)?;
    appears("1.png")?;
    // The next one is begun.
    wait_until("its folder", SOON, || names(&out).is_ok_and(|names| names.len() == 2).then_some(()))?;
    killed.kill()?;
    killed.wait()?;
    nothing_runs()?;
    ensure!(names(&out)? == ["1.png"], "{:?}", names(&out)?);
    let first = fs_err::read(out.join("1.png"))?;

    let stopped = begin(environment, &file, &slow)?;
    appears("2.png")?;
    ensure!(!running_with(&file)?.is_empty(), "no Blender is found, so none would be missed");
    signal(&stopped, "-INT")?;
    let output = stopped.wait_with_output()?;
    expect(&output, 1, "stopped: 1 of 3 frames are done; the same command with --resume goes on")?;
    nothing_runs()?;
    ensure!(names(&out)? == ["1.png", "2.png"], "{:?}", names(&out)?);

    let quick = [&arguments[..], &["--resolution", "320x240"]].concat();
    let lines = expect(&render(environment, &file, &quick)?.output()?, 0, "2 frames in ")?;
    ensure!(lines.len() == 2 && fs_err::read(out.join("1.png"))? == first, "{lines:?}");
    for name in names(&out)? {
        ensure!(size(&out.join(&name))? == (320, 240), "{name}");
    }
    ensure!(names(&out)?.len() == 4, "{:?}", names(&out)?);
    Ok(())
}

#[cfg(unix)]
fn at_a_terminal(environment: &Environment) -> Result<()> {
    let (folder, file) = embedded_scene(environment, "")?;
    let arguments = ["--embedded", "--frames", "1-2", "--output", "//out/#.png"];
    let mut command = render(environment, &file, &[&arguments[..], &SLOW].concat())?;
    command.env("TERM", "xterm-256color");
    let options = rexpect::reader::Options::new().timeout_ms(Some(120_000)).strip_ansi_escape_codes(true);
    let mut terminal = rexpect::session::spawn_with_options(command, options)?;
    // A bar of blocks, which are read byte by byte here; what it stands for, and how long that takes.
    terminal.exp_regex("\\S{30,} frame 1, 1 of 2, [^\r\n]+ left")?;
    terminal.exp_string("frame 1 (1 of 2, about ")?;
    terminal.exp_regex("\\S{30,} frame 2, 2 of 2, [^\r\n]+ left")?;
    terminal.exp_string("frame 2 (2 of 2): ")?;
    terminal.exp_string("2 frames in ")?;
    terminal.exp_eof()?;
    ensure!(names(&folder.path().join("out"))? == ["1.png", "2.png"]);
    Ok(())
}

fn no_camera(environment: &Environment) -> Result<()> {
    let (folder, file) = embedded_scene(environment, "bpy.data.objects.remove(bpy.data.objects['Camera'])")?;
    let arguments = ["--embedded", "--frames", "1-5", "--output", "//out/#.png"];
    let output = render(environment, &file, &arguments)?.output()?;
    let lines = expect(&output, 1, "add one, or name one with --camera")?;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(told.contains("frame 3 (3 of 5") && !told.contains("frame 4 (") && lines.is_empty(), "{told}");
    ensure!(names(&folder.path().join("out"))?.is_empty(), "pictures of nothing");
    let output = render(environment, &file, &[&arguments[..], &["--camera", "Camra"]].concat())?.output()?;
    expect(&output, 2, "no camera of the scene named 'Camra'")?;
    Ok(())
}

/// With a windowed Blender's executable, which runs what its user has put into the folder of start-up scripts.
fn crash(environment: &Environment) -> Result<()> {
    const HANDLER: &str = "import bpy, ctypes\n\
        @bpy.app.handlers.persistent\n\
        def handle(scene, *_):\n\
        \x20   if scene.frame_current == 1:\n\
        \x20       raise ValueError('no rig')\n\
        \x20   if scene.frame_current == 2:\n\
        \x20       ctypes.string_at(0)\n\
        def register():\n\
        \x20   bpy.app.handlers.render_pre.append(handle)\n";
    let (folder, file) = scene(Command::new(&environment.blender).args(["--background", "--python"]), "")?;
    let scripts = folder.path().join("resources/scripts/startup");
    fs_err::create_dir_all(&scripts)?;
    fs_err::write(scripts.join("handler.py"), HANDLER)?;
    let blender = environment.blender.display().to_string();
    let arguments = ["--blender", &blender, "--frames", "1-3", "--output", "//out/#.png", "--json"];
    let output = render(environment, &file, &arguments)?.output()?;
    let lines = expect(&output, 1, "1 of 3 frames are done")?;
    let told = lines.iter().map(|line| serde_json::from_str(line)).collect::<Result<Vec<Value>, _>>()?;
    let error = |at: usize| told.get(at).and_then(|told| told["error"].as_str()).unwrap_or_default();
    ensure!(error(0).contains("ValueError: no rig") && error(1).contains("Blender ended (signal: 11"), "{told:?}");
    ensure!(told.get(2).is_some_and(|told| told["frame"] == 3 && told["paths"][0].is_string()), "{told:?}");
    ensure!(names(&folder.path().join("out"))? == ["3.png"] && running_with(&file)?.is_empty(), "{told:?}");
    let report = error(1).split("crash report is in ").nth(1).and_then(|rest| rest.split(';').next());
    let report = fs_err::read_to_string(report.context("no crash report is named")?)?;
    ensure!(report.contains("backtrace"), "{report}");
    Ok(())
}
