# SPDX-License-Identifier: GPL-3.0-or-later
"""What requests do to the file, as Blender's undo history has it: one step for each request that changed something, a
rollback for one that failed, undo and redo for clients.

The core calls `begin` right before a script that could edit anything and `end` right after it, `undo` and `redo` for
the requests of that name; `handlers` adds the functions that notice edits. Whether a script changed anything is learnt
from Blender's dependency graph, which is told of nearly every edit; for those few that it is not told of, the script's
source is looked at (`silent_edits`). Undoing is Blender's own. Main thread only.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import bpy
from bpy.app.handlers import persistent

from . import changes, checkpoint, kept_file, logs, undo_stack
from .beyond_undo import LeftByUndo, is_the_open_file, left_in_words
from .checkpoint import Checkpoint
from .guard_scan import wants
from .kept_file import KeptFile
from .silent_edits import may_edit_silently
from .undo_stack import NoStepError, Step

NO_STEPS_IN_BACKGROUND = (
    "a Blender without a window records no undo steps; "
    'send requests with "on_error": "rollback" to have what a failed one did taken back'
)
# Called by the core with the others here: what a script visibly wants to do outside of Blender.
__all__ = ["begin", "end", "redo", "undo", "wants"]
# More data than this is edited by scripts that do not keep to the mesh of an Edit Mode; no need to know it all.
_MOST_TOUCHED = 8
# Words of scripts that read whatever there is. That makes properties of add-ons such as Cycles come into being.
_MAKES_BY_READING = ("getattr", "cycles", "bl_rna")


@dataclass
class Request:
    """A script between `begin` and `end`."""

    title: str
    source: str
    rollback: bool
    wants_changes: bool
    makes_step: bool
    # The open file's own path.
    path: str = ""
    frames: list[tuple[int, float]] = field(default_factory=list)
    checkpoint: Checkpoint | None = None
    # Why there is nothing to roll back to; empty when there is.
    no_checkpoint: str = ""
    kept: KeptFile | None = None
    # The file as it was, where the reply is to tell what became of it, or a rollback has to be proved.
    before: changes.Before | None = None
    # What was there of what Blender's undo leaves alone.
    left_by_undo: LeftByUndo | None = None
    # Why there is none, where the script may load another file.
    not_kept: str = ""


class _Seen:
    """What Blender has told since the last look."""

    edit = False
    load = False
    # Undo, redo or loading: the state then is one that Blender's history has.
    travel = False
    # The open file's path, where the script has saved it.
    saved = ""
    touched: frozenset[str] = frozenset()
    # Since our own last step was recorded.
    edit_since_step = True
    # Since the end of the last request, which made a step.
    edit_since_request = True


class _Now:
    """What this module does now, and did last."""

    is_in_request = False
    last_step: Step | None = None
    # The last request that made a step, and that step; none where Blender does not tell steps apart.
    last_title = ""
    step_of_request: Step | None = None


# The user's wish: set by `server` at each start, by `preferences` when it changes.
records_steps = True


def _nothing_to_put_back() -> None:
    """Stands in until `handlers` has added the functions below."""


# Adds the functions below to Blender's lists again; `handlers` sets it.
put_handlers_back: Callable[[], None] = _nothing_to_put_back


@persistent
def on_edit(_scene: object = None, depsgraph: Any = None, *_: object) -> None:
    """Blender has evaluated an edit."""
    _Seen.edit = _Seen.edit_since_step = _Seen.edit_since_request = True
    if not _Now.is_in_request or len(_Seen.touched) > _MOST_TOUCHED:
        return
    touched = set(_Seen.touched)
    for update in getattr(depsgraph, "updates", ()):
        touched.add(_key(update.id))
        if len(touched) > _MOST_TOUCHED:
            break
    _Seen.touched = frozenset(touched)


@persistent
def on_load(*_: object) -> None:
    """Another file is open: its history begins anew."""
    _Seen.load = True
    on_travel()


@persistent
def on_save(path: object = "", *_: object) -> None:
    """A file was saved: on the disk, nothing is taken back."""
    if _Now.is_in_request and isinstance(path, str) and is_the_open_file(path):
        _Seen.saved = bpy.data.filepath


@persistent
def on_travel(*_: object) -> None:
    """Blender has undone or redone: what it tells of now is no edit."""
    if _Now.is_in_request:
        _flush()
    _Seen.edit, _Seen.travel, _Seen.touched = False, True, frozenset()
    _Seen.edit_since_step = _Seen.edit_since_request = True


def begin(title: str, source: str, rollback: bool, wants_changes: bool, makes_step: bool = True) -> Request:
    """Before a script. What the user or an earlier script did is none of this one's. `makes_step` is for those whose
    edits are to be a step for the user to undo: recording one takes away what there is to redo."""
    if not _handlers_are_there():
        put_handlers_back()
        _Seen.edit_since_step = True
    request = Request(title, source, rollback, wants_changes, makes_step)
    try:
        _flush()
        if rollback:
            _prepare_rollback(request)
            _flush()
        if wants_changes or request.checkpoint is not None:
            request.before = changes.before()
            _flush()
        _Seen.edit = _Seen.load = _Seen.travel = False
        _Seen.saved, _Seen.touched = "", frozenset()
        request.frames, request.path = _frames(), bpy.data.filepath
    except BaseException:
        _clean_up(request)
        raise
    _Now.is_in_request = True
    return request


def end(request: Request, has_failed: bool) -> dict[str, Any]:
    """After the script: records its step, or takes back what it did. Gives what the reply should tell."""
    try:
        _flush()
        if not _handlers_are_there():
            put_handlers_back()
            on_edit()
        if any(word in request.source for word in _MAKES_BY_READING):
            _Seen.edit_since_step = True
        why, is_undone = "", False
        is_rollback = has_failed and request.rollback
        if is_rollback:
            is_undone, why = _roll_back(request)
        else:
            _record_step(request)
        effects: dict[str, Any] = {}
        if request.before is not None and (request.wants_changes or is_rollback):
            before, request.before = request.before, None
            found = changes.after(before)
            # A file that came back whole has nothing left in it.
            if is_undone and not _Seen.load:
                is_at_step = request.checkpoint is not None and request.checkpoint.step is not None
                left = left_in_words(found, request.left_by_undo, is_at_step)
                why = "; ".join(reason for reason in (why, left) if reason)
            if request.wants_changes:
                effects["changes"] = found
        if is_rollback:
            effects["rolled_back"] = not why
            if why:
                effects["not_rolled_back_because"] = why
        return effects
    finally:
        _Now.is_in_request = False
        _clean_up(request)


def _clean_up(request: Request) -> None:
    """Deletes what was noted for the end."""
    if request.before is not None:
        changes.drop(request.before)
    if request.kept is not None:
        request.kept.forget()


def undoable() -> str:
    """The title of the last request, where nothing that Blender tells of was edited since; else empty. Asks nobody."""
    return _Now.last_title if _Now.step_of_request is not None and not _Seen.edit_since_request else ""


def undo_request() -> str:
    """Takes back the last request; gives why not, or an empty string."""
    step, now = _Now.step_of_request, undo_stack.active()
    if not undoable() or step is None or now is None or not step.is_same(now):
        _Seen.edit_since_request = True
        return "the file was edited since; Edit > Undo History has all steps"
    done, why = undo(1)
    return "" if done else why


def undo(steps: int) -> tuple[int, str]:
    """Undoes up to `steps`; gives how many there were, and why there were none."""
    return _travel(bpy.ops.ed.undo, steps, "there is nothing to undo: Blender is at the first step of its history")


def redo(steps: int) -> tuple[int, str]:
    """Redoes up to `steps`; gives how many there were, and why there were none."""
    return _travel(bpy.ops.ed.redo, steps, "there is nothing to redo: nothing was undone since the last edit")


def _travel(operator: Any, steps: int, nothing: str) -> tuple[int, str]:
    if bpy.app.background:
        return 0, NO_STEPS_IN_BACKGROUND
    if not bpy.context.preferences.edit.use_global_undo:
        nothing += "; Global Undo is off in its preferences (Edit > Preferences > System)"
    done = 0
    with undo_stack.in_window():
        while done < steps and operator.poll() and "FINISHED" in operator():
            done += 1
    return done, nothing


def _prepare_rollback(request: Request) -> None:
    try:
        known = _step_that_holds_the_state_now()
        request.checkpoint = Checkpoint(request.title, known)
        if known is None:
            _Seen.edit_since_request = True
    except NoStepError as error:
        request.no_checkpoint = str(error)
        return
    _remember(request.checkpoint.step)
    request.left_by_undo = LeftByUndo()
    if kept_file.may_load(request.source):
        try:
            request.kept = KeptFile()
        except (NoStepError, OSError) as error:
            request.not_kept = str(error)


def _step_that_holds_the_state_now() -> Step | None:
    """Our own last step, if it is where Blender is and nothing has been edited since."""
    last = _Now.last_step
    if last is None or _Seen.edit_since_step or last.kind != undo_stack.WHOLE_FILE:
        return None
    if not checkpoint.holds_whole_file_now():
        return None
    now = undo_stack.active()
    return now if now is not None and now.is_same(last) else None


def _remember(step: Step | None) -> None:
    """A step of ours holds the state now."""
    _flush()
    _Now.last_step, _Seen.edit_since_step = step, False


def _roll_back(request: Request) -> tuple[bool, str]:
    """Takes back what the script did. Gives whether Blender did, and the reason where that was not all, or nothing."""
    saved = _Seen.saved
    if not saved and not _Seen.load and bpy.data.filepath != request.path:
        # Saved while there was nobody to tell.
        saved = bpy.data.filepath
    try:
        _take_back(request, bool(saved))
    except (NoStepError, RuntimeError, OSError) as error:
        _Now.last_step = None
        return False, str(error).strip() + (f"; the script has saved {saved}" if saved else "")
    if not saved:
        return True, ""
    name = "" if bpy.data.filepath == request.path else "; that is now the open file's name"
    return True, f"the script has saved {saved}, which holds what it did; in Blender it was taken back{name}"


def _take_back(request: Request, has_saved: bool) -> None:
    if request.checkpoint is None:
        raise NoStepError(request.no_checkpoint)
    if not _Seen.load:
        request.checkpoint.go_back(request.title, request.source)
        if request.left_by_undo is not None:
            request.left_by_undo.put_back()
        # Another step, so that Blender knows of something to save: undoing does not tell it.
        step = Checkpoint(request.title, None).step if has_saved else request.checkpoint.step
        _remember(step)
        if has_saved and not bpy.app.background:
            bpy.app.timers.register(_tell_of_something_to_save, first_interval=0.0)
        return
    _Now.last_step = None
    if request.kept is None:
        why = f" ({request.not_kept})" if request.not_kept else ""
        raise NoStepError("the script has loaded another file, and with it another undo history" + why)
    kept, request.kept = request.kept, None
    kept.restore()
    kept.forget()
    # A step, so that Blender knows of something to save; with a window it forgets that once more, after the loading.
    _record_quietly(f"Before: {request.title}")
    if not bpy.app.background:
        bpy.app.timers.register(partial(_record_quietly, "Restored"), first_interval=0.0)


def _tell_of_something_to_save() -> None:
    """With a window, Blender forgets after the script's saving once more."""
    if not bpy.data.is_dirty:
        _record_quietly("Restored")


