// SPDX-License-Identifier: GPL-3.0-or-later
//! What is written, and that nothing else is touched: for each client a file as people have it.

use super::{CLIENTS, User, backups, executable, read};

/// Name, client, content.
const SAMPLES: [(&str, &str, &str); 22] = [
    (
        "two spaces and another server",
        "claude-desktop",
        "{\n  \"mcpServers\": {\n    \"files\": {\n      \"command\": \"npx\",\n      \"args\": [\"-y\", \"x\"]\n    }\n  },\n  \"globalShortcut\": \"\"\n}\n",
    ),
    (
        "much besides and no servers",
        "claude-code",
        "{\n  \"numStartups\": 41,\n  \"big\": 12345678901234567890,\n  \"exact\": 1.0,\n  \"projects\": {\n    \"/src\": {\n      \"mcpServers\": {}\n    }\n  }\n}",
    ),
    ("tabs", "cursor", "{\n\t\"mcpServers\": {\n\t\t\"a\": {\n\t\t\t\"url\": \"https://example.com\"\n\t\t}\n\t}\n}\n"),
    (
        "comments and trailing commas",
        "vscode",
        "// mine\n{\n    \"inputs\": [],\n    /* all of them */\n    \"servers\": {\n        \"a\": {\n            \"type\": \"stdio\", // local\n            \"command\": \"a\",\n        }, // the last\n    },\n}\n",
    ),
    ("CRLF and BOM", "windsurf", "\u{feff}{\r\n  \"mcpServers\": {\r\n    \"a\": {\"command\": \"a\"}\r\n  }\r\n}\r\n"),
    ("one line", "devin", "{\"mcpServers\":{\"a\":{\"command\":\"a\"}},\"b\":[1,2]}"),
    (
        "settings with a heading and no servers",
        "zed",
        "// Zed settings\n//\n// see the documentation\n{\n  \"theme\": \"One Dark\", // dark\n  \"vim_mode\": true,\n  // \"context_servers\": {},\n}\n",
    ),
    ("four spaces", "gemini", "{\n    \"mcpServers\": {},\n    \"theme\": \"Default\"\n}\n"),
    ("empty object", "gemini", "{}"),
    ("empty file", "cursor", ""),
    ("blank file", "cursor", "\n\n"),
    ("nothing but a comment", "zed", "// nothing yet\n"),
    (
        "comment after the last one",
        "vscode",
        "{\n  \"servers\": {\n    \"a\": {\"command\": \"a\"} // the only one\n    // \"b\": {}\n  }\n}\n",
    ),
    (
        "TOML with comments",
        "codex",
        "# Codex\nmodel = \"x\"   # the model\n\n[mcp_servers.files]\ncommand = 'npx'\nargs = [\n  \"-y\", # yes\n]\n\n[mcp_servers.files.env]\nKEY = \"1\"\n\n# folders\n[projects.\"/src\"]\ntrust_level = \"trusted\"\n# the end\n",
    ),
    ("TOML with CRLF", "codex", "model = \"x\"\r\n\r\n[tui]\r\ntheme = \"y\" # z\r\n"),
    ("TOML without servers or a last line end", "codex", "model = \"x\""),
    ("TOML with servers in one line", "codex", "mcp_servers = { a = { command = \"a\" } } # short\n[tui]\n"),
    ("TOML with dotted keys", "codex", "mcp_servers.a.command = \"a\"\n\n[tui]\ntheme = \"y\"\n"),
    (
        "TOML with a heading for all servers",
        "codex",
        "[mcp_servers] # all\n\n  [mcp_servers.a]\n  command = \"a\"\n\n[[hooks]]\nx = 1\n",
    ),
    ("TOML with mixed line ends", "codex", "a = 1\r\nb = 2\nc = \"\"\"\r\nx\ny\"\"\"\n# d\r\n"),
    ("TOML with nothing but a comment", "codex", "# nothing yet\n"),
    ("empty TOML", "codex", ""),
];

/// With the executable's path taken out, and what cannot be seen made visible.
fn shown(content: &str) -> String {
    let escaped = executable().replace('\\', "\\\\");
    let content = content.replace(&escaped, "BLENDWIRE").replace(&executable(), "BLENDWIRE");
    content.replace('\u{feff}', "<BOM>").replace('\r', "<CR>").replace('\t', "<TAB>")
}

