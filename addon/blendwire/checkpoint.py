# SPDX-License-Identifier: GPL-3.0-or-later
"""Steps that hold the whole file, in every mode, and the way back to one.

In Edit Mode and in Texture Paint Mode a step of Blender's holds the edited mesh or picture and nothing else: undoing
it leaves what a script did to other data as it is. So the mode is left for the moment in which the whole file is
recorded, and entered again; not while a render goes on. Main thread only.
"""

from __future__ import annotations

import bpy

from . import undo_stack
from .undo_stack import WHOLE_FILE, NoStepError, Step

# Modes of `bpy.context.mode` in which a step holds the whole file.
_WHOLE_FILE_MODES = frozenset({"OBJECT", "POSE", "SCULPT", "PAINT_WEIGHT", "PAINT_VERTEX"})

# Operators record and undo steps; the others lead to operators unseen. What is missed, the look at what is left finds.
_MAY_RECORD = ("ops", "undo", "redo", "import", "exec", "eval", "getattr")

NOT_READABLE = (
    "this process has no standard output, without which Blender does not tell its undo steps apart, "
    "and the script may have recorded or undone some itself"
)


class Checkpoint:
    """A step to come back to, recorded where the one that Blender is at will not do."""

    def __init__(self, title: str, recorded: Step | None) -> None:
        """`recorded` is a step known to hold the state now, if there is one.

        # Errors
        NoStepError with the reason why there can be none.
        """
        self.mode = _mode()
        self.step = recorded
        if recorded is None:
            name = f"Before: {title}"
            self.step = record_whole_file(name)
            if bpy.context.mode not in _WHOLE_FILE_MODES:
                # For Ctrl+Z, which would else lead out of the mode.
                undo_stack.record(name)

    def go_back(self, title: str, source: str) -> None:
        """Makes the file what it was, mode included. Redoing leads to where the script left it.

        # Errors
        NoStepError when that did not happen.
        """
        if self.step is None:
            self._go_back_blindly(title, source)
        else:
            self._go_back_to(self.step, title)
        _enter(self.mode)

    def _go_back_to(self, step: Step, title: str) -> None:
        now = undo_stack.active()
        known = next((other for other in undo_stack.steps() if step.is_same(other)), None)
        has_undone_more = now is not None and known is not None and now.index < known.index
        if has_undone_more:
            # The script has undone more than it did. Recording from here would cut off the step that is wanted.
            undo_stack.go_to(step)
        # Blender reads from a step what differs from the step it is at, so first the state now must become one.
        record_whole_file(f"Failed: {title}")
        undo_stack.go_to(step)
        if has_undone_more:
            # Blender has lost track of what it has to evaluate again.
            for block in bpy.data.user_map():
                block.update_tag()

    def _go_back_blindly(self, title: str, source: str) -> None:
        if any(word in source for word in _MAY_RECORD):
            raise NoStepError(NOT_READABLE)
        record_whole_file(f"Failed: {title}")
        with undo_stack.in_window():
            if "FINISHED" not in bpy.ops.ed.undo():
                raise NoStepError("Blender's undo was cancelled")


def record_whole_file(title: str) -> Step | None:
    """Records a step that holds all there is; `None` where steps cannot be told apart.

    # Errors
    NoStepError with the reason.
    """
    if holds_whole_file_now():
        undo_stack.record(title)
        step = undo_stack.active()
        if step is None and not undo_stack.is_readable():
            return None
        if _is_whole_file(step, title):
            return step
        # An operator of Sculpt Mode has begun a step of that mode's own, which swallowed this one.
    mode = _mode()
    _enter("OBJECT")
    try:
        undo_stack.record(title)
        step = undo_stack.active()
    finally:
        _enter(mode)
    if step is None and not undo_stack.is_readable():
        return None
    if not _is_whole_file(step, title):
        raise NoStepError("Blender has recorded no undo step of the whole file")
    return step


def _is_whole_file(step: Step | None, title: str) -> bool:
    return step is not None and step.name == undo_stack.shortened(title) and step.kind == WHOLE_FILE


def holds_whole_file_now() -> bool:
    """Whether a plain step would do, in the mode that Blender is in."""
    return bpy.context.mode in _WHOLE_FILE_MODES


def render_goes_on() -> bool:
    """Whether threads of Blender read the scene: changing the mode of a mesh under them has Blender crash."""
    return any(bpy.app.is_job_running(job) for job in ("RENDER", "OBJECT_BAKE"))


def _mode() -> str:
    layer = bpy.context.view_layer
    active = layer.objects.active if layer is not None else None
    return active.mode if active is not None else "OBJECT"


def _enter(mode: str) -> None:
    if _mode() == mode:
        return
    if render_goes_on():
        raise NoStepError("a render goes on, and the mode of what it reads cannot be changed")
    try:
        with undo_stack.in_window():
            bpy.ops.object.mode_set(mode=mode)
    except RuntimeError as error:
        raise NoStepError(f"Blender does not change to {mode.lower()} mode: {str(error).strip()}") from None
