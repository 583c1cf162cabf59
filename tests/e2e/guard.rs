// SPDX-License-Identifier: GPL-3.0-or-later
//! Guard rules: what scripts may do outside of Blender, and how the user is asked.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use blendwire_e2e::{Blender, Environment, Flavour, McpSession, PREFERENCES, Settings, Wire, wait_until};
use serde_json::{Value, json};

use crate::journal::{logs, told};
use crate::panel::OPEN_PANEL;
use crate::panics::panel_says;
use crate::suite::Suite;

const SOON: Duration = Duration::from_secs(20);

const KINDS: [&str; 3] = ["files", "processes", "network"];

pub(crate) fn add(suite: &mut Suite) {
    for flavour in [Flavour::Bpy50, Flavour::Bpy52] {
        for rule in ["deny", "ask", "allow"] {
            suite.own(&format!("{}::guard::each_kind_{rule}", flavour.name()), move |environment| {
                KINDS.iter().try_for_each(|kind| without_window(environment, flavour, kind, rule))
            });
        }
    }
    suite.own("guard::blenders_own_temporary_folder_is_free", temporary);
    suite.own("guard::neither_a_hard_link_nor_an_open_folder_leads_out_of_the_temporary_one", leads_out);
    suite.own("windowed::guard::asks_before_a_script_is_run", asks);
    suite.own("windowed::guard::what_was_not_foreseen_is_refused_and_offered", offers);
    suite.own("windowed::guard::asks_through_the_mcp_client", through_mcp);
    suite.own("windowed::guard::code_that_is_cut_says_so_and_can_be_read", cut);
    suite.own("windowed::guard::a_script_does_not_consent_to_itself", not_itself);
}

/// For each kind, scripts that do it; `PATH` is a file of the test's own. Each in another way, some not in the open.
const SCRIPTS: [(&str, &str); 14] = [
    ("files", "open('PATH', 'w').close()"),
    ("files", "import os; os.mkdir('PATH-folder')"),
    ("files", "import pathlib; pathlib.Path('PATH').touch()"),
    ("files", "getattr(__import__('os'), 'remo' + 've')('PATH')"),
    ("files", "class R:\n  def __repr__(self): open('PATH', 'w').close(); return 'made'\nresult = R()"),
    (
        "files",
        "import threading\nsaid = []\ndef write():\n  try: open('PATH', 'w')\n  except OSError as e: said.append(e)\n\
         t = threading.Thread(target=write)\nt.start()\nt.join()\nif said: raise said[0]",
    ),
    ("processes", "import subprocess; subprocess.run(['touch', 'PATH'])"),
    ("processes", "import os; os.system('touch PATH')"),
    ("processes", "import os; os.popen('touch PATH').close()"),
    ("processes", "import os\nif os.fork() == 0: os._exit(0)"),
    ("network", "import socket; socket.create_connection(('127.0.0.1', PORT)).close()"),
    ("network", "import urllib.request; urllib.request.urlopen('http://localhost:PORT/health').close()"),
    ("network", "import socket; socket.getaddrinfo('localhost', 80)"),
    ("network", "import socket; s = socket.socket(); s.bind(('127.0.0.1', 0)); s.close()"),
];

/// Without a window there is nobody to ask: the rule is as good as “Deny”, and says so.
fn without_window(environment: &Environment, flavour: Flavour, kind: &str, rule: &str) -> Result<()> {
    let arguments = vec!["--guard".to_owned(), format!("{kind}={rule}")];
    let blender = Blender::start(environment, flavour, &Settings { arguments, ..Settings::default() })?;
    for (number, (of, code)) in SCRIPTS.iter().enumerate() {
        let path = blender.file(&format!("path-{number}"));
        if code.contains("remo") {
            fs_err::write(&path, "")?;
        }
        let code = code.replace("PATH", &path.display().to_string()).replace("PORT", &blender.port.to_string());
        // The server cannot be asked over HTTP by what keeps it busy, but it answers from its own thread.
        let reply = blender.wire()?.answer(&json!({"type": "execute", "code": code, "id": number}))?;
        let is_refused = reply["message"].as_str().is_some_and(|message| message.contains("PermissionError"))
            || reply["result"].as_str().is_some_and(|result| result.contains("unprintable"));
        ensure!(is_refused == (*of == kind && rule != "allow"), "{kind}={rule}: {code}: {reply}");
        if is_refused && !code.contains("__repr__") {
            let message = reply["message"].as_str().unwrap_or_default();
            let words = if rule == "deny" { "“Deny”" } else { "nobody to ask" };
            ensure!(message.contains(words) && message.contains("preferences"), "{message}");
            ensure!(path.exists() == code.contains("remo"), "{code}: it was done all the same");
        }
    }
    ensure!(blender.result("result = bpy.app.background")? == true);
    Ok(())
}

