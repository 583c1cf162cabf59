# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks the user: requests that wait for consent under the guard rule “Ask”, and what was refused to one that has run.

A request that waits is shown in a menu that pops up, once, and in the panel until it is answered; nothing else waits
for the answer. `pump` calls `pop_up`, the panel `draw`; what there is to ask comes with the snapshot, the answer goes
to the core. A script that a client sent cannot answer: the core refuses. Main thread only.
"""

from __future__ import annotations

import time
from typing import Any

import bpy
from bpy.props import EnumProperty, IntProperty, StringProperty

from . import bridge, drawing
from .snapshot import Asked

ANSWERS = (
    ("once", "Once", "Let this request do it, and ask again for the next one"),
    ("session", "This Session", "Let all requests do it, until the server is stopped or Blender ends"),
    ("never", "Never", "Refuse the request; nothing of it is run"),
)
# A click or a key within this time was meant for what was under the menu when it popped up.
UNREAD_SECS = 1.0
# What of a script fits a menu.
SHOWN_LINES, SHOWN_COLUMNS = 14, 90


def _lines(code: str) -> list[str]:
    """The beginning of the code, each line cut where a menu would grow too wide."""
    lines = code.expandtabs(4).splitlines()
    shown = [line if len(line) <= SHOWN_COLUMNS else line[: SHOWN_COLUMNS - 1] + "…" for line in lines[:SHOWN_LINES]]
    left = len(lines) - len(shown)
    return [*shown, f"… and {left} more lines"] if left > 0 else shown


class _Shown:
    """Requests that have popped up: when, by their number."""

    since: dict[int, float] = {}


def pop_up(waiting: tuple[Asked, ...]) -> None:
    """Shows a menu for the first request that has not had one."""
    numbers = {one.request for one in waiting if not one.detail}
    _Shown.since = {number: since for number, since in _Shown.since.items() if number in numbers}
    new = next((one for one in waiting if not one.detail and one.request not in _Shown.since), None)
    if new is None:
        return
    _Shown.since[new.request] = time.monotonic()
    manager = bpy.context.window_manager
    if manager is None or not manager.windows:
        return

    def draw(menu: Any, _context: bpy.types.Context) -> None:
        _draw_one(menu.layout, None, new)

    with bpy.context.temp_override(window=bpy.context.window or manager.windows[0]):
        manager.popup_menu(draw, title="A client asks for your consent", icon="QUESTION")


def draw(layout: bpy.types.UILayout, waiting: tuple[Asked, ...], width: float) -> None:
    """A box for each."""
    for one in waiting:
        _draw_one(*drawing.box(layout, width), one)


def _draw_one(layout: bpy.types.UILayout, width: float | None, one: Asked) -> None:
    """Into a panel of this width in pixels, or into a menu, which is as wide as it needs."""

    def say(text: str, icon: str = "NONE") -> None:
        if width is None or icon != "NONE":
            layout.label(text=text, icon=icon)
        else:
            drawing.paragraph(layout, text, width)

    is_menu = width is None
    if one.detail:
        say("Refused", icon="CANCEL")
        say(f"“{one.title}” wanted to {one.wants}: {one.detail}")
    else:
        if not is_menu:
            say("Asks for Your Consent", icon="QUESTION")
        say(f"“{one.title}” wants to {one.wants}")
        code = layout.column(align=True)
        code.scale_y = 0.8
        for line in _lines(one.code):
            code.label(text=line)
    buttons = layout.column() if is_menu else layout.row(align=True)
    # Under the pointer, and chosen by Enter, is what comes first in a menu.
    for answer, label, _description in reversed(ANSWERS) if is_menu else ANSWERS:
        if one.detail and answer == "once":
            continue
        text = {"session": "Allow This Session", "never": "Dismiss"}[answer] if one.detail else label
        button = buttons.operator("blendwire.consent", text=text)
        button.request, button.answer = one.request, answer
        button.refused = one.kinds[0] if one.detail else ""


class BLENDWIRE_OT_consent(bpy.types.Operator):
    """Answer a client's request"""

    bl_idname = "blendwire.consent"
    bl_label = "Consent"
    bl_options = {"INTERNAL"}

    request: IntProperty(name="Request", description="Its number")
    answer: EnumProperty(name="Answer", items=list(ANSWERS))
    refused: StringProperty(name="Refused", description="The kind that was refused to it, where it has run")

    @classmethod
    def description(cls, _context: bpy.types.Context, properties: Any) -> str:
        return next(text for answer, _, text in ANSWERS if answer == properties.answer)

    def execute(self, context: bpy.types.Context) -> set[str]:
        if self.answer != "never" and time.monotonic() - _Shown.since.get(self.request, 0.0) < UNREAD_SECS:
            self.report({"WARNING"}, "That was too quick to be meant: answer in the panel, tab MCP of the sidebar")
            return {"CANCELLED"}
        try:
            was_asked = bridge.answer_consent(self.request, self.answer, self.refused)
        except PermissionError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        if not was_asked:
            self.report(
                {"WARNING"}, "The request does not wait any more: it was cancelled, or its time limit has passed"
            )
            return {"CANCELLED"}
        return {"FINISHED"}


CLASSES = (BLENDWIRE_OT_consent,)
