// SPDX-License-Identifier: GPL-3.0-or-later
//! The wall clock jumps, as when a machine wakes up, asks a time server or is set by hand: nothing ends early, nothing
//! hangs, nothing is lost. It jumps in Blender's process alone, by a small library that is preloaded into it.

use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use blendwire_e2e::{Blender, Environment, Flavour, Settings, Wire, wait_until};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::journal::{logs, told};
use crate::suite::{EVERYWHERE, Suite};
use crate::token::{blendwire, ensure_unauthorized, hello, token};

pub(crate) fn add(suite: &mut Suite) {
    for flavour in EVERYWHERE {
        suite.own(&format!("{}::clock::jumps_end_nothing_and_hold_up_nothing", flavour.name()), move |environment| {
            jumps(environment, flavour)
        });
    }
    suite.own("clock::what_ended_before_it_began_has_ended", ended);
    suite.own("clock::limits_hold_whichever_way_it_jumps", limits);
    suite.own("doctor::a_clock_that_is_off_is_told", doctor);
    suite.own("clock::a_new_token_is_noticed_whichever_way_it_jumps", rotation);
}

const SOON: Duration = Duration::from_secs(30);

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

/// A wall clock of a test's own.
struct Clock {
    folder: TempDir,
    file: fs_err::File,
}

impl Clock {
    /// At the system's time. The library is made with the compiler that the tests need anyway.
    fn make() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("blendwire-clock-").tempdir()?;
        let source = folder.path().join("clock.c");
        fs_err::write(&source, include_str!("clock/clock.c"))?;
        let mut compile = Command::new("cc");
        compile.args(["-shared", "-fPIC", "-O1", "-o"]).arg(folder.path().join("clock.so")).arg(&source);
        let output = compile.output().context("the tests need a C compiler")?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let file = fs_err::File::create(folder.path().join("seconds"))?;
        let clock = Self { folder, file };
        clock.set(0)?;
        Ok(clock)
    }

    /// Where the seconds stand that it is ahead of the system's.
    fn seconds(&self) -> PathBuf {
        self.folder.path().join("seconds")
    }

    /// Jumps to this many seconds ahead of the system's time.
    fn set(&self, seconds: i64) -> Result<()> {
        Ok(self.file.file().write_all_at(&seconds.to_ne_bytes(), 0)?)
    }

    /// A Blender that has it.
    fn start(&self, environment: &Environment, flavour: Flavour, arguments: &[&str]) -> Result<Blender> {
        let library = self.folder.path().join("clock.so").display().to_string();
        let variables = vec![
            // Programs of a Debian root are entered without the former.
            ("LD_PRELOAD".to_owned(), library.clone()),
            ("BLENDWIRE_TEST_PRELOAD".to_owned(), library),
            ("BLENDWIRE_TEST_CLOCK".to_owned(), self.seconds().display().to_string()),
        ];
        let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        Blender::start(environment, flavour, &Settings { arguments, variables, ..Settings::default() })
    }
}

/// Python that lets the clock jump from within, at a moment that is known.
fn jump(clock: &Clock) -> String {
    format!(
        "import os, sys, time\n\
         def jump(seconds):\n    with open({:?}, 'r+b', buffering=0) as file:\n\
         \x20       file.write(seconds.to_bytes(8, sys.byteorder, signed=True))\n",
        clock.seconds().display().to_string()
    )
}

/// By how much Blender's clock is ahead of this process's.
fn ahead(blender: &Blender) -> Result<f64> {
    let theirs = blender.result("import time\nresult = time.time()")?.as_f64().context("no time")?;
    let ours = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    Ok(theirs - ours.as_secs_f64())
}

fn is_ahead(blender: &Blender, seconds: i64) -> Result<()> {
    let ahead = ahead(blender)?;
    #[expect(clippy::cast_precision_loss, reason = "a few days")]
    let is_so = (ahead - seconds as f64).abs() < 120.0;
    ensure!(is_so, "the clock did not jump: it is ahead by {ahead} s and should be by {seconds} s");
    Ok(())
}

fn status(wire: &mut Wire) -> Result<Value> {
    Ok(wire.answer(&json!({"type": "status"}))?["result"].clone())
}

