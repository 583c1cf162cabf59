# SPDX-License-Identifier: GPL-3.0-or-later
"""Renders tell by themselves how far they are, to the client whose request started them, and what they write, to the
journal.

`handlers` adds the functions to Blender's lists. Blender calls some of them in a render thread, so they only read what
they are given and tell the core, which is safe in any thread. A render that nobody asked for over the wire is told to
nobody.
"""

from __future__ import annotations

import os
import re
import time
from contextlib import suppress

import bpy
from bpy.app.handlers import persistent

from . import bridge

# A file last written longer ago was written by something else; clocks of file servers are not exact.
JUST_NOW_SECS = 10.0
# "Sample 12/48" (Cycles), "Rendering 12 / 64 samples" (EEVEE).
_SAMPLES = re.compile(r"(?:Sample|Rendering|Rendered)\s+(\d+)\s*/\s*(\d+)")


class _Render:
    """The render that goes on: Blender has at most one."""

    first_frame = 0
    frames_begun = 0
    frames_wanted = 1
    frame = 0


@persistent
def render_init(*_: object) -> None:
    """A render begins, of one frame or of many."""
    _Render.frames_begun, _Render.frames_wanted = 0, 1


@persistent
def render_pre(scene: bpy.types.Scene, *_: object) -> None:
    """A frame begins. Only the second one tells that this is an animation."""
    _Render.frame = scene.frame_current
    _Render.frames_begun += 1
    if _Render.frames_begun == 2:
        _Render.frames_wanted = max(1, (scene.frame_end - scene.frame_start) // max(1, scene.frame_step) + 1)
    _tell(0.0)


@persistent
def render_stats(stats: str, *_: object) -> None:
    """The engine says what it is at, a few times a second at most."""
    if found := _SAMPLES.search(str(stats)):
        done, wanted = (int(number) for number in found.groups())
        _tell(done / wanted if wanted else 0.0)


@persistent
def render_post(*_: object) -> None:
    """A frame is done."""
    _tell(1.0)


@persistent
def render_write(scene: bpy.types.Scene, *_: object) -> None:
    """A frame has been written. Where to, Blender does not say: a still goes to the path as it is set, with its
    extension; a frame of an animation to one with its number."""
    still = bpy.path.abspath(scene.render.filepath)
    if scene.render.use_file_extension and not still.lower().endswith(scene.render.file_extension):
        still += scene.render.file_extension
    for path in (still, scene.render.frame_path(frame=scene.frame_current)):
        with suppress(OSError):
            if time.time() - os.stat(path).st_mtime < JUST_NOW_SECS:
                bridge.file_written(path)


def _tell(part_of_frame: float) -> None:
    done = (max(0, _Render.frames_begun - 1) + part_of_frame) / _Render.frames_wanted
    bridge.progress(min(1.0, done), f"rendering frame {_Render.frame}")
