# SPDX-License-Identifier: GPL-3.0-or-later
"""Notices that the system's clock was set back, which stops every timer of Blender's.

On Linux and macOS Blender 4 keeps its timers by that clock (4.3 was tried; 5.2 does not, and those between were not
tried): one that has just been called is not called again until the clock shows that time once more, be it tomorrow. A
timer that is registered after the jump is. So `pump` has this thread look, which no timer can, and begins anew when
told.
"""

from __future__ import annotations

import sys
import time
from threading import Thread
from typing import Protocol

import bpy

# A client waits about this long for a Blender whose timers have stopped. It takes looks: systems do not tell programs
# that the clock was set back.
LOOK_EVERY_SECS = 0.5


class Watched(Protocol):
    """What ends with its timers."""

    def is_current(self) -> bool:
        """Whether it is to be watched any longer."""

    def has_stopped(self) -> bool:
        """Whether its timer is not called, since the clock shows an earlier time."""

    def begin_anew(self) -> None:
        """Gets itself another timer."""


def watch(watched: Watched) -> None:
    """Has it begin anew each time that the clock was set back, on a thread of its own, as long as it is current."""
    if sys.platform != "win32" and bpy.app.version < (5, 2, 0):
        Thread(target=_look, args=(watched,), name="blendwire-clock", daemon=True).start()


def _look(watched: Watched) -> None:
    while watched.is_current():
        time.sleep(LOOK_EVERY_SECS)
        if watched.has_stopped() and watched.is_current():
            watched.begin_anew()
