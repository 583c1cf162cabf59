# SPDX-License-Identifier: GPL-3.0-or-later
"""An entry in Blender's status bar while a request of a client runs, or asks for consent.

Draws from the cached snapshot alone. A script that holds Blender's main thread holds its drawing too: what is seen here
are renders and other requests whose result is deferred. `__init__` calls `register` and `unregister`. Main thread only.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import bpy

from . import snapshot

# What of a request's first line fits beside what Blender says there.
SHOWN_COLUMNS = 60


def _text() -> str:
    """What there is to say now; empty when there is nothing."""
    now = snapshot.current()
    if now.consent:
        return "MCP: a client asks for your consent"
    if not now.running_line:
        return ""
    line = now.running_line
    shown = line if len(line) <= SHOWN_COLUMNS else line[: SHOWN_COLUMNS - 1] + "…"
    return f"MCP: {shown} (since {now.running_since})"


def _draw(header: Any, _context: bpy.types.Context) -> None:
    if text := _text():
        header.layout.label(text=text, icon="QUESTION" if snapshot.current().consent else "PLAY")


class _Shown:
    """What the status bars were drawn with."""

    text = ""


def redraw() -> None:
    """Has the status bars drawn again if they should say something else."""
    text = _text()
    if text == _Shown.text:
        return
    manager = bpy.context.window_manager
    windows = list(manager.windows) if manager is not None else []
    if all(hasattr(window, "modal_operators") for window in windows):
        # Blender's Python reaches these bars through the words of modal operators only, which are left alone.
        if any(len(window.modal_operators) > 0 for window in windows):
            return
        for window in windows:
            # It goes by the context, which has no window right after a file was loaded.
            with bpy.context.temp_override(window=window):
                window.workspace.status_text_set_internal(None)
    else:
        # Before 4.2 it does not tell whether there are any. There the bars are drawn anew when anything gets a name.
        for window in windows:
            name = window.workspace.name
            window.workspace.name = name
    _Shown.text = text


def register() -> None:
    """Adds the entry, once."""
    unregister()
    bpy.types.STATUSBAR_HT_header.append(_draw)


def unregister() -> None:
    """Takes it back, where it is there."""
    with suppress(ValueError):
        bpy.types.STATUSBAR_HT_header.remove(_draw)
