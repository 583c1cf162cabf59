# SPDX-License-Identifier: GPL-3.0-or-later
"""What requests do to the file, as Blender's undo history has it: one step for each request that changed something, a
rollback for one that failed, undo and redo for clients.

The core calls `begin` right before a script that could edit anything and `end` right after it, `undo` and `redo` for
the requests of that name; `handlers` adds the functions that notice edits. Whether a script changed anything is learnt
from Blender's dependency graph, which is told of nearly every edit; for those few that it is not told of, the script's
source is looked at (`silent_edits`). Undoing is Blender's own. Main thread only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import bpy
from bpy.app.handlers import persistent

from . import logs
from .silent_edits import may_edit_silently

NO_STEPS_IN_BACKGROUND = (
    "a Blender without a window records no undo steps; "
    'send requests with "on_error": "rollback" to have what a failed one did taken back'
)


@dataclass
class Request:
    """A script between `begin` and `end`."""

    title: str
    source: str
    rollback: bool
    # Why there is nothing to roll back to; empty when there is.
    no_checkpoint: str = ""


class _Seen:
    """What Blender has told since the last look."""

    edit = False
    load = False


# The user's wish, set by `server` at each start.
records_steps = True


@persistent
def on_edit(*_: object) -> None:
    """Blender has evaluated an edit, or gone to another frame."""
    _Seen.edit = True


@persistent
def on_load(*_: object) -> None:
    """Another file is open: its history begins anew."""
    _Seen.load = True


def begin(title: str, source: str, rollback: bool, wants_changes: bool) -> Request:
    """Before a script. What the user or an earlier script did is none of this one's."""
    request = Request(title, source, rollback)
    if rollback:
        request.no_checkpoint = _push(f"Before: {title}")
    _flush()
    _Seen.edit = _Seen.load = False
    return request


def end(request: Request, has_failed: bool) -> dict[str, Any]:
    """After the script: records its step, or takes back what it did. Gives what the reply should tell."""
    _flush()
    if has_failed and request.rollback:
        return _roll_back(request)
    if not records_steps or bpy.app.background:
        return {}
    has_edited = _Seen.edit or may_edit_silently(request.source)
    if has_edited and (why := _push(request.title)):
        logs.write("warning", f"no undo step for “{request.title}”: {why}")
    return {}


def undo(steps: int) -> tuple[int, str]:
    """Undoes up to `steps`; gives how many there were, and why there were none."""
    return _travel(bpy.ops.ed.undo, steps, "nothing to undo")


def redo(steps: int) -> tuple[int, str]:
    """Redoes up to `steps`; gives how many there were, and why there were none."""
    return _travel(bpy.ops.ed.redo, steps, "nothing to redo")


def _travel(operator: Any, steps: int, nothing: str) -> tuple[int, str]:
    done = 0
    while done < steps and operator.poll() and "FINISHED" in operator():
        done += 1
    return done, NO_STEPS_IN_BACKGROUND if bpy.app.background else nothing


def _roll_back(request: Request) -> dict[str, Any]:
    why = request.no_checkpoint
    if not why and _Seen.load:
        why = "the script has loaded another file, and with it another undo history"
    if not why:
        # The state now becomes a step of its own, so that undoing leads to the one before, whatever that was.
        why = _push(f"Failed: {request.title}")
    if not why and "FINISHED" not in bpy.ops.ed.undo():
        why = "Blender's undo was cancelled"
    return {"rolled_back": False, "not_rolled_back_because": why} if why else {"rolled_back": True}


def _push(title: str) -> str:
    """Records a step; gives why that was not possible, or an empty text."""
    if not bpy.context.preferences.edit.use_global_undo:
        return "Global Undo is off in Blender's preferences"
    try:
        bpy.ops.ed.undo_push(message=title)
    except RuntimeError as error:
        return str(error).strip()
    return ""


def _flush() -> None:
    """Has Blender evaluate what waits, which tells `on_edit` of it. Costs next to nothing when nothing waits."""
    layer = bpy.context.view_layer
    if layer is not None:
        layer.update()
