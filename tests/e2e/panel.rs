// SPDX-License-Identifier: GPL-3.0-or-later
//! The panel and the preferences, as they are drawn: pictures are kept for a person to look at.

use std::net::TcpListener;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use blendwire_e2e::{ALLOW_ONLINE_ACCESS, Blender, Environment, Flavour, Picture, Settings, wait_until};
use serde_json::json;

use crate::suite::Suite;

pub(crate) fn add(suite: &mut Suite) {
    suite.own("panel::is_drawn_in_each_state", panel);
    suite.own("panel::preferences_are_drawn", preferences);
    suite.own("windowed::panel::the_button_beside_the_endpoint_copies_it", copies);
}

/// Opens the sidebar on our tab and has it drawn.
pub(crate) const OPEN_PANEL: &str = "
window = bpy.context.window_manager.windows[0]
area = next(a for a in window.screen.areas if a.type == 'VIEW_3D')
area.spaces.active.show_region_ui = True
region = next(r for r in area.regions if r.type == 'UI')
def choose():
    if hasattr(region, 'active_panel_category'):
        region.active_panel_category = 'MCP'
        region.tag_redraw()
        return
    # Blender 4.0 leaves that to a hand. Of the other tabs, one cannot be taken away: ours is the second.
    for panel in filter(lambda panel: panel.is_registered, bpy.types.Panel.__subclasses__()):
        if (panel.bl_space_type, panel.bl_region_type) == ('VIEW_3D', 'UI') and panel.bl_category != 'MCP':
            bpy.utils.unregister_class(panel)
    bpy.app.timers.register(click, first_interval=0.5)
