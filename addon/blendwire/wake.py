# SPDX-License-Identifier: GPL-3.0-or-later
"""A window timer that wakes Blender's event loop every millisecond, for a short while after activity.

Blender's loop sleeps 5 ms when nothing happens, which is what a request after a pause would wait. The pump holds one
`WindowTimer`, adds it while requests come and removes it soon after, since it costs 10 % of a core (measured).
Such a timer dies with its window and with the open file, and touching a dead one reads freed memory: `remove` looks
first whether the window is still there, and `handlers` calls `pump.release_window_timer` before a file is loaded.
Main thread only.
"""

from __future__ import annotations

import bpy

# The step of Blender's own clock for window timers is finer; below 1 ms nothing was gained (measured).
EVERY_SECS = 0.001


class WindowTimer:
    """At most one timer on at most one window."""

    def __init__(self) -> None:
        self._timer: bpy.types.Timer | None = None
        self._window_address = 0

    def add(self) -> None:
        """Adds the timer to the first window, unless it is there already."""
        if self._timer is not None and self._window_is_open():
            return
        manager = bpy.context.window_manager
        if manager is None or not manager.windows:
            return
        window = manager.windows[0]
        self._timer = manager.event_timer_add(EVERY_SECS, window=window)
        self._window_address = window.as_pointer()

    def remove(self) -> None:
        """Removes the timer, or forgets it where its window has gone and taken it along."""
        timer, self._timer = self._timer, None
        if timer is not None and self._window_is_open():
            bpy.context.window_manager.event_timer_remove(timer)

    def _window_is_open(self) -> bool:
        manager = bpy.context.window_manager
        return manager is not None and any(window.as_pointer() == self._window_address for window in manager.windows)