def _record_quietly(name: str) -> None:
    with suppress(NoStepError):
        undo_stack.record(name)


def _record_step(request: Request) -> None:
    is_wanted = request.makes_step and records_steps and not bpy.app.background
    # Without a step to make or to give up, there is no need to know.
    is_known = _Now.last_step is not None or not _Seen.edit_since_request
    if not (is_wanted or is_known) or not _has_edited(request):
        return
    _Now.last_step, _Seen.edit_since_request = None, True
    if not is_wanted:
        return
    try:
        if checkpoint.holds_whole_file_now() or (
            not checkpoint.render_goes_on() and (_has_edited_more_than_the_mode() or _is_silent(request))
        ):
            step = checkpoint.record_whole_file(request.title)
            if checkpoint.holds_whole_file_now():
                _remember(step)
        else:
            undo_stack.record(request.title)
            step = undo_stack.active()
    except NoStepError as error:
        logs.write("warning", f"no undo step for “{request.title}”: {error}")
        return
    _flush()
    _Now.last_title, _Now.step_of_request = undo_stack.shortened(request.title), step
    _Seen.edit_since_request = False


def _has_edited(request: Request) -> bool:
    """Whether the script edited the file, the cheap questions first."""
    return _Seen.edit or (not _Seen.travel and (_frames() != request.frames or _is_silent(request)))


