# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether Blender can draw without a window.

Workbench and EEVEE want a graphics driver, were it one that computes on the processor. Where there is none, Blender
does not refuse: it crashes, and takes the open file with it. So the system is asked before.
"""

from __future__ import annotations

import ctypes
import sys

import bpy

_MISSING = (
    "this Blender has no window, and its machine no graphics driver, without which it would crash: install one "
    "(on Debian and Ubuntu: apt-get install libegl-mesa0 libgl1-mesa-dri, which needs no graphics card), "
    "or render with Cycles"
)


def why_not_drawn() -> str:
    """Why Blender would crash if it had to draw now, in words for the user; empty where it can, or nobody knows."""
    if not bpy.app.background or not sys.platform.startswith("linux"):
        return ""
    try:
        get_display = ctypes.CDLL("libEGL.so.1").eglGetDisplay
    except (OSError, AttributeError):
        return ""
    get_display.restype, get_display.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
    # The default display; no driver gives none. Nothing is opened by asking.
    return "" if get_display(None) else _MISSING
