# SPDX-License-Identifier: GPL-3.0-or-later
"""How many data-blocks of each kind the file has. Reads only."""

import bpy


def counts():
    """By collection of `bpy.data`, those that are not empty."""
    collections = {item.identifier for item in bpy.data.bl_rna.properties if item.type == "COLLECTION"}
    # All others together, since 5.2.
    collections.discard("all_ids")
    lengths = {name: len(getattr(bpy.data, name)) for name in sorted(collections)}
    return {name: length for name, length in lengths.items() if length}


def main():
    """Entry point."""
    scene, window = bpy.context.scene, bpy.context.window
    return {
        "status": "ok",
        "datablock_counts": counts(),
        "render_engine": scene.render.engine,
        "scene_name": scene.name,
        "workspaces": bpy.data.workspaces.keys(),
        "active_workspace": window.workspace.name if window else None,
    }
