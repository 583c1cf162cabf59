// SPDX-License-Identifier: GPL-3.0-or-later
//! The panel and the preferences, as they are drawn: pictures are kept for a person to look at.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use blendwire_e2e::{Blender, Environment, Flavour, Picture, Settings, http, wait_until};

use crate::suite::Suite;

pub(crate) fn add(suite: &mut Suite) {
    suite.own("panel::is_drawn_in_each_state", panel);
    suite.own("panel::preferences_are_drawn", preferences);
}

/// Opens the sidebar on our tab and has it drawn.
pub(crate) const OPEN_PANEL: &str = "
window = bpy.context.window_manager.windows[0]
area = next(a for a in window.screen.areas if a.type == 'VIEW_3D')
area.spaces.active.show_region_ui = True
region = next(r for r in area.regions if r.type == 'UI')
def choose():
    region.active_panel_category = 'MCP'
    region.tag_redraw()
bpy.app.timers.register(choose, first_interval=0.5)
";

/// A picture of the display, once it has stopped changing, kept among the artefacts.
pub(crate) fn shoot(environment: &Environment, blender: &Blender, name: &str) -> Result<Picture> {
    let display = blender.display.as_ref().context("no display")?;
    let mut last = display.picture()?;
    let picture = wait_until("the picture to stand still", Duration::from_mins(1), || {
        std::thread::sleep(Duration::from_secs(1));
        let now = display.picture().ok()?;
        let before = std::mem::replace(&mut last, now.clone());
        (now == before && now.colours() > 50).then_some(now)
    })?;
    picture.save(&environment.artefacts.join(name))?;
    Ok(picture)
}

/// The sidebar's rectangle in the picture: left, top, width, height in pixels.
pub(crate) fn sidebar(blender: &Blender) -> Result<[usize; 4]> {
    let found = blender.result(
        "window = bpy.context.window_manager.windows[0]\n\
         area = next(a for a in window.screen.areas if a.type == 'VIEW_3D')\n\
         region = next(r for r in area.regions if r.type == 'UI')\n\
         result = [region.x, window.height - region.y - region.height, region.width, region.height, \
         region.active_panel_category]",
    )?;
    ensure!(found[4] == "MCP", "the sidebar shows the tab {}", found[4]);
    let number = |index: usize| -> Result<usize> { Ok(usize::try_from(found[index].as_u64().context("no number")?)?) };
    Ok([number(0)?, number(1)?, number(2)?, number(3)?])
}

fn panel(environment: &Environment) -> Result<()> {
    let blender = Blender::start(environment, Flavour::Windowed, &Settings::default())?;
    blender.result("bpy.ops.mesh.primitive_monkey_add(); result = 1")?;
    let closed = shoot(environment, &blender, "panel-closed.png")?;
    blender.result(OPEN_PANEL)?;
    let running = shoot(environment, &blender, "panel-running.png")?;
    let rectangle = sidebar(&blender)?;
    ensure!(rectangle[2] > 100 && rectangle[3] > 300, "the sidebar is {rectangle:?}");
    ensure!(running.differing(&closed, rectangle) > 5_000, "no panel was drawn over the view");
    // The same panel says something else when a request has failed, and when the server has stopped.
    let _ = blender.wire()?.execute("raise RuntimeError('as the panel shows it')")?;
    let failed = shoot(environment, &blender, "panel-failed-request.png")?;
    ensure!(failed.differing(&running, rectangle) > 50, "the last request is not shown");
    blender.result("bpy.app.timers.register(lambda: bpy.ops.blendwire.server_stop() and None, first_interval=0.5)")?;
    wait_until("the server to stop", Duration::from_mins(1), || {
        http(blender.port, "GET /health", "").is_err().then_some(())
    })?;
    let stopped = shoot(environment, &blender, "panel-stopped.png")?;
    ensure!(stopped.differing(&running, rectangle) > 200, "running and stopped look the same");
    Ok(())
}

fn preferences(environment: &Environment) -> Result<()> {
    let blender = Blender::start(environment, Flavour::Windowed, &Settings::default())?;
    let before = shoot(environment, &blender, "preferences-closed.png")?;
    let windows = blender.result(
        "module = next(m for m in bpy.context.preferences.addons.keys() if m.endswith('blendwire'))\n\
         bpy.ops.screen.userpref_show('INVOKE_DEFAULT')\n\
         bpy.context.preferences.active_section = 'ADDONS'\n\
         bpy.context.window_manager.addon_search = 'MCP Server'\n\
         bpy.ops.preferences.addon_expand(module=module)\n\
         result = len(bpy.context.window_manager.windows)",
    )?;
    ensure!(windows == 2, "the preferences did not open: {windows} windows");
    let shown = shoot(environment, &blender, "preferences.png")?;
    let whole = [0, 0, shown.width, shown.height];
    ensure!(shown.differing(&before, whole) > 50_000, "no preferences were drawn over the window");
    // Their own window holds the first of them; the large one, its largest area given to them, holds all.
    blender.result(
        "main, small = bpy.context.window_manager.windows\n\
         area = max(main.screen.areas, key=lambda area: area.width * area.height)\n\
         area.type = 'PREFERENCES'\n\
         with bpy.context.temp_override(window=small):\n    bpy.ops.wm.window_close()\n\
         result = len(bpy.context.window_manager.windows)",
    )?;
    let whole_page = shoot(environment, &blender, "preferences-whole.png")?;
    ensure!(whole_page.differing(&shown, whole) > 50_000, "no preferences were drawn in the large window");
    Ok(())
}
