# SPDX-License-Identifier: GPL-3.0-or-later
"""One object in detail. Reads only."""

from typing import TYPE_CHECKING

import bpy

if TYPE_CHECKING:
    from finite import finite
    from similar import unknown


def euler(item):
    """The rotation as Euler angles, whatever way the object keeps it."""
    by_angles = item.rotation_mode not in {"QUATERNION", "AXIS_ANGLE"}
    return finite(item.rotation_euler if by_angles else item.matrix_basis.to_euler())


def main(name):
    """Entry point."""
    item = bpy.data.objects.get(name)
    if item is None:
        return {"status": "error", "message": unknown("object", name, bpy.data.objects.keys())}
    present = item.name in bpy.context.view_layer.objects
    return {
        "status": "ok",
        "name": item.name,
        "type": item.type,
        "location": finite(item.location),
        "rotation": euler(item),
        "rotation_mode": item.rotation_mode,
        "scale": finite(item.scale),
        "dimensions": finite(item.dimensions),
        "parent": item.parent.name if item.parent else None,
        "children": [child.name for child in item.children],
        "modifiers": [
            {
                "name": modifier.name,
                "type": modifier.type,
                "show_viewport": modifier.show_viewport,
                "show_render": modifier.show_render,
            }
            for modifier in item.modifiers
        ],
        "constraints": [
            {"name": constraint.name, "type": constraint.type, "enabled": constraint.enabled}
            for constraint in item.constraints
        ],
        "materials": [slot.material.name if slot.material else None for slot in item.material_slots],
        "visibility": {
            "hide_viewport": item.hide_viewport,
            "hide_render": item.hide_render,
            "hide_get": present and item.hide_get(),
        },
        "data_name": item.data.name if item.data else None,
        "collections": [collection.name for collection in item.users_collection],
    }
