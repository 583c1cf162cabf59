# SPDX-License-Identifier: GPL-3.0-or-later
"""`import blendwire` for scripts that run in Blender: what they may call, under a name that holds everywhere.

As an extension the add-on's package has another name (`bl_ext.user_default.blendwire`), so a small module stands in
`sys.modules` under the plain one; as a legacy add-on the package itself has that name and the same functions.
`__init__` calls `register` and `unregister`. It holds no state.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

from . import bridge, file_copy, graphics, logs, server

NAME = "blendwire"


def progress(value: float, message: str = "") -> bool:
    """Tells the client how far the running request is: `value` from 0 to 1, and what is being done.

    False when no request runs, so that a script works the same from Blender's own text editor. Cheap enough for a loop.
    Safe in any thread.
    """
    return bridge.progress(float(value), str(message))


def save_copy(path: str) -> None:
    """Saves a copy of the open file, edits that were not saved included, so that nobody notices: no handler of another
    add-on, no recent file, no picture. Relative paths in it lead where they lead now. Raises RuntimeError.
    """
    file_copy.save(Path(path), remap=True)


# What a script may find under the name.
FUNCTIONS = {
    "progress": progress,
    "Interrupted": bridge.Interrupted,
    "save_copy": save_copy,
    "why_not_drawn": graphics.why_not_drawn,
    "server_log": logs.last_messages,
    "server_start": server.server_start,
    "server_stop": server.server_stop,
    "server_restart": server.server_restart,
    "server_status": server.server_status,
}


def register() -> None:
    """Makes `import blendwire` work, unless the package itself has that name."""
    if __package__ == NAME:
        return
    module = ModuleType(NAME, "What scripts that run in Blender may call of the MCP server; not the whole add-on.")
    vars(module).update(FUNCTIONS, __all__=list(FUNCTIONS))
    sys.modules[NAME] = module


def unregister() -> None:
    """Takes it back, where it is ours."""
    if __package__ != NAME and getattr(sys.modules.get(NAME), "progress", None) is progress:
        del sys.modules[NAME]
