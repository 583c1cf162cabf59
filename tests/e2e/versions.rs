// SPDX-License-Identifier: GPL-3.0-or-later
//! Windowed Blenders of other versions: what differs between them is the interface that they draw, how add-ons are
//! installed, what the tools of MCP find in them, and what becomes of data-blocks and of unsaved changes behind Blender's own
//! operators.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use blendwire_e2e::{Blender, Environment, Flavour, Settings, wait_until};
use serde_json::json;

use crate::suite::Suite;
use crate::{addon_command, mcp, panel};

pub(crate) fn add(suite: &mut Suite) {
    for (name, blender) in suite.other_blenders() {
        let mut own = |test: &str, run: fn(&Environment) -> Result<()>| {
            let blender = blender.clone();
            suite.own(&format!("{name}::{test}"), move |environment| run(&environment.with_blender(name, &blender)?));
        };
        own("panel_is_drawn_in_each_state", panel::panel);
        own("preferences_are_drawn", panel::preferences);
        own("a_fresh_account_gets_to_its_first_call", addon_command::fresh);
        own("scripts_are_run_and_taken_back", scripts);
        own("a_copy_leaves_unsaved_changes_unsaved", copies);
        own("every_mcp_tool_answers", |environment| mcp::every_tool(environment, Flavour::Windowed));
        own("each_side_shows_its_own_colour", |environment| mcp::each_side(environment, Flavour::Windowed));
    }
}

fn scripts(environment: &Environment) -> Result<()> {
    let blender = Blender::start(environment, Flavour::Windowed, &Settings::default())?;
    let mut wire = blender.wire()?;
    let (major, minor) = environment.version()?;
    ensure!(wire.result("result = list(bpy.app.version[:2])")? == json!([major, minor]));
    let reply = wire.execute("print('said')\nresult = {1, 2}")?;
    ensure!(reply["stdout"] == "said\n" && reply["result"] == "{1, 2}", "{reply}");
    let look = "result = [sorted(o.name for o in bpy.data.objects), round(bpy.data.objects['Cube'].location.x, 2)]";
    wire.result("bpy.data.objects['Cube'].location.x = 3")?;
    let before = wire.result(look)?;
    for code in ["bpy.data.objects.remove(bpy.data.objects['Cube'])", "bpy.data.objects['Cube'].location.x = 5"] {
        let code = format!("{code}\nbpy.ops.mesh.primitive_monkey_add()\nraise ValueError('on purpose')");
        let request = json!({"type": "execute", "code": code, "on_error": "rollback", "changes": true});
        let reply = wire.answer(&request)?;
        ensure!(reply["rolled_back"] == true, "{reply}");
        ensure!(wire.result(look)? == before, "{code}: {}", wire.result(look)?);
    }
    let reply =
        wire.answer(&json!({"type": "execute", "code": "bpy.ops.mesh.primitive_monkey_add()", "changes": true}))?;
    ensure!(reply["changes"]["added"]["objects"] == json!(["Suzanne"]), "{reply}");
    let undone = wire.answer(&json!({"type": "undo"}))?;
    ensure!(undone["status"] == "ok" && wire.result(look)? == before, "{undone}");
    Ok(())
}

/// Blender 4.0 takes a file as saved when a copy of it is, as `changes` makes them.
fn copies(environment: &Environment) -> Result<()> {
    let blender = Blender::start(environment, Flavour::Windowed, &Settings::default())?;
    let mut wire = blender.wire()?;
    wire.result("bpy.ops.mesh.primitive_monkey_add()")?;
    let is_unsaved = "result = bpy.data.is_dirty";
    let unsaved = || {
        wait_until("unsaved changes", Duration::from_mins(1), || {
            (blender.result(is_unsaved).ok()? == true).then_some(())
        })
    };
    unsaved()?;
    let path = blender.file("saved.blend").display().to_string();
    let reply = wire.answer(&json!({"type": "execute", "code": "result = 1", "changes": true}))?;
    ensure!(reply["result"] == 1 && reply["changes"] == json!({}), "{reply}");
    // Marked so again some redraws after the copy, they stay so.
    unsaved().context("the changes count as saved")?;
    std::thread::sleep(Duration::from_secs(1));
    ensure!(wire.result(is_unsaved)? == true, "the changes count as saved");
    // What the script itself saves stays saved.
    let save = format!("bpy.ops.wm.save_as_mainfile(filepath={path:?})");
    let reply = wire.answer(&json!({"type": "execute", "code": save, "changes": true}))?;
    ensure!(reply["status"] == "ok", "{reply}");
    std::thread::sleep(Duration::from_secs(1));
    ensure!(wire.result(is_unsaved)? == false, "what was saved counts as unsaved");
    Ok(())
}
