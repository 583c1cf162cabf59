// SPDX-License-Identifier: GPL-3.0-or-later
//! What stands around: descriptors, the token's file, MCP clients.

use std::path::{Path, PathBuf};

use blendwire_state::Instances;

#[cfg(unix)]
use super::Findings;
use super::server;
use crate::setup::User;

/// That of the one server that runs.
fn descriptor(user: &User) -> PathBuf {
    let folder = user.home.path().join("state/instances");
    std::fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path()
}

/// What a server leaves that is killed: its descriptor, which nobody holds.
fn leave_a_descriptor(user: &User) {
    let (server, _) = server(user, |_| {});
    let descriptor = descriptor(user);
    let kept = user.home.path().join("kept");
    std::fs::copy(&descriptor, &kept).unwrap();
    drop(server);
    std::fs::rename(kept, descriptor).unwrap();
}

#[test]
fn what_a_killed_server_left_is_swept() {
    let user = User::new();
    leave_a_descriptor(&user);
    let found = user.found(&["instances"]);
    found.expect("instances", "warning", "1 ended without saying so", "blendwire doctor instances --fix");
    let fixed = user.found(&["instances", "--fix"]);
    fixed.expect("instances", "ok", "no running Blender", "");
    assert!(fixed.of_id("instances")["fixed"].as_str().unwrap().contains("removed"), "{}", fixed.of_id("instances"));
    let state = user.home.path().join("state");
    assert_eq!(Instances::in_state(&state).look().unwrap().stale, 0);
    user.found(&["instances"]).expect("instances", "ok", "no running Blender", "");
}

#[test]
fn of_several_one_has_to_be_named() {
    let user = User::new();
    let (one, _) = server(&user, |_| {});
    let (_other, port) = server(&user, |_| {});
    let found = user.found(&["listens"]);
    found.expect("instances", "failure", "several Blenders run", "blendwire doctor --instance ");
    assert_eq!(found.of_id("listens")["because"], serde_json::json!(["instances"]));
    user.found(&["listens", "--instance", &port]).expect(
        "instances",
        "ok",
        &format!("looking at 127.0.0.1:{port}"),
        "",
    );
    drop(one);
    user.found(&["listens"]).expect("listens", "ok", &port, "");
}

#[cfg(unix)]
#[test]
fn a_descriptor_that_cannot_be_read_is_told_and_written_anew_by_a_restart() {
    use std::os::unix::fs::PermissionsExt as _;
    let user = User::new();
    // Of a later version; open to other users.
    let breaks: [fn(&Path); 2] = [
        |path| std::fs::write(path, "{\"version\": 9}").unwrap(),
        |path| std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666)).unwrap(),
    ];
    for (break_it, remedy) in breaks.into_iter().zip(["to one version", "tab MCP, Restart"]) {
        let (other, _) = server(&user, |_| {});
        break_it(&descriptor(&user));
        user.found(&["instances"]).expect("instances", "warning", "1 of the files there could not be read", remedy);
        drop(other);
        let (_server, port) = server(&user, |_| {});
        user.found(&["instances"]).expect("instances", "ok", &port, "");
    }
}

#[cfg(unix)]
#[test]
fn a_folder_of_descriptors_that_cannot_be_read_is_told_and_another_taken() {
    let user = User::new();
    let state = user.home.path().join("state");
    std::fs::create_dir(&state).unwrap();
    std::fs::write(state.join("instances"), "in the way").unwrap();
    let found = user.found(&["listens"]);
    found.expect("instances", "failure", "instances", "BLENDWIRE_STATE_DIR");
    assert_eq!(found.of_id("listens")["because"], serde_json::json!(["instances"]));
    let mut command = user.doctor(&["instances", "--json"]);
    let output = command.env("BLENDWIRE_STATE_DIR", user.home.path().join("other")).output();
    Findings::of(&output.unwrap()).expect("instances", "ok", "no running Blender", "");
}

#[cfg(unix)]
#[test]
fn a_token_that_others_can_read_is_closed_to_them() {
    use std::os::unix::fs::PermissionsExt as _;
    let user = User::new();
    let file = user.home.path().join("config/token");
    let token = blendwire_credentials::Folder::at(user.home.path().join("config")).token();
    token.read_or_make().unwrap();
    let open = || std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    open();
    user.found(&["token-file"]).expect("token-file", "failure", "mode 644", &format!("chmod 600 '{}'", file.display()));
    let fixed = user.found(&["token-file", "--fix"]);
    fixed.expect("token-file", "ok", "config/token", "");
    assert!(fixed.of_id("token-file")["fixed"].as_str().unwrap().contains("closed"));
    assert!(token.read().is_ok());
    open();
    let chmod = user.found(&["token-file"]).of_id("token-file")["remedies"][0].as_str().unwrap().to_owned();
    assert!(std::process::Command::new("sh").args(["-c", &chmod]).status().unwrap().success());
    user.found(&["token-file"]).expect("token-file", "ok", "config/token", "");
}

#[test]
fn a_configuration_that_is_no_json_is_told_with_its_file() {
    let user = User::new();
    let file = user.with_file("cursor", "{\"mcpServers\": {");
    user.found(&["clients"]).expect("clients", "failure", "it is no JSON", &file.display().to_string());
    std::fs::write(&file, "{\"mcpServers\": {}}").unwrap();
    user.found(&["clients"]).expect("clients", "warning", "no entry for Blendwire", "blendwire setup cursor");
    user.setup(&["cursor"]);
    user.found(&["clients"]).expect("clients", "ok", "Cursor: blendwire", "");
}

