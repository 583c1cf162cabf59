# SPDX-License-Identifier: GPL-3.0-or-later
"""The operators behind the buttons of panel and preferences.

Each asks `server` for one thing and reports the outcome in Blender's status bar. They have no `poll`, so that scripts
may call them in any state; where a button makes no sense, the layout greys it. Main thread only, as all operators.
"""

from __future__ import annotations

from typing import Any

import bpy

from . import server, snapshot


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


class BLENDWIRE_OT_copy_endpoint(bpy.types.Operator):
    """Copy the address that clients connect to"""

    bl_idname = "blendwire.copy_endpoint"
    bl_label = "Copy Address"

    def execute(self, context: bpy.types.Context) -> set[str]:
        endpoint = snapshot.current().endpoint
        if not endpoint:
            self.report({"ERROR"}, "The MCP server is not running")
            return {"CANCELLED"}
        context.window_manager.clipboard = endpoint
        self.report({"INFO"}, f"Copied {endpoint}")
        return {"FINISHED"}


CLASSES = (
    BLENDWIRE_OT_server_start,
    BLENDWIRE_OT_server_stop,
    BLENDWIRE_OT_server_restart,
    BLENDWIRE_OT_copy_endpoint,
)
