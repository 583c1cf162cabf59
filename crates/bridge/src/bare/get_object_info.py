# SPDX-License-Identifier: GPL-3.0-or-later
"""One object, as mcp-for-blender's clients know it. Reads only."""

import difflib
from typing import Any

import bpy
from mathutils import Vector

# Names offered for an unknown one.
MOST_SUGGESTIONS = 8


class Problem(Exception):
    """What the caller can mend; its words are the reply."""


def unknown(name: str) -> Problem:
    """Says what there is instead of `name`."""
    close = difflib.get_close_matches(name, bpy.data.objects.keys(), MOST_SUGGESTIONS, 0.5)
    hint = "similar names: " + ", ".join(map(repr, close)) if close else "get_scene_info tells what there is"
    return Problem(f"Object not found: {name!r}; {hint}")


def world_bounds(item: Any) -> list[list[float]]:
    """Lowest and highest corner of the bounding box in the axes of the world."""
    corners = [item.matrix_world @ Vector(corner) for corner in item.bound_box]
    axes = list(zip(*corners, strict=True))
    return [[min(axis) for axis in axes], [max(axis) for axis in axes]]


def main(name: str) -> dict[str, Any]:
    """Entry point."""
    item = bpy.data.objects.get(name)
    if item is None:
        raise unknown(name)
    info = {
        "name": item.name,
        "type": item.type,
        "location": list(item.location),
        "rotation": list(item.rotation_euler),
        "scale": list(item.scale),
        # Outside of the view layer nothing is visible, and asking raises.
        "visible": item.name in bpy.context.view_layer.objects and item.visible_get(),
        "materials": [slot.material.name for slot in item.material_slots if slot.material],
    }
    if item.type == "MESH":
        mesh = item.data
        info["world_bounding_box"] = world_bounds(item)
        info["mesh"] = {
            "vertices": len(mesh.vertices),
            "edges": len(mesh.edges),
            "polygons": len(mesh.polygons),
        }
    return info
