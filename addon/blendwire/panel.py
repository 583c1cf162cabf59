# SPDX-License-Identifier: GPL-3.0-or-later
"""The tab "MCP" in the sidebar of the 3D viewport.

Draws from the cached snapshot alone: it asks the core nothing, so that it costs nothing and is right in any state.
Its buttons are in `operators`, what it shares with the preferences in `drawing`. Main thread only.
"""

from __future__ import annotations

import bpy

from . import consent, drawing, snapshot
from .snapshot import Snapshot

# What a panel's frame, its padding and the tabs beside it take of the sidebar's width, at scale 1.
MARGIN_PIXELS = 56


class BLENDWIRE_PT_server(bpy.types.Panel):
    """State of the MCP server, and its buttons"""

    bl_idname = "BLENDWIRE_PT_server"
    bl_label = "MCP Server"
    bl_category = "MCP"
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"

    def draw(self, context: bpy.types.Context) -> None:
        now = snapshot.current()
        width = context.region.width - MARGIN_PIXELS * context.preferences.system.ui_scale
        drawing.state_line(self.layout, now, width)
        if now.is_running:
            _endpoint(self.layout, now)
            if now.access_line:
                drawing.paragraph(self.layout, now.access_line, width, alert=now.is_open)
        consent.draw(self.layout, now.consent, width)
        drawing.buttons(self.layout, now)
        if now.is_running:
            _activity(self.layout, now, width)
            drawing.first_client(self.layout, now, width)


def _endpoint(layout: bpy.types.UILayout, now: Snapshot) -> None:
    row = layout.row(align=True)
    row.label(text=now.endpoint, icon="LINKED")
    row.operator("blendwire.copy", text="", icon="COPYDOWN").text = now.endpoint


def _activity(layout: bpy.types.UILayout, now: Snapshot, width: float) -> None:
    column = layout.column(align=True)
    waiting = f", {now.queued} waiting" if now.queued else ""
    column.label(text=f"{now.clients or 'No'} client{'' if now.clients == 1 else 's'} connected{waiting}")
    if now.running_line:
        _request(layout, f"Running since {now.running_since}", now.running_line, width, icon="PLAY")
    if now.last_line:
        outcome = f"Last: ok, {now.last_took}" if now.last_ok else f"Last: error, {now.last_took}"
        _request(layout, outcome, now.last_line, width, icon="CHECKMARK" if now.last_ok else "ERROR")
    if now.undoable:
        layout.operator("blendwire.undo_request", text=f"Undo “{now.undoable}”", icon="LOOP_BACK")


def _request(layout: bpy.types.UILayout, what: str, line: str, width: float, *, icon: str) -> None:
    column = layout.column(align=True)
    column.label(text=what, icon=icon)
    drawing.paragraph(column, line, width)


CLASSES = (BLENDWIRE_PT_server,)
