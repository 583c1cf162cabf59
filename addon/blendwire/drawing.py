# SPDX-License-Identifier: GPL-3.0-or-later
"""Pieces of layout that panel and preferences share: the state line, the buttons, and text that is not cut off.

Called from `draw` methods with the snapshot to draw; asks nothing else and changes nothing. Main thread only.
"""

from __future__ import annotations

import textwrap

import blf
import bpy

from .findings import DOCUMENT
from .snapshot import PROBLEM, RUNNING, STOPPED, Snapshot

# What the frame of a box takes of the width, at scale 1.
BOX_PIXELS = 16
# What leads to the first client: the command, and where it is written how to get that, and what else connects.
SETUP = "blendwire setup"
GUIDE = "https://github.com/blendwire/blendwire/blob/main/docs/install.md"
# The mark in front of the state says it by shape, not by colour alone.
STATES = {RUNNING: "● Running", STOPPED: "○ Stopped", PROBLEM: "▲ Problem"}


def state_line(layout: bpy.types.UILayout, now: Snapshot, width: float) -> None:
    """The state, and below it what is wrong, each thing with the name that leads to its explanation."""
    column = layout.column(align=True)
    row = column.row()
    row.alert = now.state == PROBLEM or now.is_open
    # Runs, and should catch the eye.
    row.label(text="▲ Running, open to others" if now.is_open and now.state == RUNNING else STATES[now.state])
    for found in now.findings:
        paragraph(column, found.text, width)
        row = column.row()
        row.label(text=f"Check: {found.check}")
        link = row.operator("wm.url_open", text="Explain", icon="HELP")
        link.url = f"{DOCUMENT}#{found.check}"


def buttons(layout: bpy.types.UILayout, now: Snapshot) -> None:
    """Start, Stop and Restart, each enabled where it makes sense."""
    row = layout.row(align=True)
    for operator, is_enabled in (
        ("blendwire.server_start", not now.is_running),
        ("blendwire.server_stop", now.is_running),
        ("blendwire.server_restart", now.is_running),
    ):
        cell = row.row(align=True)
        cell.enabled = is_enabled
        cell.operator(operator)


def paragraph(layout: bpy.types.UILayout, text: str, width: float, *, alert: bool = False) -> None:
    """Text in as many labels as `width` (pixels) needs: Blender cuts a long label."""
    column = layout.column(align=True)
    column.alert = alert
    column.scale_y = 0.8
    for line in wrapped(text, width):
        column.label(text=line)


def first_client(layout: bpy.types.UILayout, now: Snapshot, width: float) -> None:
    """What to do next, until a first client has come."""
    if now.had_client or not now.is_running:
        return
    frame, width = box(layout, width)
    paragraph(frame, "No client has connected yet. Where the program blendwire is installed, in a terminal:", width)
    row = frame.row(align=True)
    row.label(text=SETUP, icon="CONSOLE")
    row.operator("blendwire.copy", text="", icon="COPYDOWN").text = SETUP
    paragraph(frame, "How to get it, and how to do without:", width)
    frame.operator("wm.url_open", text="How to Connect a Client", icon="HELP").url = GUIDE


def box(layout: bpy.types.UILayout, width: float) -> tuple[bpy.types.UILayout, float]:
    """A frame, and what is left in it of `width` (pixels)."""
    return layout.box(), width - BOX_PIXELS * bpy.context.preferences.system.ui_scale


def wrapped(text: str, width: float) -> list[str]:
    """Lines of `text` that fit into `width` pixels in the font of the interface."""
    preferences = bpy.context.preferences
    blf.size(0, preferences.ui_styles[0].widget.points * preferences.system.ui_scale)
    text_width = blf.dimensions(0, text)[0]
    if not text or text_width <= width:
        return [text]
    characters = max(12, int(len(text) * width / text_width))
    while True:
        lines = textwrap.wrap(text, characters, break_on_hyphens=False)
        if characters <= 12 or all(blf.dimensions(0, line)[0] <= width for line in lines):
            return lines
        characters -= 1
