# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks the user: requests that wait for consent under the guard rule “Ask”, and what was refused to one that has run.

A request that waits is shown in a menu that pops up, once, and in the panel until it is answered; nothing else waits
for the answer. `pump` calls `pop_up`, the panel `draw`; what there is to ask comes with the snapshot, the answer goes
to the core. A script that a client sent cannot answer: the core refuses. Main thread only.
"""

from __future__ import annotations

import textwrap
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
SHOWN_LINES, SHOWN_COLUMNS = 20, 90


def _plain(text: str) -> str:
    """The same with what would hide or turn round other text shown by its number."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def _broken(line: str, width: float | None) -> list[str]:
    """A line of code in as many as fit one below the other: what stands far to the right is seen, too."""
    if width is not None:
        return drawing.wrapped(line, width)
    return textwrap.wrap(line, SHOWN_COLUMNS, subsequent_indent="        ", break_on_hyphens=False) or [""]


def _lines(one: Asked, width: float | None) -> tuple[list[str], bool]:
    """The beginning of the code, for a panel of this width in pixels or for a menu, and whether there is more of it."""
    shown: list[str] = []
    for line in one.code.expandtabs(4).splitlines():
        shown += _broken(_plain(line), width)
        if len(shown) > SHOWN_LINES:
            return shown[:SHOWN_LINES], True
    return shown, one.is_cut


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
        say(f"“{_plain(one.title)}” wants to {one.wants}")
        _draw_code(layout, width, one)
    buttons = layout.column() if is_menu else layout.row(align=True)
    # Under the pointer, and chosen by Enter, is what comes first in a menu.
    for answer, label, _description in reversed(ANSWERS) if is_menu else ANSWERS:
        if one.detail and answer == "once":
            continue
        text = {"session": "Allow This Session", "never": "Dismiss"}[answer] if one.detail else label
        button = buttons.operator("blendwire.consent", text=text)
        button.request, button.answer = one.request, answer
        button.refused = one.kinds[0] if one.detail else ""


def _draw_code(layout: bpy.types.UILayout, width: float | None, one: Asked) -> None:
    lines, is_cut = _lines(one, width)
    code = layout.column(align=True)
    code.scale_y = 0.8
    for line in lines:
        code.label(text=line)
    if is_cut:
        warning = layout.row()
        warning.alert = True
        warning.label(text="▲ There is more of it: read it first")
        layout.operator("blendwire.consent_code", icon="COPYDOWN").request = one.request


class BLENDWIRE_OT_consent_code(bpy.types.Operator):
    """Copy all of the request's code to the clipboard, to read it in an editor. The request goes on waiting"""

    bl_idname = "blendwire.consent_code"
    bl_label = "Copy All of the Code"
    bl_options = {"INTERNAL"}

    request: IntProperty(name="Request", description="Its number")

    def execute(self, context: bpy.types.Context) -> set[str]:
        code = bridge.consent_code(self.request)
        if code is None:
            self.report({"WARNING"}, "The request does not wait any more")
            return {"CANCELLED"}
        context.window_manager.clipboard = code
        self.report({"INFO"}, "Copied: read it in an editor, and answer in the panel, tab MCP of the sidebar")
        return {"FINISHED"}


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


CLASSES = (BLENDWIRE_OT_consent, BLENDWIRE_OT_consent_code)
