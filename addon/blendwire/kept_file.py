# SPDX-License-Identifier: GPL-3.0-or-later
"""A copy of the open file, edits that were not saved included, for scripts that load another one and then fail.

Loading begins a new undo history, so that nothing else leads back. The copy comes back under the file's own name,
as one that has not been saved. Main thread only.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

import bpy

from . import file_copy
from .undo_stack import NoStepError, in_window

# Words in a script's source that may mean loading. What loads without them is not foreseen.
_LOADING = ("mainfile", "homefile", "factory_settings", "recover_", "app_template", "revert")
# Where a .blend keeps the path of the file that it is an automatic copy of: in its block of globals, after what that
# block has held at its beginning since Blender 2.8.
_BLOCK, _PATH_AT, _PATH_BYTES = b"GLOB", 80, 1024
# The block of globals comes after a small picture at most.
_LOOK_AT_BYTES = 1 << 20


def may_load(source: str) -> bool:
    """Whether a script looks as if it loaded another file."""
    return any(word in source for word in _LOADING)


class KeptFile:
    """The copy, from `KeptFile()` to `forget`."""

    def __init__(self) -> None:
        """Writes it. Raises NoStepError when that fails."""
        self.own_path = bpy.data.filepath
        self.folder = tempfile.mkdtemp(prefix="blendwire-before-")
        self.path = os.path.join(self.folder, "before.blend")
        try:
            file_copy.save(Path(self.path))
        except RuntimeError as error:
            self.forget()
            raise NoStepError(f"no copy of the file could be made first: {str(error).strip()}") from None

    def restore(self) -> None:
        """Opens it in place of what is open now. Raises NoStepError when that fails; then it stays on the disk."""
        try:
            with in_window():
                if self.own_path and self._is_named():
                    bpy.ops.wm.recover_auto_save(filepath=self.path)
                else:
                    bpy.ops.wm.read_homefile(filepath=self.path, load_ui=False)
        except (RuntimeError, OSError) as error:
            raise NoStepError(f"{str(error).strip()}; {self._where()}") from None
        if bpy.data.filepath != self.own_path:
            raise NoStepError(f"the scene is back, but not under its own name “{self.own_path}”; {self._where()}")

    def forget(self) -> None:
        """Deletes it."""
        for path in (self.path, self.path + "1"):
            with suppress(OSError):
                os.remove(path)
        with suppress(OSError):
            os.rmdir(self.folder)

    def _where(self) -> str:
        return f"the file as it was before the script is kept in {self.path}"

    def _is_named(self) -> bool:
        """Writes the file's own path into the copy, as Blender does in automatic ones; whether there was a place."""
        with Path(self.path).open("r+b") as file:
            head = file.read(_LOOK_AT_BYTES)
            # Since Blender 5.0 the numbers of a block are longer.
            header_bytes = 32 if head[7:9] == b"17" else 24
            at = head.find(_BLOCK) + header_bytes + _PATH_AT
            path = os.fsencode(self.own_path)
            place = head[at : at + _PATH_BYTES]
            if _BLOCK not in head or place != bytes(_PATH_BYTES) or len(path) >= _PATH_BYTES:
                return False
            file.seek(at)
            file.write(path)
        return True
