# SPDX-License-Identifier: GPL-3.0-or-later
"""The current scene's tree of collections with their objects. Reads only."""

import bpy


def describe_object(item, in_view_layer):
    """One object as seen in the current view layer; outside of it nothing is selected or visible."""
    present = item in in_view_layer
    described = {
        "name": item.name,
        "type": item.type,
        "parent": item.parent.name if item.parent else None,
        "data_name": item.data.name if item.data else None,
        "selected": present and item.select_get(),
        "visible": present and item.visible_get(),
        "hide_viewport": present and item.hide_get(),
    }
    if item.instance_type == "COLLECTION" and item.instance_collection:
        described["instance_collection"] = item.instance_collection.name
    return described


def describe_collection(layer_collection, in_view_layer):
    """One collection, its objects and the collections in it, by name."""
    collection = layer_collection.collection
    objects = sorted(collection.objects, key=lambda item: item.name)
    children = sorted(layer_collection.children, key=lambda child: child.name)
    return {
        "name": collection.name,
        "exclude": layer_collection.exclude,
        "hide_viewport": collection.hide_viewport,
        "objects": [describe_object(item, in_view_layer) for item in objects],
        "children": [describe_collection(child, in_view_layer) for child in children],
    }


def main():
    """Entry point."""
    scene, view_layer, window = bpy.context.scene, bpy.context.view_layer, bpy.context.window
    active = view_layer.objects.active
    return {
        "status": "ok",
        "scene_name": scene.name,
        "active_workspace": window.workspace.name if window else None,
        "active_object": active.name if active else None,
        "object_mode": bpy.context.mode if active else None,
        "camera_object": scene.camera.name if scene.camera else None,
        "collections": [describe_collection(view_layer.layer_collection, set(view_layer.objects))],
    }
