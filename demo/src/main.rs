// SPDX-License-Identifier: GPL-3.0-or-later
//! The demo: a real MCP client session that drives a real Blender and leaves a picture.
//!
//! Run by `cargo xtask demo`, which builds the executable. A Blender is started the way a user would, by
//! `blendwire launch`: an installed one, else the embedded one. Everything else goes over MCP's stdio.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use blendwire_client::{Blender, Endpoint};
use blendwire_e2e::{McpSession, ToolCall};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

const BUILD_SCENE: &str = include_str!("scene.py");
const RENDER: &str = include_str!("render.py");

fn main() -> Result<()> {
    let blendwire = PathBuf::from(variable("BLENDWIRE_TEST_BIN")?);
    let picture = Path::new(&variable("BLENDWIRE_WORKSPACE")?).join("target/demo.png");
    if picture.exists() {
        fs_err::remove_file(&picture)?;
    }
    let launched = Launched::start(&blendwire)?;
    session(&blendwire, &launched, &picture)?;
    eprintln!("\nthe picture:");
    println!("{}", picture.display());
    Ok(())
}

fn variable(name: &str) -> Result<String> {
    std::env::var(name).with_context(|| format!("{name} is not set; run `cargo xtask demo`"))
}

/// A Blender that `blendwire launch` started. Ended when dropped.
struct Launched {
    pid: u64,
    port: u16,
}

impl Launched {
    /// An installed Blender, with its window where there is a display; without one, the embedded.
    fn start(blendwire: &Path) -> Result<Self> {
        let has_display = cfg!(any(windows, target_os = "macos"))
            || ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|name| std::env::var_os(name).is_some());
        let installed: &[&str] = if has_display { &[] } else { &["--background"] };
        // Held back: that none is installed is no error here.
        let output = launch(blendwire, installed).stderr(Stdio::piped()).output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        if output.status.success() {
            eprint!("{said}");
            return Self::read(&output.stdout);
        }
        eprintln!("{}", why_embedded(output.status.code(), &said));
        // Its progress and its words go to the terminal.
        let output = launch(blendwire, &["--embedded"]).stderr(Stdio::inherit()).output()?;
        ensure!(output.status.success(), "blendwire launch --embedded: {}", output.status);
        Self::read(&output.stdout)
    }

    fn read(stdout: &[u8]) -> Result<Self> {
        let told: Value = serde_json::from_slice(stdout)?;
        let port = told["port"].as_u64().and_then(|port| u16::try_from(port).ok()).context("no port")?;
        Ok(Self { pid: told["pid"].as_u64().context("no pid")?, port })
    }
}

fn launch(blendwire: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(blendwire);
    command.args(["launch", "--json"]).args(arguments).stdin(Stdio::null());
    command
}

/// What to say when the launch of an installed Blender ended with `status` and told `said`.
fn why_embedded(status: Option<i32>, said: &str) -> String {
    const INSTEAD: &str = "taking Blender's own Python module instead (about 400 MB, fetched once)";
    // Status 2 alone may also mean that the one which BLENDWIRE_BLENDER names cannot be used.
    if status == Some(2) && said.contains("found on PATH or in the usual places") {
        return format!("no Blender is installed; {INSTEAD}");
    }
    format!("{}\nthe installed Blender did not start; {INSTEAD}", said.trim_end())
}

impl Drop for Launched {
    fn drop(&mut self) {
        let pid = self.pid.to_string();
        let _ = if cfg!(windows) {
            Command::new("taskkill").args(["/PID", &pid]).status()
        } else {
            Command::new("kill").arg(&pid).status()
        };
    }
}

fn session(blendwire: &Path, launched: &Launched, picture: &Path) -> Result<()> {
    let mut server = Command::new(blendwire);
    server.args(["mcp", "--port", &launched.port.to_string()]);
    let session = McpSession::start(server)?;
    report("initialize", session.handshake, "");
    let before = Instant::now();
    let tools = session.tools()?;
    let names: Vec<&str> = tools.iter().map(|tool| tool.name.as_ref()).collect();
    report("tools/list", before.elapsed(), &names.join(", "));

    let status = session.call("get_blender_status", json!({}))?;
    let blender = &status.value()["versions"]["blender"];
    told("get_blender_status", &status, &format!("Blender {}", blender.as_str().unwrap_or("?")))?;
    let built = session.call("execute_blender_code", json!({"code": BUILD_SCENE}))?;
    told("execute_blender_code", &built, &format!("scene built: {}", built.value()["result"]))?;
    let objects = session.call("get_objects_summary", json!({}))?;
    told("get_objects_summary", &objects, &format!("{} bytes of JSON", objects.text().len()))?;
    let roof = session.call("get_object_detail_summary", json!({"name": "Roof"}))?;
    told("get_object_detail_summary", &roof, &format!("Roof: {}", roof.value()["materials"]))?;

    let progress = RenderProgress::start(launched.port);
    let code = format!("PATH = {}\n{RENDER}", serde_json::to_string(picture)?);
    let rendered = session.call("execute_blender_code", json!({"code": code}))?;
    drop(progress);
    told("execute_blender_code", &rendered, &format!("rendered: {}", rendered.value()["result"]))?;
    ensure!(picture.exists(), "Blender said that it rendered, and there is no {}", picture.display());
    Ok(())
}

