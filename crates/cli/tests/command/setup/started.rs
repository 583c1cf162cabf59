// SPDX-License-Identifier: GPL-3.0-or-later
//! The command in the file is started as it stands there, and is an MCP server.

use std::process::Command;

use serde_json::Value;

use super::{CLIENTS, User, read};
use crate::mcp_stdio::Client;

/// Command and arguments of the entry in a client's file.
fn entry(client: &str, content: &str) -> (String, Vec<String>) {
    if client == "codex" {
        let document: toml_edit::DocumentMut = content.parse().unwrap();
        let entry = &document["mcp_servers"]["blender"];
        let args = entry["args"].as_array().unwrap().iter().map(|arg| arg.as_str().unwrap().to_owned());
        return (entry["command"].as_str().unwrap().to_owned(), args.collect());
    }
    let key = match client {
        "vscode" => "servers",
        "zed" => "context_servers",
        _ => "mcpServers",
    };
    let document: Value = serde_json::from_str(content).unwrap();
    let entry = &document[key]["blender"];
    assert_eq!(entry["type"] == "stdio", ["vscode", "claude-code"].contains(&client));
    (entry["command"].as_str().unwrap().to_owned(), serde_json::from_value(entry["args"].clone()).unwrap())
}

#[test]
fn the_command_in_the_file_answers_initialize() {
    for client in CLIENTS {
        let user = User::new();
        user.setup(&[client]);
        let (program, args) = entry(client, &read(&user.file(client)));
        let mut command = Command::new(&program);
        command.args(args).current_dir(user.home.path()).env_clear().env("HOME", user.home.path());
        let greeting = Client::of(command).initialize();
        assert_eq!(greeting["result"]["serverInfo"]["name"], "blendwire", "{client}");
    }
}
