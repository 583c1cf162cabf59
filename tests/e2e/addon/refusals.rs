// SPDX-License-Identifier: GPL-3.0-or-later
//! Settings that are refused: each is told under the name that `blendwire doctor` has for it, and is gone when mended.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use blendwire_e2e::{Environment, free_port};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::suite::Suite;

pub(super) fn add(suite: &mut Suite) {
    suite.own("addon::what_is_refused_has_the_name_that_the_doctor_gives_it", preferences);
    suite.own("addon::a_port_that_the_system_keeps_is_told", reserved);
}

/// Preferences, what is done before and after in Python, the check, and words of the text.
type Refusal = (Value, &'static str, &'static str, &'static str, &'static str);

/// `TAKEN` is a port that is.
fn refusals(taken: u16) -> Vec<Refusal> {
    let (online, offline) = (
        "bpy.context.preferences.system.use_online_access = True",
        "bpy.context.preferences.system.use_online_access = False",
    );
    vec![
        (json!({"host": "no such place"}), "", "", "name", "is no address"),
        // One of those that are kept for examples in documents.
        (
            json!({"host": "203.0.113.7", "allowed_clients": "10.0.0.0/8"}),
            online,
            offline,
            "name",
            "203.0.113.7 is no address that this machine has now",
        ),
        (json!({"host": "0.0.0.0", "allowed_clients": "10.0.0.0/8"}), "", "", "online-access", "Allow Online Access"),
        (json!({"host": "0.0.0.0"}), online, offline, "config", "Allowed Clients"),
        (json!({"allowed_clients": "nonsense"}), "", "", "config", "is no address and no network"),
        (json!({"tls_certificate": "/nowhere.pem"}), "", "", "tls", "There is no file /nowhere.pem"),
        (
            json!({"tls_certificate": "cases.json", "tls_key": "cases.json"}),
            "",
            "",
            "tls",
            "holds no certificate in PEM",
        ),
        (
            json!({"require_token": true}),
            "path = 'config/token'\nwith open(path) as file: kept = file.read()\n\
             with open(path, 'w') as file: file.write('short')",
            "with open(path, 'w') as file: file.write(kept)",
            "token-file",
            "blendwire token --rotate",
        ),
        (json!({"port": taken}), "", "", "owner", "is taken by"),
    ]
}

/// A folder with the add-on, unpacked, and later with all that it keeps.
pub(super) fn unpacked(environment: &Environment) -> Result<TempDir> {
    let folder = tempfile::tempdir()?;
    let mut unpack = python(environment, "localhost:0", folder.path());
    let unpack = unpack.args(["-m", "zipfile", "-e"]).arg(&environment.addon_zip).arg(".");
    ensure!(unpack.status()?.success(), "the add-on cannot be unpacked");
    Ok(folder)
}

/// The Python of Blender's module, there.
pub(super) fn python(environment: &Environment, bind: &str, folder: &Path) -> Command {
    within(Command::new(&environment.bpy_5_2), bind, folder)
}

fn within(mut command: Command, bind: &str, folder: &Path) -> Command {
    command.current_dir(folder).env("BLENDWIRE_BIND", bind);
    for (name, value) in
        [("BLENDER_USER_RESOURCES", "resources"), ("BLENDWIRE_STATE_DIR", "state"), ("BLENDWIRE_CONFIG_DIR", "config")]
    {
        command.env(name, folder.join(value));
    }
    command
}

fn preferences(environment: &Environment) -> Result<()> {
    let folder = unpacked(environment)?;
    let holder = TcpListener::bind("127.0.0.1:0")?;
    let refusals = refusals(holder.local_addr()?.port());
    let cases: Vec<_> = refusals.iter().map(|(values, before, after, ..)| json!([values, before, after])).collect();
    fs_err::write(folder.path().join("cases.json"), json!(cases).to_string())?;
    fs_err::write(folder.path().join("refusals.py"), include_str!("refusals.py"))?;
    let mut command = python(environment, "", folder.path());
    let output = command.args(["-B", "refusals.py", "cases.json", "told.json", &free_port()?.to_string()]).output()?;
    ensure!(output.status.success(), "{output:?}");
    let told: Vec<[Value; 2]> = serde_json::from_slice(&fs_err::read(folder.path().join("told.json"))?)?;
    ensure!(told.len() == refusals.len());
    for ((values, _, _, check, words), [during, mended]) in refusals.iter().zip(told) {
        let text = during[0]["text"].as_str().with_context(|| format!("nothing was told of {values}"))?;
        ensure!(during[0]["check"] == *check && text.contains(words), "{values}: {during}");
        ensure!(mended == json!([]), "{values}, mended: {mended}");
    }
    Ok(())
}

/// Below 1024, without the privilege that it takes there, in a network where that number is 1024.
fn reserved(environment: &Environment) -> Result<()> {
    let folder = unpacked(environment)?;
    let code = "import sys; sys.path.insert(0, '.'); import blendwire; blendwire.register(); \
                open('told.json', 'w').write(__import__('json').dumps(blendwire.server_start()['findings']))";
    let mut command = within(Command::new("unshare"), "localhost:80", folder.path());
    command.args([
        "--net",
        "sh",
        "-c",
        "\"$1\" link set lo up && shift && exec setpriv --bounding-set -net_bind_service \"$@\"",
    ]);
    command.arg("sh").arg(&environment.ip).arg(&environment.bpy_5_2).args(["-B", "-c", code]);
    let output = command.output()?;
    ensure!(output.status.success(), "{output:?}");
    let told: Value = serde_json::from_slice(&fs_err::read(folder.path().join("told.json"))?)?;
    let text = told[0]["text"].as_str().context("nothing was told")?;
    ensure!(told[0]["check"] == "reserved-port" && text.contains("for instance 19876"), "{told}");
    Ok(())
}
