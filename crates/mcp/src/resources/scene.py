# SPDX-License-Identifier: GPL-3.0-or-later
"""The current scene in a few lines: what a person would look up in its properties."""

import bpy


def main():
    scene, render = bpy.context.scene, bpy.context.scene.render
    scale = render.resolution_percentage / 100
    units = scene.unit_settings
    return {
        "status": "ok",
        "scene": scene.name,
        "scenes": [other.name for other in bpy.data.scenes],
        "file": bpy.data.filepath,
        "has_unsaved_changes": bpy.data.is_dirty,
        "frames": {
            "start": scene.frame_start,
            "end": scene.frame_end,
            "current": scene.frame_current,
            "per_second": render.fps / render.fps_base,
        },
        "units": {"system": units.system, "scale": units.scale_length, "length": units.length_unit},
        "render": {
            "engine": render.engine,
            "resolution": [int(render.resolution_x * scale), int(render.resolution_y * scale)],
            "output": render.filepath,
            "format": render.image_settings.file_format,
        },
        "camera": scene.camera.name if scene.camera else None,
        "world": scene.world.name if scene.world else None,
        "view_layers": [layer.name for layer in scene.view_layers],
        "objects": len(scene.objects),
        "data_blocks": {
            name: len(getattr(bpy.data, name))
            for name in ("objects", "meshes", "materials", "images", "collections", "actions", "node_groups")
        },
    }
