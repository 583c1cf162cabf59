# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender's undo history: which steps there are, recording one, going to one.

Blender's Python can record a step and undo, but not tell which steps there are; all there is prints them for
developers. So that print is caught. It is worth it: only who knows the steps can say for sure that a rollback has led
to the right one, whatever a script has recorded or undone itself. Knows nothing of requests. Main thread only.
"""

from __future__ import annotations

import ctypes
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO

import bpy

# What Blender calls a step that holds the whole file. The others hold one mode's own data, such as an edited mesh.
WHOLE_FILE = "Global Undo"
# Blender cuts longer names, which then could not be recognised.
NAME_BYTES = 63

_LINE = re.compile(rb"^\[(.)(?:...)\] +(\d+) \{([^}]*)\} type='([^']*)', name='(.*)'$", re.MULTILINE)
# A step, or one of the lines around them.
_OURS = re.compile(rb"\[....\] +\d+ \{|Undo |\s*$")


class NoStepError(Exception):
    """Why a step was not recorded, or not reached; the text is written for the client."""


@dataclass(frozen=True)
class Step:
    """One step. The address tells it apart from others of its name, for as long as it exists."""

    address: str
    kind: str
    name: str
    index: int
    is_active: bool

    def is_same(self, other: Step) -> bool:
        """Whether `other` is this step, wherever it has moved to."""
        return (self.address, self.name) == (other.address, other.name)


def steps() -> list[Step]:
    """All steps, oldest first; empty when there are none, or where Blender's print cannot be caught."""
    texts = [tuple(part.decode(errors="replace") for part in parts) for parts in _LINE.findall(_printed())]
    return [Step(address, kind, name, int(index), mark == "*") for mark, index, address, kind, name in texts]


def active() -> Step | None:
    """The step that the file was at last, edits since then left aside."""
    return next((step for step in steps() if step.is_active), None)


def is_readable() -> bool:
    """Whether `steps` can tell. Not so where the process has no standard output."""
    return _standard_output() is not None and b"ndo" in _printed()


def record(name: str) -> None:
    """Records the state now as a step.

    # Errors
    NoStepError with the reason.
    """
    edit = bpy.context.preferences.edit
    if not edit.use_global_undo:
        raise NoStepError("Global Undo is off in Blender's preferences (Edit > Preferences > System)")
    if edit.undo_steps == 0:
        raise NoStepError("Blender's preferences allow no undo steps (Edit > Preferences > System > Undo Steps is 0)")
    try:
        with in_window():
            bpy.ops.ed.undo_push(message=shortened(name))
    except RuntimeError as error:
        raise NoStepError(str(error).strip()) from None


def mark_modified() -> None:
    """Has the file count as modified, without a step: where none has room, Blender notes that and records nothing."""
    preferences = bpy.context.preferences
    earlier = (preferences.edit.undo_steps, preferences.is_dirty)
    try:
        preferences.edit.undo_steps = 0
        with in_window(), suppress(RuntimeError):
            bpy.ops.ed.undo_push()
    finally:
        preferences.edit.undo_steps, preferences.is_dirty = earlier


def go_to(step: Step) -> None:
    """Makes the file what it was at `step`; what was edited since the last step is lost.

    # Errors
    NoStepError when the step is gone or Blender refuses.
    """
    target = next((other for other in steps() if step.is_same(other)), None)
    if target is None:
        raise NoStepError(
            "the undo step from before the script is gone: the script has recorded or undone steps itself, "
            "or Blender's limits for undo steps and their memory are too low for that"
        )
    with in_window():
        is_done = target.is_active or "FINISHED" in bpy.ops.ed.undo_history(item=target.index)
    now = active()
    if not is_done or now is None or not step.is_same(now):
        raise NoStepError("Blender's undo did not get there")


def shortened(name: str) -> str:
    """A name as Blender keeps it: one line, not too long, no half characters."""
    return " ".join(name.split()).encode()[:NAME_BYTES].decode(errors="ignore")


@contextmanager
def in_window() -> Iterator[None]:
    """Gives Blender's operators a window where the context has none, as right after a file was loaded."""
    windows = bpy.context.window_manager.windows
    if bpy.context.window is not None or not windows:
        yield
        return
    with bpy.context.temp_override(window=windows[0]):
        yield


def _printed() -> bytes:
    """What Blender prints of its steps, caught on its way out; nothing where that cannot be, as on a full disk. What
    others print at that moment is passed on."""
    if (output := _standard_output()) is None:
        return b""
    library, stream = output
    library.fflush(stream)
    try:
        kept = os.dup(1)
    except OSError:
        return b""
    printed = b""
    try:
        # After the copying above: it must not become the standard output itself.
        with _scratch() as file:
            os.dup2(file.fileno(), 1)
            try:
                bpy.context.window_manager.print_undo_steps()
                library.fflush(stream)
            finally:
                os.dup2(kept, 1)
            file.seek(0)
            printed = file.read()
        # What other threads have said meanwhile.
        os.write(kept, b"".join(line for line in printed.splitlines(keepends=True) if not _OURS.match(line)))
    except OSError:
        return printed
    else:
        return printed
    finally:
        os.close(kept)


def _scratch() -> IO[bytes]:
    """A file for a moment: in memory where the system has that, so that a full disk hinders no rollback."""
    if make := getattr(os, "memfd_create", None):
        return os.fdopen(make("blendwire-steps"), "w+b")
    return tempfile.TemporaryFile()


def _standard_output() -> tuple[ctypes.CDLL, ctypes.c_void_p] | None:
    """C's own stream, whose buffer Python does not know, and the library that flushes it."""
    try:
        if sys.platform == "win32":
            library = ctypes.CDLL("ucrtbase")
            library.__acrt_iob_func.restype = ctypes.c_void_p
            return library, ctypes.c_void_p(library.__acrt_iob_func(1))
        library = ctypes.CDLL(None)
        name = "__stdoutp" if sys.platform == "darwin" else "stdout"
        return library, ctypes.c_void_p.in_dll(library, name)
    except (OSError, ValueError, AttributeError):
        return None
