// SPDX-License-Identifier: GPL-3.0-or-later
//! What goes wrong around the server: clients and Blenders that are killed, descriptors that run out, ports that are
//! stolen, preferences that hold nonsense, a console that nobody reads.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use blendwire_e2e::{Blender, Environment, Flavour, Gate, Settings, Wire, wait_until};
use serde_json::{Value, json};

use crate::http::bearer;
use crate::suite::Suite;

const BOTH: [Flavour; 2] = [Flavour::Bpy52, Flavour::Windowed];

pub(crate) fn add(suite: &mut Suite) {
    suite.shared(&BOTH, "faults::clients_killed_at_every_stage", clients_killed);
    suite.shared(&BOTH, "faults::clients_that_reset_in_the_middle_of_answers", clients_reset);
    suite.shared(&BOTH, "faults::out_of_descriptors", out_of_descriptors);
    for flavour in BOTH {
        suite.own(&format!("{}::faults::blender_killed_at_every_stage", flavour.name()), move |environment| {
            blender_killed(environment, flavour)
        });
    }
    suite.own("windowed::faults::port_stolen_between_stop_and_start", port_stolen);
    suite.own("windowed::faults::preferences_that_hold_nonsense", nonsense);
    suite.own("windowed::faults::a_console_that_nobody_reads", |environment| console(environment, FULL));
    suite.own("windowed::faults::a_console_that_is_gone", |environment| console(environment, CLOSED));
}

fn status(blender: &Blender) -> Result<Value> {
    Ok(blender.wire()?.answer(&json!({"type": "status"}))?["result"].clone())
}

/// It serves, nobody is left over, and nothing in it has failed.
fn is_well(blender: &mut Blender) -> Result<()> {
    let last = std::cell::RefCell::new(Value::Null);
    wait_until("the server to have nothing left over", Duration::from_mins(1), || {
        let now = status(blender).ok()?;
        let is_quiet = now["clients"] == 1 && now["queue"]["length"] == 0 && now["running"].is_null();
        *last.borrow_mut() = now;
        is_quiet.then_some(())
    })
    .with_context(|| last.borrow().to_string())?;
    ensure!(blender.process.try_wait().is_none(), "Blender has ended");
    ensure!(blender.result("result = 6 * 7")? == 42);
    ensure!(status(blender)?["counters"]["panics"] == 0, "{}", last.borrow());
    Ok(())
}

/// A client that is a process of its own: sends what stands on its stdin, inside TLS or not, reads some bytes, says so, and
/// waits.
const CLIENT: &str = "
import socket, ssl, sys, time
connection = socket.create_connection(('127.0.0.1', int(sys.argv[1])))
if sys.argv[3] == 'tls':
    connection = ssl._create_unverified_context().wrap_socket(connection)
connection.sendall(sys.stdin.buffer.read())
wanted = int(sys.argv[2])
while wanted > 0:
    wanted -= len(connection.recv(wanted))
print('there', flush=True)
time.sleep(600)
";

fn client(blender: &Blender, sent: &[u8], reads: usize) -> Result<Child> {
    client_over(blender, "plain", sent, reads)
}

