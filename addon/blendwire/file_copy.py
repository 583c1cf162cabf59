# SPDX-License-Identifier: GPL-3.0-or-later
"""A copy of the open file, edits that were not saved included, made so that nobody notices.

`changes` compares two of them, `kept_file` keeps one to come back to, `public` makes one for scripts. The open
file's path, whether it counts as saved, recent files and undo are left as they are. Main thread only.
"""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

import bpy
from bpy.app.handlers import persistent

from .undo_stack import in_window, mark_modified

# With its window, an early Blender takes the open file as saved when a copy of it is. Seen in 4.0, and no more in 4.3.
FORGETS_UNSAVED = bpy.app.version < (4, 3, 0) and not bpy.app.background

# Rounds of Blender's event loop after which it has taken notice of a save. The first is the one that goes on.
ROUNDS = 3


class _Unsaved:
    """Changes that were not saved when a copy was."""

    is_owed = False
    # The user or a script has just saved the file, which Blender has not noticed yet.
    is_saved = False
    rounds_left = 0


def save(path: Path, *, remap: bool = False) -> None:
    """Saves a copy to `path`; with `remap` its relative paths lead from there to where they lead now.

    # Errors
    RuntimeError with Blender's own words and the room that there was, of which those say nothing.
    """
    if bpy.data.is_dirty and not _Unsaved.is_saved:
        _Unsaved.is_owed = True
        _wait_for_blender()
    try:
        with _unnoticed(), in_window():
            bpy.ops.wm.save_as_mainfile(
                filepath=str(path), copy=True, check_existing=False, compress=False, relative_remap=remap
            )
    except RuntimeError as error:
        raise RuntimeError(f"{str(error).strip()} ({_room(path.parent)})") from None


def _wait_for_blender() -> None:
    if not FORGETS_UNSAVED:
        return
    _Unsaved.rounds_left = ROUNDS
    if not bpy.app.timers.is_registered(_after_a_round):
        bpy.app.timers.register(_after_a_round, first_interval=0.0)


def _after_a_round() -> float | None:
    if _Unsaved.is_owed and not bpy.data.is_dirty:
        mark_modified()
    _Unsaved.rounds_left -= 1
    if _Unsaved.rounds_left > 0:
        return 0.0
    _Unsaved.is_owed = _Unsaved.is_saved = False
    return None


@persistent
def on_save_or_load(*_: object) -> None:
    """There are no unsaved changes any more."""
    if FORGETS_UNSAVED:
        _Unsaved.is_owed, _Unsaved.is_saved = False, True
        _wait_for_blender()


def _room(folder: Path) -> str:
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        return f"the temporary folder {folder}: {error.strerror}"
    return f"{free / 1e6:.1f} MB are free in the temporary folder {folder}"


@contextmanager
def _unnoticed() -> Iterator[None]:
    """Saving without what comes with it: other add-ons' handlers, a picture of the window (60 ms), packing of what the
    file refers to, and a line on the output."""
    known = bpy.app.handlers
    lists = [getattr(known, name) for name in ("save_pre", "save_post", "save_post_fail") if hasattr(known, name)]
    handlers = [list(those) for those in lists]
    preferences = bpy.context.preferences
    earlier = (preferences.filepaths.file_preview_type, preferences.is_dirty, bpy.data.use_autopack)
    try:
        for those in lists:
            those.clear()
        preferences.filepaths.file_preview_type = "NONE"
        if earlier[2]:
            bpy.data.use_autopack = False
        with redirect_stdout(io.StringIO()):
            yield
    finally:
        for those, back in zip(lists, handlers, strict=True):
            those[:] = back
        preferences.filepaths.file_preview_type = earlier[0]
        preferences.is_dirty = earlier[1]
        if earlier[2]:
            bpy.data.use_autopack = True