/// Within the time that this test can have taken.
fn is_sane(secs: &Value, since: Instant) -> Result<f64> {
    let secs = secs.as_f64().with_context(|| format!("no seconds: {secs}"))?;
    ensure!((0.0..=since.elapsed().as_secs_f64() + 1.0).contains(&secs), "{secs} s since {:?}", since.elapsed());
    Ok(secs)
}

/// Asks over a kept connection.
fn health(kept: &mut Wire) -> Result<()> {
    kept.send(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
    let answer = String::from_utf8(kept.read_to(b'}')?)?;
    // Busy, or not.
    ensure!(answer.starts_with("HTTP/1.1 503") || answer.starts_with("HTTP/1.1 200"), "{answer}");
    Ok(())
}

/// Says at each jump where the clock is then, and goes on when told to by a file.
const JUMPING: &str = "
for seconds in JUMPS:
    jump(seconds)
    print('at', seconds, flush=True)
    while not os.path.exists(f'{GO}{seconds}'): time.sleep(0.01)
    time.sleep(0.5)
result = 'jumped'
";

/// Waits until Blender's main thread does not wait any more for the next of the requests before: it takes a timer to take one
/// then. Timers are called one after the other, and one that is new at the end of a round. A Blender without a window has none.
fn comes_round(blender: &Blender) -> Result<()> {
    if blender.flavour != Flavour::Windowed {
        return Ok(());
    }
    let marker = blender.file("round");
    blender
        .result(&format!("bpy.app.timers.register(lambda: open({:?}, 'w').close())", marker.display().to_string()))?;
    wait_until("Blender to come round", SOON, || marker.exists().then_some(()))?;
    Ok(fs_err::remove_file(marker)?)
}

fn jumps(environment: &Environment, flavour: Flavour) -> Result<()> {
    let (clock, begun) = (Clock::make()?, Instant::now());
    let blender = clock.start(environment, flavour, &[])?;
    is_ahead(&blender, 0)?;
    let (mut kept, mut http, mut greeted) = (blender.wire()?, blender.wire()?, blender.wire()?);
    ensure!(greeted.answer(&json!({"type": "hello", "protocol_version": 1}))?["status"] == "ok");
    let mut uptime = is_sane(&status(&mut kept)?["uptime_secs"], begun)?;
    health(&mut http)?;
    let jumps = [DAY, -DAY, 400 * DAY, 0];
    let go = blender.file("go").display().to_string();
    let code = JUMPING.replace("JUMPS", &format!("{jumps:?}")).replace("{GO}", &go);
    let request = json!({"type": "execute", "id": "jumps", "timeout_secs": 60, "code": jump(&clock) + &code});
    let mut running = blender.wire()?;
    running.ask(&request)?;
    let mut ids = vec!["jumps".to_owned()];
    let mut waiting = Vec::new();
    for seconds in jumps {
        wait_until("the jump", SOON, || {
            (status(&mut kept).ok()?["running"]["last_output_line"] == format!("at {seconds}")).then_some(())
        })?;
        // Connections from before the jump, and new ones.
        for wire in [&mut kept, &mut blender.wire()?] {
            let now = status(wire)?;
            is_sane(&now["running"]["running_secs"], begun)?;
            let later = is_sane(&now["uptime_secs"], begun)?;
            ensure!(later >= uptime, "it went back from {uptime} s to {later} s");
            uptime = later;
        }
        health(&mut http)?;
        health(&mut blender.wire()?)?;
        let id = format!("queued at {seconds}");
        let mut wire =
            if seconds == jumps[0] { std::mem::replace(&mut greeted, blender.wire()?) } else { blender.wire()? };
        wire.ask(&json!({"type": "execute", "id": id, "timeout_secs": 60, "code": "result = 'was queued'"}))?;
        wait_until("it to be queued", SOON, || {
            (status(&mut kept).ok()?["queue"]["length"] == waiting.len() + 1).then_some(())
        })?;
        waiting.push(wire);
        ids.push(id);
        fs_err::write(format!("{go}{seconds}"), "")?;
    }
    let reply = running.reply().context("what jumped")?;
    ensure!(reply["result"] == "jumped", "{reply}");
    for mut wire in waiting {
        let reply = wire.reply().context("what was queued")?;
        ensure!(reply["result"] == "was queued", "{reply}");
    }
    // Requests that begin while it is elsewhere, over connections of all ages.
    for seconds in [-DAY, DAY, -HOUR] {
        comes_round(&blender)?;
        clock.set(seconds)?;
        is_ahead(&blender, seconds).with_context(|| format!("ahead by {seconds} s"))?;
        for (name, wire) in [("kept", &mut kept), ("greeted", &mut greeted), ("new", &mut blender.wire()?)] {
            let id = format!("{name} at {seconds}");
            let ask = json!({"type": "execute", "id": id, "code": "result = 1"});
            let reply = wire.answer(&ask).with_context(|| id.clone())?;
            ensure!(reply["result"] == 1, "{id}: {reply}");
            ids.push(id);
        }
        health(&mut http)?;
    }
    // While Blender's main thread runs a script.
    let code = jump(&clock) + &format!("jump({})\nresult = 'back'", -2 * DAY);
    let reply = blender.wire()?.answer(&json!({"type": "execute", "id": "goes back", "code": code}))?;
    ensure!(reply["result"] == "back", "{reply}");
    comes_round(&blender).context("a round after a script during which it went back")?;
    is_ahead(&blender, -2 * DAY).context("after a script during which it went back")?;
    ids.push("goes back".to_owned());
    // The core goes by that clock too, where it tells the time.
    let (later, earlier) =
        (told(&blender, &format!("new at {DAY}"))?.0, told(&blender, &format!("new at {}", -HOUR))?.0);
    ensure!(later["number"].as_u64() < earlier["number"].as_u64(), "{later} {earlier}");
    ensure!(later["time"].as_str() > earlier["time"].as_str(), "the clock did not jump: {later} {earlier}");
    is_in_journal(environment, &blender, &ids, begun)
}

/// Each request is there once, with its end, and took what it can have taken.
fn is_in_journal(environment: &Environment, blender: &Blender, ids: &[String], begun: Instant) -> Result<()> {
    for id in ids {
        let (_, end) = told(blender, id)?;
        ensure!(end["outcome"] == "ok", "{id}: {end}");
        is_sane(&end["ran_secs"], begun).with_context(|| end.to_string())?;
    }
    // The last requests, which have no name, too.
    let count =
        |said: &str, event: &str| said.lines().filter(|line| line.contains(&format!("\"event\":\"{event}\""))).count();
    let said = wait_until("each to have its end", SOON, || {
        let said = logs(environment, &blender.state, &["--last", "all", "--json"]).ok()?;
        (count(&said, "begin") == count(&said, "end")).then_some(said)
    })?;
    for id in ids {
        let lines = said.lines().filter(|line| line.contains(&format!("\"id\":\"{id}\""))).count();
        ensure!(lines == 1, "{id} began {lines} times in {said}");
    }
    ensure!(shown(environment, &blender.state)? == count(&said, "begin"), "not all are shown");
    Ok(())
}

/// How many requests people are shown.
fn shown(environment: &Environment, state: &Path) -> Result<usize> {
    Ok(logs(environment, state, &["--last", "all"])?.lines().filter(|line| line.contains("  #")).count())
}

/// The journal has its end, with an earlier time than its beginning.
fn ended(environment: &Environment) -> Result<()> {
    let clock = Clock::make()?;
    let blender = clock.start(environment, Flavour::Bpy52, &[])?;
    let code = format!("{}jump({})\nresult = 1", jump(&clock), -DAY);
    let reply = blender.wire()?.answer(&json!({"type": "execute", "id": "back", "code": code}))?;
    ensure!(reply["result"] == 1, "{reply}");
    let (begin, end) = told(&blender, "back")?;
    ensure!(end["time"].as_str() < begin["time"].as_str() && end["outcome"] == "ok", "{begin} {end}");
    let said = logs(environment, &blender.state, &["--last", "all"])?;
    ensure!(said.contains(" ok ") && !said.contains("no end"), "{said}");
    let replayed = logs(environment, &blender.state, &["--py"])?;
    ensure!(replayed.contains("jump(-86400)"), "{replayed}");
    Ok(())
}

fn limits(environment: &Environment) -> Result<()> {
    let clock = Clock::make()?;
    let blender = clock.start(environment, Flavour::Bpy52, &[])?;
    for (seconds, limit) in [(-HOUR, 1.0), (-DAY, 1.0), (DAY, 3.0), (0, 1.0)] {
        let code = format!("{}jump({seconds})\nwhile True: pass", jump(&clock));
        let begun = Instant::now();
        let reply = blender.wire()?.answer(&json!({"type": "execute", "timeout_secs": limit, "code": code}))?;
        let took = begun.elapsed();
        println!("a limit of {limit} s after a jump to {seconds} s: {took:?}");
        ensure!(reply["error"]["code"] == "timeout", "{seconds}: {reply}");
        ensure!(took >= Duration::from_secs_f64(limit) && took < SOON, "{seconds}: {took:?}");
        is_ahead(&blender, seconds)?;
    }
    // One that waits behind another for longer than it may.
    let mut running = blender.wire()?;
    running.ask(
        &json!({"type": "execute", "id": "r", "code": format!("{}jump({})\nwhile True: pass", jump(&clock), -DAY)}),
    )?;
    wait_until("it to run", SOON, || (status(&mut blender.wire().ok()?).ok()?["running"]["id"] == "r").then_some(()))?;
    let mut behind = blender.wire()?;
    let reply = behind.answer(&json!({"type": "execute", "timeout_secs": 1, "code": "result = 1"}))?;
    ensure!(reply["error"]["code"] == "timeout" && reply.get("stdout").is_none(), "{reply}");
    ensure!(behind.answer(&json!({"type": "cancel", "id": "r"}))?["status"] == "ok");
    ensure!(running.reply()?["error"]["code"] == "cancelled");
    ensure!(blender.result("result = 6 * 7")? == 42);
    Ok(())
}

fn rotation(environment: &Environment) -> Result<()> {
    let clock = Clock::make()?;
    let blender = clock.start(environment, Flavour::Bpy52, &["--require-token"])?;
    for seconds in [DAY, -DAY, 0] {
        let first = token(&blender)?;
        let (mut old, mut late) = (blender.wire()?, blender.wire()?);
        ensure!(old.answer(&hello(&json!(first)))?["status"] == "ok");
        let code = format!("{}jump({seconds})\nresult = time.time()", jump(&clock));
        let reply = old.answer(&json!({"type": "execute", "code": code}))?;
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "a few days")]
        let is_ahead = reply["result"].as_f64().is_some_and(|then| (then - now - seconds as f64).abs() < 120.0);
        ensure!(is_ahead, "{seconds}: {reply}");
        // Time to bring the token is not over because of a jump.
        ensure!(late.answer(&hello(&json!(first)))?["status"] == "ok", "put out by a jump");
        let output = blendwire(environment, &blender, &["token", "--rotate"]).output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let second = token(&blender)?;
        ensure!(second != first);
        for wire in [&mut old, &mut late] {
            let refused = wait_until("the old connection to be refused", SOON, || {
                let reply = wire.answer(&json!({"type": "ping"})).ok()?;
                (reply["status"] == "error").then_some(reply)
            })?;
            ensure_unauthorized(&refused)?;
        }
        ensure_unauthorized(&blender.wire()?.answer(&hello(&json!(first)))?)?;
        ensure!(blender.wire()?.answer(&hello(&json!(second)))?["status"] == "ok");
    }
    Ok(())
}

fn doctor(environment: &Environment) -> Result<()> {
    let clock = Clock::make()?;
    let blender = clock.start(environment, Flavour::Bpy52, &[])?;
    for (seconds, state, told) in
        [(2 * DAY, "warning", "48h"), (-HOUR, "warning", "behind this machine's"), (0, "ok", "the same as here")]
    {
        clock.set(seconds)?;
        let look = || -> Option<Value> {
            let output = blendwire(environment, &blender, &["doctor", "--json", "clock"]).output().ok()?;
            let found: Vec<Value> = serde_json::from_slice(&output.stdout).ok()?;
            found.into_iter().find(|finding| finding["id"] == "clock")
        };
        let mut last = None;
        let looked = wait_until("doctor to see it", Duration::from_mins(1), || {
            last = look();
            last.clone().filter(|one| one["state"] == state && one["seen"].to_string().contains(told))
        });
        let finding = looked.with_context(|| format!("{last:?}"))?;
        ensure!(state == "ok" || finding["remedies"].to_string().contains("timedatectl set-ntp true"), "{finding}");
    }
    Ok(())
}
