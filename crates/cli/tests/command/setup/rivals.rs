// SPDX-License-Identifier: GPL-3.0-or-later
//! Other servers for Blender in the same file.

use super::{User, backups, read};

const ANOTHER: &str = "{\n  \"mcpServers\": {\n    \"blendermcp\": {\n      \"command\": \"uvx\",\n      \"args\": [\"blender-mcp\"]\n    },\n    \"files\": {\n      \"command\": \"npx\"\n    }\n  }\n}\n";

#[test]
fn another_server_is_warned_of_and_left() {
    let user = User::new();
    let file = user.with_file("claude-desktop", ANOTHER);
    let said = user.setup(&["claude-desktop"]);
    assert!(said.contains("\"blendermcp\" (uvx blender-mcp)"), "{said}");
    assert!(said.contains("blendwire setup claude-desktop --retire"), "{said}");
    assert!(read(&file).contains("\"blendermcp\"") && read(&file).contains("\"blender\""));
    assert!(user.setup(&["claude-desktop"]).contains("\"blendermcp\""), "every run says so");
}

#[test]
fn another_server_is_retired_where_that_is_wanted() {
    let user = User::new();
    let file = user.with_file("claude-desktop", ANOTHER);
    let said = user.setup(&["claude-desktop", "--retire"]);
    assert!(said.contains("took out \"blendermcp\"") && !said.contains("warning: Claude"), "{said}");
    assert!(!read(&file).contains("blendermcp") && read(&file).contains("\"files\""));
    assert_eq!(backups(&file), [ANOTHER]);
    user.setup(&["claude-desktop", "--remove"]);
    assert!(!read(&file).contains("blend") && read(&file).contains("\"files\""), "it does not come back by itself");
}

#[test]
fn the_name_of_another_server_is_taken_only_where_that_is_wanted() {
    for (client, content) in [
        (
            "cursor",
            "{\n  \"mcpServers\": {\n    \"blender\": {\n      \"command\": \"uvx\",\n      \"args\": [\n        \"mcp-for-blender\"\n      ],\n      \"env\": {\n        \"X\": \"1\"\n      }\n    }\n  }\n}\n",
        ),
        (
            "codex",
            "[mcp_servers.blender]\ncommand = \"uvx\"\nargs = [\"blender-mcp\"]\n\n[mcp_servers.blender.env]\nX = \"1\"\n",
        ),
    ] {
        let user = User::new();
        let file = user.with_file(client, content);
        let said = user.fail(&[client]);
        assert!(said.contains("--retire") && said.contains("--name"), "{said}");
        let said = user.fail(&[client, "--remove"]);
        assert!(said.contains("does not start blendwire"), "{said}");
        assert_eq!(read(&file), content);
        user.setup(&[client, "--retire"]);
        let written = read(&file);
        assert!(!written.contains("uvx") && !written.contains("env") && written.contains("blendwire"), "{written}");
        assert_eq!(backups(&file), [content]);
    }
}

#[test]
fn servers_of_single_projects_are_found_too() {
    let user = User::new();
    let content =
        r#"{"projects": {"/a": {"mcpServers": {"blender": {"command": "uvx", "args": ["blender-mcp"]}}}, "/b": {}}}"#;
    let file = user.with_file("claude-code", content);
    assert!(user.setup(&["claude-code"]).contains("\"blender\" (uvx blender-mcp)"));
    user.setup(&["claude-code", "--retire"]);
    let written: serde_json::Value = serde_json::from_str(&read(&file)).unwrap();
    assert_eq!(written["projects"], serde_json::json!({"/a": {"mcpServers": {}}, "/b": {}}));
    assert_eq!(written["mcpServers"]["blender"]["args"], serde_json::json!(["mcp"]));
}

/// Claude Code's file grows to megabytes.
#[test]
fn hundreds_of_projects_take_no_minutes() {
    let took = |projects: serde_json::Value| {
        let user = User::new();
        let content = serde_json::to_string_pretty(&serde_json::json!({"projects": projects})).unwrap();
        user.with_file("claude-code", &content);
        let start = std::time::Instant::now();
        let said = user.json(&["claude-code"]);
        assert_eq!(said["clients"][0]["rivals"].as_array().unwrap().len(), 500);
        start.elapsed()
    };
    let another = serde_json::json!({"command": "blender-mcp"});
    let project = |history: usize, servers: serde_json::Map<_, _>| serde_json::json!({"history": vec!["x"; history], "mcpServers": servers});
    let one_of_500 = project(20, [("blender".to_owned(), another.clone())].into_iter().collect());
    let many: serde_json::Map<_, _> = (0..500).map(|number| (format!("/{number}"), one_of_500.clone())).collect();
    // As much text, and as many servers, in one.
    let all = (0..500).map(|number| (format!("blender-{number}"), another.clone())).collect();
    let (one, many) = (took(serde_json::json!({"/all": project(500 * 20, all)})), took(many.into()));
    // About the same on any machine, where reading the file anew for each project took hundreds of times as long.
    assert!(many < one * 20, "{many:?}, and {one:?} in one project");
}

#[test]
fn json_names_them() {
    let user = User::new();
    user.with_file("cursor", ANOTHER);
    let said = user.json(&["cursor"]);
    assert_eq!(said["clients"][0]["rivals"], serde_json::json!([{"name": "blendermcp", "command": "uvx blender-mcp"}]));
    let said = user.json(&["cursor", "--retire"]);
    assert_eq!(said["clients"][0]["retired"][0]["name"], "blendermcp");
    assert!(said["clients"][0]["backup"].as_str().unwrap().ends_with("mcp.json.blendwire-backup-2"), "{said}");
}

/// A server of files was taken out for the folder that it serves.
#[test]
fn what_only_has_such_a_name_among_its_arguments_is_no_such_server() {
    let user = User::new();
    let content =
        r#"{"mcpServers": {"files": {"command": "npx", "args": ["-y", "server-filesystem", "~/blender-mcp-assets"]}}}"#;
    let file = user.with_file("cursor", content);
    let said = user.setup(&["cursor", "--retire"]);
    assert!(!said.contains("files") && read(&file).contains("~/blender-mcp-assets"), "{said}");
}
