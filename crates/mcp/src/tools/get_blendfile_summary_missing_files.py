# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that the open one refers to and that are not there. Reads only."""

import glob
import os

import bpy

# What stands for a number in the paths of tiles and of sequences.
TOKENS = ("<UDIM>", "<UVTILE>")


# What is left out where Blender does not tell of paths itself.
NOT_LOOKED_AT = (
    "before 5.0, Blender does not tell of every path: those in modifiers (caches of simulations, for one) and in nodes "
    "were not looked at"
)


def references():
    """Every external file as (data-block, path)."""
    if hasattr(bpy.data, "file_path_foreach"):
        found = []

        def visit(owner, path, _spare):
            # What is returned would become the path.
            found.append((owner, path))

        bpy.data.file_path_foreach(visit, flags={"SKIP_PACKED", "SKIP_WEAK_REFERENCES", "RESOLVE_TOKEN"})
        return found
    return [*of_data_blocks(), *of_strips()]


def of_data_blocks():
    """The same for Blender before 5.0: what has a path and is not packed."""
    for collection in bpy.data.bl_rna.properties:
        if collection.type != "COLLECTION":
            continue
        for owner in getattr(bpy.data, collection.identifier):
            path = getattr(owner, "filepath", "")
            is_inside = getattr(owner, "packed_file", None) or path == "<builtin>"
            is_made = isinstance(owner, bpy.types.Image) and owner.source in {"GENERATED", "VIEWER"}
            if path and not is_inside and not is_made:
                yield owner, path


def of_strips():
    """The paths of video editors, whose strips are no data-blocks."""
    for scene in bpy.data.scenes:
        editor = scene.sequence_editor
        for strip in strips_in(editor) if editor else ():
            if strip.type == "IMAGE":
                for element in strip.elements[:1]:
                    yield scene, os.path.join(strip.directory, element.filename)
            elif strip.type == "MOVIE":
                yield scene, strip.filepath


def strips_in(editor):
    """Called sequences until 4.3."""
    return editor.strips_all if hasattr(editor, "strips_all") else editor.sequences_all


def is_there(path):
    """Whether a file of this name exists; any one of the tiles will do."""
    for token in TOKENS:
        if token in path:
            return bool(glob.glob(glob.escape(path).replace(token, "*")))
    return os.path.exists(path)


def main():
    """Entry point."""
    missing, checked = [], references()
    for owner, path in checked:
        whole = os.path.normpath(bpy.path.abspath(path, library=owner.library))
        if not is_there(whole):
            missing.append({"id_type": type(owner).__name__, "id_name": owner.name, "path": whole})
    answer = {"status": "ok", "missing_files": missing, "total_checked": len(checked)}
    return answer if hasattr(bpy.data, "file_path_foreach") else {**answer, "message": NOT_LOOKED_AT}