/// Also by way of links, which do not lead out of it.
fn temporary(environment: &Environment) -> Result<()> {
    let arguments = vec!["--guard".to_owned(), "files=deny".to_owned()];
    let blender = Blender::start(environment, Flavour::Bpy52, &Settings { arguments, ..Settings::default() })?;
    blender.result("open(bpy.app.tempdir + 'a', 'w').close()\nimport os\nos.remove(bpy.app.tempdir + 'a')")?;
    let outside = blender.file("outside").display().to_string();
    for code in [
        format!("open(bpy.app.tempdir + '../../../..{outside}', 'w')"),
        format!("import os\nos.symlink('{outside}', bpy.app.tempdir + 'link')\nopen(bpy.app.tempdir + 'link', 'w')"),
        format!("import os\nos.chdir(bpy.app.tempdir)\nopen('../' * 20 + '{outside}', 'w')"),
    ] {
        let reply = blender.wire()?.execute(&code)?;
        ensure!(reply["message"].to_string().contains("PermissionError"), "{code}: {reply}");
    }
    // Python's own cache of what it imports is a file too, and nobody is the worse for its absence.
    blender.result("import sys, this\nresult = 1")?;
    ensure!(!blender.file("outside").exists());
    Ok(())
}

/// What another file of the user's can be written by: a second name of it in the free folder, made by the script or there
/// before; and a folder that `os.open` is given, of which Python does not tell.
fn leads_out(environment: &Environment) -> Result<()> {
    let arguments = vec!["--guard".to_owned(), "files=deny".to_owned()];
    let blender = Blender::start(environment, Flavour::Bpy52, &Settings { arguments, ..Settings::default() })?;
    let theirs = blender.file("theirs");
    fs_err::write(&theirs, "precious")?;
    let temporary = blender.result("result = bpy.app.tempdir")?.as_str().context("no folder")?.to_owned();
    fs_err::hard_link(&theirs, format!("{temporary}there-before"))?;
    let (file, folder) = (theirs.display(), theirs.parent().context("no folder")?.display());
    let begin = "import os\nos.chdir(bpy.app.tempdir)\n";
    for code in [
        format!("os.link('{file}', bpy.app.tempdir + 'link')"),
        format!("os.link('theirs', 'link', src_dir_fd=os.open('{folder}', os.O_RDONLY))"),
        "open(bpy.app.tempdir + 'there-before', 'w')".to_owned(),
        "os.truncate('there-before', 0)".to_owned(),
        "os.chmod('there-before', 0o777)".to_owned(),
        format!("os.open('theirs', os.O_WRONLY | os.O_TRUNC, dir_fd=os.open('{folder}', os.O_RDONLY))"),
        format!("os.open(b'new', os.O_WRONLY | os.O_CREAT, dir_fd=os.open('{folder}', os.O_RDONLY))"),
    ] {
        let reply = blender.wire()?.execute(&format!("{begin}{code}"))?;
        ensure!(reply["message"].to_string().contains("PermissionError: writing"), "{code}: {reply}");
    }
    ensure!(fs_err::read(&theirs)? == b"precious" && !blender.file("new").exists());
    // The folder is free all the same, by its whole path and by the built-in.
    let free =
        "os.close(os.open(bpy.app.tempdir + 'a', os.O_WRONLY | os.O_CREAT))\nopen('a', 'w').close()\nos.remove('a')";
    blender.result(&format!("{begin}{free}"))?;
    Ok(())
}

