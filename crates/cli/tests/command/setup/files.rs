// SPDX-License-Identifier: GPL-3.0-or-later
//! Files that are in the way, are not what they should be, or must not be touched: each is told, and stays as it was.

use super::{User, backups, read};

#[test]
fn a_dry_run_shows_the_change_and_writes_nothing() {
    let user = User::new();
    user.with_file("cursor", "{\n\t\"mcpServers\": {}\n}\n");
    user.with_file("codex", "model = \"x\"\n");
    let before = user.all_files();
    let said = user.setup(&["--dry-run"]);
    assert!(
        said.contains("Cursor          would be added") && said.contains("Codex           would be added"),
        "{said}"
    );
    assert!(said.contains("+     \"blender\": {") && said.contains("+ [mcp_servers.blender]"), "{said}");
    assert!(user.setup(&["--dry-run", "zed"]).contains("would be added"));
    assert_eq!(user.all_files(), before);
    user.setup(&[]);
    let before = user.all_files();
    assert!(user.setup(&["--dry-run", "--remove"]).contains("would be removed"));
    assert_eq!(user.all_files(), before);
}

#[test]
fn what_cannot_be_understood_is_left_alone_and_told() {
    let cases = [
        ("cursor", "{\"mcpServers\": {", "it is no JSON"),
        ("cursor", "{\"mcpServers\": []}", "\"mcpServers\" in it is no object"),
        ("cursor", "{\"mcpServers\": null}", "\"mcpServers\" in it is no object"),
        ("cursor", "[]", "it holds no object"),
        ("cursor", "{\"mcpServers\": {}, \"mcpServers\": {}}", "\"mcpServers\" is in it twice"),
        ("cursor", "{\"mcpServers\": {\"blender\": 1}}", "the name \"blender\" belongs to another server"),
        ("cursor", "{\"mcpServers\": {\"blender\": {\"command\": \"x\"}}}", "take another with --name"),
        ("vscode", "{'servers': {}}", "it is no JSON"),
        ("codex", "[mcp_servers", "it is no TOML"),
        ("codex", "mcp_servers = []\n", "\"mcp_servers\" in it is no table"),
        ("codex", "[[mcp_servers]]\n", "\"mcp_servers\" in it is no table"),
    ];
    for (client, content, told) in cases {
        let user = User::new();
        let file = user.with_file(client, content);
        let before = user.all_files();
        let said = user.fail(&[client]);
        assert!(said.contains("nothing was changed in") && said.contains(&file.display().to_string()), "{said}");
        assert!(said.contains(told), "{said}");
        assert_eq!(user.all_files(), before);
    }
}

#[test]
fn where_in_the_file_it_is_wrong_is_told() {
    let user = User::new();
    user.with_file("cursor", "{\n  \"a\": 1,\n  oops\n}\n");
    assert!(user.fail(&["cursor"]).contains("line 3"));
    user.with_file("codex", "a = 1\nb = \n");
    assert!(user.fail(&["codex"]).contains("line 2"));
}

#[test]
fn what_is_no_text_is_left_alone() {
    let user = User::new();
    let file = user.file("cursor");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    let utf16: Vec<u8> = [0xff, 0xfe].into_iter().chain("{}".bytes().flat_map(|byte| [byte, 0])).collect();
    std::fs::write(&file, &utf16).unwrap();
    assert!(user.fail(&["cursor"]).contains("save it as UTF-8"));
    assert_eq!(std::fs::read(&file).unwrap(), utf16);
}

#[test]
fn a_folder_in_the_way_is_told() {
    let user = User::new();
    std::fs::create_dir_all(user.file("cursor")).unwrap();
    assert!(user.fail(&["cursor"]).contains("it is a folder"));
    let user = User::new();
    std::fs::write(user.home.path().join(".cursor"), "").unwrap();
    assert!(user.fail(&["cursor"]).contains(".cursor"));
}

