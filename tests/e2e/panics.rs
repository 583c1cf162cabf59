// SPDX-License-Identifier: GPL-3.0-or-later
//! Panics in each task of the network thread, in a real Blender: it lives, no other client notices, the one that it
//! concerned does not wait for ever, and the user sees it.

mod places;

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use blendwire_e2e::{Blender, Environment, Flavour, Settings, wait_until};
use serde_json::{Value, json};

use crate::panel::{OPEN_PANEL, shoot, shoot_when, sidebar};
use crate::suite::Suite;
use places::PLACES;

pub(crate) fn add(suite: &mut Suite) {
    suite.own("windowed::panics::of_network_tasks_end_nothing_else", network_tasks);
}

fn network_tasks(environment: &Environment) -> Result<()> {
    let faults = tempfile::tempdir()?;
    let variables = vec![("BLENDWIRE_FAULTS".to_owned(), faults.path().display().to_string())];
    let settings = Settings { variables, large_window: true, ..Settings::default() };
    let mut blender = Blender::start(&environment.with_faults()?, Flavour::Windowed, &settings)?;
    blender.result(OPEN_PANEL)?;
    let words = panel_says(&blender)?;
    ensure!(words.contains("● Running") && !words.contains("Defects"), "{words}");
    let before = shoot(environment, &blender, "panel-no-defect.png")?;
    let mut other = blender.wire()?;
    // Accepted before the first panic.
    other.result("result = 1")?;
    for (count, (place, provoke)) in (1..).zip(PLACES) {
        let fault = faults.path().join(place);
        fs_err::write(&fault, "")?;
        provoke(&blender).context(place)?;
        ensure!(!fault.exists(), "{place}: nothing has panicked");
        ensure!(other.result("result = 6 * 7").context(place)? == 42, "{place}: another client");
        ensure!(blender.result("result = 6 * 7").context(place)? == 42, "{place}: a new client");
        let status = status(&blender)?;
        ensure!(status["counters"]["panics"] == count, "{place}: {status}");
        ensure!(status["running"].is_null() && status["queue"]["length"] == 0, "{place}: {status}");
    }
    ensure!(blender.process.try_wait().is_none(), "Blender has ended");
    wait_until("the console to tell of each", Duration::from_secs(20), || {
        let log = blender.process.output();
        (log.matches("a defect in Blendwire, please report it").count() == PLACES.len()).then_some(())
    })?;
    let rectangle = sidebar(&blender)?;
    shoot_when(environment, &blender, "panel-defect.png", "the panel was not drawn anew", |after| {
        after.differing(&before, rectangle) > 200
    })?;
    let words = panel_says(&blender)?;
    let defects = format!("Defects of the server itself have ended connections ({})", PLACES.len());
    ensure!(words.contains("▲ Problem") && words.contains(&defects), "{words}");
    ensure!(words.contains("Check: defects"), "{words}");
    drop(other);
    wait_until("connections to be forgotten", Duration::from_secs(20), || {
        (status(&blender).ok()?["clients"] == 1).then_some(())
    })?;
    // A stop and a start, and all is as before.
    let restart = "bpy.app.timers.register(lambda: bpy.ops.blendwire.server_restart() and None, first_interval=0.1)";
    blender.result(restart)?;
    wait_until("the server to be as new", Duration::from_mins(1), || {
        let status = status(&blender).ok()?;
        (status["counters"]["panics"] == 0 && status["journal"]["problem"].is_null()).then_some(())
    })?;
    blender.result("result = 1")?;
    let words = panel_says(&blender)?;
    ensure!(words.contains("● Running") && !words.contains("Defects"), "{words}");
    Ok(())
}

/// All labels of the panel, as it draws them into a layout that remembers.
const PANEL_SAYS: &str = "import sys, types
said = []
class Layout:
    def label(self, text='', **_):
        said.append(text)
    def operator(self, *_, **__):
        return types.SimpleNamespace()
    def __getattr__(self, _):
        return lambda *_, **__: Layout()
panel = next(module for name, module in sys.modules.items() if name.endswith('blendwire.panel'))
context = types.SimpleNamespace(region=types.SimpleNamespace(width=400), preferences=bpy.context.preferences)
panel.BLENDWIRE_PT_server.draw(types.SimpleNamespace(layout=Layout()), context)
result = ' '.join(said)";

/// What a user reads in the panel, once it has been drawn after what happened last.
pub(crate) fn panel_says(blender: &Blender) -> Result<String> {
    // The picture that it draws from is taken when Blender comes round.
    std::thread::sleep(Duration::from_secs(1));
    Ok(blender.result(PANEL_SAYS)?.as_str().context("no text")?.to_owned())
}

fn status(blender: &Blender) -> Result<Value> {
    Ok(blender.wire()?.answer(&json!({"type": "status"}))?["result"].take())
}