fn client_over(blender: &Blender, layer: &str, sent: &[u8], reads: usize) -> Result<Child> {
    let mut command = Command::new("python3");
    command.args(["-c", CLIENT, &blender.port.to_string(), &reads.to_string(), layer]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("the tests need python3")?;
    child.stdin.take().context("no stdin")?.write_all(sent)?;
    let mut said = [0; 5];
    child.stdout.as_mut().context("no stdout")?.read_exact(&mut said).context("the client failed")?;
    Ok(child)
}

fn request(code: &str, id: &str) -> Vec<u8> {
    (json!({"type": "execute", "code": code, "id": id}).to_string() + "\0").into_bytes()
}

/// A script over HTTP, for its answer alone or for what it prints as events.
fn post(blender: &Blender, accept: &str, body: &Value) -> Result<Vec<u8>> {
    let (body, token) = (body.to_string(), bearer(blender)?);
    let head = format!(
        "POST /execute HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n{token}\r\n",
        body.len()
    );
    Ok((head + &body).into_bytes())
}

/// Killed as `kill -9` does; a request that was accepted is run all the same, and its answer is kept.
fn clients_killed(blender: &mut Blender) -> Result<()> {
    const EVENTS: &str = "text/event-stream";
    let big = "result = 'x' * 60_000_000";
    let bare = json!({"type": "execute_code", "params": {"code": "print('x' * 60_000_000)"}}).to_string();
    let prints = "for n in range(20_000): print('x' * 1000)";
    let mcp = crate::mcp::http::INITIALIZE;
    let mcp_head = format!(
        "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAccept: application/json, {EVENTS}\r\n\
         Content-Length: {}\r\n{}\r\n",
        mcp.len(),
        bearer(blender)?
    );
    let mut half_a_body = post(blender, "*/*", &json!({"code": "1"}))?;
    half_a_body.truncate(half_a_body.len() - 5);
    let stages: [(&str, &str, Vec<u8>, usize); 16] = [
        ("connected", "plain", vec![], 0),
        ("half sent", "plain", b"{\"type\": \"execute\", \"code\": \"resu".to_vec(), 0),
        ("reply half read", "plain", request(big, "big"), 100_000),
        ("bare, half sent", "plain", b"{\"type\": \"execute_code\", \"params\": {\"co".to_vec(), 0),
        ("bare, reply half read", "plain", bare.clone().into_bytes(), 100_000),
        ("half a handshake", "plain", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(), 0),
        ("inside TLS", "tls", vec![], 0),
        ("half sent inside TLS", "tls", b"{\"type\": \"execute\", \"code\": \"resu".to_vec(), 0),
        ("reply half read inside TLS", "tls", request(big, "big inside TLS"), 100_000),
        ("half of HTTP", "plain", b"GET /status HT".to_vec(), 0),
        ("half of a body", "plain", half_a_body, 0),
        ("answer half read", "plain", post(blender, "*/*", &json!({"code": big}))?, 100_000),
        ("events half read", "plain", post(blender, EVENTS, &json!({"code": prints}))?, 5_000),
        ("events half read inside TLS", "tls", post(blender, EVENTS, &json!({"code": prints}))?, 5_000),
        ("half of MCP", "plain", format!("{mcp_head}{}", &mcp[..20]).into_bytes(), 0),
        ("MCP, answer half read", "plain", format!("{mcp_head}{mcp}").into_bytes(), 100),
    ];
    for (stage, layer, sent, reads) in stages {
        let mut client = client_over(blender, layer, &sent, reads).context(stage)?;
        client.kill()?;
        client.wait()?;
        is_well(blender).context(stage)?;
    }
    let mut keeper = blender.wire()?;
    let gate = Gate::closed(blender.file("let-go"));
    keeper.ask(&json!({"type": "execute", "id": "keeper", "code": gate.wait() + "\nresult = 'kept'"}))?;
    let mut queued = client(blender, &request("result = 'was queued'", "queued"), 0)?;
    // One that is gone before the system could say whose it was is not let in.
    wait_until("it to be queued", Duration::from_secs(20), || {
        (status(blender).ok()?["queue"]["length"] == 1).then_some(())
    })?;
    queued.kill()?;
    queued.wait()?;
    gate.open()?;
    ensure!(keeper.reply()?["result"] == "kept", "the script of another client was hurt");
    drop(keeper);
    let outlives = |id: &str, result: &str| -> Result<()> {
        let outcome = blender.wire()?.answer(&json!({"type": "outcome", "id": id}))?;
        ensure!(outcome["result"] == result, "{id}: {outcome}");
        Ok(())
    };
    for (id, layer, accept) in [
        ("framed", "plain", None),
        ("inside TLS", "tls", None),
        ("over HTTP", "plain", Some("*/*")),
        ("events", "plain", Some(EVENTS)),
    ] {
        let gate = Gate::closed(blender.file(id));
        let script = gate.wait() + "\nresult = 'was running'";
        let sent = match accept {
            Some(accept) => post(blender, accept, &json!({"code": script, "id": id}))?,
            None => request(&script, id),
        };
        let mut client = client_over(blender, layer, &sent, 0)?;
        wait_until("it to run", Duration::from_secs(20), || {
            (status(blender).ok()?["running"]["id"] == id).then_some(())
        })?;
        client.kill()?;
        client.wait()?;
        gate.open()?;
        wait_until("its end", Duration::from_secs(20), || status(blender).ok()?["running"].is_null().then_some(()))?;
        outlives(id, "was running")?;
    }
    outlives("queued", "was queued")?;
    is_well(blender)
}

/// Closes with bytes unread, which resets the connection: the server's next write to it is one to a broken pipe. A Blender
/// that lets the system's signal for that through would be gone.
fn clients_reset(blender: &mut Blender) -> Result<()> {
    let http = "GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(200);
    let framed = "{\"type\": \"status\"}\0".repeat(200);
    let large = String::from_utf8(request("result = ['x' * 1000] * 20_000", "large"))?;
    for _ in 0..50 {
        for text in [&http, &framed, &large] {
            let mut wire = blender.wire()?;
            wire.send(text.as_bytes())?;
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    // A script's own socket, too.
    let own = "import socket\na, b = socket.socketpair()\nb.close()\n\
        try:\n    a.sendall(b'x')\nexcept OSError as error:\n    result = type(error).__name__";
    ensure!(blender.result(own)? == "BrokenPipeError");
    is_well(blender)
}

fn out_of_descriptors(blender: &mut Blender) -> Result<()> {
    let mut running = blender.wire()?;
    let limit = "import os, resource, time\n\
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)\n\
        free = os.dup(0)\nos.close(free)\n\
        resource.setrlimit(resource.RLIMIT_NOFILE, (free + 20, hard))\n\
        print('few', flush=True)\n\
        try:\n    time.sleep(4)\nfinally:\n    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))\n\
        result = 'unhurt'";
    running.ask(&json!({"type": "execute", "code": limit}))?;
    wait_until("the limit", Duration::from_secs(20), || {
        (status(blender).ok()?["running"]["last_output_line"] == "few").then_some(())
    })?;
    let crowd: Vec<Wire> = (0..100).map(|_| blender.wire()).collect::<Result<_>>()?;
    let accepted = || -> Result<usize> { Ok(fs_err::read_dir(format!("/proc/{}/fd", blender.process.pid()))?.count()) };
    let before = accepted()?;
    std::thread::sleep(Duration::from_secs(1));
    println!("{} of Blender's descriptors were open, with 100 connections waiting", accepted()?.max(before));
    drop(crowd);
    let reply = running.reply()?;
    ensure!(reply["result"] == "unhurt", "{reply}");
    drop(running);
    is_well(blender)?;
    ensure!(
        blender.process.output().contains("cannot accept connections"),
        "descriptors never ran out, or it was not said"
    );
    Ok(())
}

/// What one client is being sent when Blender is killed.
const REPLY_BYTES: usize = 300_000_000;

/// From the moment that the system has closed the connections. A second is what people wait, and hundredths of it are what
/// an idle machine takes; a busy one has to come round to the client first. Keepalive would take half a minute and more.
const TOLD_WITHIN: Duration = Duration::from_secs(8);

fn blender_killed(environment: &Environment, flavour: Flavour) -> Result<()> {
    let mut blender = Blender::start(environment, flavour, &Settings::default())?;
    let (port, resources) = (blender.port, tempfile::tempdir()?);
    for stage in ["running", "queued", "replying"] {
        let mut keeper = blender.wire()?;
        let code = match stage {
            "replying" => &format!("result = 'x' * {REPLY_BYTES}"),
            _ => "print('on', flush=True)\nwhile True: pass",
        };
        if stage == "queued" {
            keeper.ask(&json!({"type": "execute", "id": "keeper", "code": "while True: pass"}))?;
            wait_until("the keeper", Duration::from_secs(20), || {
                (status(&blender).ok()?["running"]["id"] == "keeper").then_some(())
            })?;
        }
        let mut command = Command::new(&environment.blendwire);
        command.args(["exec", "-c", code]).env("BLENDWIRE_PORT", port.to_string()).stdin(Stdio::null());
        let waiting = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        wait_until("the request", Duration::from_secs(30), || {
            let now = status(&blender).ok()?;
            let sent = now["counters"]["sent_bytes"].as_u64()?;
            match stage {
                "running" => (now["running"]["last_output_line"] == "on").then_some(()),
                "queued" => (now["queue"]["length"] == 1).then_some(()),
                // Its client holds the reply in a pipe that nobody reads.
                _ => (sent > 1_000_000).then_some(()),
            }
        })?;
        let killed = Instant::now();
        let done = Command::new("kill").args(["-KILL", &blender.process.pid().to_string()]).status()?;
        ensure!(done.success());
        // Until the system has taken a large Blender apart, its connections stay open: seconds on a busy machine.
        let closed = std::thread::spawn(move || {
            // Closed or reset, which is the same.
            let _ = keeper.read_to_end();
            Instant::now()
        });
        let output = waiting.wait_with_output()?;
        let (told, said) = (Instant::now(), String::from_utf8_lossy(&output.stderr).into_owned());
        let closed = closed.join().map_err(|_| anyhow::anyhow!("a panic"))?;
        let (after, took) = (closed - killed, told.saturating_duration_since(closed));
        println!("{}: killed while {stage}: closed after {after:?}, told {took:?} later: {said}", flavour.name());
        // The last of a reply may have been on its way when Blender died.
        let is_whole = stage == "replying" && output.status.success() && output.stdout.len() >= REPLY_BYTES;
        let is_told = output.status.code() == Some(1) && said.contains("unknown whether the request ran");
        ensure!(is_whole || is_told, "{stage}: {}, {} bytes: {said}", output.status, output.stdout.len());
        ensure!(is_whole || took < TOLD_WITHIN, "{stage}: {took:?}");
        blender.process.wait(Duration::from_secs(20))?;
        let settings =
            Settings { port: Some(port), resources: Some(resources.path().join("resources")), ..Settings::default() };
        blender = Blender::start(environment, flavour, &settings)?;
        ensure!(blender.result("result = 1")? == 1, "the next start");
    }
    Ok(())
}

/// Runs Python in Blender a moment after the request that says so, and waits for what it leaves in a file.
fn later(blender: &Blender, code: &str) -> Result<String> {
    let (script, answer) = (blender.file("later.py"), blender.file("later.txt"));
    let _ = fs_err::remove_file(&answer);
    fs_err::write(&script, code)?;
    let (script, shown) = (serde_json::to_string(&script)?, serde_json::to_string(&answer)?);
    blender.result(&format!(
        "def later():\n    space = {{}}\n    try:\n        exec(open({script}).read(), space)\n\
         \x20   except BaseException as error:\n        space['answer'] = repr(error)\n\
         \x20   open({shown}, 'w', errors='backslashreplace').write(str(space.get('answer')) + '\\n')\n\
         bpy.app.timers.register(later, first_interval=0.3)"
    ))?;
    wait_until("Blender to come round", Duration::from_secs(30), || {
        fs_err::read_to_string(&answer).ok().filter(|text| text.ends_with('\n'))
    })
}

const ADDON: &str = "import bpy, sys\n\
    addon = sys.modules.get('bl_ext.user_default.blendwire') or sys.modules['blendwire']\n\
    wishes = bpy.context.preferences.addons[addon.__name__].preferences\n";

fn port_stolen(environment: &Environment) -> Result<()> {
    let mut blender = Blender::start(environment, Flavour::Windowed, &Settings::default())?;
    // Stopped, and started again by a timer when the thief is there.
    let said = blender.file("said.txt");
    let shown = serde_json::to_string(&said)?;
    blender.result(&format!(
        "{ADDON}import os\nleft = 3\n\
         def again():\n    answer = addon.server_start()\n    text = answer['state'] + ': ' + answer['problem']\n\
         \x20   open({shown}, 'a').write(text + '\\n')\n    return None if answer['running'] else 1.0\n\
         def stop():\n    addon.server_stop()\n    bpy.app.timers.register(again, first_interval=2.0)\n\
         bpy.app.timers.register(stop, first_interval=0.3)"
    ))?;
    let port = blender.port;
    let thief =
        wait_until("the port to be free", Duration::from_secs(20), || TcpListener::bind(("127.0.0.1", port)).ok())?;
    let words = wait_until("the start to fail", Duration::from_secs(20), || {
        fs_err::read_to_string(&said).ok().filter(|text| text.contains('\n'))
    })?;
    let me = format!("(process {})", std::process::id());
    let names = [format!("port {port} is taken by"), me, "BLENDWIRE_PORT".to_owned()];
    ensure!(words.starts_with("problem: ") && names.iter().all(|name| words.contains(name)), "{words}");
    drop(thief);
    blender.wait_until_ready()?;
    is_well(&mut blender)
}

fn nonsense(environment: &Environment) -> Result<()> {
    let mut blender = Blender::start(environment, Flavour::Windowed, &Settings::default())?;
    // Not `require_token`: whatever is true there asks for one.
    let garbage = ["'garbage'", "-5", "1e300", "[1, 2]", "{'a': 1}", "b'\\xff'", "2**31 - 1", "''"];
    for value in garbage {
        let restart = format!(
            "{ADDON}refused = []\n\
             for name in ('host', 'port', 'next_free_port', 'auto_start', 'time_limit_secs', 'other_users', 'undo_steps', 'features', 'log_level', \
             'allowed_clients', 'open_networks', 'tls_certificate', 'tls_key', 'journal', \
             'guard_files', 'guard_processes', 'guard_network'):\n\
             \x20   try:\n        wishes[name] = {value}\n    except Exception as error:\n        refused.append(name)\n\
             answer = addon.server_restart()\nproblem = answer['problem']\n\
             for name in list(wishes.keys()):\n    del wishes[name]\n\
             if not answer['running'] or problem: addon.server_restart()\n\
             answer = 'said: ' + problem"
        );
        let answer = later(&blender, &restart)?;
        ensure!(answer.starts_with("said: "), "{value}: {answer}");
        println!("{value}: {}", answer.trim_end());
        blender.wait_until_ready()?;
    }
    for bind in ["garbage", ":", "localhost:", "localhost:99999", "[::1:9", "0.0.0.0:9876", "localhost:-1"] {
        let answer = later(
            &blender,
            &format!(
                "{ADDON}import os\nbefore = os.environ['BLENDWIRE_BIND']\nos.environ['BLENDWIRE_BIND'] = '{bind}'\n\
                 said = addon.server_restart()\nos.environ['BLENDWIRE_BIND'] = before\n\
                 answer = str(said['running']) + ': ' + said['problem']\naddon.server_restart()"
            ),
        )?;
        ensure!(
            answer.starts_with("True: ") && answer.contains("Environment variable BLENDWIRE_BIND"),
            "{bind}: {answer}"
        );
    }
    is_well(&mut blender)
}

/// Standard output and error become a pipe that is full to the last byte.
const FULL: &str = "import os\nread, write = os.pipe()\nos.set_blocking(write, False)\n\
    try:\n    while True: os.write(write, b'x' * 65536)\nexcept BlockingIOError: pass\n\
    try:\n    while True: os.write(write, b'x')\nexcept BlockingIOError: pass\n\
    os.set_blocking(write, True)\nos.dup2(write, 1)\nos.dup2(write, 2)";

/// Standard output and error become a pipe whose other end is closed.
const CLOSED: &str = "import os\nread, write = os.pipe()\nos.close(read)\nos.dup2(write, 1)\nos.dup2(write, 2)";

/// At the level *debug* the server logs each connection, which must neither hold up nor end Blender.
fn console(environment: &Environment, pipe: &str) -> Result<()> {
    let mut blender = Blender::start(environment, Flavour::Windowed, &Settings::default())?;
    later(&blender, &format!("{ADDON}wishes.log_level = 'debug'"))?;
    blender.result(pipe)?;
    for round in 0..200 {
        ensure!(blender.result(&format!("result = {round}"))? == round);
    }
    ensure!(blender.result("print('x' * 10_000_000)\nresult = 1")? == 1, "a script that prints much");
    std::thread::sleep(Duration::from_secs(1));
    is_well(&mut blender)
}
