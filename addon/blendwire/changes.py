# SPDX-License-Identifier: GPL-3.0-or-later
"""What a request did to the open file: data-blocks added, removed, renamed and modified, by type and name.

Whoever runs a request calls `before`, runs it, and calls `after`. Added, removed and renamed follow from two tables
of all data-blocks, because each keeps its identity in Blender. Modified follows from two copies of the file that the
native core compares: nothing else in Blender tells what changed without naming what merely depends on it.

What does not count: windows, screens and workspaces; which objects, vertices, bones or nodes are selected, active or
temporarily hidden; modes; the buffers of renders and viewers. What a copy of the file does not hold is not seen to be
modified: data-blocks without any user (additions, removals and renames of those are), and those of linked libraries.
The pixels of images that wait to be saved are compared here, up to a size. Setting the frame moves what is animated,
and that is named with the scene.

Main thread only. It may run inside a request, and leaves alone: the open file's path, whether it counts as saved,
recent files, undo, other add-ons' handlers, preferences.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from array import array
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import bpy
from bpy.app.handlers import persistent

from . import bridge, file_copy

# A request should not be held up for longer than this by each of its two copies.
LONGEST_SAVE_SECS = 0.5

# Pixels of an image that waits to be saved, all channels: 2048 by 2048 in four channels takes 60 ms to read and digest.
MOST_PIXELS = 2048 * 2048 * 4

# The interface, and a second listing of everything.
_LEFT_OUT = {"window_managers", "screens", "workspaces", "all_ids"}

# Images that are not the user's: what was rendered or viewed last.
_BUFFERS = {"RENDER_RESULT", "COMPOSITING"}

# What a data-block is known by: see `_identity`.
Identity = int | str
_HAS_NUMBERS = "session_uid" in bpy.types.ID.bl_rna.properties

# Data-blocks of one collection of bpy.data: identity to name.
Names = dict[Identity, str]

_numbers = count(1)


@dataclass
class _Slow:
    """The file whose copy took too long, and how many data-blocks it had."""

    file: str
    size: int
    secs: float


_slow: _Slow | None = None

_FAILED = "the open file could not be copied and compared"


@dataclass
class Before:
    """The open file as it was. With `skipped`, the reason why there is nothing to compare with."""

    skipped: str = ""
    path: Path | None = None
    names: dict[str, Names] = field(default_factory=dict)
    pixels: dict[Identity, bytes | None] = field(default_factory=dict)
    was_loaded: list[bool] = field(default_factory=list)
    handler: Any = None


def before() -> Before:
    """Notes the state of the open file. To be followed by `after` in any case, which cleans up. Never raises."""
    state = Before()
    try:
        state.names = _names()
        state.skipped = _too_slow(state.names)
        if not state.skipped:
            state.pixels = _pixels()
            state.path = _save(state.names)
            _watch(state)
    except Exception as error:
        state.skipped = _reason(error)
    return state


def after(state: Before) -> dict[str, Any]:
    """What has become of the file since `before`: `added`, `removed`, `renamed` and `modified`, each by collection of
    bpy.data, those that are not empty; or `skipped` with the reason and what to do. Never raises."""
    path = None
    try:
        if state.skipped or state.path is None:
            return {"skipped": state.skipped}
        if state.was_loaded:
            return {"skipped": "the request opened another file: changes are told within one file. Ask again"}
        names = _names()
        path = _save(names)
        return _compare(state, names, path)
    except Exception as error:
        return {"skipped": _reason(error)}
    finally:
        drop(state)
        _delete(path)


def drop(state: Before) -> None:
    """In place of `after`, where nobody wants to know any more. Never raises."""
    _unwatch(state)
    _delete(state.path)


def _delete(path: Path | None) -> None:
    if path is not None:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def has_failed(found: dict[str, Any]) -> bool:
    """Whether `after` could not look where it meant to."""
    return str(found.get("skipped", "")).startswith(_FAILED)


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return f"{_FAILED}: {text}. Blender's temporary folder must be writable"


def _too_slow(names: dict[str, Names]) -> str:
    global _slow
    # Another file, or most of it gone: worth another try.
    if _slow is not None and (_slow.file != bpy.data.filepath or _size(names) < _slow.size / 2):
        _slow = None
    if _slow is None:
        return ""
    return (
        f"copying this file took {_slow.secs:.1f} s; a request is not held up for more than {LONGEST_SAVE_SECS} s. "
        "Look at the data-blocks in question with a script of your own"
    )


def _size(names: dict[str, Names]) -> int:
    return sum(len(those) for those in names.values())


def _names() -> dict[str, Names]:
    """All data-blocks by collection of bpy.data. One of a library has the library in its name."""
    names: dict[str, Names] = {}
    for prop in bpy.data.bl_rna.properties:
        if prop.type != "COLLECTION" or prop.identifier in _LEFT_OUT:
            continue
        blocks = getattr(bpy.data, prop.identifier)
        if prop.identifier == "images":
            blocks = [image for image in blocks if image.type not in _BUFFERS]
        names[prop.identifier] = {_identity(block): block.name_full for block in blocks}
    return names


def _pixels(also: Collection[Identity] = ()) -> dict[Identity, bytes | None]:
    """Digests of images whose pixels are in memory only, and of those named, by identity; `None` for one too large."""
    digests: dict[Identity, bytes | None] = {}
    for image in bpy.data.images:
        if (image.is_dirty or _identity(image) in also) and image.type not in _BUFFERS:
            size = image.size[0] * image.size[1] * image.channels
            digests[_identity(image)] = _pixel_digest(image, size) if size <= MOST_PIXELS else None
    return digests


def _pixel_digest(image: bpy.types.Image, size: int) -> bytes:
    pixels = array("f", bytes(4 * size))
    image.pixels.foreach_get(pixels)
    return hashlib.blake2b(pixels, digest_size=16).digest()


def _save(names: dict[str, Names]) -> Path:
    """Saves a copy of the open file to a new path in Blender's temporary folder, as if nobody had."""
    global _slow
    path = Path(bpy.app.tempdir) / f"blendwire-changes-{os.getpid()}-{next(_numbers)}.blend"
    started = time.perf_counter()
    try:
        file_copy.save(path)
    except BaseException:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
        raise
    secs = time.perf_counter() - started
    if secs > LONGEST_SAVE_SECS:
        _slow = _Slow(bpy.data.filepath, _size(names), secs)
    return path


