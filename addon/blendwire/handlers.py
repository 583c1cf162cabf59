# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender's application handlers: what the server wants to know about the open file and about renders.

`server` adds them when the server starts and removes them when it stops. They are persistent, so that they outlive
the loading of a file, and are told apart by name, so that those of a reloaded module are replaced and not doubled.
Blender calls them on the main thread.
"""

from __future__ import annotations

from collections.abc import Callable

import bpy
from bpy.app.handlers import persistent

from . import bridge, file_copy, history, pump, render_progress


@persistent
def _before_load(*_: object) -> None:
    """The windows may go with the file, and the window timer with them."""
    pump.release_window_timer()


@persistent
def _after_load(*_: object) -> None:
    """Until Blender comes round, the context has no window, and operators would refuse the next request."""
    bridge.end_tick()


@persistent
def _file_changed(*_: object) -> None:
    bridge.set_file(bpy.data.filepath)


@persistent
def _file_saved(path: object = "", *_: object) -> None:
    if isinstance(path, str) and path and bridge.is_executing():
        bridge.file_written(path)


def add() -> None:
    """Adds the handlers, each once, and tells the core which file is open."""
    remove()
    for handlers, handler in _pairs():
        handlers.append(handler)
    history.put_handlers_back = add
    _file_changed()


def remove() -> None:
    """Removes the handlers, whichever load of this module they come from."""
    for handlers, handler in _pairs():
        for other in list(handlers):
            if (other.__module__, other.__qualname__) == (handler.__module__, handler.__qualname__):
                handlers.remove(other)


def _pairs() -> list[tuple[list[Callable[..., None]], Callable[..., None]]]:
    known = bpy.app.handlers
    return [
        (known.load_pre, _before_load),
        (known.load_post, _file_changed),
        (known.load_post, _after_load),
        (known.load_post, history.on_load),
        (known.load_post, file_copy.on_save_or_load),
        (known.save_post, _file_changed),
        (known.save_post, history.on_save),
        (known.save_post, file_copy.on_save_or_load),
        (known.save_post, _file_saved),
        (known.depsgraph_update_post, history.on_edit),
        (known.undo_post, history.on_travel),
        (known.redo_post, history.on_travel),
        (known.render_init, render_progress.render_init),
        (known.render_pre, render_progress.render_pre),
        (known.render_stats, render_progress.render_stats),
        (known.render_post, render_progress.render_post),
        (known.render_write, render_progress.render_write),
    ]
