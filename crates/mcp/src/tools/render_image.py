# SPDX-License-Identifier: GPL-3.0-or-later
"""Renders one frame and gives the picture, small enough to be sent.

Runs in a background Blender that has nothing else to do, in a file that nobody sees: settings need not be put back.
"""

import base64
import contextlib
import os
import re
import time
from typing import TYPE_CHECKING

import blendwire
import bpy

if TYPE_CHECKING:
    from picture import SMALLEST_SIDE, folder_for_a_moment, size_of_png
    from rendering import why_not_rendered
    from similar import unknown

# "Sample 12/48" (Cycles), "Rendering 12 / 64 samples" (EEVEE).
SAMPLES = re.compile(r"(?:Sample|Rendering|Rendered)\s+(\d+)\s*/\s*(\d+)")
# Formats in the order of what they lose, with the ending that the picture then has.
FORMATS = (("PNG", 100, "image/png"), ("JPEG", 90, "image/jpeg"), ("JPEG", 70, "image/jpeg"))


def tell_stats(stats, *_):
    """The engine says what it is at."""
    if found := SAMPLES.search(str(stats)):
        done, wanted = (int(number) for number in found.groups())
        blendwire.progress(done / wanted if wanted else 0.0, f"sample {done} of {wanted}")


def set_up(scene, wanted):
    """Sets what was asked for. The reason why that is not possible, or None."""
    render = scene.render
    width, height, samples, camera, frame = (wanted[key] for key in ("width", "height", "samples", "camera", "frame"))
    if width or height:
        ratio = render.resolution_y / render.resolution_x
        render.resolution_x = width or max(1, round(height / ratio))
        render.resolution_y = height or max(1, round(width * ratio))
        render.resolution_percentage = 100
    if camera is not None:
        cameras = [ob.name for ob in scene.objects if ob.type == "CAMERA"]
        if camera not in cameras:
            return unknown("camera of the scene", camera, cameras)
        scene.camera = scene.objects[camera]
    if frame is not None:
        scene.frame_set(frame)
    if samples is not None:
        for settings, name in ((getattr(scene, "cycles", None), "samples"), (scene.eevee, "taa_render_samples")):
            if settings is not None:
                setattr(settings, name, samples)
    return None


def encoded(image, scene, side, kind, quality):
    """The file's bytes, with the longer side of this many pixels at most."""
    settings = scene.render.image_settings
    if hasattr(settings, "media_type"):
        settings.media_type = "IMAGE"
    settings.file_format, settings.quality = kind, quality
    settings.color_mode = "RGB"
    with folder_for_a_moment() as folder:
        path = os.path.join(folder, "picture")
        image.save_render(path, scene=scene)
        if side is not None:
            small = bpy.data.images.load(path)
            scale = side / max(small.size)
            small.scale(max(1, round(small.size[0] * scale)), max(1, round(small.size[1] * scale)))
            small.save(filepath=path, quality=quality)
            bpy.data.images.remove(small)
        with open(path, "rb") as file:
            return file.read()


def fitted(image, scene, limit):
    """The best that is small enough: its bytes and type, the render's size, and the longer side where it is another."""
    side = size = None
    while True:
        for kind, quality, mime_type in FORMATS:
            data = encoded(image, scene, side, kind, quality)
            # Borders and the compositor have a part in the size, so the first file tells it.
            size = size or size_of_png(data)
            if len(data) <= limit:
                return data, mime_type, size, side
        side = (side or max(size)) * 3 // 4
        if side < SMALLEST_SIDE:
            return data, mime_type, size, side


def write_nothing():
    """Mutes what would write files beside the picture: a tool that only looks must not write over the user's."""
    of_scenes = [getattr(scene, "node_tree", None) for scene in bpy.data.scenes]
    for tree in [*bpy.data.node_groups, *filter(None, of_scenes)]:
        for node in tree.nodes:
            if node.bl_idname == "CompositorNodeOutputFile":
                node.mute = True


def notes_on(render, is_multiview):
    """What makes the picture another one than the open Blender's."""
    notes = []
    if bpy.app.autoexec_fail:
        notes.append(
            f"scripts of the file and the user's add-ons do not run here ({bpy.app.autoexec_fail_message}), so that "
            "what they move or set may look different"
        )
    if render.use_border and not render.use_crop_to_border:
        notes.append("nothing but the render region is rendered")
    if is_multiview:
        notes.append("of several views, as stereo has them, this is one")
    return notes


def main(wanted, limit):
    """Entry point."""
    scene = bpy.context.scene
    if problem := set_up(scene, wanted) or why_not_rendered(scene):
        return {"status": "error", "message": problem}
    write_nothing()
    bpy.app.handlers.render_stats.append(tell_stats)
    # Several views would be several files.
    is_multiview, scene.render.use_multiview = scene.render.use_multiview, False
    began = time.monotonic()
    blendwire.progress(0.0, f"rendering frame {scene.frame_current}")
    try:
        bpy.ops.render.render()
    except RuntimeError as error:
        # Not looked for before: a video of strips needs none.
        advice = ": add one, or use get_viewport_image" if "no camera" in str(error) else ""
        return {"status": "error", "message": f"Blender could not render: {str(error).strip()}{advice}"}
    seconds = time.monotonic() - began
    image = bpy.data.images["Render Result"]
    with contextlib.suppress(AttributeError, TypeError):
        # Colour is all that is sent, also of a render with layers.
        scene.render.image_settings.color_depth = "8"
    data, mime_type, size, side = fitted(image, scene, limit)
    return {
        "status": "ok",
        "picture": base64.b64encode(data).decode("ascii"),
        "mime_type": mime_type,
        "engine": scene.render.engine,
        "frame": scene.frame_current,
        "size": size,
        "sent_side": side,
        "seconds": round(seconds, 2),
        "notes": notes_on(scene.render, is_multiview),
    }
