# SPDX-License-Identifier: GPL-3.0-or-later
"""The current scene in short, as mcp-for-blender's clients know it. Reads only."""

from typing import Any

import bpy

# Its clients put the reply into a conversation: a scene of thousands must not fill it.
MOST_OBJECTS = 10


def main() -> dict[str, Any]:
    """Entry point."""
    scene = bpy.context.scene
    return {
        "name": scene.name,
        "object_count": len(scene.objects),
        "objects": [
            {
                "name": item.name,
                "type": item.type,
                "location": [round(float(value), 2) for value in item.location],
            }
            for item in scene.objects[:MOST_OBJECTS]
        ],
        "materials_count": len(bpy.data.materials),
    }
