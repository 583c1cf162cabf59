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

_SIMPLE = frozenset({"BOOLEAN", "INT", "FLOAT", "ENUM", "STRING"})
# The mode of the cursor's rotation first: it says which of the others counts.
_CURSOR = ("rotation_mode", "location", "rotation_quaternion", "rotation_axis_angle", "rotation_euler")
_OWN_LIBRARY = "essentials_"
# Names told of each kind, so that a message stays one.
_MOST_NAMES = 8

_Values = dict[str, Any]


class LeftByUndo:
    """Cursors, simple tool settings and the automatic packing, from `LeftByUndo()` to `put_back`."""

    def __init__(self) -> None:
        self._packs = bpy.data.use_autopack
        self._scenes = {scene.name: _values_of(scene) for scene in _own_scenes()}

    def put_back(self) -> None:
        """Stores what has become different, and nothing else: storing is an edit for Blender."""
        if bpy.data.use_autopack != self._packs:
            bpy.data.use_autopack = self._packs
        for scene in _own_scenes():
            if (earlier := self._scenes.get(scene.name)) is not None:
                for owner, then, now in zip(_owners(scene), earlier, _values_of(scene), strict=True):
                    _store(owner, then, now)


def _store(owner: Any, then: _Values, now: _Values) -> None:
    for name, value in then.items():
        if now.get(name) != value:
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


def left_in_words(left: dict[str, Any]) -> str:
    """Why a rollback is none, from what `changes` found after it; empty when it found nothing, or could not look."""
    if not left or "skipped" in left:
        return ""
    kinds: dict[str, list[str]] = {}
    for group, by_kind in left.items():
        for kind, names in _unmatched(left, group, by_kind):
            kinds.setdefault(kind, []).append(f"{group}: {_listed(names)}")
    if not kinds:
        return ""
    told = ", ".join(f"{kind.replace('_', ' ')} ({'; '.join(groups)})" for kind, groups in sorted(kinds.items()))
    return f"Blender's undo does not take these back: {told}"


def _unmatched(left: dict[str, Any], group: str, by_kind: dict[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """Before Blender 4.2 a data-block that was removed and came back looks like another one of the same name."""
    other = left.get({"added": "removed", "removed": "added"}.get(group, ""), {})
    has_numbers = "session_uid" in bpy.types.ID.bl_rna.properties
    for kind, names in by_kind.items():
        if isinstance(names, dict):
            names = [f"{then} to {now}" for then, now in names.items()]
        elif not has_numbers:
            names = [name for name in names if name not in other.get(kind, ())]
        if names := [name for name in names if not _is_blenders_own(kind, name)]:
            yield kind, names


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
