// SPDX-License-Identifier: GPL-3.0-or-later
//! What scripts may do to the server, and what becomes of their results. After each, the next request is answered.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use blendwire_e2e::{Blender, Environment, Flavour, Gate, Settings, wait_until};
use serde_json::{Value, json};

use crate::suite::{EVERYWHERE, Suite};

/// A script that is out to hurt, and what its reply must hold: a result, or words in the traceback.
struct Hostile {
    name: &'static str,
    code: &'static str,
    expected: Expected,
}

enum Expected {
    Result(Value),
    /// Text that the whole reply contains.
    Words(&'static str),
    /// Any reply.
    Answer,
}

use Expected::{Answer, Result as Gives, Words};

fn hostile() -> Vec<Hostile> {
    let one = |name, code, expected| Hostile { name, code, expected };
    vec![
        one("system_exit", "import sys; sys.exit(3)", Words("SystemExit: 3")),
        one("keyboard_interrupt", "raise KeyboardInterrupt", Words("KeyboardInterrupt")),
        one("quit", "quit()", Words("SystemExit")),
        one("exit", "exit(1)", Words("SystemExit: 1")),
        one("base_exception", "class Odd(BaseException): pass\nraise Odd('x')", Words("Odd: x")),
        one("generator_exit", "raise GeneratorExit", Words("GeneratorExit")),
        one(
            "exception_whose_str_raises",
            "class E(Exception):\n  def __str__(self): raise SystemExit\nraise E",
            Answer,
        ),
        one(
            "closes_stdout",
            "import sys; sys.stdout.close(); sys.stderr.close(); print('on'); result = 1",
            Gives(json!(1)),
        ),
        one("replaces_stdout", "import sys; sys.stdout = sys.stderr = None; result = 2", Gives(json!(2))),
        one("deletes_stdout", "import sys; del sys.stdout, sys.stdin; result = 2", Gives(json!(2))),
        one("empties_modules", "import sys; sys.modules.clear(); result = 3", Gives(json!(3))),
        one("replaces_modules", "import sys; sys.modules = {}; result = 4", Gives(json!(4))),
        one("breaks_linecache", "import linecache; linecache.cache = None; 1 / 0", Words("ZeroDivisionError")),
        one("recursion", "def f(): f()\nf()", Words("RecursionError")),
        one("asks_the_terminal", "input('name? ')", Words("EOFError")),
        one("opens_another_file", "bpy.ops.wm.read_homefile(); result = len(bpy.data.objects)", Gives(json!(3))),
        one(
            "empty_factory_settings",
            "bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True); \
             result = len(bpy.data.objects)",
            Gives(json!(0)),
        ),
        one(
            "stale_object",
            "o = bpy.data.objects.new('gone', None); bpy.data.objects.remove(o); result = o",
            Words("invalid"),
        ),
        one("memory_error", "x = 'y' * (1 << 60)", Words("MemoryError")),
        one("null_in_code", "result = 1\0", Words("null bytes")),
        one("syntax_error", "def f(:\n  pass", Words("SyntaxError")),
        one(
            "thread_that_prints_later",
            "import threading\n\
             threading.Timer(0.01, print, ['late']).start(); result = 6",
            Gives(json!(6)),
        ),
        one(
            "result_with_a_raising_repr",
            "class R:\n  def __repr__(self): raise SystemExit\nresult = [R(), 1]",
            Gives(json!(["<unprintable R object>", 1])),
        ),
        one(
            "dict_that_changes_under_us",
            "d = {}\nclass K:\n  def __repr__(self):\n    d['new'] = 1\n    return 'k'\n\
             d[K()] = 1\nresult = d",
            Gives(json!({"k": 1})),
        ),
        one(
            "list_that_shrinks_under_us",
            "l = []\nclass K:\n  def __repr__(self):\n    l.clear()\n    return 'k'\n\
             l += [K(), 2, 3]\nresult = l",
            Gives(json!(["k"])),
        ),
    ]
}

pub(crate) fn add(suite: &mut Suite) {
    for Hostile { name, code, expected } in hostile() {
        let expected = std::sync::Arc::new(expected);
        suite.shared(&EVERYWHERE, &format!("hostile::{name}"), move |blender| run_hostile(blender, code, &expected));
    }
    suite.shared(&EVERYWHERE, "hostile::breaks_builtins", breaks_builtins);
    suite.shared(&EVERYWHERE, "result::what_json_cannot_hold_becomes_its_repr", results);
    suite.shared(&EVERYWHERE, "result::numbers_are_kept", numbers);
    suite.shared(&EVERYWHERE, "result::deep_and_circular", deep);
    suite.shared(&EVERYWHERE, "traceback::names_the_line_and_shows_it", traceback);
    suite.shared(&EVERYWHERE, "namespace::is_fresh_and_has_what_python_needs", namespace);
    suite.shared(&EVERYWHERE, "output::both_streams_in_order", output);
    suite.shared(&EVERYWHERE, "output::logging_of_one_request_reaches_the_next", logging);
    suite.shared(&EVERYWHERE, "deferred::answer_waits_for_check_is_finished", deferred);
    suite.shared(&EVERYWHERE, "deferred::others_are_served_meanwhile_and_own_order_is_kept", deferred_order);
    suite.shared(&EVERYWHERE, "deferred::is_seen_in_the_status", deferred_is_seen);
    suite.shared(&EVERYWHERE, "deferred::a_check_counts_as_running", deferred_counts_as_running);
    suite.shared(&EVERYWHERE, "deferred::a_check_cannot_break_imports", deferred_breaks_modules);
    suite.shared(&[Flavour::Bpy52], "deferred::too_many_are_refused_in_words", too_many_deferred);
    suite.shared(&EVERYWHERE, "output::what_common_scripts_do_with_streams", streams);
    suite.shared(&EVERYWHERE, "result::too_large_a_result_is_refused_in_words", endless_result);
    suite.shared(&EVERYWHERE, "script::a_forked_child_ends_with_its_script", forks);
    suite.shared(&EVERYWHERE, "deferred::a_check_that_raises_is_a_traceback", deferred_raises);
    for flavour in [Flavour::Windowed, Flavour::Background, Flavour::Bpy50, Flavour::Bpy52] {
        let own =
            |test: fn(&Environment, Flavour) -> Result<()>| move |environment: &Environment| test(environment, flavour);
        if matches!(flavour, Flavour::Windowed | Flavour::Background) {
            // The module has no add-ons to disable.
            suite.own(&format!("{}::ending::disabling_the_addon_by_script", flavour.name()), own(disables_addon));
        }
        suite.own(&format!("{}::ending::factory_settings_by_script", flavour.name()), own(factory_settings));
        suite.own(&format!("{}::ending::quit_blender_is_answered_first", flavour.name()), own(quits));
    }
    suite.own("ending::c_exit_is_answered_first", c_exit);
    suite.own("ending::c_exit_answers_deferred_requests_too", c_exit_deferred);
}

fn run_hostile(blender: &mut Blender, code: &str, expected: &Expected) -> Result<()> {
    let mut wire = blender.wire()?;
    let reply = wire.execute(code)?;
    match expected {
        Gives(result) => ensure!(reply["result"] == *result, "{reply}"),
        Words(words) => ensure!(reply.to_string().contains(words), "{reply}"),
        Answer => ensure!(reply.is_object(), "{reply}"),
    }
    let next =
        wire.result("import os, sys\nprint('fine')\nresult = [os.path.basename('a/b'), bpy.app.version[0] >= 4]")?;
    ensure!(next == json!(["b", true]), "the next request: {next}");
    ensure!(blender.result("result = 7")? == 7, "a new connection");
    Ok(())
}

/// One test, because no other script could run in between.
fn breaks_builtins(blender: &mut Blender) -> Result<()> {
    let mut wire = blender.wire()?;
    let broken = wire.execute(
        "import builtins\nbpy.app.driver_namespace['kept'] = builtins.repr, builtins.compile, builtins.exec\n\
         builtins.repr = builtins.compile = builtins.exec = None\nresult = object",
    )?;
    let mended = wire.execute(
        "import builtins\n\
         builtins.repr, builtins.compile, builtins.exec = bpy.app.driver_namespace.pop('kept')\nresult = 1",
    )?;
    ensure!(broken["result"] == "<class 'object'>" && mended["result"] == 1, "{broken} {mended}");
    Ok(())
}

fn results(blender: &mut Blender) -> Result<()> {
    let code = "
from mathutils import Vector
from enum import IntEnum
class Color(IntEnum):
    RED = 1
class Text(str): pass
result = {
    'object': bpy.data.scenes[0], 'vector': Vector((1, 2, 3)), 'set': {1}, 'bytes': b'x', 'nan': float('nan'),
    'inf': [float('inf'), -float('inf')], 1: 'int key', None: 'none key', (1, 2): 'tuple key', 'enum': Color.RED,
    'text': Text('t'), 'tuple': (1, 2), 'surrogate': '\\ud800', 'range': range(3), 'complex': 1j,
}";
    let result = blender.result(code)?;
    let expected = json!({
        "object": "bpy.data.scenes['Scene']", "vector": "Vector((1.0, 2.0, 3.0))", "set": "{1}", "bytes": "b'x'",
        "nan": "nan", "inf": ["inf", "-inf"], "1": "int key", "None": "none key", "(1, 2)": "tuple key", "enum": 1,
        "text": "t", "tuple": [1, 2], "surrogate": "'\\ud800'", "range": "range(0, 3)", "complex": "1j",
    });
    ensure!(result == expected, "{result:#}");
    let collision = blender.result("result = {1: 'a', '1': 'b'}")?;
    ensure!(collision == "{1: 'a', '1': 'b'}", "{collision}");
    Ok(())
}

fn numbers(blender: &mut Blender) -> Result<()> {
    let mut wire = blender.wire()?;
    wire.send(&blendwire_e2e::execute_request(
        "result = [0, -1, 2**63 - 1, -2**63, 2**64, 10**30, 0.1, -0.0, 1e300, 5e-324, 1e16, True, False]",
    ))?;
    let text = String::from_utf8(wire.read_to(0)?)?;
    let printed = text.split_once("\"result\": ").and_then(|(_, rest)| rest.split_once(", \"stdout\""));
    let numbers = printed.context("no result")?.0;
    for (number, expected) in numbers.trim_matches(['[', ']']).split(", ").zip([
        "0",
        "-1",
        "9223372036854775807",
        "-9223372036854775808",
        "18446744073709551616",
        "1000000000000000000000000000000",
        "0.1",
        "-0.0",
    ]) {
        ensure!(number == expected, "{number} is not {expected}");
    }
    let huge = wire.result("result = 10**5000")?;
    ensure!(huge.as_str().is_some_and(|digits| digits.starts_with("0x")), "{huge}");
    // Floats come back as exactly the same numbers.
    let reply: Value = serde_json::from_str(&text)?;
    let floats: Vec<Option<f64>> = (8..11).map(|index| reply["result"][index].as_f64()).collect();
    ensure!(floats == [Some(1e300), Some(5e-324), Some(1e16)], "{floats:?}");
    Ok(())
}

fn deep(blender: &mut Blender) -> Result<()> {
    let mut wire = blender.wire()?;
    let circular = wire.result("l = [1]\nl.append(l)\nd = {'l': l}\nd['d'] = d\nresult = d")?;
    ensure!(circular["l"][0] == 1 && circular["d"].is_string(), "{circular}");
    let deep = wire.result("x = []\nfor _ in range(100_000):\n    x = [x]\nresult = x")?;
    let mut levels = 0;
    let mut inner = &deep;
    while let Some(next) = inner.get(0) {
        levels += 1;
        inner = next;
    }
    ensure!(levels == 100 && inner.is_string(), "{levels} levels end with {inner}");
    ensure!(wire.result("x = [1]\nresult = [x, x]")? == json!([[1], [1]]), "the same list twice is no cycle");
    Ok(())
}

fn traceback(blender: &mut Blender) -> Result<()> {
    let reply =
        blender.wire()?.execute("import math\n\ndef deep(x):\n    return math.sqrt(x)  # here\n\ndeep(-1)\n")?;
    let message = reply["message"].as_str().context("no message")?;
    ensure!(message.starts_with("Traceback (most recent call last):\n"), "{message}");
    for part in ["line 6, in <module>\n    deep(-1)", "line 4, in deep\n    return math.sqrt(x)  # here", "ValueError"]
    {
        ensure!(message.contains(part), "{part:?} is not in {message}");
    }
    // Without a line break at its end, as `exec -c` sends it; the marks stand under the code.
    let short = blender.wire()?.execute("1 / 0")?;
    let marks = short["message"].as_str().and_then(|message| message.lines().find(|line| line.contains('^')));
    ensure!(marks == Some("    ~~^~~"), "{short}");
    let files = message.matches("File \"<request ").count();
    ensure!(files == 2 && message.matches("File ").count() == 2, "frames of ours are in {message}");
    Ok(())
}

fn namespace(blender: &mut Blender) -> Result<()> {
    let mut wire = blender.wire()?;
    wire.result("leftover = 1")?;
    let names = wire.result("result = sorted(globals())")?;
    ensure!(names == json!(["__builtins__", "__name__", "bpy", "result"]), "{names}");
    ensure!(wire.result("pass")?.is_null(), "result is None until it is set");
    let main = wire.result(
        "import dataclasses\n@dataclasses.dataclass\nclass D:\n    x: int = 1\n\
        if __name__ == '__main__':\n    result = dataclasses.asdict(D())",
    )?;
    ensure!(main == json!({"x": 1}), "{main}");
    Ok(())
}

fn output(blender: &mut Blender) -> Result<()> {
    let reply = blender.wire()?.execute(
        "import sys\nprint('a')\nprint('b', file=sys.stderr)\nsys.stdout.buffer.write(b'c\\n')\n\
         sys.stdout.writelines(['d', '\\n'])\nprint('\\ud800')\nresult = sys.stdout.isatty()",
    )?;
    ensure!(reply["stdout"] == "a\nb\nc\nd\n\\ud800\n" && reply["result"] == false, "{reply}");
    let silent = blender.wire()?.execute("result = 1")?;
    ensure!(silent["stdout"] == "", "output of another request: {silent}");
    Ok(())
}

fn logging(blender: &mut Blender) -> Result<()> {
    let mut wire = blender.wire()?;
    wire.result(
        "import logging\nlog = logging.getLogger('e2e')\nlog.handlers[:] = [logging.StreamHandler()]\n\
        log.propagate = False",
    )?;
    let reply = wire.execute("import logging\nlogging.getLogger('e2e').warning('heard')")?;
    ensure!(reply["stdout"] == "heard\n", "{reply}");
    Ok(())
}

/// Waits until the status tells of so many deferred requests, on a main thread that is free.
fn deferred_in_status(blender: &Blender, count: usize) -> Result<Value> {
    wait_until("deferred requests in the status", Duration::from_mins(1), || {
        let (_, body) = blendwire_e2e::http(blender.port, "GET /status", "").ok()?;
        let status: Value = serde_json::from_str(&body).ok()?;
        // A main thread that other programs hold up is called blocked.
        (status["queue"]["deferred"] == count && status["state"] == "busy").then_some(status)
    })
}

/// A render that goes on in Blender's event loop is not nothing.
fn deferred_is_seen(blender: &mut Blender) -> Result<()> {
    let gate = Gate::closed(blender.file("deferred-is-seen"));
    let code = format!("print('begun')\ndef check_is_finished():\n    return {} or None", gate.is_open());
    let mut waiting = blender.wire()?;
    waiting.send(&blendwire_e2e::execute_request(&code))?;
    let status = deferred_in_status(blender, 1);
    gate.open()?;
    ensure!(waiting.reply()?["result"] == true);
    let status = status?;
    ensure!(status["running"]["last_output_line"] == "begun", "{status}");
    Ok(())
}

const DEFERRED: &str = "
import time
end = time.monotonic() + 0.3
print('begun')
def check_is_finished():
    if time.monotonic() < end:
        return None
    print('done')
    return {'finished': True}
result = {'not': 'this'}";

fn deferred(blender: &mut Blender) -> Result<()> {
    let reply = blender.wire()?.execute(DEFERRED)?;
    ensure!(reply["result"] == json!({"finished": true}) && reply["stdout"] == "begun\ndone\n", "{reply}");
    Ok(())
}

/// The deferred one is not finished before the other client has been answered.
fn deferred_order(blender: &mut Blender) -> Result<()> {
    let gate = Gate::closed(blender.file("deferred-order"));
    let code = format!(
        "import time\ndef check_is_finished():\n    return {{'finished': time.monotonic()}} if {} else None",
        gate.is_open()
    );
    let now = "import time; result = time.monotonic()";
    let mut waiting = blender.wire()?;
    waiting.send(&blendwire_e2e::execute_request(&code))?;
    waiting.send(&blendwire_e2e::execute_request(now))?;
    deferred_in_status(blender, 1)?;
    let between = blender.result(now).context("the other client was not served meanwhile")?;
    gate.open()?;
    let finished = waiting.reply()?["result"]["finished"].as_f64().context("the deferred answer comes first")?;
    let after = waiting.reply()?["result"].as_f64().context("no time")?;
    ensure!(between.as_f64().is_some_and(|between| between <= finished), "{between} was told after {finished}");
    ensure!(finished <= after, "the own next request, at {after}, did not wait until {finished}");
    Ok(())
}

fn deferred_raises(blender: &mut Blender) -> Result<()> {
    let reply = blender.wire()?.execute("def check_is_finished():\n    raise RuntimeError('broken render')")?;
    ensure!(reply["message"].as_str().unwrap_or_default().contains("RuntimeError: broken render"), "{reply}");
    Ok(())
}

const ADDON_MODULE: &str =
    "module = next(m for m in bpy.context.preferences.addons.keys() if m.endswith('blendwire'))\n";

fn disables_addon(environment: &Environment, flavour: Flavour) -> Result<()> {
    let blender = Blender::start(environment, flavour, &Settings::default())?;
    let mut wire = blender.wire()?;
    let left = wire.result(&format!(
        "{ADDON_MODULE}bpy.ops.preferences.addon_disable(module=module)\n\
         result = module in bpy.context.preferences.addons.keys()"
    ))?;
    ensure!(left == false, "the add-on was not disabled");
    ensure!(wire.result("result = 1")? == 1, "the same connection");
    ensure!(blender.result("result = 2")? == 2, "a new connection");
    Ok(())
}

fn factory_settings(environment: &Environment, flavour: Flavour) -> Result<()> {
    let blender = Blender::start(environment, flavour, &Settings::default())?;
    let mut wire = blender.wire()?;
    let left = wire.result("bpy.ops.wm.read_factory_settings(use_empty=True)\nresult = len(bpy.data.objects)")?;
    ensure!(left == 0, "{left} objects are left");
    for number in 0..50 {
        ensure!(wire.result(&format!("result = {number}"))? == number);
    }
    ensure!(blender.result("result = 2")? == 2, "a new connection");
    Ok(())
}

fn quits(environment: &Environment, flavour: Flavour) -> Result<()> {
    let mut blender = Blender::start(environment, flavour, &Settings::default())?;
    let reply = blender.wire()?.execute("print('bye')\nbpy.ops.wm.quit_blender()")?;
    ensure!(reply["status"] == "ok" && reply["stdout"] == "bye\n", "{reply}");
    let status = blender.process.wait(Duration::from_secs(30))?;
    ensure!(status.success(), "Blender ended with {status}:\n{}", blender.process.output());
    Ok(())
}

/// While `check_is_finished` runs, the add-on must know that a client's code is on the main thread: stopping the server
/// from there waits for the answer.
fn deferred_counts_as_running(blender: &mut Blender) -> Result<()> {
    let code = "
import sys
core = sys._blendwire_core
def check_is_finished():
    return [core.is_executing(), core.tick(0.05, 0.0)]";
    let seen = blender.result(code)?;
    ensure!(seen == json!([true, false]), "{seen}");
    Ok(())
}

fn deferred_breaks_modules(blender: &mut Blender) -> Result<()> {
    blender.result("import sys\ndef check_is_finished():\n    sys.modules.clear()\n    return 1")?;
    ensure!(blender.result("import json, random\nresult = json.dumps([1])")? == "[1]");
    Ok(())
}

fn too_many_deferred(blender: &mut Blender) -> Result<()> {
    const LIMIT: usize = 256;
    let gate = Gate::closed(blender.file("too-many-deferred"));
    let code = format!("def check_is_finished():\n    return 'late' if {} else None", gate.is_open());
    let mut waiting = Vec::new();
    for _ in 0..LIMIT {
        let mut wire = blender.wire()?;
        wire.send(&blendwire_e2e::execute_request(&code))?;
        waiting.push(wire);
    }
    deferred_in_status(blender, LIMIT)?;
    let refused = blender.wire()?.execute(&code)?;
    ensure!(refused["message"].as_str().unwrap_or_default().contains("256"), "{refused}");
    ensure!(blender.result("result = 1")? == 1, "others are served");
    gate.open()?;
    for mut wire in waiting {
        ensure!(wire.reply()?["result"] == "late");
    }
    Ok(())
}

fn streams(blender: &mut Blender) -> Result<()> {
    let code = "
import io, sys
with sys.stdout as out:
    print('a')
wrapped = io.TextIOWrapper(sys.stdout.buffer, encoding='utf-8')
sys.stdout = wrapped
print('held back until the end')
result = [sys.stdin.read(), sys.stdin.buffer.read().decode()]
try:
    sys.stderr.fileno()
except io.UnsupportedOperation:
    result.append('no descriptor')";
    let reply = blender.wire()?.execute(code)?;
    ensure!(reply["result"] == json!(["", "", "no descriptor"]), "{reply}");
    ensure!(reply["stdout"] == "a\nheld back until the end\n", "{reply}");
    Ok(())
}

fn endless_result(blender: &mut Blender) -> Result<()> {
    let reply = blender.wire()?.execute("l = ['x' * 1_000_000]\nfor _ in range(60):\n    l = [l, l]\nresult = l")?;
    ensure!(reply["message"].as_str().unwrap_or_default().contains("536870912 bytes"), "{}", reply["status"]);
    Ok(())
}

fn forks(blender: &mut Blender) -> Result<()> {
    let reply = blender
        .wire()?
        .execute("import os\npid = os.fork()\nif pid == 0:\n    raise SystemExit\nresult = os.waitpid(pid, 0)[1]")?;
    ensure!(reply["result"] == 0, "{reply}");
    ensure!(blender.result("result = 1")? == 1);
    Ok(())
}

fn c_exit_deferred(environment: &Environment) -> Result<()> {
    let blender = Blender::start(environment, Flavour::Bpy52, &Settings::default())?;
    let mut waiting = blender.wire()?;
    waiting.send(&blendwire_e2e::execute_request("print('begun')\ndef check_is_finished():\n    return None"))?;
    deferred_in_status(&blender, 1)?;
    let mut ending = blender.wire()?;
    ending.send(&blendwire_e2e::execute_request("import ctypes\nctypes.CDLL(None).exit(0)"))?;
    ensure!(ending.reply()?["status"] == "ok");
    let reply = waiting.reply()?;
    ensure!(reply["status"] == "error" && reply["stdout"] == "begun\n", "{reply}");
    Ok(())
}

fn c_exit(environment: &Environment) -> Result<()> {
    let mut blender = Blender::start(environment, Flavour::Bpy50, &Settings::default())?;
    let reply = blender.wire()?.execute("import ctypes\nprint('bye')\nctypes.CDLL(None).exit(0)")?;
    ensure!(reply["status"] == "ok" && reply["stdout"] == "bye\n", "{reply}");
    blender.process.wait(Duration::from_secs(30))?;
    Ok(())
}