def _watch(state: Before) -> None:
    """Notes in `state` when another file is opened."""

    @persistent
    def loaded(*_: object) -> None:
        state.was_loaded.append(True)

    state.handler = loaded
    bpy.app.handlers.load_post.append(loaded)


def _unwatch(state: Before) -> None:
    if state.handler in bpy.app.handlers.load_post:
        bpy.app.handlers.load_post.remove(state.handler)


def _compare(state: Before, names: dict[str, Names], path: Path) -> dict[str, Any]:
    added: dict[str, list[str]] = {}
    removed: dict[str, list[str]] = {}
    renamed: dict[str, dict[str, str]] = {}
    for kind, now in names.items():
        then = state.names.get(kind, {})
        added[kind] = sorted(now[one] for one in now.keys() - then.keys())
        removed[kind] = sorted(then[one] for one in then.keys() - now.keys())
        renamed[kind] = dict(sorted((then[one], now[one]) for one in now.keys() & then.keys() if then[one] != now[one]))
    # An empty name says that whatever has that name now is another data-block.
    told = [(kind, one, to) for kind, those in renamed.items() for one, to in those.items()]
    told += [(kind, one, "") for kind, those in removed.items() for one in those]
    modified: dict[str, set[str]] = {}
    for kind, name in bridge.modified(str(state.path), str(path), told):
        modified.setdefault(kind, set()).add(name)
    modified.setdefault("images", set()).update(_painted(state))
    groups: dict[str, dict[str, Any]] = {
        "added": added,
        "removed": removed,
        "renamed": renamed,
        "modified": {
            kind: sorted(those & set(names.get(kind, {}).values()) - set(added[kind]))
            for kind, those in sorted(modified.items())
        },
    }
    filled = {group: {kind: those for kind, those in kinds.items() if those} for group, kinds in groups.items()}
    return {group: kinds for group, kinds in filled.items() if kinds}


def _painted(state: Before) -> Iterator[str]:
    """Images whose pixels in memory are others now."""
    now = _pixels(also=state.pixels.keys())
    for image in bpy.data.images:
        one = _identity(image)
        if one in now and (one not in state.pixels or now[one] != state.pixels[one]):
            yield image.name_full


def _identity(block: Any) -> Identity:
    """What stays the same for as long as there is the data-block, after an undo too. Before Blender 4.2 that is its
    name: its address is another after an undo, and soon somebody else's when it is gone."""
    return block.session_uid if _HAS_NUMBERS else block.name_full
