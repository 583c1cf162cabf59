# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs code as Blendwire's server does, under an add-on that gives back what was printed and nothing else: the reply is
the last line of that."""

import builtins
import contextlib
import io
import json
import linecache
import math
import sys
import time
import traceback

import bpy

NAME = "<request>"
DEEPEST = 100
# A client asks ten times a second for an answer that is to be waited for; one that has not for so long has gone.
FORGOTTEN_SECS = 60


def waiting():
    """Scripts that have left `check_is_finished`, under names that their clients ask for; this outlives the call, and
    not the file that is open."""
    return bpy.app.driver_namespace.setdefault("blendwire_waiting", {})


def text(value):
    return value.encode("utf-8", "backslashreplace").decode("utf-8")


def plain(value, outer=()):
    """The value as JSON can hold it; what it cannot hold as its `repr`."""
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, str):
        return text(value)
    if isinstance(value, float) and math.isfinite(value):
        return value
    if id(value) not in outer and len(outer) < DEEPEST:
        inside = (*outer, id(value))
        if isinstance(value, (list, tuple)):
            return [plain(item, inside) for item in value]
        if isinstance(value, dict):
            return {
                text(key if isinstance(key, str) else repr(key)): plain(item, inside) for key, item in value.items()
            }
    return text(repr(value))


def reply(work, printed):
    """Writes what `work` comes to, where the add-on reads it."""
    answer = sys.stdout
    try:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            told = work()
    # Whatever ends a script must not end the add-on's way to its answer.
    except BaseException as error:
        # The first two entries are this function's and that of `work`.
        tail = error.__traceback__ and error.__traceback__.tb_next and error.__traceback__.tb_next.tb_next
        told = {"status": "error", "message": text("".join(traceback.format_exception(type(error), error, tail)))}
    if told["status"] != "unfinished":
        told["stdout"] = text(printed.getvalue())
    answer.write("\n" + json.dumps(told) + "\n")


def main(code, name):
    """Runs the code. Where it leaves its answer to be waited for, `look` is to be called with the same name."""
    kept, now = waiting(), time.monotonic()
    for other, (_, _, seen) in list(kept.items()):
        if now - seen > FORGOTTEN_SECS:
            # What ends with the function, as another process does, ends here.
            del kept[other]
    printed = io.StringIO()
    linecache.cache[NAME] = (len(code), None, code.splitlines(True), NAME)
    namespace = {"__name__": "__main__", "__builtins__": builtins, "bpy": bpy, "result": None}

    def work():
        exec(compile(code, NAME, "exec"), namespace)
        check = namespace.get("check_is_finished")
        if callable(check):
            # Looked up after the script: that may have taken long, or opened another file.
            waiting()[name] = (check, printed, time.monotonic())
            return {"status": "unfinished"}
        return {"status": "ok", "result": plain(namespace.get("result"))}

    reply(work, printed)


def look(name):
    """Looks whether the answer is there."""
    check, printed, _ = waiting().pop(name, (None, io.StringIO(), 0))

    def work():
        if check is None:
            # A file that is loaded takes along what was kept.
            why = f"another file was opened meanwhile, or nothing asked for {FORGOTTEN_SECS} s"
            return {"status": "error", "message": f"what the script left to be waited for is not there any more: {why}"}
        result = check()
        if result is None:
            waiting()[name] = (check, printed, time.monotonic())
            return {"status": "unfinished"}
        return {"status": "ok", "result": plain(result)}

    reply(work, printed)
