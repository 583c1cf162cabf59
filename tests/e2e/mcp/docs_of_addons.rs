// SPDX-License-Identifier: GPL-3.0-or-later
//! What an add-on brings is in the documentation from when it is enabled until it is disabled.

use std::process::Command;

use anyhow::{Result, ensure};
use blendwire_e2e::{Blender, Environment, Flavour, McpSession, Settings};
use serde_json::{Value, json};

use crate::suite::Suite;

pub(crate) fn add(suite: &mut Suite) {
    for flavour in [Flavour::Bpy52, Flavour::Windowed] {
        suite.own(&format!("{}::mcp::api_docs_know_the_addons_that_are_enabled", flavour.name()), move |environment| {
            of_addons(environment, flavour)
        });
    }
}

const INSTALL: &str = r#"
import addon_utils, os
folder = bpy.utils.user_resource('SCRIPTS', path='addons', create=True)
with open(os.path.join(folder, 'lighthouse.py'), 'w') as file:
    file.write('''
bl_info = {"name": "Lighthouse", "blender": (4, 0, 0), "category": "Object"}
import bpy
class LIGHTHOUSE_OT_beacon(bpy.types.Operator):
    """Kindle the beacon for passing zeppelins"""
    bl_idname = "lighthouse.beacon"
    bl_label = "Kindle Beacon"
    flashes: bpy.props.IntProperty(name="Flashes", default=7, min=1, max=77)
def register():
    bpy.utils.register_class(LIGHTHOUSE_OT_beacon)
def unregister():
    bpy.utils.unregister_class(LIGHTHOUSE_OT_beacon)
''')
bpy.utils.refresh_script_paths()
addon_utils.modules_refresh()
"#;

const BEACON: &str = "bpy.ops.lighthouse.beacon";

fn of_addons(environment: &Environment, flavour: Flavour) -> Result<()> {
    let blender = Blender::start(environment, flavour, &Settings::default())?;
    let mut command = Command::new(&environment.blendwire);
    command.args(["mcp", "--port", &blender.port.to_string()]);
    let session = McpSession::start(command)?;
    let search = || -> Result<Value> {
        let call = session.call("search_api_docs", json!({"query": "beacon for zeppelins", "wait_secs": 120}))?;
        ensure!(!call.is_error(), "{}", call.text());
        Ok(call.value())
    };
    let is_found = |found: &Value| found["hits"].to_string().contains(BEACON);
    blender.result(INSTALL)?;
    let before = search()?;
    ensure!(!is_found(&before), "{before}");
    blender.result("bpy.ops.preferences.addon_enable(module='lighthouse')")?;
    let enabled = search()?;
    ensure!(enabled["hits"][0]["path"] == BEACON, "{enabled}");
    let told = session.call("get_python_api_docs", json!({"identifier": BEACON}))?;
    ensure!(told.text().contains("flashes") && told.text().contains("77"), "{}", told.text());
    blender.result("bpy.ops.preferences.addon_disable(module='lighthouse')")?;
    let disabled = search()?;
    ensure!(!is_found(&disabled), "{disabled}");
    Ok(())
}