def click():
    x, y = region.x + region.width - 14, region.y + region.height - 72
    for kind, value in (('MOUSEMOVE', 'NOTHING'), ('LEFTMOUSE', 'PRESS'), ('LEFTMOUSE', 'RELEASE')):
        window.event_simulate(type=kind, value=value, x=x, y=y)
    # Not left there, where the tab would tell what it is.
    window.event_simulate(type='MOUSEMOVE', value='NOTHING', x=window.width // 3, y=window.height // 3)
bpy.app.timers.register(choose, first_interval=0.5)
";

/// A picture of the display, once it has stopped changing, kept among the artefacts.
pub(crate) fn shoot(environment: &Environment, blender: &Blender, name: &str) -> Result<Picture> {
    let display = blender.display.as_ref().context("no display")?;
    let mut last = display.picture()?;
    let picture = wait_until("the picture to stand still", Duration::from_mins(1), || {
        std::thread::sleep(Duration::from_millis(500));
        let now = display.picture().ok()?;
        let before = std::mem::replace(&mut last, now.clone());
        (now == before && now.colours() > 50).then_some(now)
    })?;
    picture.save(&environment.artefacts.join(name))?;
    Ok(picture)
}

/// The same, of what is to be seen: Blender stands still before it draws anew, too, and a busy machine lets it wait.
///
/// # Errors
/// `otherwise`, when it is not to be seen within a minute.
pub(crate) fn shoot_when(
    environment: &Environment,
    blender: &Blender,
    name: &str,
    otherwise: &str,
    is_seen: impl Fn(&Picture) -> bool,
) -> Result<Picture> {
    wait_until("it to be drawn", Duration::from_mins(1), || {
        shoot(environment, blender, name).ok().filter(|picture| is_seen(picture))
    })
    .with_context(|| otherwise.to_owned())
}

/// The sidebar's rectangle in the picture: left, top, width, height in pixels.
pub(crate) fn sidebar(blender: &Blender) -> Result<[usize; 4]> {
    let found = blender.result(
        "window = bpy.context.window_manager.windows[0]\n\
         area = next(a for a in window.screen.areas if a.type == 'VIEW_3D')\n\
         region = next(r for r in area.regions if r.type == 'UI')\n\
         result = [region.x, window.height - region.y - region.height, region.width, region.height, \
         getattr(region, 'active_panel_category', 'MCP')]",
    )?;
    ensure!(found[4] == "MCP", "the sidebar shows the tab {}", found[4]);
    let number = |index: usize| -> Result<usize> { Ok(usize::try_from(found[index].as_u64().context("no number")?)?) };
    Ok([number(0)?, number(1)?, number(2)?, number(3)?])
}

/// The same, once the tab is ours and has its size.
fn opened(blender: &Blender) -> Result<[usize; 4]> {
    wait_until("the sidebar to open", Duration::from_mins(1), || {
        sidebar(blender).ok().filter(|rectangle| rectangle[2] > 100 && rectangle[3] > 300)
    })
}

/// What a user does in Blender, at any time: also where no request gets in.
struct Hand {
    script: std::path::PathBuf,
}

impl Hand {
    /// Puts a timer into Blender that runs what is left for it.
    fn lend(blender: &Blender) -> Result<Self> {
        let script = blender.file("hand.py");
        blender.result(&format!(
            "def look(path={:?}):\n    import os\n    if os.path.exists(path):\n        code = open(path).read()\n        \
                 os.remove(path)\n        try:\n            exec(code, {{'bpy': bpy, 'module': module}})\n        \
                 except RuntimeError as error:\n            print('refused:', error)\n    return 0.1\n\
             module = next(m for m in bpy.context.preferences.addons.keys() if m.endswith('blendwire'))\n\
             bpy.app.timers.register(look, persistent=True)",
            script.display().to_string()
        ))?;
        Ok(Self { script })
    }

    /// Has it done, and waits until it has begun.
    fn does(&self, code: &str) -> Result<()> {
        let draft = self.script.with_extension("draft");
        fs_err::write(&draft, code)?;
        fs_err::rename(&draft, &self.script)?;
        wait_until("Blender to take the script", Duration::from_mins(1), || (!self.script.exists()).then_some(()))
    }

    /// Changes preferences and restarts the server.
    fn restarts_with(&self, preferences: &str) -> Result<()> {
        self.does(&format!(
            "prefs = bpy.context.preferences.addons[module].preferences\n{preferences}\nbpy.ops.blendwire.server_restart()"
        ))
    }
}

fn large() -> Settings {
    Settings { large_window: true, ..Settings::default() }
}

pub(crate) fn panel(environment: &Environment) -> Result<()> {
    let mut blender = Blender::start(environment, Flavour::Windowed, &large())?;
    blender.result("bpy.ops.mesh.primitive_monkey_add(); result = 1")?;
    let hand = Hand::lend(&blender)?;
    let closed = shoot(environment, &blender, "panel-closed.png")?;
    blender.result(OPEN_PANEL)?;
    let rectangle = opened(&blender)?;
    let otherwise = "no panel was drawn over the view";
    let running = shoot_when(environment, &blender, "panel-running.png", otherwise, |now| {
        now.differing(&closed, rectangle) > 5_000
    })?;
    // Each state has words of its own: none looks like the one before.
    let mut last = running.clone();
    let mut look = |state: &str, blender: &Blender| -> Result<Picture> {
        let now = shoot_when(
            environment,
            blender,
            &format!("panel-{state}.png"),
            &format!("the panel shows nothing new for: {state}"),
            |now| now.differing(&last, rectangle) > 100,
        )?;
        last = now.clone();
        Ok(now)
    };
    let _ = blender.wire()?.execute("raise RuntimeError('as the panel shows it')")?;
    look("failed-request", &blender)?;
    busy(environment, &blender, &mut look)?;
    undo(&blender, &hand, &mut look)?;

    hand.restarts_with("prefs.had_client = False")?;
    look("before-the-first-client", &blender)?;
    // Told once for all, and not at each start.
    hand.restarts_with("prefs.had_client = True\nprefs.require_token = True")?;
    look("token-required", &blender)?;
    // Where the server listens is told by the environment, which goes before the preferences.
    let listen = |on: &str| format!("import os\nos.environ['BLENDWIRE_BIND'] = '{on}:{}'\n", blender.port);
    let others = listen("0.0.0.0") + ALLOW_ONLINE_ACCESS;
    hand.restarts_with(&(others + "prefs.allowed_clients = '192.168.1.0/24'"))?;
    look("remote", &blender)?;
    hand.restarts_with("prefs.allowed_clients = ''\nprefs.open_networks = '192.168.1.0/24'")?;
    look("open-to-others", &blender)?;
    hand.restarts_with(&(listen("localhost") + "prefs.tls_certificate = '/nowhere.pem'"))?;
    look("problem-while-running", &blender)?;
    hand.does("bpy.ops.blendwire.server_stop()")?;
    let stopped = look("stopped", &blender)?;
    ensure!(stopped.differing(&running, rectangle) > 200, "running and stopped look the same");
    let _holder = TcpListener::bind(("127.0.0.1", blender.port))?;
    hand.restarts_with("prefs.tls_certificate = ''")?;
    look("problem", &blender)?;
    ensure!(blender.process.try_wait().is_none(), "Blender has ended");
    Ok(())
}

/// A request whose result is deferred, so that Blender draws meanwhile, also in its status bar; and another client.
fn busy(
    environment: &Environment,
    blender: &Blender,
    look: &mut impl FnMut(&str, &Blender) -> Result<Picture>,
) -> Result<()> {
    const STATUS_BAR_PIXELS: usize = 22;
    let mut other = blender.wire()?;
    other.result("result = 1")?;
    let before = look("other-client", blender)?;
    let mut wire = blender.wire()?;
    wire.send(
        (json!({
            "type": "execute", "title": "Wait for the picture",
            "code": "space = bpy.app.driver_namespace\nspace['is_seen'] = False\n\
                     def check_is_finished():\n    return {'is_seen': True} if space['is_seen'] else None",
        })
        .to_string()
            + "\0")
            .as_bytes(),
    )?;
    look("busy", blender)?;
    let bar = [0, before.height - STATUS_BAR_PIXELS, before.width, STATUS_BAR_PIXELS];
    let otherwise = "the status bar does not show the request";
    shoot_when(environment, blender, "status-bar-busy.png", otherwise, |now| now.differing(&before, bar) > 100)?;
    other.result("bpy.app.driver_namespace['is_seen'] = True; result = 1")?;
    ensure!(wire.reply()?["result"]["is_seen"] == true);
    Ok(())
}

/// The button takes back what the last request did, and nothing else.
fn undo(blender: &Blender, hand: &Hand, look: &mut impl FnMut(&str, &Blender) -> Result<Picture>) -> Result<()> {
    let mut wire = blender.wire()?;
    let place = "result = bpy.data.objects['Suzanne'].location.x";
    let before = wire.result(place)?;
    let request = json!({"type": "execute", "title": "Move Suzanne",
                         "code": "bpy.data.objects['Suzanne'].location.x += 3"});
    wire.send((request.to_string() + "\0").as_bytes())?;
    ensure!(wire.reply()?["status"] == "ok" && wire.result(place)? != before);
    look("with-something-to-undo", blender)?;
    hand.does("bpy.ops.blendwire.undo_request()")?;
    wait_until("the request to be undone", Duration::from_mins(1), || {
        wire.result(place).is_ok_and(|now| now == before).then_some(())
    })?;
    look("undone", blender)?;
    // The user's own edits are left alone: one that Blender tells of, and one that it does not.
    let edits = [
        ("bpy.data.objects['Suzanne'].location.y = 2", "bpy.data.objects['Suzanne'].location.y", json!(2.0)),
        ("bpy.context.scene.timeline_markers.new('here')", "len(bpy.context.scene.timeline_markers)", json!(1)),
    ];
    for (edit, look, now) in edits {
        wire.send((request.to_string() + "\0").as_bytes())?;
        ensure!(wire.reply()?["status"] == "ok");
        hand.does(&format!("{edit}\nbpy.ops.ed.undo_push(message='user')"))?;
        hand.does("bpy.ops.blendwire.undo_request()")?;
        // Refused at once, which raises, or a moment later.
        std::thread::sleep(Duration::from_secs(1));
        ensure!(wire.result(&format!("result = {look}"))? == now, "{edit} was undone");
        ensure!(wire.result(place)? != before, "the request was undone with it");
    }
    Ok(())
}

/// Pressed with the mouse, where it is drawn: at the right end of the line below the state.
fn copies(environment: &Environment) -> Result<()> {
    /// From the top of the sidebar: below the panel's title, and not as far down as Stop and Restart.
    const LINES_PIXELS: std::ops::Range<usize> = 40..90;
    let blender_arguments = vec!["--enable-event-simulate".to_owned()];
    let settings = Settings { blender_arguments, ..large() };
    let blender = Blender::start(environment, Flavour::Windowed, &settings)?;
    blender.result(OPEN_PANEL)?;
    let [left, top, width, _] = opened(&blender)?;
    shoot(environment, &blender, "panel-copy.png")?;
    let mut wire = blender.wire()?;
    let endpoint = format!("localhost:{}", blender.port);
    wire.result("bpy.context.window_manager.clipboard = 'nothing'; result = 1")?;
    for below in LINES_PIXELS.step_by(6) {
        wire.result(&format!(
            "window = bpy.context.window_manager.windows[0]\nx, y = {}, window.height - {}\n\
             for kind, value in (('MOUSEMOVE', 'NOTHING'), ('LEFTMOUSE', 'PRESS'), ('LEFTMOUSE', 'RELEASE')):\n    \
                 window.event_simulate(type=kind, value=value, x=x, y=y)\nresult = 1",
            left + width - 42,
            top + below
        ))?;
        // Most of them are beside it.
        let copied = wait_until("the clipboard to change", Duration::from_secs(3), || {
            let copied = wire.result("result = bpy.context.window_manager.clipboard").ok()?;
            (copied != "nothing").then_some(copied)
        });
        if let Ok(copied) = copied {
            ensure!(copied == endpoint, "{copied} was copied, and not {endpoint}");
            return Ok(());
        }
    }
    anyhow::bail!("nothing was copied: see panel-copy.png")
}

pub(crate) fn preferences(environment: &Environment) -> Result<()> {
    let blender = Blender::start(environment, Flavour::Windowed, &large())?;
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
    let whole = [0, 0, before.width, before.height];
    let otherwise = "no preferences were drawn over the window";
    let shown =
        shoot_when(environment, &blender, "preferences.png", otherwise, |now| now.differing(&before, whole) > 50_000)?;
    // Their own window holds the first of them; the large one, its largest area given to them, holds all.
    blender.result(
        "main, small = bpy.context.window_manager.windows\n\
         area = max(main.screen.areas, key=lambda area: area.width * area.height)\n\
         area.type = 'PREFERENCES'\n\
         with bpy.context.temp_override(window=small):\n    bpy.ops.wm.window_close()\n\
         result = len(bpy.context.window_manager.windows)",
    )?;
    // Between the closing of the one and the drawing of the other the display stands still as well.
    blender.result(
        "with bpy.context.temp_override(window=bpy.context.window_manager.windows[0]):\n    \
             bpy.ops.wm.redraw_timer(type='DRAW_WIN_SWAP', iterations=1)",
    )?;
    let otherwise = "no preferences were drawn in the large window";
    let whole_page = shoot_when(environment, &blender, "preferences-whole.png", otherwise, |now| {
        now.differing(&shown, whole) > 50_000
    })?;
    refused_values(environment, &blender, &whole_page)
}

/// Each is said under its own field, and no more once it is put right.
fn refused_values(environment: &Environment, blender: &Blender, before: &Picture) -> Result<()> {
    let whole = [0, 0, before.width, before.height];
    let set = |what: &str| {
        blender.result(&format!(
            "module = next(m for m in bpy.context.preferences.addons.keys() if m.endswith('blendwire'))\n\
             prefs = bpy.context.preferences.addons[module].preferences\n{what}\n\
             for area in bpy.context.window_manager.windows[0].screen.areas: area.tag_redraw()"
        ))
    };
    let certificate = blender.file("certificate.pem");
    fs_err::write(&certificate, "not looked at before the server starts")?;
    set(&format!("prefs.tls_certificate = {:?}", certificate.display().to_string()))?;
    let said = |name: &str, otherwise: &str, last: &Picture| {
        shoot_when(environment, blender, name, otherwise, |now| now.differing(last, whole) > 1_000)
    };
    let otherwise = "nothing is said of the missing key";
    let without_key = said("preferences-certificate-without-key.png", otherwise, before)?;
    set("prefs.tls_key, prefs.tls_certificate = prefs.tls_certificate, ''")?;
    let otherwise = "nothing is said of the missing certificate";
    let without_certificate = said("preferences-key-without-certificate.png", otherwise, &without_key)?;
    set("prefs.tls_key = ''\nprefs.host = 'render 7'\nprefs.allowed_clients = 'everybody'")?;
    said("preferences-refused.png", "nothing is said of a wrong address", &without_certificate)?;
    set("prefs.host = 'localhost'\nprefs.allowed_clients = ''")?;
    shoot_when(environment, blender, "preferences-mended.png", "something is still said", |now| {
        now.differing(before, whole) < 100
    })?;
    Ok(())
}