/// Whether `new` is `old` with something put in between.
fn only_adds(old: &str, new: &str) -> bool {
    let mut new = new.chars();
    old.chars().all(|wanted| new.any(|found| found == wanted))
}

#[test]
fn only_the_entry_is_added_and_taking_it_away_gives_every_byte_back() {
    for (name, client, before) in SAMPLES {
        let user = User::new();
        let file = user.with_file(client, before);
        assert!(user.setup(&[client]).contains("added"), "{name}");
        let after = read(&file);
        insta::assert_snapshot!(name.replace(' ', "_"), shown(&after));
        assert!(only_adds(before, &after), "{name}:\n{after}");
        assert_eq!(backups(&file), [before], "{name}");

        assert!(user.setup(&[client]).contains("already set up"), "{name}");
        assert_eq!((read(&file), backups(&file)), (after.clone(), vec![before.to_owned()]), "{name}");

        assert!(user.setup(&[client, "--remove"]).contains("removed"), "{name}");
        assert_eq!(read(&file), before, "{name}");
        assert!(user.setup(&[client, "--remove"]).contains("not set up"), "{name}");
        assert_eq!(backups(&file), [before, &after], "{name}");
    }
}

#[test]
fn what_came_later_stays_when_the_entry_goes() {
    for (name, client, before) in SAMPLES {
        let user = User::new();
        let file = user.with_file(client, before);
        user.setup(&[client]);
        let comment = if client == "codex" { "# later\n" } else { "// later\n" };
        let changed = format!("{}\n{comment}", read(&file));
        std::fs::write(&file, &changed).unwrap();
        user.setup(&[client, "--remove"]);
        let after = read(&file);
        assert!(!after.contains("blendwire") && after.ends_with(comment), "{name}:\n{after}");
        assert!(only_adds(before.trim(), &after), "{name}:\n{after}");
        assert!(user.setup(&[client]).contains("added"), "{name}");
    }
}

#[test]
fn a_missing_file_is_made_and_goes_again() {
    for client in CLIENTS {
        let user = User::new();
        let file = user.file(client);
        assert!(!file.exists());
        user.setup(&[client]);
        insta::assert_snapshot!(format!("made_for_{client}"), shown(&read(&file)));
        assert_eq!(backups(&file), Vec::<String>::new());
        user.setup(&[client, "--remove"]);
        assert!(!file.exists(), "{client}");
        assert!(user.setup(&[client, "--remove"]).contains("not set up"));
    }
}

#[test]
fn an_older_entry_of_ours_is_brought_up_to_date_and_keeps_what_was_added_to_it() {
    let user = User::new();
    let old = "{\n  \"mcpServers\": {\n    \"blender\": {\n      // old\n      \"command\": \"/old/blendwire\",\n      \"args\": [\"mcp\"],\n      \"env\": {\"A\": \"1\"}\n    }\n  }\n}\n";
    let file = user.with_file("cursor", old);
    assert!(user.setup(&["cursor"]).contains("updated"));
    assert_eq!(shown(&read(&file)), old.replace("/old/blendwire", "BLENDWIRE"));

    let old = "[mcp_servers.blender] # mine\ncommand = \"/old/blendwire\" # here\nargs = [\"mcp\"]\nstartup_timeout_sec = 9\n";
    let file = user.with_file("codex", old);
    assert!(user.setup(&["codex"]).contains("updated"));
    assert_eq!(shown(&read(&file)), old.replace("/old/blendwire", "BLENDWIRE"));
}

#[test]
fn the_options_for_the_endpoint_and_the_name_go_into_the_entry() {
    let user = User::new();
    user.setup(&["cursor", "--port", "9877", "--host", "render7", "--name", "blender-2", "--plain"]);
    user.setup(&["cursor"]);
    let written: serde_json::Value = serde_json::from_str(&read(&user.file("cursor"))).unwrap();
    let args = &written["mcpServers"]["blender-2"]["args"];
    assert_eq!(args, &serde_json::json!(["mcp", "--host", "render7", "--port", "9877", "--plain"]));
    assert_eq!(written["mcpServers"]["blender"]["args"], serde_json::json!(["mcp"]));
    let output = user.run(&["cursor", "--host", "render7:9877"]);
    assert_eq!(output.status.code(), Some(2));
    let output = user.run(&["cursor", "--name", "my blender"]);
    assert_eq!(output.status.code(), Some(2));
}
