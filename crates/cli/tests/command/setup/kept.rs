// SPDX-License-Identifier: GPL-3.0-or-later
//! Entries of ours that are there already: what somebody has chosen for them stays.

use serde_json::{Value, json};

use super::{User, backups, executable, read};

/// Each row of the table in docs/setup.md, as it stands in the client's file.
const OVER_HTTP: [(&str, &str); 8] = [
    (
        "claude-code",
        r#"{"mcpServers": {"blender": {"type": "http", "url": "http://localhost:9876/mcp", "headers": {"Authorization": "Bearer TOKEN"}}}}"#,
    ),
    (
        "cursor",
        r#"{"mcpServers": {"blender": {"url": "http://localhost:9876/mcp", "headers": {"Authorization": "Bearer TOKEN"}}}}"#,
    ),
    (
        "vscode",
        r#"{"servers": {"blender": {"type": "http", "url": "http://localhost:9876/mcp", "headers": {"Authorization": "Bearer ${input:blender}"}}}}"#,
    ),
    (
        "windsurf",
        r#"{"mcpServers": {"blender": {"serverUrl": "http://localhost:9876/mcp", "headers": {"Authorization": "Bearer TOKEN"}}}}"#,
    ),
    (
        "devin",
        r#"{"mcpServers": {"blender": {"url": "http://localhost:9876/mcp", "transport": "http", "headers": {"Authorization": "Bearer TOKEN"}}}}"#,
    ),
    (
        "zed",
        r#"{"context_servers": {"blender": {"url": "http://localhost:9876/mcp", "headers": {"Authorization": "Bearer TOKEN"}}}}"#,
    ),
    (
        "codex",
        "[mcp_servers.blender]\nurl = \"http://localhost:9876/mcp\"\nbearer_token_env_var = \"BLENDWIRE_TOKEN\"\n",
    ),
    (
        "gemini",
        r#"{"mcpServers": {"blender": {"httpUrl": "http://localhost:9876/mcp", "headers": {"Authorization": "Bearer TOKEN"}}}}"#,
    ),
];

/// What the entry of this name starts.
fn args(user: &User, name: &str) -> Value {
    let document: Value = serde_json::from_str(&read(&user.file("cursor"))).unwrap();
    document["mcpServers"][name]["args"].clone()
}

#[test]
fn an_entry_of_another_form_stays_until_it_is_taken_out() {
    let by_wsl = r#"{"mcpServers": {"blender": {"command": "wsl", "args": ["/path/to/blendwire", "mcp"]}}}"#;
    for (client, content) in OVER_HTTP.into_iter().chain([("cursor", by_wsl)]) {
        let user = User::new();
        let file = user.with_file(client, content);
        let said = user.setup(&[client]);
        assert!(said.contains("left as it is") && said.contains("in a way of its own"), "{client}: {said}");
        assert!(said.contains(&format!("`blendwire setup {client} --remove`")), "{client}: {said}");
        assert!(!said.contains("TOKEN") && !said.contains("next:"), "{client}: {said}");
        assert_eq!((read(&file), backups(&file).len()), (content.to_owned(), 0), "{client}");
        assert!(user.fail(&[client, "--port", "9877"]).contains("options have no place"), "{client}");
        assert_eq!(read(&file), content, "{client}");
        assert!(user.setup(&[client, "--remove"]).contains("removed"), "{client}");
        assert!(user.setup(&[client]).contains("added"), "{client}");
        assert!(read(&file).contains("\"mcp\"") && !read(&file).contains("9876"), "{client}");
    }
}

#[test]
fn the_others_go_while_it_stays() {
    let user = User::new();
    let content =
        r#"{"mcpServers": {"blender": {"url": "http://localhost:9876/mcp"}, "b": {"command": "blender-mcp"}}}"#;
    let file = user.with_file("cursor", content);
    assert!(user.setup(&["cursor", "--retire"]).contains("took out \"b\""));
    assert!(!read(&file).contains("blender-mcp") && read(&file).contains("9876/mcp"), "{}", read(&file));
}

/// Claude Desktop's folder with the extension in it.
fn install_extension(user: &User) -> std::path::PathBuf {
    let file = user.file("claude-desktop");
    let beside = file.parent().unwrap();
    let folder = beside.join("Claude Extensions/local.mcpb.blendwire-contributors.blendwire");
    std::fs::create_dir_all(&folder).unwrap();
    let manifest =
        json!({"name": "blendwire", "server": {"mcp_config": {"command": "${__dirname}/blendwire", "args": ["mcp"]}}});
    std::fs::write(folder.join("manifest.json"), manifest.to_string()).unwrap();
    beside.to_owned()
}

