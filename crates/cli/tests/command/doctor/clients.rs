// SPDX-License-Identifier: GPL-3.0-or-later
//! Entries of MCP clients that lead to Blendwire in other ways than setup's, to other Blenders, or not for long.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};

use serde_json::{Value, json};

use super::server;
use crate::setup::User;

/// Ended when dropped.
struct OverHttp {
    process: Child,
    url: String,
}

impl OverHttp {
    /// `blendwire mcp --http`, at a port that is free.
    fn start(user: &User) -> Self {
        let mut process = user.own(&["mcp", "--http", "127.0.0.1:0"]).stdout(Stdio::piped()).spawn().unwrap();
        let mut url = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut url).unwrap();
        Self { process, url: url.trim().to_owned() }
    }
}

impl Drop for OverHttp {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn with_entry(user: &User, client: &str, name: &str, entry: &Value) {
    let key = if client == "vscode" { "servers" } else { "mcpServers" };
    user.with_file(client, &json!({key: {name: entry}}).to_string());
}

#[test]
fn an_entry_over_http_is_asked_at_its_address() {
    super::with_a_port_that_stays(asked_over_http);
}

fn asked_over_http() -> Option<()> {
    let user = User::new();
    let over_http = OverHttp::start(&user);
    let token = std::fs::read_to_string(user.home.path().join("config/token")).unwrap();
    let (at, right) = (over_http.url.clone(), format!("Bearer {}", token.trim()));
    let entry = |token: &str| json!({"url": at, "headers": {"Authorization": token}});
    with_entry(&user, "cursor", "blender", &entry(&right));
    user.found(&["clients"]).expect("clients", "ok", "Cursor: blendwire", "");
    let variables = ["${input:blender}", "$BLENDWIRE_TOKEN", "%BLENDWIRE_TOKEN%"];
    let without = variables.map(|variable| entry(&format!("Bearer {variable}")));
    for entry in [json!({"url": at})].into_iter().chain(without) {
        with_entry(&user, "cursor", "blender", &entry);
        user.found(&["clients"]).expect("clients", "ok", "the token, which is not in the entry, is not looked at", "");
    }
    with_entry(&user, "cursor", "blender", &entry("Bearer TOKEN"));
    user.found(&["clients"]).expect("clients", "failure", "refuses the token", "blendwire token");
    with_entry(&user, "cursor", "blender", &entry(&right));
    drop(over_http);
    let port = at.trim_end_matches("/mcp").rsplit_once(':').unwrap().1.parse().unwrap();
    let _nobody = super::held(port)?;
    let found = user.found(&["clients"]);
    found.expect("clients", "failure", "nothing takes connections there", "blendwire launch");
    // What it says mends it does so.
    found.expect("clients", "failure", &at, "blendwire setup cursor --name blender --remove");
    user.setup(&["cursor", "--name", "blender", "--remove"]);
    user.setup(&["cursor", "--name", "blender"]);
    user.found(&["clients"]).expect("clients", "ok", "Cursor: blendwire", "");
    Some(())
}

#[test]
fn another_server_at_the_address_is_told() {
    let user = User::new();
    let web = super::stranger(|mut stream| {
        if super::read_to(&mut stream, b"\r\n\r\n").is_some() {
            super::say(&mut stream, b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
    });
    with_entry(
        &user,
        "vscode",
        "blender",
        &json!({"type": "http", "url": format!("http://localhost:{}/mcp", web.port)}),
    );
    user.found(&["clients"]).expect("clients", "failure", "no MCP server answers there, but HTTP/1.1 404", "");
}

/// Doctor's own remedy made a second one.
#[test]
fn an_extension_of_ours_is_as_good_as_an_entry() {
    let user = User::new();
    let file = user.with_file("claude-desktop", "{}");
    let found = user.found(&["clients"]);
    found.expect("clients", "warning", "no entry for Blendwire", "blendwire setup claude-desktop");
    let folder = file.parent().unwrap().join("Claude Extensions/local.mcpb.x.blendwire");
    std::fs::create_dir_all(&folder).unwrap();
    let program = env!("CARGO_BIN_EXE_blendwire");
    let manifest = |command: &str| {
        let start = json!({"command": command, "args": ["mcp"], "env": {"BLENDWIRE_PORT": "${user_config.port}"}});
        let manifest = json!({"name": "blendwire", "server": {"mcp_config": start}});
        std::fs::write(folder.join("manifest.json"), manifest.to_string()).unwrap();
    };
    manifest(program);
    user.found(&["clients"]).expect("clients", "ok", "Claude Desktop: blendwire", "");
    let entry = json!({"mcpServers": {"blender": {"command": program, "args": ["mcp"]}}});
    std::fs::write(&file, entry.to_string()).unwrap();
    let found = user.found(&["clients"]);
    found.expect(
        "clients",
        "warning",
        "2 entries start Blendwire",
        "blendwire setup claude-desktop --remove --name blender",
    );
    user.setup(&["claude-desktop", "--remove", "--name", "blender"]);
    manifest("${__dirname}/server/blendwire");
    let found = user.found(&["clients"]);
    found.expect("clients", "failure", "local.mcpb.x.blendwire/server/blendwire", "install the extension (.mcpb)");
}

#[test]
fn two_entries_for_two_blenders_are_as_they_should_be() {
    let user = User::new();
    user.setup(&["cursor"]);
    user.setup(&["cursor", "--name", "blender-2", "--port", "9877"]);
    user.found(&["clients"]).expect("clients", "ok", "Cursor: blendwire", "");
    user.setup(&["cursor", "--name", "again", "--host", "127.0.0.1", "--port", "9877"]);
    let found = user.found(&["clients"]);
    found.expect("clients", "warning", "2 entries start Blendwire", "blendwire setup cursor --remove --name again");
    user.setup(&["cursor", "--remove", "--name", "again"]);
    user.found(&["clients"]).expect("clients", "ok", "Cursor: blendwire", "");
}

/// The greeting says nothing of the Blender behind it.
#[test]
fn a_profile_whose_token_is_refused_is_told() {
    let user = User::new();
    let (_server, port) = server(&user, |config| config.access.require_token = true);
    let config = user.home.path().join("config");
    let right = std::fs::read_to_string(config.join("token")).unwrap();
    let token = blendwire_credentials::TokenFile::new(config.join("render7.token"));
    token.read_or_make().unwrap();
    let settings = format!("[profiles.render7]\nhost = '127.0.0.1'\nport = {port}\ntoken_file = 'render7.token'\n");
    std::fs::write(config.join("config.toml"), settings).unwrap();
    assert!(user.own(&["setup", "cursor", "--profile", "render7"]).output().unwrap().status.success());
    let found = user.found(&["clients"]);
    found.expect("clients", "failure", "cannot reach the Blender that its entry", "blendwire doctor --profile render7");
    found.expect("clients", "failure", "oken", "token_file");
    std::fs::write(config.join("render7.token"), right).unwrap();
    user.found(&["clients"]).expect("clients", "ok", "Cursor: blendwire", "");
}

#[cfg(unix)]
mod unix {
    use super::*;

    /// It was found on the PATH of the terminal, which says nothing of the client's.
    #[test]
    fn a_bare_name_is_warned_of_where_a_desktop_starts_the_client() {
        let user = User::new();
        let bin = user.home.path().join("bin");
        std::fs::create_dir(&bin).unwrap();
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_blendwire"), bin.join("blendwire")).unwrap();
        let bare = json!({"command": "blendwire", "args": ["mcp", "--port", "9877"]});
        let look = || {
            let output = user.doctor(&["clients", "--json"]).env("PATH", &bin).output().unwrap();
            crate::doctor::Findings::of(&output)
        };
        with_entry(&user, "gemini", "blender", &bare);
        look().expect("clients", "ok", "Gemini CLI: blendwire", "");
        with_entry(&user, "cursor", "blender", &bare);
        look().expect("clients", "warning", "bare name blendwire", "blendwire setup cursor --name blender");
        user.setup(&["cursor", "--name", "blender"]);
        look().expect("clients", "ok", "Cursor: blendwire", "");
    }

    /// What would ask in place of its `mcp` is inside a word.
    #[test]
    fn whether_a_script_reaches_its_blender_is_not_looked_at() {
        let user = User::new();
        let script = format!("exec '{}' mcp --host render7 --plain", env!("CARGO_BIN_EXE_blendwire"));
        with_entry(&user, "cursor", "blender", &json!({"command": "/bin/sh", "args": ["-c", script]}));
        user.found(&["clients"]).expect("clients", "ok", "is not looked at, since its command is a script", "");
    }

    #[test]
    fn what_mends_an_entry_can_be_typed_as_it_stands_there() {
        let user = User::new();
        with_entry(&user, "cursor", "Ann's blender", &json!({"command": "/gone/blendwire", "args": ["mcp"]}));
        let found = user.found(&["clients"]);
        let remedy = found.of_id("clients")["remedies"][0].as_str().unwrap().to_owned();
        assert!(remedy.starts_with("blendwire setup cursor --name "), "{remedy}");
        let program = env!("CARGO_BIN_EXE_blendwire");
        let script = format!("'{program}'{}", remedy.strip_prefix("blendwire").unwrap());
        let mut shell = std::process::Command::new("sh");
        let output =
            shell.args(["-c", &script]).env("HOME", user.home.path()).env_remove("XDG_CONFIG_HOME").output().unwrap();
        assert!(output.status.success(), "{script}: {output:?}");
        user.found(&["clients"]).expect("clients", "ok", "Cursor: blendwire", "");
    }
}

#[test]
fn entries_whose_program_is_gone_are_set_up_anew_where_that_is_wanted() {
    let user = User::new();
    let gone = user.home.path().join("gone/blendwire");
    let entry = json!({"command": gone, "args": ["mcp", "--port", "9877"], "env": {"A": "1"}});
    with_entry(&user, "cursor", "blender", &entry);
    with_entry(&user, "vscode", "mine", &entry);
    user.found(&["clients"]).expect("clients", "failure", "is not there", "blendwire doctor clients --fix");
    let fixed = user.found(&["clients", "--fix"]);
    fixed.expect("clients", "ok", "VS Code: blendwire", "");
    let done = fixed.of_id("clients")["fixed"].as_str().unwrap();
    assert!(done.contains("Cursor's entry \"blender\"") && done.contains("blendwire-backup-1"), "{done}");
    assert!(done.contains("build folder"), "the executable of tests is in one: {done}");
    let file = user.with_file("windsurf", "{}").parent().unwrap().join("../../.cursor/mcp.json");
    let written: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let entry = &written["mcpServers"]["blender"];
    assert_eq!((&entry["args"], &entry["env"]), (&json!(["mcp", "--port", "9877"]), &json!({"A": "1"})));
}

/// One that cannot be mended is no reason to leave the others, nor to keep silent about them.
#[test]
fn what_is_mended_is_told_beside_what_cannot_be() {
    let user = User::new();
    let gone = user.home.path().join("gone/blendwire").display().to_string();
    let entry = json!({"command": gone, "args": ["mcp", "--profile", "of-another-terminal"]});
    let twice =
        format!(r#"{{"mcpServers": {{"blender": {{"command": {gone:?}, "args": ["mcp"], "args": ["mcp"]}}}}}}"#);
    user.with_file("cursor", &twice);
    let fixed = user.found(&["clients", "--fix"]);
    let said = fixed.of_id("clients")["fixed"].as_str().unwrap().to_owned();
    assert!(said.contains("could not be mended: cursor's entry \"blender\": \"args\" is in it twice"), "{said}");
    with_entry(&user, "gemini", "blender", &entry);
    let fixed = user.found(&["clients", "--fix"]);
    let said = fixed.of_id("clients")["fixed"].as_str().unwrap();
    assert!(said.contains("set up Gemini CLI's entry \"blender\" anew"), "its profile is not here: {said}");
    assert!(said.contains("could not mend cursor's entry \"blender\": \"args\" is in it twice"), "{said}");
}
