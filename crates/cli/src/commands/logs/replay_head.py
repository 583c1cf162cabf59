# SPDX-License-Identifier: GPL-3.0-or-later
"""Does again what requests did in a Blender, as its audit journal has them. Made by `blendwire logs --py`.

Run it with `blender --background --python FILE`, with `python FILE` where Blender's bpy module is installed, or with
`blendwire exec FILE` in a Blender that runs. Each request is one call of `run` below; what failed is a comment.
"""

import importlib.util
import sys
import time
import types

import bpy

# Sessions by name: requests of one share their variables.
_sessions: dict[str, dict] = {}

# For a result that comes later, when a render has ended for instance.
_LONGEST_WAIT_SECS = 600.0


def run(number: int, code: str, session: str | None = None) -> None:
    """Runs one request in a namespace of its own or in that of its session, as the server did."""
    namespace = {"__name__": "__main__", "__builtins__": __builtins__, "bpy": bpy}
    if session is not None:
        namespace = _sessions.setdefault(session, namespace)
    namespace["result"] = None
    exec(compile(code, f"<request {number}>", "exec", dont_inherit=True), namespace)
    check = namespace.get("check_is_finished")
    deadline = time.monotonic() + _LONGEST_WAIT_SECS
    while callable(check) and check() is None and time.monotonic() < deadline:
        time.sleep(0.02)


def left_out(number: int, why: str) -> None:
    """Says what a replay cannot do."""
    print(f"request {number} is not replayed: {why}", file=sys.stderr)


if importlib.util.find_spec("blendwire") is None:
    # Outside of the server there is nobody to tell of progress.
    _stub = types.ModuleType("blendwire")
    vars(_stub).update(progress=lambda value, message="": False, Interrupted=KeyboardInterrupt)
    sys.modules["blendwire"] = _stub
