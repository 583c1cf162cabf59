// SPDX-License-Identifier: GPL-3.0-or-later
//! A real browser visits a page that tries everything a page can (`page.js`), and reaches nothing.
//!
//! The page comes from a site of its own at 127.0.0.2, on the same port number as Blender's server. At last that address
//! leads to Blender's server instead: what browser and server then see is what DNS rebinding makes them see.

mod site;

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use blendwire_e2e::{Blender, Environment, Flavour, Settings, http, wait_until};
use serde_json::{Value, json};

use self::site::Site;
use crate::attacks::ensure_unharmed;
use crate::suite::Suite;

pub(crate) fn add(suite: &mut Suite) {
    for flavour in [Flavour::Bpy52, Flavour::Windowed] {
        suite.own(
            &format!("{}::web_pages::a_page_in_a_real_browser_reaches_nothing", flavour.name()),
            move |environment| visited(environment, flavour),
        );
    }
}

/// A name that some attacker owns.
const EVIL: &str = "evil.example";

/// The page makes some thousand requests, and waits for those that are never answered.
const VISIT: Duration = Duration::from_mins(5);

/// A browser that visits one page. Gone, with all its processes, when dropped.
struct Browser(Child);

impl Browser {
    fn visit(environment: &Environment, url: &str, home: &Path) -> Result<Self> {
        let machine = gethostname()?;
        let mut command = Command::new(&environment.browser);
        command.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]);
        // Its visitor has clicked through the warning about the certificate. It stays open until it is ended.
        command.args(["--ignore-certificate-errors", "--remote-debugging-port=0"]);
        command.arg(format!("--host-resolver-rules=MAP {EVIL} 127.0.0.2, MAP {machine} 127.0.0.1"));
        command.arg(format!("--user-data-dir={}", home.display())).arg(url);
        let log = fs_err::File::create(home.join("browser.log"))?.into_file();
        command.env("HOME", home).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        // A group, since its launchers are scripts that would die alone.
        let child = command.process_group(0).spawn().context("cannot start the browser")?;
        Ok(Self(child))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-KILL", "--", &format!("-{}", self.0.id())]).status();
        let _ = self.0.wait();
    }
}

fn gethostname() -> Result<String> {
    Ok(fs_err::read_to_string("/proc/sys/kernel/hostname")?.trim().to_owned())
}

fn counters(blender: &Blender) -> Result<Value> {
    let (_, status) = http(blender.port, "GET /status", "")?;
    Ok(serde_json::from_str::<Value>(&status)?["counters"].take())
}

fn visited(environment: &Environment, flavour: Flavour) -> Result<()> {
    let blender = Blender::start(environment, flavour, &Settings::default())?;
    let port = blender.port;
    let before = counters(&blender)?;
    let reports = Site::open(0)?;
    let bases: Vec<_> = [
        format!("http://127.0.0.1:{port}"),
        format!("http://localhost:{port}"),
        format!("http://[::1]:{port}"),
        format!("http://{}:{port}", gethostname()?),
        format!("https://localhost:{port}"),
    ]
    .into();
    let settings = json!({"port": port, "report": format!("http://{EVIL}:{}", reports.port), "bases": bases});
    reports.serve_page(&settings);
    let site = Site::open(port)?;
    site.serve_page(&settings);
    reports.on_rebind(&site);
    let home = tempfile::Builder::new().prefix("blendwire-browser-").tempdir()?;
    let browser = Browser::visit(environment, &format!("http://{EVIL}:{port}/"), home.path())?;
    let stages = wait_until("the page to have tried everything", VISIT, || {
        let stages = reports.reports();
        (stages.len() >= 3
            || stages.iter().any(|stage| stage["stage"].as_str().is_some_and(|stage| stage.starts_with("failed"))))
        .then_some(stages)
    });
    let said = fs_err::read_to_string(home.path().join("browser.log"))?;
    let stages = stages.with_context(|| format!("{} reports; the browser said:\n{said}", reports.reports().len()))?;
    drop(browser);
    fs_err::write(
        environment.artefacts.join(format!("web-page-{}.json", flavour.name())),
        serde_json::to_string_pretty(&stages)?,
    )?;
    judge(&stages, port)?;
    let after = counters(&blender)?;
    let grown = |name: &str| after[name].as_u64().unwrap_or(0).saturating_sub(before[name].as_u64().unwrap_or(0));
    println!(
        "{}: refused {}, unauthorized {}, connections {}, rebound {}",
        flavour.name(),
        grown("refused"),
        grown("unauthorized"),
        grown("connections"),
        site.forwarded()
    );
    // The control: it was this server that refused, hundreds of times, also under the page's own name.
    ensure!(grown("refused") > 500 && site.forwarded() > 100, "{after} after {before}, {} rebound", site.forwarded());
    ensure!(grown("executed_ok") + grown("executed_error") == 0, "{after} after {before}");
    ensure_unharmed(&blender, "a visit to an evil page")
}

/// The page has run, tried, and read nothing.
fn judge(stages: &[Value], port: u16) -> Result<()> {
    let stage = |name: &str| {
        let found = stages.iter().find(|stage| stage["stage"] == name);
        found.with_context(|| {
            format!("no report {name:?}: {:?}", stages.iter().map(|stage| &stage["stage"]).collect::<Vec<_>>())
        })
    };
    // Not even that there is something: what loads tells that, whether or not it can be read.
    let loaded = ["script", "img", "video"].map(serde_json::Value::from);
    for attempt in stage("cross-origin")?["tried"].as_array().context("no list")? {
        let is_told = attempt["outcome"] == "load" && loaded.contains(&attempt["what"]);
        ensure!(!is_told, "the page learnt from {attempt}");
    }
    for (name, least) in [("cross-origin", 1000), ("sandboxed", 150), ("rebound", 200)] {
        let tried = stage(name)?["tried"].as_array().context("no list")?;
        ensure!(tried.len() >= least, "{name}: only {} attempts", tried.len());
        let readable: Vec<_> = tried.iter().filter(|attempt| attempt["text"] != "").collect();
        for attempt in &readable {
            let text = attempt["text"].as_str().unwrap_or_default();
            // Its own name leads to the server: then a page may read that it is refused, and no more.
            let is_refusal = name == "rebound"
                && !text.starts_with('2')
                && !text.contains("ready")
                && !text.contains("endpoints")
                && !text.contains("blendwire_");
            ensure!(is_refusal, "{name}: the page read {attempt}");
        }
        println!("{name}: {} attempts, {} of them told that they were refused", tried.len(), readable.len());
    }
    let rebound = stage("rebound")?["tried"].as_array().context("no list")?;
    let told = rebound.iter().filter(|attempt| attempt["text"].as_str().is_some_and(|text| text.starts_with("403 ")));
    ensure!(told.count() > 50, "the page's own name did not lead to the server");
    ensure!(stage("rebound")?["origin"] == format!("http://{EVIL}:{port}"), "{}", stage("rebound")?["origin"]);
    Ok(())
}