#[test]
fn one_client_that_fails_does_not_keep_the_others() {
    let user = User::new();
    user.with_file("cursor", "{");
    let codex = user.with_file("codex", "");
    let said = user.fail(&[]);
    assert!(said.contains("Cursor: nothing was changed"), "{said}");
    assert!(read(&codex).contains("[mcp_servers.blender]"));
    let said = user.json(&[]);
    assert!(said["clients"][0]["error"].as_str().unwrap().contains("no JSON"), "{said}");
    assert_eq!(said["clients"][1]["change"], "none");
}

#[test]
fn a_read_only_file_is_left_alone() {
    let user = User::new();
    let file = user.with_file("cursor", "{}");
    let mut permissions = file.metadata().unwrap().permissions();
    permissions.set_readonly(true);
    std::fs::set_permissions(&file, permissions).unwrap();
    for args in [&["cursor"][..], &["cursor", "--dry-run"]] {
        assert!(user.fail(args).contains("it is read-only"));
    }
    assert_eq!((read(&file), backups(&file).len()), ("{}".to_owned(), 0));
}

#[test]
fn no_client_at_all_is_told() {
    let said = User::new().fail(&[]);
    assert!(said.contains("no MCP client was found") && said.contains("blendwire setup claude-desktop"), "{said}");
    let output = User::new().run(&["emacs"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn clients_are_found_by_file_folder_and_command() {
    let user = User::new();
    let folder = user.file("gemini");
    std::fs::create_dir_all(folder.parent().unwrap()).unwrap();
    user.with_file("zed", "{}");
    let bin = user.home.path().join("bin");
    std::fs::create_dir(&bin).unwrap();
    let codex = bin.join(if cfg!(windows) { "codex.exe" } else { "codex" });
    std::fs::copy(env!("CARGO_BIN_EXE_blendwire"), &codex).unwrap();
    let output = user.command(&["--json"]).env("PATH", &bin).output().unwrap();
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let names: Vec<_> = said["clients"].as_array().unwrap().iter().map(|client| client["client"].clone()).collect();
    assert_eq!(names, ["zed", "codex", "gemini"]);
}

#[test]
fn the_variables_of_a_client_lead_to_its_file() {
    let user = User::new();
    let elsewhere = user.home.path().join("elsewhere");
    let output = user.command(&["codex"]).env("CODEX_HOME", &elsewhere).output().unwrap();
    assert!(output.status.success());
    assert!(read(&elsewhere.join("config.toml")).contains("[mcp_servers.blender]"));
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn mode(file: &std::path::Path) -> u32 {
        file.metadata().unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_link_stays_and_what_it_leads_to_is_changed() {
        let user = User::new();
        let real = user.home.path().join("dotfiles/cursor.json");
        std::fs::create_dir(real.parent().unwrap()).unwrap();
        std::fs::write(&real, "{}").unwrap();
        let file = user.file("cursor");
        std::fs::create_dir(file.parent().unwrap()).unwrap();
        symlink("../dotfiles/cursor.json", &file).unwrap();
        user.setup(&["cursor"]);
        assert!(file.is_symlink() && read(&real).contains("blendwire"));
        assert_eq!(backups(&real), ["{}"]);
        user.setup(&["cursor", "--remove"]);
        assert!(file.is_symlink());
        assert_eq!(read(&real), "{}");
        std::fs::remove_file(&real).unwrap();
        assert!(user.fail(&["cursor"]).contains("a link to what is not there"));
        assert!(file.is_symlink());
    }

    #[test]
    fn permissions_are_kept_and_new_files_are_their_owners() {
        let user = User::new();
        let file = user.with_file("cursor", "{}");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
        user.setup(&["cursor", "zed"]);
        let backup = format!("{}.blendwire-backup-1", file.display());
        assert_eq!((mode(&file), mode(backup.as_ref()), mode(&user.file("zed"))), (0o640, 0o640, 0o600));
        let left = std::fs::read_dir(file.parent().unwrap()).unwrap().count();
        assert_eq!(left, 2, "nothing temporary is left");
    }
}
