// SPDX-License-Identifier: GPL-3.0-or-later
//! The demo: a real MCP client session that drives a real Blender and leaves a picture.
//!
//! Run by `cargo xtask demo`, which builds the executable. A Blender is started the way a user would, by
//! `blendwire launch`: an installed one, else the embedded one. Everything else goes over MCP's stdio.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

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
        Self::launch(blendwire, installed).or_else(|why| {
            eprintln!("no installed Blender can be used ({why:#}); taking the embedded one");
            Self::launch(blendwire, &["--embedded"])
        })
    }

    fn launch(blendwire: &Path, arguments: &[&str]) -> Result<Self> {
        let mut command = Command::new(blendwire);
        // Its progress and its words go to the terminal.
        command.args(["launch", "--json"]).args(arguments).stdin(Stdio::null()).stderr(Stdio::inherit());
        let output = command.output()?;
        ensure!(output.status.success(), "blendwire launch {}: {}", arguments.join(" "), output.status);
        let told: Value = serde_json::from_slice(&output.stdout)?;
        let port = told["port"].as_u64().and_then(|port| u16::try_from(port).ok()).context("no port")?;
        Ok(Self { pid: told["pid"].as_u64().context("no pid")?, port })
    }
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
    let before = std::time::Instant::now();
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
    let blender = Blender::connect_lazily(Endpoint::new("localhost", port));
    let bar = ProgressBar::new(1);
    if let Ok(style) = ProgressStyle::with_template("  rendering [{bar:32}] {pos}/{len} samples, {elapsed}") {
        bar.set_style(style.progress_chars("=> "));
    }
    let mut told = 0;
    while !is_done.load(Ordering::Relaxed) {
        let line =
            blender.status().await.ok().and_then(|status| status.running).map(|running| running.last_output_line);
        if let Some((sample, of)) = line.as_deref().and_then(samples) {
            bar.set_length(of);
            bar.set_position(sample);
            // Without a terminal there is no bar: a line now and then says the same.
            if bar.is_hidden() && sample >= told + of.div_ceil(4) {
                told = sample;
                eprintln!("               rendering: {sample} of {of} samples");
            }
        }
        bar.tick();
        tokio::time::sleep(ASK_EVERY).await;
    }
    bar.finish_and_clear();
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
    use super::samples;

    #[test]
    fn reads_cycles_statistics() {
        assert_eq!(samples("Scene, ViewLayer | Remaining:00:01 | Sample 16/48"), Some((16, 48)));
        assert_eq!(samples("Sample 48/48 (Using optimized kernels)"), Some((48, 48)));
        assert_eq!(samples("Loading"), None);
    }
}