#[test]
fn beside_an_extension_of_ours_there_is_no_second_entry_for_the_same_blender() {
    let user = User::new();
    let beside = install_extension(&user);
    let said = user.setup(&[]);
    assert!(said.contains("left as it is") && said.contains("as an extension (local.mcpb."), "{said}");
    assert!(!user.file("claude-desktop").exists());
    assert!(user.setup(&["claude-desktop", "--port", "9877"]).contains("added"));
    assert!(user.setup(&["claude-desktop", "--remove"]).contains("removed"));
    // One that is switched off serves nobody, nor does another's.
    let settings = beside.join("Claude Extensions Settings/local.mcpb.blendwire-contributors.blendwire.json");
    std::fs::create_dir_all(settings.parent().unwrap()).unwrap();
    std::fs::write(&settings, r#"{"isEnabled": false}"#).unwrap();
    assert!(user.setup(&["claude-desktop"]).contains("added"));
    std::fs::remove_file(&settings).unwrap();
    user.setup(&["claude-desktop", "--remove"]);
    let manifest = beside.join("Claude Extensions/local.mcpb.blendwire-contributors.blendwire/manifest.json");
    std::fs::write(manifest, r#"{"name": "notes"}"#).unwrap();
    assert!(user.setup(&["claude-desktop"]).contains("added"));
}

/// A plain `setup` after an update, or what doctor says to do, took the port away.
#[test]
fn the_options_of_an_entry_stay_where_no_others_are_given() {
    let user = User::new();
    user.setup(&["cursor", "--port", "9877", "--host", "render7", "--plain"]);
    let options = json!(["mcp", "--host", "render7", "--port", "9877", "--plain"]);
    let said = user.setup(&["cursor"]);
    assert!(said.contains("already set up") && said.contains("--host render7 --port 9877 --plain"), "{said}");
    let moved = read(&user.file("cursor")).replace(&executable(), "/old/blendwire");
    let file = user.with_file("cursor", &moved);
    let said = user.json(&["cursor"]);
    assert_eq!((&said["clients"][0]["change"], &said["clients"][0]["args"]), (&json!("updated"), &options));
    assert_eq!(args(&user, "blender"), options);
    assert!(read(&file).contains(&executable()));
    user.setup(&["cursor", "--port", "9878"]);
    assert_eq!(args(&user, "blender"), json!(["mcp", "--port", "9878"]));
    user.setup(&["cursor", "--remove"]);
    user.setup(&["cursor"]);
    assert_eq!(args(&user, "blender"), json!(["mcp"]));
}

#[test]
fn an_older_form_of_an_entry_keeps_its_options_too() {
    let user = User::new();
    let old = r#"{"context_servers": {"blender": {"command": {"path": "/old/blendwire", "args": ["mcp", "--port", "9877"]}}}}"#;
    let file = user.with_file("zed", old);
    user.setup(&["zed"]);
    let document: Value = serde_json::from_str(&read(&file)).unwrap();
    let entry = &document["context_servers"]["blender"];
    assert_eq!(*entry, json!({"command": executable(), "args": ["mcp", "--port", "9877"]}));
    let with_env = old.replace("]}", "], \"env\": {\"A\": \"1\"}}");
    let file = user.with_file("zed", &with_env);
    user.setup(&["zed"]);
    let document: Value = serde_json::from_str(&read(&file)).unwrap();
    let entry = &document["context_servers"]["blender"];
    assert_eq!((&entry["command"], &entry["env"]), (&json!(executable()), &json!({"A": "1"})));
}

#[test]
fn entries_of_forms_that_setup_does_not_write_are_taken_out_too() {
    let number = r#"{"context_servers": {"blender": {"command": "/old/blendwire", "args": ["mcp", "--port", 9877]}}}"#;
    let older = r#"{"context_servers": {"blender": {"command": {"path": "/old/blendwire", "args": ["mcp"]}}}}"#;
    for content in [number, older] {
        let user = User::new();
        let file = user.with_file("zed", content);
        assert!(user.setup(&["zed", "--remove"]).contains("removed"), "{content}");
        let document: Value = serde_json::from_str(&read(&file)).unwrap();
        assert_eq!(document, json!({"context_servers": {}}), "{content}");
    }
}

/// Its settings may be those of another terminal, where `BLENDWIRE_CONFIG` says where they are.
#[test]
fn an_entry_whose_profile_is_not_here_is_mended_all_the_same() {
    let user = User::new();
    let old = r#"{"mcpServers": {"blender": {"command": "/old/blendwire", "args": ["mcp", "--profile", "render7"]}}}"#;
    let file = user.with_file("cursor", old);
    let said = user.setup(&["cursor"]);
    assert!(said.contains("updated") && said.contains("names the profile \"render7\""), "{said}");
    assert!(read(&file).contains(&executable()) && read(&file).contains("render7"));
    let output = user.run(&["cursor", "--profile", "render7"]);
    assert_eq!(output.status.code(), Some(2), "what is asked for now has to be right: {output:?}");
}

#[test]
fn a_script_stays_as_it_is() {
    let user = User::new();
    let script = r#"{"mcpServers": {"blender": {"command": "bash", "args": ["-lc", "blendwire mcp --plain"]}}}"#;
    let file = user.with_file("cursor", script);
    assert!(user.setup(&["cursor"]).contains("left as it is"));
    assert_eq!(read(&file), script);
}

#[test]
fn what_is_missing_of_the_token_for_another_machine_is_told() {
    let hex = "0".repeat(64);
    let remote = ["cursor", "--host", "render7", "--fingerprint", &hex];
    let user = User::new();
    let said = user.setup(&remote);
    assert!(said.contains("the Blender at render7 wants its token") && said.contains("token_file"), "{said}");
    assert!(said.contains("`blendwire setup cursor --profile NAME`"), "{said}");
    assert!(user.setup(&["cursor"]).contains("wants its token"), "as long as it is so");
    for complete in
        [&["--host", "render7", "--plain"][..], &["--host", "127.0.0.1", "--fingerprint", &hex], &["--port", "1"]]
    {
        let said = User::new().setup(&[&["cursor"], complete].concat());
        assert!(!said.contains("token"), "{said}");
    }
    let given = read(&user.file("cursor")).replace("\"args\"", "\"env\": {\"BLENDWIRE_TOKEN\": \"x\"}, \"args\"");
    user.with_file("cursor", &given);
    assert!(!user.setup(&["cursor"]).contains("token"));

    let config = user.home.path().join("config");
    std::fs::create_dir(&config).unwrap();
    let with_profile = |settings: &str| {
        std::fs::write(config.join("config.toml"), settings).unwrap();
        let output = user.own(&["setup", "zed", "--profile", "render7"]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        crate::text(&output.stderr).to_owned()
    };
    let said = with_profile("[profiles.render7]\nhost = 'render7'\n");
    assert!(said.contains("give the profile render7 a token_file"), "{said}");
    let said = with_profile("[profiles.render7]\nhost = 'render7'\ntoken_file = 'render7.token'\n");
    assert!(!said.contains("token"), "{said}");
}

#[test]
fn an_entry_with_another_kind_of_name_is_mended_and_a_new_one_is_not_made() {
    let user = User::new();
    let old = r#"{"mcpServers": {"my blender": {"command": "/old/blendwire", "args": ["mcp"]}}}"#;
    let file = user.with_file("cursor", old);
    assert!(user.setup(&["cursor", "--name", "my blender"]).contains("updated"));
    assert!(read(&file).contains(&executable()));
    assert!(user.fail(&["zed", "--name", "my blender"]).contains("no entry has the name"));
    assert!(user.setup(&["cursor", "--name", "my blender", "--remove"]).contains("removed"));
    let output = user.run(&["cursor", "--name", "my blender"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}

/// Folders of an update go, and what leads to them stays.
#[cfg(unix)]
#[test]
fn a_link_on_the_path_goes_before_what_it_leads_to() {
    let user = User::new();
    let bin = user.home.path().join("bin");
    std::fs::create_dir(&bin).unwrap();
    let link = bin.join("blendwire");
    let setup = |program: &std::path::Path| {
        let mut command = std::process::Command::new(program);
        let of_user = user.command(&[]);
        command.env_clear().envs(of_user.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let output = command.args(["setup", "cursor"]).env("PATH", &bin).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let document: Value = serde_json::from_str(&read(&user.file("cursor"))).unwrap();
        document["mcpServers"]["blender"]["command"].as_str().unwrap().to_owned()
    };
    std::os::unix::fs::symlink(executable(), &link).unwrap();
    assert_eq!(setup(&link), link.display().to_string());
    std::fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink("/bin/sh", &link).unwrap();
    assert_eq!(setup(executable().as_ref()), executable(), "a link that leads elsewhere");
}
