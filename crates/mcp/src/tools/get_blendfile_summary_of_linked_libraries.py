# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that the open one links data-blocks from, directly and by way of others. Reads only."""

from collections import Counter

import bpy


def linked():
    """How many data-blocks come from each library."""
    collections = {item.identifier for item in bpy.data.bl_rna.properties if item.type == "COLLECTION"}
    # All others together, since 5.2.
    collections.discard("all_ids")
    return Counter(item.library for name in collections for item in getattr(bpy.data, name) if item.library)


def main():
    """Entry point."""
    counts = linked()
    direct, indirect = [], []
    for library in bpy.data.libraries:
        described = {
            "name": library.name,
            "filepath": library.filepath,
            "linked_datablocks_count": counts[library],
        }
        if library.parent is None:
            direct.append(described)
        else:
            indirect.append({**described, "parent_library": library.parent.name})
    return {
        "status": "ok",
        "direct_libraries": direct,
        "indirect_libraries": indirect,
        "total_library_count": len(bpy.data.libraries),
    }
