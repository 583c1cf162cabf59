# SPDX-License-Identifier: GPL-3.0-or-later
"""MCP Server: one wire into a running Blender that any client can use.

This file only registers, in order, and unregisters in reverse; the work is in the modules beside it, the listening in
the native core. One folder serves as extension (4.2 and later), as legacy add-on (4.0, 4.1) and as a plain package
for `python -m blendwire`. What scripts and the console may call is in `public`.
"""

import importlib
import sys

import bpy

if not __package__:
    raise ImportError("blendwire is a package: enable it in Preferences > Add-ons instead of running its __init__.py")

# Blender reloads this file alone (Reload Scripts, an update): what it is made of has to follow, in the order of the
# imports. Never `_core`: a native module cannot be loaded again, and it holds the server.
if f"{__package__}.server" in sys.modules:
    for _name in (
        "findings",
        "access",
        "settings",
        "bridge",
        "logs",
        "wake",
        "guard_scan",
        "silent_edits",
        "undo_stack",
        "checkpoint",
        "file_copy",
        "kept_file",
        "changes",
        "beyond_undo",
        "history",
        "first_client",
        "snapshot",
        "drawing",
        "consent",
        "status_bar",
        "pump",
        "render_progress",
        "handlers",
        "server",
        "public",
        "operators",
        "panel",
        "preferences",
        "command_line",
    ):
        importlib.reload(importlib.import_module(f".{_name}", __package__))

from . import command_line, consent, operators, panel, preferences, public, server, status_bar

bl_info = {
    "name": "MCP Server",
    "author": "Blendwire contributors",
    "version": (0, 1, 0),
    "blender": (4, 0, 0),
    "location": "3D Viewport > Sidebar > MCP",
    "description": "One wire into a running Blender for MCP clients and scripts",
    "doc_url": "https://github.com/blendwire/blendwire#readme",
    "tracker_url": "https://github.com/blendwire/blendwire/issues",
    "category": "Development",
}

progress = public.progress
Interrupted = public.bridge.Interrupted
save_copy = public.save_copy
server_log = public.logs.last_messages
why_not_drawn = public.graphics.why_not_drawn
server_start = server.server_start
server_stop = server.server_stop
server_restart = server.server_restart
server_status = server.server_status

__all__ = [
    "Interrupted",
    "progress",
    "register",
    "save_copy",
    "server_log",
    "server_restart",
    "server_start",
    "server_status",
    "server_stop",
    "unregister",
    "why_not_drawn",
]

_CLASSES = (*preferences.CLASSES, *operators.CLASSES, *consent.CLASSES, *panel.CLASSES)


def register() -> None:
    """Called by Blender when the add-on is enabled and at every start."""
    for cls in _CLASSES:
        _unregister_class(cls)
        bpy.utils.register_class(cls)
    status_bar.register()
    command_line.register()
    public.register()
    server.register()


def unregister() -> None:
    """Called by Blender when the add-on is disabled, before scripts are reloaded, and when it quits."""
    server.unregister()
    public.unregister()
    command_line.unregister()
    status_bar.unregister()
    for cls in reversed(_CLASSES):
        _unregister_class(cls)


def _unregister_class(cls: type) -> None:
    if getattr(cls, "is_registered", False):
        bpy.utils.unregister_class(cls)