/// A windowed Blender with these rules, set as its user would.
fn windowed(environment: &Environment, rules: &[(&str, &str)]) -> Result<Blender> {
    let preferences = format!("p = {PREFERENCES}");
    let rules = rules.iter().map(|(kind, rule)| format!("p.guard_{kind} = '{rule}'"));
    let wish = std::iter::once(preferences).chain(rules).collect::<Vec<_>>().join("\n");
    let settings = Settings { python_expr: Some(wish), large_window: true, ..Settings::default() };
    Blender::start(environment, Flavour::Windowed, &settings)
}

fn waiting(blender: &Blender) -> Result<Value> {
    wait_until("a request to wait for consent", SOON, || {
        let status = blender.wire().ok()?.answer(&json!({"type": "status"})).ok()?;
        Some(status["result"]["consent"][0].clone()).filter(Value::is_object)
    })
}

/// Presses a button, as the user does: from outside of any script, and not before it could be read.
fn press(blender: &Blender, request: &Value, answer: &str) -> Result<()> {
    press_of(blender, request, answer, "")
}

/// The same for what was refused to a request that has run.
fn press_of(blender: &Blender, request: &Value, answer: &str, refused: &str) -> Result<()> {
    let is_asked = if refused.is_empty() { "shown is not None" } else { "True" };
    let code = format!(
        "{CONSENT}\
         def press():\n    \
             shown = consent._Shown.since.get({request})\n    \
             if not ({is_asked}) or time.monotonic() - (shown or 0.0) < consent.UNREAD_SECS:\n        \
                 return 0.1\n    \
             bpy.ops.blendwire.consent(request={request}, answer='{answer}', refused='{refused}')\n\
         bpy.app.timers.register(press)"
    );
    blender.result(&code).map(drop)
}

/// The add-on's module that asks.
const CONSENT: &str = "import sys, time\n\
    consent = next(module for name, module in sys.modules.items() if name.endswith('blendwire.consent'))\n";

/// Has the next request that is asked about answered as soon as the menu is there.
fn click_hastily(blender: &Blender) -> Result<()> {
    let code = format!(
        "{CONSENT}\
         before = set(consent._Shown.since)\n\
         def click():\n    \
             new = set(consent._Shown.since) - before\n    \
             if not new:\n        \
                 return 0.01\n    \
             number = new.pop()\n    \
             bpy.ops.blendwire.consent(request=number, answer='once')\n    \
             bpy.app.driver_namespace['waited'] = time.monotonic() - consent._Shown.since[number]\n\
         bpy.app.timers.register(click)"
    );
    blender.result(&code).map(drop)
}

fn ask(blender: &Blender, request: &Value) -> Result<Wire> {
    let mut wire = blender.wire()?;
    wire.ask(request)?;
    Ok(wire)
}

