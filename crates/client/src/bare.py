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
import traceback

import bpy

NAME = "<request>"
DEEPEST = 100
UNFINISHED = (
    "the script left `check_is_finished` for its answer to wait for, which the add-on of mcp-for-blender does not do: "
    "render with bpy.ops.render.render(write_still=True) and without 'INVOKE_DEFAULT', or use Blendwire's own add-on"
)


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


def main(code):
    answer, printed = sys.stdout, io.StringIO()
    linecache.cache[NAME] = (len(code), None, code.splitlines(True), NAME)
    namespace = {"__name__": "__main__", "__builtins__": builtins, "bpy": bpy, "result": None}
    try:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            exec(compile(code, NAME, "exec"), namespace)
        if callable(namespace.get("check_is_finished")):
            reply = {"status": "error", "message": UNFINISHED}
        else:
            reply = {"status": "ok", "result": plain(namespace.get("result"))}
    # Whatever ends a script must not end the add-on's way to its answer.
    except BaseException as error:
        # The first entry is this function's.
        tail = error.__traceback__.tb_next if error.__traceback__ else None
        reply = {"status": "error", "message": text("".join(traceback.format_exception(type(error), error, tail)))}
    reply["stdout"] = text(printed.getvalue())
    answer.write("\n" + json.dumps(reply) + "\n")
