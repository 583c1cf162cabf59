// SPDX-License-Identifier: GPL-3.0-or-later
//! The journal as those who write and those who read it use it.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use blendwire_journal::{Begin, Deeds, Dialect, End, Journal, Kind, Limits, Reader, Record, State, entries};
use jiff::Timestamp;

const PATIENCE: Duration = Duration::from_secs(10);

fn begin(instance: &str, number: u64, code: String) -> Record {
    Record::Begin(Box::new(Begin {
        time: Timestamp::now(),
        instance: instance.to_owned(),
        number,
        pid: std::process::id(),
        kind: Kind::Execute,
        id: None,
        title: "a title".to_owned(),
        dialect: Dialect::Framed,
        client: None,
        consent: None,
        peer: None,
        uid: None,
        blender: "5.2.3".to_owned(),
        file: String::new(),
        session: None,
        steps: None,
        waited_secs: 0.0,
        code,
        code_bytes: None,
        code_sha256: None,
    }))
}

fn end(instance: &str, number: u64) -> Record {
    Record::End(Box::new(End {
        time: Timestamp::now(),
        instance: instance.to_owned(),
        number,
        outcome: "ok".to_owned(),
        error: None,
        never_began: false,
        ran_secs: 0.0,
        rolled_back: None,
        deeds: Deeds::default(),
    }))
}

fn start(folder: &Path, instance: &str) -> Journal {
    Journal::start(folder.to_owned(), instance, Limits::default()).unwrap()
}

fn read(folder: &Path) -> Vec<blendwire_journal::Line> {
    Reader::new(folder.to_owned()).poll().unwrap()
}

#[test]
fn begin_and_end_are_joined_and_an_open_one_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    let journal = start(folder.path(), "a");
    journal.write(begin("a", 1, "x = 1".to_owned()));
    journal.write(end("a", 1));
    let last = journal.write(begin("a", 2, "while True: pass".to_owned()));
    journal.wait(last, PATIENCE);
    let lines = read(folder.path());
    let entries = entries(&lines);
    let states: Vec<_> = entries.iter().map(|entry| (entry.begin.number, entry.state())).collect();
    assert_eq!(states, [(1, State::Ok), (2, State::Open)]);
    if cfg!(unix) {
        assert_eq!(Reader::is_being_written(&entries[1].path, &entries[1].begin.instance), Some(true));
        journal.close(PATIENCE);
        let deadline = Instant::now() + PATIENCE;
        while Reader::is_being_written(&entries[1].path, &entries[1].begin.instance) == Some(true)
            && Instant::now() < deadline
        {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(Reader::is_being_written(&entries[1].path, &entries[1].begin.instance), Some(false));
    }
}

#[test]
fn a_long_script_is_cut_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let journal = start(folder.path(), "a");
    let code = "ü".repeat(Begin::LONGEST_CODE_BYTES);
    journal.write(begin("a", 1, code.clone()));
    journal.close(PATIENCE);
    let lines = read(folder.path());
    let Record::Begin(kept) = &lines[0].record else { panic!("no begin") };
    assert!(kept.code.len() <= Begin::LONGEST_CODE_BYTES && code.starts_with(&kept.code));
    assert_eq!(kept.code_bytes, Some(code.len()));
    assert_eq!(kept.code_sha256.as_deref().map(str::len), Some(64));
}

#[test]
fn nothing_is_made_before_the_first_line() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("journal");
    start(&folder, "a").close(PATIENCE);
    assert!(!folder.exists());
}

#[test]
fn what_cannot_be_written_is_counted_and_told_when_it_can() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("journal");
    // A file where the folder should be.
    std::fs::write(&folder, "").unwrap();
    let journal = start(&folder, "a");
    let mut latest = 0;
    for number in 1..=3 {
        latest = journal.write(begin("a", number, String::new()));
    }
    let health = || {
        let deadline = Instant::now() + PATIENCE;
        while journal.health().lost < 3 && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        journal.health()
    };
    let failing = health();
    assert_eq!(failing.lost, 3);
    assert!(failing.problem.is_some());
    let before = Instant::now();
    journal.wait(latest + 100, PATIENCE);
    assert!(before.elapsed() < PATIENCE / 2, "nobody waits for a journal that fails");
    std::fs::remove_file(&folder).unwrap();
    journal.write(begin("a", 4, String::new()));
    journal.close(PATIENCE);
    let lines = read(&folder);
    let lost =
        lines.iter().find_map(|line| if let Record::Lost(lost) = &line.record { Some(lost.count) } else { None });
    assert_eq!((lost, lines.len()), (Some(3), 2));
    assert_eq!(journal.health().problem, None);
    assert_eq!(journal.write(begin("a", 5, String::new())), 0, "after the end nothing is taken");
}

/// Not a test of its own: what the other processes of the test below run.
#[test]
fn writes_for_another_test() {
    let Ok(folder) = std::env::var("BLENDWIRE_TEST_JOURNAL") else { return };
    let instance = format!("p{}", std::process::id());
    let journal = start(Path::new(&folder), &instance);
    for number in 1..=500 {
        journal.write(begin(&instance, number, "x".repeat(3000)));
        let last = journal.write(end(&instance, number));
        journal.wait(last, PATIENCE);
    }
    journal.close(PATIENCE);
}

#[test]
fn several_processes_write_at_the_same_time() {
    let folder = tempfile::tempdir().unwrap();
    let myself = std::env::current_exe().unwrap();
    let spawn = || {
        let mut command = Command::new(&myself);
        command.args(["--exact", "writes_for_another_test"]).env("BLENDWIRE_TEST_JOURNAL", folder.path());
        command.stdout(std::process::Stdio::null()).spawn().unwrap()
    };
    let children = [spawn(), spawn(), spawn()];
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let mut reader = Reader::new(folder.path().to_owned());
    let lines = reader.poll().unwrap();
    assert_eq!((lines.len(), reader.unreadable), (3000, 0));
    assert!(entries(&lines).iter().all(|entry| entry.state() == State::Ok));
}