fn asks(environment: &Environment) -> Result<()> {
    let blender = windowed(environment, &[("files", "ask"), ("network", "ask")])?;
    let path = blender.file("a").display().to_string();
    let code =
        format!("# Notes for the client\nwith open('{path}', 'a') as file:\n    file.write('x')\nresult = 'done'");
    let request = json!({"type": "execute", "code": code, "id": "asks", "title": "Write notes"});
    let mut wire = ask(&blender, &request)?;
    let asked = waiting(&blender)?;
    ensure!(asked["id"] == "asks" && asked["title"] == "Write notes" && asked["wants"] == json!(["files"]), "{asked}");
    // Others are served meanwhile, and see the panel.
    blender.result(OPEN_PANEL)?;
    std::thread::sleep(Duration::from_secs(3));
    let display = blender.display.as_ref().context("no display")?;
    display.picture()?.save(&environment.artefacts.join("guard-asks.png"))?;
    ensure!(!blender.file("a").exists(), "it ran without consent");
    press(&blender, &asked["request"], "once")?;
    ensure!(wire.reply()?["result"] == "done" && fs_err::read(&path)? == b"x");

    // Whoever types or clicks while the menu comes up has not consented.
    click_hastily(&blender)?;
    let mut wire = ask(&blender, &request)?;
    let number = waiting(&blender)?["request"].clone();
    let waited = wait_until("the click", SOON, || {
        blender.result("result = bpy.app.driver_namespace.get('waited')").ok()?.as_f64()
    })?;
    ensure!(waited < 1.0, "the click came after {waited} s, when it may have been meant");
    ensure!(waiting(&blender)?["request"] == number, "it ran by a click that came too early");
    press(&blender, &number, "once")?;
    ensure!(wire.reply()?["result"] == "done" && fs_err::read(&path)? == b"xx");

    // Once is once; never is refused, and says so.
    let mut wire = ask(&blender, &request)?;
    press(&blender, &waiting(&blender)?["request"], "never")?;
    let reply = wire.reply()?;
    ensure!(reply["error"]["code"] == "forbidden" && reply["message"].to_string().contains("refused"), "{reply}");

    // A time limit and a cancel end it as they do in the queue.
    let mut limited = request.clone();
    limited["timeout_secs"] = 0.5.into();
    limited["id"] = "limited".into();
    let begun = Instant::now();
    let reply = ask(&blender, &limited)?.reply()?;
    ensure!(reply["error"]["code"] == "timeout" && begun.elapsed() < SOON, "{reply}");
    // A busy Blender may have it look like one that goes on; it has ended as it should all the same.
    wait_until("its end", SOON, || {
        let outcome = blender.wire().ok()?.answer(&json!({"type": "outcome", "id": "limited"})).ok()?;
        (outcome["error"]["code"] == "timeout" && outcome["state"].is_null()).then_some(())
    })?;
    let mut wire = ask(&blender, &request)?;
    waiting(&blender)?;
    blender.wire()?.answer(&json!({"type": "cancel", "id": "asks"}))?;
    let reply = wire.reply()?;
    ensure!(reply["error"]["code"] == "cancelled" && reply["message"].to_string().contains("consent"), "{reply}");

    // What only looks like it is not asked about.
    let alike =
        "cube = bpy.data.objects['Cube']\nbpy.context.collection.objects.unlink(cube)\nresult = '.'.join(['a'] * 2)";
    ensure!(blender.result(alike)? == "a.a");
    let deep = format!("result = 1\nif False: a{}", ".b".repeat(2000));
    ensure!(blender.result(&deep)? == 1);

    // For this session, for others that wait too, and for that kind alone.
    let mut wire = ask(&blender, &request)?;
    let number = waiting(&blender)?["request"].clone();
    let mut other = ask(&blender, &json!({"type": "execute", "code": code, "id": "too"}))?;
    press(&blender, &number, "session")?;
    ensure!(wire.reply()?["result"] == "done" && other.reply()?["result"] == "done");
    ensure!(blender.result(&code)? == "done" && fs_err::read(&path)? == b"xxxxx");
    let mut wire = ask(&blender, &json!({"type": "execute", "code": "import urllib.request", "id": "net"}))?;
    let asked = waiting(&blender)?;
    ensure!(asked["wants"] == json!(["network"]), "{asked}");
    press(&blender, &asked["request"], "never")?;
    ensure!(wire.reply()?["status"] == "error");
    ensure!(told(&blender, "net")?.0["consent"] == json!({"answer": "never", "by": "blender"}));
    // A request whose client has gone goes on waiting, and its answer is kept.
    let gone = ask(&blender, &json!({"type": "execute", "code": "import socket\nresult = 'kept'", "id": "left"}))?;
    let asked = waiting(&blender)?;
    ensure!(asked["id"] == "left", "{asked}");
    drop(gone);
    press(&blender, &asked["request"], "once")?;
    wait_until("its outcome", SOON, || {
        let outcome = blender.wire().ok()?.answer(&json!({"type": "outcome", "id": "left"})).ok()?;
        (outcome["result"] == "kept").then_some(())
    })?;
    // Only so many wait.
    let wants = |id: usize| json!({"type": "execute", "code": "import socket", "id": id});
    let mut many = (0..64).map(|id| ask(&blender, &wants(id))).collect::<Result<Vec<_>>>()?;
    wait_until("them to wait", SOON, || {
        let status = blender.wire().ok()?.answer(&json!({"type": "status"})).ok()?;
        (status["result"]["consent"].as_array()?.len() == many.len()).then_some(())
    })?;
    let reply = ask(&blender, &wants(64))?.reply()?;
    ensure!(reply["error"]["code"] == "busy", "{reply}");
    // Those that wait when the server stops are answered.
    blender.result("bpy.app.timers.register(lambda: bpy.ops.blendwire.server_stop() and None, first_interval=0.3)")?;
    for wire in &mut many {
        ensure!(wire.reply()?["error"]["code"] == "shutting_down");
    }
    Ok(())
}