#[test]
fn an_entry_that_starts_nothing_is_told_and_set_up_anew() {
    let user = User::new();
    let missing = user.home.path().join("gone/blendwire");
    let entry = |program: &Path| serde_json::json!({"command": program, "args": ["mcp"]});
    let file = user.with_file("cursor", &serde_json::json!({"mcpServers": {"blender": entry(&missing)}}).to_string());
    let found = user.found(&["clients"]);
    found.expect("clients", "failure", "is not there", "blendwire setup cursor --name blender");
    user.setup(&["cursor", "--name", "blender"]);
    user.found(&["clients"]).expect("clients", "ok", "Cursor: blendwire", "");
    // A program that is there, and is none of ours.
    #[cfg(unix)]
    {
        let other = user.home.path().join("blendwire-false");
        std::os::unix::fs::symlink("/bin/false", &other).unwrap();
        std::fs::write(&file, serde_json::json!({"mcpServers": {"blender": entry(&other)}}).to_string()).unwrap();
        user.found(&["clients"]).expect("clients", "failure", "ends without a word", "blendwire setup cursor");
    }
    let _ = file;
}

#[test]
fn two_entries_and_other_servers_are_warned_of() {
    let user = User::new();
    user.setup(&["cursor"]);
    user.setup(&["cursor", "--name", "second"]);
    let found = user.found(&["clients"]);
    found.expect("clients", "warning", "2 entries start Blendwire", "blendwire setup cursor --remove --name second");
    user.setup(&["cursor", "--remove", "--name", "second"]);
    user.found(&["clients"]).expect("clients", "ok", "Cursor: blendwire", "");
    let rival = serde_json::json!({"mcpServers": {"blendermcp": {"command": "uvx", "args": ["blender-mcp"]}}});
    user.with_file("cursor", &rival.to_string());
    user.setup(&["cursor"]);
    user.found(&["clients"]).expect("clients", "warning", "uvx blender-mcp", "blendwire setup cursor --retire");
    user.setup(&["cursor", "--retire"]);
    user.found(&["clients"]).expect("clients", "ok", "Cursor: blendwire", "");
}

#[cfg(unix)]
#[test]
fn a_blender_that_cannot_be_started_is_told() {
    use std::os::unix::fs::PermissionsExt as _;
    let user = User::new();
    let program = user.home.path().join("blender-of-mine");
    let look = || {
        let output = user.doctor(&["blender", "--json"]).env("BLENDWIRE_BLENDER", &program).output().unwrap();
        Findings::of(&output)
    };
    look().expect("blender", "warning", "is not there", "blendwire launch --embedded");
    std::fs::write(&program, "#!/bin/sh\necho Blender 4.3.2\n").unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    look().expect("blender", "ok", "Blender 4.3.2", "");
}

/// Puts the add-on of this version where Blender 4.3 has its extensions; gives its folder.
#[cfg(unix)]
fn has_addon(user: &User, version: &str) -> PathBuf {
    let resources = if cfg!(target_os = "macos") { "Library/Application Support/Blender" } else { ".config/blender" };
    let folder = user.home.path().join(resources).join("4.3/extensions/user_default/blendwire");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("blender_manifest.toml"), format!("version = \"{version}\"\n")).unwrap();
    folder
}

#[cfg(unix)]
#[test]
fn an_addon_that_is_missing_or_older_is_told() {
    let user = User::new();
    let program = crate::addon::blender(&user, "4.3.2", "");
    let look = || {
        let output = user.doctor(&["addon", "--json"]).env("BLENDWIRE_BLENDER", &program).output().unwrap();
        Findings::of(&output)
    };
    look().expect("addon", "warning", "not installed in Blender 4.3.2", "blendwire addon install");
    has_addon(&user, "0.0.9");
    look().expect("addon", "warning", "0.0.9 in Blender 4.3.2; this command is", "blendwire addon install");
    let folder = has_addon(&user, env!("CARGO_PKG_VERSION"));
    look().expect("addon", "ok", "in Blender 4.3.2", "");
    // Where Blender keeps its add-ons elsewhere, the one that runs shows it.
    std::fs::remove_dir_all(&folder).unwrap();
    let (_server, _) = server(&user, |config| config.versions.addon = "0.1.0".to_owned());
    look().expect("addon", "ok", "that runs", "");
}

/// Slow to say its version, and it never comes up: together that is more than a patient check has.
#[cfg(unix)]
#[test]
fn a_blender_that_is_slow_twice_is_not_taken_for_a_check_that_hangs() {
    let user = User::new();
    let script = "if [ \"$1\" = --version ]; then sleep 2; echo Blender 4.3.2; else exec sleep 60; fi\n";
    let program = crate::addon::program(&user, "blender", script);
    has_addon(&user, env!("CARGO_PKG_VERSION"));
    let mut command = user.doctor(&["addon", "--json", "--port", &crate::free_port()]);
    let found = Findings::of(&command.env("BLENDWIRE_BLENDER", &program).output().unwrap());
    found.expect("listens", "failure", "nothing listens", "");
    found.expect("addon", "ok", "whether it is enabled Blender did not say", "");
}
