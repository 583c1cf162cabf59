# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the open file lies, how old and how large it is, and which backups lie beside it. Reads only."""

import itertools
import os
import time

import bpy


def age_and_size(path):
    """Seconds since it was written, and its bytes; None twice when it is not there."""
    try:
        told = os.stat(path)
    except OSError:
        return None, None
    return round(time.time() - told.st_mtime, 1), told.st_size


def backups(path):
    """The earlier versions that Blender keeps as `.blend1`, `.blend2` and so on, newest first."""
    for number in itertools.count(1):
        age, size = age_and_size(f"{path}{number}")
        if age is None:
            return
        yield {"path": f"{path}{number}", "age_seconds": age, "size_bytes": size}


def main():
    """Entry point."""
    path = bpy.data.filepath
    age, size = age_and_size(path) if path else (None, None)
    return {
        "status": "ok",
        "filepath": path,
        "is_saved": bool(path),
        "is_dirty": bpy.data.is_dirty,
        "age_seconds": age,
        "file_size_bytes": size,
        "backups": None if age is None else list(backups(path)),
    }