def _is_silent(request: Request) -> bool:
    return not _Seen.travel and may_edit_silently(request.source)


def _has_edited_more_than_the_mode() -> bool:
    """Whether there were edits to other data than what an Edit Mode is open on."""
    layer = bpy.context.view_layer
    if layer is None:
        return True
    known = set()
    for edited in layer.objects:
        if edited.mode != "OBJECT":
            known |= {_key(edited), _key(edited.data), _key(getattr(edited.data, "shape_keys", None))}
    return not _Seen.touched <= known


def _key(block: Any) -> str:
    return f"{type(block).__name__}/{block.name_full}" if block is not None else ""


def _frames() -> list[tuple[int, float]]:
    """Where each scene stands. Going to a frame and back is no edit, and Blender tells of neither as one."""
    return [(scene.frame_current, scene.frame_subframe) for scene in bpy.data.scenes]


def _handlers_are_there() -> bool:
    """A script may have cleared Blender's lists."""
    known = bpy.app.handlers
    pairs = (
        (on_edit, known.depsgraph_update_post),
        (on_load, known.load_post),
        (on_travel, known.undo_post),
        (on_save, known.save_post),
    )
    return all(handler in handlers for handler, handlers in pairs)


def _flush() -> None:
    """Has Blender evaluate what waits, which tells `on_edit` of it. Costs next to nothing when nothing waits."""
    layer = bpy.context.view_layer
    if layer is not None:
        layer.update()
        return
    for window in bpy.context.window_manager.windows:
        window.view_layer.update()
