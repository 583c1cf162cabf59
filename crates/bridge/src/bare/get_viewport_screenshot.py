# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes what the 3D viewport shows to a file, as mcp-for-blender's clients ask for it.

With a window, the viewport's own drawing code draws into an off-screen buffer: the window may be covered, and its own
pixels are black under software rendering. Without one, a copy of the scene is rendered through its camera by Workbench
and removed again.
"""

import os
from typing import Any

import bpy
from blendwire import why_not_drawn

FORMATS = {
    "png": "PNG",
    "jpg": "JPEG",
    "jpeg": "JPEG",
    "bmp": "BMP",
    "tga": "TARGA",
    "tif": "TIFF",
    "tiff": "TIFF",
    "webp": "WEBP",
}


class Problem(Exception):
    """What the caller can mend; its words are the reply."""


def _largest_viewport() -> Any:
    """The largest 3D viewport: (window, area, region, space), or None."""
    found = [
        (area.width * area.height, window, area)
        for window in bpy.context.window_manager.windows
        for area in window.screen.areas
        if area.type == "VIEW_3D"
    ]
    if not found:
        return None
    _, window, area = max(found, key=lambda item: item[0])
    region = next(region for region in area.regions if region.type == "WINDOW")
    return window, area, region, area.spaces.active


def _fitted(width: int, height: int, max_size: int) -> tuple[int, int]:
    """Both sides made smaller by the same factor until the longer one is `max_size` at most."""
    scale = min(1.0, max_size / max(width, height, 1))
    return max(1, round(width * scale)), max(1, round(height * scale))


def _draw(viewport: Any, width: int, height: int) -> tuple[Any, str]:
    """Pixels as the viewport draws them, RGBA from 0 to 1, bottom row first; and how they were made."""
    import gpu

    window, area, region, space = viewport
    shading, how = space.shading.type, "offscreen"
    try:
        offscreen = gpu.types.GPUOffScreen(width, height)
    except Exception as error:
        raise Problem(f"the graphics card gives no buffer of {width}x{height} pixels: {error}") from error
    try:
        if shading == "RENDERED" and bpy.context.scene.render.engine == "CYCLES":
            # Cycles draws bit by bit, and nothing at all off-screen.
            space.shading.type, how = "MATERIAL", "offscreen, material preview in place of Cycles"
        # What a request changed right before is not seen otherwise until the window is drawn again.
        bpy.context.view_layer.update()
        with bpy.context.temp_override(window=window, area=area, region=region), offscreen.bind():
            view = space.region_3d
            offscreen.draw_view3d(
                bpy.context.scene,
                bpy.context.view_layer,
                space,
                region,
                view.view_matrix,
                view.window_matrix,
                do_color_management=True,
            )
            pixels = gpu.state.active_framebuffer_get().read_color(0, 0, width, height, 4, 0, "FLOAT")
    finally:
        space.shading.type = shading
        offscreen.free()
    pixels.dimensions = width * height * 4
    return pixels, how


def _save(pixels: Any, width: int, height: int, filepath: str, file_format: str) -> None:
    image = bpy.data.images.new("blendwire", width, height)
    try:
        image.pixels.foreach_set(pixels)
        image.filepath_raw, image.file_format = filepath, file_format
        image.save()
    except RuntimeError as error:
        raise Problem(f"cannot write {filepath!r}: {error}") from error
    finally:
        bpy.data.images.remove(image)


def _render(width: int, height: int, filepath: str, file_format: str) -> None:
    if why := why_not_drawn():
        raise Problem(why)
    had_result = "Render Result" in bpy.data.images
    scene = bpy.context.scene.copy()
    try:
        render = scene.render
        render.engine = "BLENDER_WORKBENCH"
        render.resolution_x, render.resolution_y, render.resolution_percentage = width, height, 100
        render.use_border = render.use_compositing = render.use_sequencer = render.use_stamp = False
        if hasattr(render.image_settings, "media_type"):
            render.image_settings.media_type = "IMAGE"
        render.image_settings.file_format = file_format
        render.filepath, render.use_file_extension = filepath, False
        bpy.ops.render.render(scene=scene.name, write_still=True)
    except RuntimeError as error:
        raise Problem(f"Workbench cannot render a picture to {filepath!r}: {error}") from error
    finally:
        bpy.data.scenes.remove(scene)
        if not had_result and "Render Result" in bpy.data.images:
            bpy.data.images.remove(bpy.data.images["Render Result"])


def main(max_size: int, filepath: str, format: str) -> dict[str, Any]:
    """Entry point."""
    file_format = FORMATS.get(format.lower().lstrip("."))
    if file_format is None:
        raise Problem(f"cannot write pictures of the format {format!r}; known are {', '.join(FORMATS)}")
    folder = os.path.dirname(os.path.abspath(filepath))
    if not filepath or not os.path.isdir(folder):
        raise Problem(
            f"there is no folder {folder!r} on the computer that Blender runs on, for the picture {filepath!r}; "
            "mcp-for-blender hands pictures over as files, which needs both on the same computer"
        )
    scene = bpy.context.scene
    if bpy.app.background:
        if scene.camera is None:
            raise Problem(
                "Blender runs without a window, so there is no viewport, and the scene has no camera to render "
                "through: add one with execute_code and set bpy.context.scene.camera"
            )
        percentage = scene.render.resolution_percentage / 100
        shape = round(scene.render.resolution_x * percentage), round(scene.render.resolution_y * percentage)
        width, height = _fitted(*shape, max_size)
        _render(width, height, filepath, file_format)
        how = "rendered by Workbench through the camera, because Blender runs without a window"
    else:
        viewport = _largest_viewport()
        if viewport is None:
            raise Problem("no 3D viewport is open in Blender: open the Layout workspace, or split an area")
        width, height = _fitted(viewport[2].width, viewport[2].height, max_size)
        pixels, how = _draw(viewport, width, height)
        _save(pixels, width, height, filepath, file_format)
    return {
        "success": True,
        "width": width,
        "height": height,
        "filepath": filepath,
        "method": how,
        "file": bpy.data.filepath,
        "scene": scene.name,
        "scene_count": len(bpy.data.scenes),
    }
