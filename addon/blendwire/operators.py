# SPDX-License-Identifier: GPL-3.0-or-later
"""The operators behind the buttons of panel and preferences.

Each asks `server` for one thing and reports the outcome in Blender's status bar. They have no `poll`, so that scripts
may call them in any state; where a button makes no sense, the layout greys it. Main thread only, as all operators.
"""

# No `from __future__ import annotations` here: Blender reads the properties out of the annotations.
from typing import Any

import bpy
from bpy.props import StringProperty

from . import history, logs, server, snapshot


class _ServerOperator(bpy.types.Operator):
    """What the three have in common: they report the state that they leave behind."""

    def _reported(self, status: dict[str, Any]) -> set[str]:
        if status["state"] == snapshot.PROBLEM:
            self.report({"ERROR"}, status["problem"])
            return {"CANCELLED"}
        self.report({"INFO"}, f"MCP server: {status['state']} {status['endpoint']}".rstrip())
        return {"FINISHED"}


class BLENDWIRE_OT_server_start(_ServerOperator):
    """Listen for MCP clients and scripts"""

    bl_idname = "blendwire.server_start"
    bl_label = "Start"

    def execute(self, context: bpy.types.Context) -> set[str]:
        return self._reported(server.server_start())


class BLENDWIRE_OT_server_stop(_ServerOperator):
    """Disconnect every client and stop listening"""

    bl_idname = "blendwire.server_stop"
    bl_label = "Stop"

    def execute(self, context: bpy.types.Context) -> set[str]:
        return self._reported(server.server_stop())


class BLENDWIRE_OT_server_restart(_ServerOperator):
    """Stop, then start with the preferences as they are now"""

    bl_idname = "blendwire.server_restart"
    bl_label = "Restart"

    def execute(self, context: bpy.types.Context) -> set[str]:
        return self._reported(server.server_restart())


class BLENDWIRE_OT_copy(bpy.types.Operator):
    """Copy this to the clipboard"""

    bl_idname = "blendwire.copy"
    bl_label = "Copy"
    bl_options = {"INTERNAL"}

    text: StringProperty(name="Text", description="What to copy")

    def execute(self, context: bpy.types.Context) -> set[str]:
        context.window_manager.clipboard = self.text
        self.report({"INFO"}, f"Copied {self.text}")
        return {"FINISHED"}


class BLENDWIRE_OT_undo_request(bpy.types.Operator):
    """Take back what the last request did to the file"""

    bl_idname = "blendwire.undo_request"
    bl_label = "Undo Last Request"

    def execute(self, context: bpy.types.Context) -> set[str]:
        title = history.undoable()
        if not title:
            self.report({"ERROR"}, "Nothing of a request is left to undo here: see Edit > Undo History")
            return {"CANCELLED"}
        # A moment later: undoing replaces data that Blender holds on to while an operator runs.
        bpy.app.timers.register(_undo_request, first_interval=0.0)
        return {"FINISHED"}


def _undo_request() -> None:
    title = history.undoable()
    why = history.undo_request()
    logs.write("warning" if why else "info", f"“{title}” was not undone: {why}" if why else f"undone: {title}")
    logs.flush()


CLASSES = (
    BLENDWIRE_OT_server_start,
    BLENDWIRE_OT_server_stop,
    BLENDWIRE_OT_server_restart,
    BLENDWIRE_OT_copy,
    BLENDWIRE_OT_undo_request,
)
