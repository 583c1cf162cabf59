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

from .undo_stack import in_window


def save(path: Path, *, remap: bool = False) -> None:
    """Saves a copy to `path`; with `remap` its relative paths lead from there to where they lead now.

    # Errors
    RuntimeError with Blender's own words and the room that there was, of which those say nothing.
    """
    try:
        with _unnoticed(), in_window():
            bpy.ops.wm.save_as_mainfile(
                filepath=str(path), copy=True, check_existing=False, compress=False, relative_remap=remap
            )
    except RuntimeError as error:
        raise RuntimeError(f"{str(error).strip()} ({_room(path.parent)})") from None


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
