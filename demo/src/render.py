# SPDX-License-Identifier: GPL-3.0-or-later
"""Renders the scene to PATH with Cycles on the processor; prints Cycles' own statistics, which tell the progress."""

import sys

import bpy


def say(*details):
    print(*[detail for detail in details if isinstance(detail, str)])


scene = bpy.context.scene
scene.render.engine = "CYCLES"
scene.cycles.device = "CPU"
scene.cycles.samples = 48
# Debian's Blender is built without the denoiser, and a render that asks for it fails.
scene.cycles.use_denoising = getattr(sys.modules.get("_cycles"), "with_openimagedenoise", False)
scene.render.resolution_x, scene.render.resolution_y = 960, 600
scene.render.resolution_percentage = 100
scene.view_settings.view_transform = "AgX"
scene.view_settings.look = "AgX - Medium High Contrast"
scene.view_settings.exposure = -0.15
scene.render.image_settings.file_format = "PNG"
scene.render.filepath = PATH  # noqa: F821  (set in front of this script)

bpy.app.handlers.render_stats.append(say)
try:
    bpy.ops.render.render(write_still=True)
finally:
    bpy.app.handlers.render_stats.remove(say)
result = {"width": scene.render.resolution_x, "height": scene.render.resolution_y}
