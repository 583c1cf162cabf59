// SPDX-License-Identifier: GPL-3.0-or-later

use super::*;
use crate::private::put;

fn folder() -> (tempfile::TempDir, Instances) {
    let state = tempfile::tempdir().unwrap();
    let instances = Instances::in_state(&state.path().join("made/on demand"));
    (state, instances)
}

fn instance(id: &str, started: i64) -> Instance {
    Instance { instance: id.to_owned(), machine: machine(), started, pid: 7, ..Instance::default() }
}

/// What a server leaves that is killed: its file, and no lock.
fn kill(announced: Announced) {
    let path = announced.path.clone();
    let text = fs::read_to_string(&path).unwrap();
    drop(announced);
    put(&path, &text, |_| Ok(())).unwrap();
}

fn ids(found: &Found) -> Vec<&str> {
    found.running.iter().map(|instance| instance.instance.as_str()).collect()
}

#[test]
fn running_servers_are_found_newest_first_until_they_stop() {
    let (_state, instances) = folder();
    assert_eq!(instances.look().unwrap(), Found::default());
    let old = instances.announce(&instance("a", 10)).unwrap();
    let _new = instances.announce(&instance("b", 20)).unwrap();
    let found = instances.look().unwrap();
    assert_eq!((ids(&found), found.running[1].clone()), (vec!["b", "a"], instance("a", 10)));
    drop(old);
    assert_eq!(ids(&instances.look().unwrap()), ["b"]);
}

#[test]
fn who_is_killed_is_stale_at_once_and_swept() {
    let (_state, instances) = folder();
    let _lives = instances.announce(&instance("lives", 1)).unwrap();
    kill(instances.announce(&instance("killed", 2)).unwrap());
    let found = instances.look().unwrap();
    assert_eq!((ids(&found), found.stale), (vec!["lives"], 1));
    assert_eq!(instances.sweep(), 1);
    let found = instances.look().unwrap();
    assert_eq!((ids(&found), found.stale), (vec!["lives"], 0));
}

/// Two that look at the same time must not take one another for the server.
#[test]
fn a_stale_one_is_stale_to_all_who_look() {
    let (_state, instances) = folder();
    kill(instances.announce(&instance("killed", 2)).unwrap());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..200 {
                    assert_eq!(instances.look().unwrap(), Found { stale: 1, ..Found::default() });
                }
            });
        }
    });
}

#[test]
fn whoever_looks_while_servers_come_and_go_meets_whole_ones_only() {
    let (_state, instances) = folder();
    std::thread::scope(|scope| {
        let coming = scope.spawn(|| {
            for number in 0..300 {
                drop(instances.announce(&instance(&number.to_string(), number)).unwrap());
            }
        });
        while !coming.is_finished() {
            assert_eq!(instances.look().unwrap().unreadable, 0);
        }
    });
    assert_eq!(instances.look().unwrap(), Found::default());
}

#[test]
fn other_machines_and_what_is_no_descriptor_are_left_alone() {
    let (_state, instances) = folder();
    let elsewhere = Instance { machine: "render7".to_owned(), ..instance("c", 1) };
    kill(instances.announce(&elsewhere).unwrap());
    let later = instances.path().join("later.json");
    let _later = put_held(&later, r#"{"instance": "of a later version"}"#).unwrap();
    fs::write(instances.path().join("notes.txt"), "x").unwrap();
    assert_eq!(instances.sweep(), 0);
    assert_eq!(instances.look().unwrap(), Found { elsewhere: 1, unreadable: 1, ..Found::default() });
}

#[test]
fn keys_of_later_versions_are_passed_over() {
    let (_state, instances) = folder();
    make_folder(instances.path()).unwrap();
    let mut text = serde_json::to_value(instance("a", 1)).unwrap();
    text["colour"] = "blue".into();
    let _held = put_held(&instances.path().join("a.json"), &text.to_string()).unwrap();
    assert_eq!(instances.look().unwrap().running, [instance("a", 1)]);
}

#[cfg(unix)]
#[test]
fn folder_and_file_are_their_owners_alone_and_others_are_not_believed() {
    use std::os::unix::fs::PermissionsExt as _;
    let (_state, instances) = folder();
    let announced = instances.announce(&instance("a", 1)).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(instances.path()), mode(&announced.path)), (0o700, 0o600));
    fs::set_permissions(&announced.path, fs::Permissions::from_mode(0o666)).unwrap();
    assert_eq!(instances.look().unwrap(), Found { unreadable: 1, ..Found::default() });
}

/// As with a named pipe, which would keep whoever opens it waiting for ever.
#[cfg(unix)]
#[test]
fn only_files_are_opened() {
    let (state, instances) = folder();
    make_folder(instances.path()).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(state.path().join("s")).unwrap();
    fs::rename(state.path().join("s"), instances.path().join("pipe.json")).unwrap();
    fs::create_dir(instances.path().join("folder.json")).unwrap();
    assert_eq!(instances.look().unwrap(), Found::default());
}
