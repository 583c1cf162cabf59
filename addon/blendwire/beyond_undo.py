# SPDX-License-Identifier: GPL-3.0-or-later
"""What Blender's undo leaves as it is: some of that is put back here, the rest is told of.

Undoing to a step that holds the whole file keeps each scene's cursor and tool settings as they are, for a user who
would not want those to jump. A rollback has to take them back. Brushes, pixels and other things that undo leaves alone
cannot be put back, but `changes` finds them, and `in_words` says so. Main thread only.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import bpy

from .changes import has_failed

_SIMPLE = frozenset({"BOOLEAN", "INT", "FLOAT", "ENUM", "STRING"})
# The mode of the cursor's rotation first: it says which of the others counts.
_CURSOR = ("rotation_mode", "location", "rotation_quaternion", "rotation_axis_angle", "rotation_euler")
_PAINTS = ("sculpt", "vertex_paint", "weight_paint", "image_paint")
# What undo leaves as it is; of other kinds it restores all there is.
_LEFT_ALONE = frozenset({"brushes", "images", "libraries", "palettes", "scenes"})
_OWN_LIBRARY = "essentials_"
# Names told of each kind, so that a message stays one.
_MOST_NAMES = 8

_Values = dict[str, Any]


class LeftByUndo:
    """Cursors, simple tool settings and the automatic packing, from `LeftByUndo()` to `put_back`."""

    def __init__(self) -> None:
        self._paints = bpy.context.mode.startswith(("PAINT", "SCULPT"))
        self._packs = bpy.data.use_autopack
        self._scenes = {scene.name: _values_of(scene) for scene in _own_scenes()}
        self._brushes = {scene.name: _brushes_of(scene) for scene in _own_scenes()}

    def put_back(self) -> None:
        """Stores what has become different, and nothing else: storing is an edit for Blender."""
        if bpy.data.use_autopack != self._packs:
            bpy.data.use_autopack = self._packs
        for scene in _own_scenes():
            if (earlier := self._scenes.get(scene.name)) is not None:
                for owner, then in zip(_owners(scene), earlier, strict=True):
                    _store(owner, then)

    def scenes_with_other_brushes(self) -> set[str]:
        """Scenes of which other brushes are active, as entering a mode of painting or sculpting does. In such a mode
        all: Blender notes with the scene where the last stroke was, and works that out anew."""
        now = {scene.name: _brushes_of(scene) for scene in _own_scenes()}
        return {name for name, brushes in now.items() if self._paints or self._brushes.get(name) != brushes}


def _brushes_of(scene: bpy.types.Scene) -> list[tuple[bool, str]]:
    """The settings that there are of each mode, and which brush is active in it, by its asset: the brush itself may be
    gone after an undo. Not all settings there are: Blender 4.3 crashes when some are looked at."""
    settings = [getattr(scene.tool_settings, name, None) for name in _PAINTS]
    assets = [getattr(one, "brush_asset_reference", None) for one in settings]
    names = [getattr(asset, "relative_asset_identifier", "") for asset in assets]
    return [(one is not None, name) for one, name in zip(settings, names, strict=True)]


def _store(owner: Any, then: _Values) -> None:
    for name, value in then.items():
        # Looked up one by one: storing one may change the next.
        if _value(owner, name) != value:
            # A choice that there was in another mode only; `changes` tells of it then.
            with suppress(TypeError, ValueError, AttributeError):
                setattr(owner, name, value)


def _own_scenes() -> list[bpy.types.Scene]:
    return [scene for scene in bpy.data.scenes if scene.library is None]


def _owners(scene: bpy.types.Scene) -> tuple[Any, Any]:
    return scene.cursor, scene.tool_settings


def _values_of(scene: bpy.types.Scene) -> tuple[_Values, _Values]:
    cursor, tools = _owners(scene)
    simple = [prop.identifier for prop in tools.bl_rna.properties if prop.type in _SIMPLE and not prop.is_readonly]
    return {name: _value(cursor, name) for name in _CURSOR}, {name: _value(tools, name) for name in simple}


def _value(owner: Any, name: str) -> Any:
    """A value that stays what it is when the property changes."""
    value = getattr(owner, name)
    return value if isinstance(value, str | set) or not hasattr(value, "__len__") else tuple(value)


def left_in_words(left: dict[str, Any], noted: LeftByUndo | None, is_at_step: bool) -> str:
    """Why a rollback is none, from what `changes` found after it; empty when it found nothing, or did not look
    because that takes too long.

    `noted` is from before the script. With `is_at_step`, Blender is known to be at the right step."""
    if has_failed(left):
        return f"Blender's undo may have left something, which cannot be told: {left['skipped']}"
    if not left or "skipped" in left:
        return ""
    kinds: dict[str, list[str]] = {}
    excused = noted.scenes_with_other_brushes() if noted is not None else set()
    for group, by_kind in left.items():
        for kind, all_names in _not_blenders_own(by_kind):
            names = all_names
            if group == "modified":
                names = [name for name in names if not (kind == "scenes" and name in excused)]
                names = [name for name in names if not (is_at_step and _has_preview(kind, name))]
            if not names:
                continue
            kinds.setdefault(kind, []).append(f"{group}: {_listed(names)}")
    if not kinds:
        return ""
    told = ", ".join(f"{kind.replace('_', ' ')} ({'; '.join(groups)})" for kind, groups in sorted(kinds.items()))
    return f"Blender's undo does not take these back: {told}"


def _not_blenders_own(by_kind: dict[str, Any]) -> Iterator[tuple[str, list[str]]]:
    for kind, told in by_kind.items():
        names = [f"{then} to {now}" for then, now in told.items()] if isinstance(told, dict) else told
        yield kind, [name for name in names if not _is_blenders_own(kind, name)]


def _has_preview(kind: str, name: str) -> bool:
    """Whether there is a small picture, which undoing has drawn anew: that looks like an edit."""
    if kind in _LEFT_ALONE:
        return False
    blocks = [block for block in getattr(bpy.data, kind, ()) if block.name_full == name]
    return any(getattr(block, "preview", None) is not None for block in blocks)


def _is_blenders_own(kind: str, name: str) -> bool:
    """Entering a mode of painting or sculpting links Blender's own brushes, which then stay at hand: no edit."""
    return name.startswith(_OWN_LIBRARY) if kind == "libraries" else f"[{_OWN_LIBRARY}" in name


def _listed(names: list[str]) -> str:
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


def is_the_open_file(path: str) -> bool:
    """Whether saving to `path` saved the open file, and not a copy of it elsewhere."""
    own = bpy.data.filepath
    if not path or not own:
        return False
    with suppress(OSError):
        return path == own or os.path.samefile(path, own)
    return False
