# SPDX-License-Identifier: GPL-3.0-or-later
"""Selects an object, found by its own name or by that of its data, and turns the 3D viewport to it."""

from typing import TYPE_CHECKING

import bpy

if TYPE_CHECKING:
    from finite import finite
    from rendering import why_busy
    from similar import unknown


class Problem(Exception):
    """What cannot be shown, in words for the caller."""


def find(name, by_data):
    """The object, preferably one of the scene."""
    if not by_data:
        found = [item for item in bpy.data.objects if item.name == name]
        if not found:
            raise Problem(unknown("object", name, bpy.data.objects.keys()))
    else:
        found = [item for item in bpy.data.objects if item.data and item.data.name == name]
        if not found:
            names = list(dict.fromkeys(item.data.name for item in bpy.data.objects if item.data))
            raise Problem(unknown("data of an object", name, names))
    here = [item for item in found if item.name in bpy.context.scene.objects]
    if not here:
        scenes = [scene.name for scene in bpy.data.scenes if found[0].name in scene.objects]
        where = f"in the scene {', '.join(map(repr, scenes))}" if scenes else "in no scene"
        raise Problem(f"{found[0].name!r} is {where}, and the window shows {bpy.context.scene.name!r}")
    return min(here, key=lambda item: not is_visible(item))


def is_visible(item):
    """Whether the view layer shows it."""
    return item.name in bpy.context.view_layer.objects and item.visible_get()


def reveal(item):
    """Unhides the object, and the collections that lead to it."""

    def open_way(layer_collection):
        ways = [open_way(child) for child in layer_collection.children]
        is_way = any(ways) or item.name in layer_collection.collection.objects
        if is_way:
            layer_collection.exclude = layer_collection.hide_viewport = False
            layer_collection.collection.hide_viewport = False
        return is_way

    item.hide_viewport = False
    open_way(bpy.context.view_layer.layer_collection)
    item.hide_set(False)


def ensure_free():
    """Refuses what threads that read the scene could not bear."""
    if why := why_busy():
        raise Problem(why)


def select_only(item):
    """Makes it the active object and the only one selected, in Object Mode."""
    objects = bpy.context.view_layer.objects
    if bpy.context.mode != "OBJECT":
        bpy.ops.object.mode_set(mode="OBJECT")
    for other in objects:
        other.select_set(False)
    item.select_set(True)
    objects.active = item


def frame(item):
    """Turns the largest 3D viewport to the object, which is selected; None, or why that was not possible."""
    windows = bpy.context.window_manager.windows
    # Another window may show another scene.
    areas = [
        (window, area)
        for window in windows
        if window.view_layer == bpy.context.view_layer
        for area in window.screen.areas
        if area.type == "VIEW_3D"
    ]
    if not areas:
        return "the window shows no 3D viewport: it is selected, not framed; jump_to_tab_by_space_type finds VIEW_3D"
    window, area = max(areas, key=lambda found: found[1].width * found[1].height)
    region = next(region for region in area.regions if region.type == "WINDOW")
    space = area.spaces.active
    if not item.visible_get(viewport=space):
        return "the 3D viewport hides it: it is selected, not framed; is that in local view, or is its type hidden?"
    view = space.region_3d
    # Through the scene's camera one sees only where that looks, and framing would move it where it is locked.
    if view.view_perspective == "CAMERA":
        view.view_perspective = "PERSP"
    with bpy.context.temp_override(window=window, area=area, region=region):
        bpy.ops.view3d.view_selected()
    return None


def main(name, by_data, allow_edits=False):
    """Entry point."""
    if bpy.app.background or not bpy.context.window:
        message = "this Blender has no window; get_viewport_image shows the scene without one"
        return {"status": "error", "message": message}
    try:
        item = find(name, by_data)
        if bpy.context.mode != "OBJECT":
            ensure_free()
        if not is_visible(item):
            if not allow_edits:
                raise Problem(f"{item.name!r} is hidden, or its collection is; allow_edits=true makes it visible")
            ensure_free()
            reveal(item)
            if not is_visible(item):
                raise Problem(f"{item.name!r} stays hidden: is it, or its collection, linked from another file?")
    except Problem as problem:
        return {"status": "error", "message": str(problem)}
    select_only(item)
    answer = {"status": "ok", "object": item.name, "type": item.type, "location": finite(item.location)}
    if by_data:
        answer["data_name"] = item.data.name
    if message := frame(item):
        answer["message"] = message
    return answer
