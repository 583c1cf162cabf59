# SPDX-License-Identifier: GPL-3.0-or-later
"""What Blender's window shows, in words: its editors, their regions and settings, and what is selected. Reads only."""

from typing import TYPE_CHECKING

import bpy

if TYPE_CHECKING:
    from finite import finite


def of_view3d(space):
    """A 3D viewport."""
    view = space.region_3d
    described = {"shading_type": space.shading.type, "show_overlays": space.overlay.show_overlays}
    if view:
        described |= {"view_perspective": view.view_perspective, "view_location": finite(view.view_location)}
    return described


def of_text_editor(space):
    """A text editor."""
    return {"text_name": space.text.name} if space.text else {}


def of_node_editor(space):
    """A node editor."""
    tree = {"node_tree_name": space.node_tree.name} if space.node_tree else {}
    return {"tree_type": space.tree_type, **tree}


def of_image_editor(space):
    """An image or UV editor."""
    return {"image_name": space.image.name} if space.image else {}


SPACES = {
    "VIEW_3D": of_view3d,
    "PROPERTIES": lambda space: {"context": space.context},
    "OUTLINER": lambda space: {"display_mode": space.display_mode},
    "TEXT_EDITOR": of_text_editor,
    "NODE_EDITOR": of_node_editor,
    "IMAGE_EDITOR": of_image_editor,
}


def place(item):
    """Where an editor or region lies: pixels from the window's lower left corner."""
    return {"x": item.x, "y": item.y, "width": item.width, "height": item.height}


def of_area(area):
    """One editor. Regions that are folded away have no extent."""
    space = area.spaces.active
    more = SPACES.get(space.type, lambda _space: {})(space)
    regions = [{"type": region.type, **place(region)} for region in area.regions if region.width and region.height]
    shown = [region for region in regions if region["width"] > 1 and region["height"] > 1]
    return {
        "type": area.type,
        "ui_type": area.ui_type,
        **place(area),
        "space": {"type": space.type, **more},
        "regions": shown,
    }


def main():
    """Entry point."""
    context = bpy.context
    windows = context.window_manager.windows
    if bpy.app.background or not windows:
        return {
            "status": "error",
            "message": "this Blender has no window; get_objects_summary tells of the scene without one",
        }
    window = context.window or windows[0]
    view_layer = window.view_layer
    active = view_layer.objects.active
    return {
        "status": "ok",
        "window_width": window.width,
        "window_height": window.height,
        "screen_name": window.screen.name,
        "workspace": window.workspace.name,
        "scene": window.scene.name,
        "areas": [of_area(area) for area in window.screen.areas],
        "active_object": active
        and {
            "name": active.name,
            "type": active.type,
            "mode": context.mode,
            "location": finite(active.location),
        },
        "selected_objects": [
            {"name": item.name, "type": item.type} for item in view_layer.objects if item.select_get()
        ],
    }