fn told(name: &str, call: &ToolCall, what: &str) -> Result<()> {
    ensure!(!call.is_error(), "{name} failed: {}", call.text());
    report(name, call.took, what);
    Ok(())
}

fn report(name: &str, took: Duration, what: &str) {
    eprintln!("{:>10.2} ms  {name:<26} {what}", took.as_secs_f64() * 1e3);
}

/// Shows how far the render is, from the last line that Blender's status says the script has printed.
struct RenderProgress {
    is_done: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl RenderProgress {
    fn start(port: u16) -> Self {
        let is_done = Arc::new(AtomicBool::new(false));
        let watched = is_done.clone();
        let thread = std::thread::spawn(move || {
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
            runtime.block_on(watch(port, &watched));
        });
        Self { is_done, thread: Some(thread) }
    }
}

impl Drop for RenderProgress {
    fn drop(&mut self) {
        self.is_done.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn watch(port: u16, is_done: &AtomicBool) {
    const ASK_EVERY: Duration = Duration::from_millis(200);
    // Without a terminal there is no bar: a line now and then says the same.
    const SAY_EVERY: Duration = Duration::from_secs(10);
    let blender = Blender::connect_lazily(Endpoint::new("localhost", port));
    let bar = ProgressBar::new(1);
    if let Ok(style) = ProgressStyle::with_template("  rendering [{bar:32}] {pos}/{len} samples, {elapsed}") {
        bar.set_style(style.progress_chars("=> "));
    }
    let start = Instant::now();
    let mut next_line = SAY_EVERY;
    let mut known = None;
    while !is_done.load(Ordering::Relaxed) {
        let line =
            blender.status().await.ok().and_then(|status| status.running).map(|running| running.last_output_line);
        if let Some((sample, of)) = line.as_deref().and_then(samples) {
            bar.set_length(of);
            bar.set_position(sample);
            known = Some((sample, of));
        }
        if bar.is_hidden() && start.elapsed() >= next_line {
            next_line += SAY_EVERY;
            eprintln!("               {}", rendering(start.elapsed().as_secs(), known));
        }
        bar.tick();
        tokio::time::sleep(ASK_EVERY).await;
    }
    bar.finish_and_clear();
}

fn rendering(elapsed_secs: u64, known: Option<(u64, u64)>) -> String {
    let samples = known.map(|(sample, of)| format!(", {sample} of {of} samples")).unwrap_or_default();
    format!("rendering for {elapsed_secs} s{samples}")
}

/// `… Sample 12/48 …` as Cycles says it.
fn samples(line: &str) -> Option<(u64, u64)> {
    let numbers = line.rsplit_once("Sample ")?.1;
    let (sample, rest) = numbers.split_once('/')?;
    let digits = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
    Some((sample.parse().ok()?, rest[..digits].parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::{rendering, samples, why_embedded};

    #[test]
    fn reads_cycles_statistics() {
        assert_eq!(samples("Scene, ViewLayer | Remaining:00:01 | Sample 16/48"), Some((16, 48)));
        assert_eq!(samples("Sample 48/48 (Using optimized kernels)"), Some((48, 48)));
        assert_eq!(samples("Loading"), None);
    }

    #[test]
    fn says_how_far_it_is_also_before_the_first_sample() {
        assert_eq!(rendering(10, None), "rendering for 10 s");
        assert_eq!(rendering(20, Some((12, 48))), "rendering for 20 s, 12 of 48 samples");
    }

    #[test]
    fn that_none_is_installed_is_no_error_and_all_else_is_shown() {
        let none = "error: no Blender 4.0.0 or newer found on PATH or in the usual places: name one with";
        assert!(why_embedded(Some(2), none).starts_with("no Blender is installed; taking"));
        let ended = why_embedded(Some(1), "error: Blender ended (exit status: 1) before it answered\n");
        assert!(ended.starts_with("error: Blender ended") && ended.contains("did not start; taking"), "{ended}");
    }
}