/// A client that can ask its user is as good as Blender's own menu; one that cannot leaves it to that.
fn through_mcp(environment: &Environment) -> Result<()> {
    let blender = windowed(environment, &[("files", "ask")])?;
    let command = || {
        let mut command = std::process::Command::new(&environment.blendwire);
        command.args(["mcp"]).env("BLENDWIRE_PORT", blender.port.to_string());
        command
    };
    let path = blender.file("asked").display().to_string();
    let arguments = json!({"code": format!("open('{path}', 'a').write('x')\nresult = 'done'"), "title": "Write notes"});
    let declines = McpSession::start_with_user(command(), None)?;
    let call = declines.call("execute_blender_code", arguments.clone())?;
    ensure!(call.is_error() && call.text().contains("has refused"), "{}", call.text());
    let accepts = McpSession::start_with_user(command(), Some(json!({"answer": "once"})))?;
    for times in 1..=2 {
        let call = accepts.call("execute_blender_code", arguments.clone())?;
        ensure!(call.value()["result"] == "done", "{}", call.text());
        let questions = accepts.questions();
        let is_told = |word: &str| questions.last().is_some_and(|question| question.contains(word));
        ensure!(
            questions.len() == times && is_told("Write notes") && is_told("write files") && is_told(&path),
            "{questions:?}"
        );
    }
    ensure!(fs_err::read(&path)? == b"xx");
    // A client that cannot ask waits for Blender's user.
    let cannot = McpSession::start(command())?;
    std::thread::scope(|scope| {
        let called = scope.spawn(|| cannot.call("execute_blender_code", arguments.clone()));
        press(&blender, &waiting(&blender)?["request"], "once")?;
        let call = called.join().map_err(|_| anyhow::anyhow!("the call has panicked"))??;
        ensure!(call.value()["result"] == "done", "{}", call.text());
        Ok(())
    })?;
    // On the wire: only for what waits, and not where the user forbids it.
    let nobody = json!({"type": "consent", "id": "nobody", "answer": "once"});
    ensure!(blender.wire()?.answer(&nobody)?["error"]["code"] == "not_found");
    let wrong = json!({"type": "consent", "id": "nobody", "answer": "perhaps"});
    let reply = blender.wire()?.answer(&wrong)?;
    ensure!(reply["error"]["code"] == "bad_request" && reply["message"].to_string().contains("never"), "{reply}");
    let mut wire = ask(&blender, &json!({"type": "execute", "code": "open('x', 'w')", "id": "waits", "stream": true}))?;
    waiting(&blender)?;
    let never = json!({"type": "consent", "id": "waits", "answer": "never"});
    ensure!(blender.wire()?.answer(&never)?["result"]["state"] == "answered");
    let (events, reply) = wire.events()?;
    ensure!(reply["error"]["code"] == "forbidden", "{reply}");
    ensure!(told(&blender, "waits")?.0["consent"] == json!({"answer": "never", "by": "client"}));
    let said = logs(environment, &blender.state, &[])?;
    ensure!(said.contains("“once”, answered in Blender") && said.contains("answered by a client"), "{said}");
    ensure!(events.iter().any(|event| event["event"] == "consent" && event["wants"] == json!(["files"])), "{events:?}");
    Ok(())
}

fn offers(environment: &Environment) -> Result<()> {
    let blender = windowed(environment, &[("files", "ask"), ("processes", "deny"), ("network", "ask")])?;
    let path = blender.file("hidden").display().to_string();
    let code = format!("getattr(__import__('io'), 'op' + 'en')('{path}', 'w').close()\nresult = 'done'");
    let network = "__import__('soc' + 'ket').getaddrinfo('localhost', 80)";
    let reply = blender.wire()?.execute(&format!("try: {network}\nexcept PermissionError: pass\n{code}"))?;
    let message = reply["message"].to_string();
    ensure!(message.contains("PermissionError") && message.contains("allow it for this session"), "{reply}");
    blender.result(OPEN_PANEL)?;
    std::thread::sleep(Duration::from_secs(3));
    let display = blender.display.as_ref().context("no display")?;
    display.picture()?.save(&environment.artefacts.join("guard-offers.png"))?;
    // Each kind for itself.
    press_of(&blender, &json!(1), "session", "files")?;
    wait_until("it to be allowed", SOON, || {
        (blender.wire().ok()?.execute(&code).ok()?["result"] == "done").then_some(())
    })?;
    ensure!(blender.file("hidden").exists());
    let reply = blender.wire()?.execute(network)?;
    ensure!(reply["message"].to_string().contains("allow it for this session"), "{reply}");
    press_of(&blender, &json!(1), "session", "network")?;
    wait_until("it to be allowed", SOON, || blender.wire().ok()?.result(network).ok())?;
    let reply = blender.wire()?.execute("import os; os.system('true')")?;
    ensure!(reply["message"].to_string().contains("“Deny”"), "{reply}");
    Ok(())
}

/// Far to the right, behind many lines, by a letter that turns the others round: what the user is asked about is seen, or it
/// is said that it is not.
fn cut(environment: &Environment) -> Result<()> {
    let blender = windowed(environment, &[("files", "ask")])?;
    let far = format!("open('notes', 'r'){}; open('far', 'w')", " ".repeat(300));
    let long = format!("open('many', 'w')\n{}result = 'the end'", "x = 1\n".repeat(1000));
    let codes = [("far", far, false), ("turned", "open('a\u{202e}b', 'w')".to_owned(), false), ("many", long, true)];
    blender.result(OPEN_PANEL)?;
    for (id, code, is_cut) in codes {
        let mut wire = ask(&blender, &json!({"type": "execute", "code": code, "id": id, "title": id}))?;
        let request = waiting(&blender)?["request"].clone();
        let seen = match id {
            "far" => "open('far', 'w')",
            "turned" => "open('a\\u202eb', 'w')",
            _ => "open('many', 'w')",
        };
        let words = wait_until("the panel to show it", SOON, || {
            panel_says(&blender).ok().filter(|words| words.contains(seen))
        })?;
        let display = blender.display.as_ref().context("no display")?;
        display.picture()?.save(&environment.artefacts.join(format!("guard-asks-{id}.png")))?;
        ensure!(words.contains("There is more of it") == is_cut && !words.contains('\u{202e}'), "{id}: {words}");
        // All of it, for an editor.
        let copy = format!("bpy.ops.blendwire.consent_code(request={request})");
        let copied = blender.result(&format!("{copy}\nresult = bpy.context.window_manager.clipboard"))?;
        ensure!(copied == code, "{id}: {copied}");
        press(&blender, &request, "never")?;
        ensure!(wire.reply()?["error"]["code"] == "forbidden");
    }
    Ok(())
}

fn not_itself(environment: &Environment) -> Result<()> {
    let blender = windowed(environment, &[("processes", "ask"), ("files", "deny")])?;
    let mut wire = ask(&blender, &json!({"type": "execute", "code": "import subprocess", "id": "a"}))?;
    let number = waiting(&blender)?["request"].clone();
    let consents = format!("bpy.ops.blendwire.consent(request={number}, answer='once')");
    let reply = blender.wire()?.execute(&consents)?;
    ensure!(reply["message"].to_string().contains("only the user can consent"), "{reply}");
    let path = blender.file("b").display().to_string();
    let changes = format!(
        "p = {PREFERENCES}\n\
         p.guard_files = 'allow'\nresult = p.guard_files\nopen('{path}', 'w')"
    );
    let reply = blender.wire()?.execute(&changes)?;
    ensure!(reply["message"].to_string().contains("PermissionError"), "{reply}");
    let rule = format!("result = {PREFERENCES}.guard_files");
    ensure!(blender.result(&rule)? == "deny", "what the script has set was not put back");
    ensure!(waiting(&blender)?["id"] == "a", "it consented to itself");
    press(&blender, &number, "never")?;
    ensure!(wire.reply()?["error"]["code"] == "forbidden");
    Ok(())
}
