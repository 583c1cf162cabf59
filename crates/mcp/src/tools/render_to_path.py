# SPDX-License-Identifier: GPL-3.0-or-later
"""Renders the current frame of the scene into a file, with the scene's own settings or as a small preview.

What is set for that is set back. Nothing that this tool has not rendered itself is overwritten.
"""

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import bpy
from bpy import app

if TYPE_CHECKING:
    from rendering import why_busy, why_not_rendered

# What an ending stands for; another format of the scene's own with that ending is kept.
FORMATS = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".webp": "WEBP",
    ".exr": "OPEN_EXR",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".tga": "TARGA",
    ".bmp": "BMP",
    ".hdr": "HDR",
}
ALSO = {".exr": {"OPEN_EXR_MULTILAYER"}, ".tga": {"TARGA_RAW"}}
# Blender cuts longer ones.
LONGEST_BYTES = 1000
THUMBNAIL_SIDE = 320
THUMBNAIL_SAMPLES = 16
# Where it is kept, as long as the file stays open, which paths were rendered to, and what was written there.
RENDERED = "blendwire_rendered_files"


def state_of(path):
    """By which a file is told from another that somebody puts there."""
    found = os.lstat(path)
    return found.st_size, found.st_mtime_ns


class Problem(Exception):
    """What cannot be rendered, in words for the caller."""


def is_plain(path):
    """Whether Blender writes to this very path.

    Since 5.0 it fills in what stands in braces, it takes away `..` without looking where a link leads, it takes a
    backslash for a slash, and a path ends for it at NUL and after 1023 bytes: each could name somebody's file.
    """
    parts = path.replace("\\", "/").split("/")
    strange = set("{}\0") if os.sep == "\\" else set("{}\0\\")
    return ".." not in parts and not strange & set(path) and len(os.fsencode(path)) <= LONGEST_BYTES


def placed(path):
    """Where the picture goes: a mere name into Blender's temporary folder."""
    # Written so that the add-on's guard does not take the whole script for one that stays in there.
    return os.path.join(app.tempdir, path) if path and os.path.basename(path) == path else path


def check(path):
    """Refuses what is no place for a picture. Returns the format that its ending asks for."""
    if not is_plain(path):
        raise Problem(
            "output_path must name its file plainly: without “..”, braces, backslashes and NUL, which Blender reads as "
            f"something else, and in at most {LONGEST_BYTES} bytes"
        )
    if not os.path.isabs(path) or path.startswith("//"):
        raise Problem(
            f"output_path must be an absolute path on the machine that Blender runs on, or a mere name, not {path!r}"
        )
    folder, name = os.path.split(path)
    if not os.path.isdir(folder):
        raise Problem(f"there is no folder {folder} on the machine that Blender runs on: make it, or take another")
    ending = os.path.splitext(name)[1].lower()
    if os.path.isdir(path) or ending not in FORMATS:
        raise Problem(f"output_path must end with one of {', '.join(FORMATS)}, not {name!r}")
    rendered = bpy.app.driver_namespace.get(RENDERED, {})
    if os.path.lexists(path) and rendered.get(path) != state_of(path):
        raise Problem(f"{path} is there already, and this tool has not rendered it: take another name, or remove it")
    return ending


@contextmanager
def changed(*settings):
    """Sets (owner, name, value) one after another, and back in the end."""
    before = []
    try:
        for owner, name, value in settings:
            earlier = getattr(owner, name)
            if earlier != value:
                setattr(owner, name, value)
                before.append((owner, name, earlier))
        yield
    finally:
        for owner, name, value in reversed(before):
            setattr(owner, name, value)


@contextmanager
def format_for(scene, ending):
    """Sets the format that the ending asks for. Blender fits colour mode and depth to it."""
    image = scene.render.image_settings
    if image.file_format in {FORMATS[ending], *ALSO.get(ending, ())}:
        yield
        return
    # The media type, since 5.0, decides which formats there are, and the format which modes and depths.
    names = ("media_type", "file_format", "color_mode", "color_depth")
    before = [(name, getattr(image, name)) for name in names if hasattr(image, name)]
    try:
        if hasattr(image, "media_type"):
            image.media_type = "IMAGE"
        image.file_format = FORMATS[ending]
        yield
    finally:
        for name, value in before:
            setattr(image, name, value)


def as_thumbnail(scene):
    """What makes it small and quick."""
    render = scene.render
    scale = THUMBNAIL_SIDE / max(render.resolution_x, render.resolution_y)
    settings = [
        (render, "resolution_x", max(1, round(render.resolution_x * scale))),
        (render, "resolution_y", max(1, round(render.resolution_y * scale))),
        (render, "resolution_percentage", 100),
        (render, "use_simplify", True),
        (render, "simplify_subdivision_render", min(1, render.simplify_subdivision_render)),
    ]
    cycles = getattr(scene, "cycles", None)
    for owner, name in ((cycles, "samples"), (scene.eevee, "taa_render_samples")):
        if owner is not None:
            settings.append((owner, name, min(THUMBNAIL_SAMPLES, getattr(owner, name))))
    # Debian's Cycles is built without the denoiser and refuses to render with it.
    if cycles is not None and not getattr(sys.modules.get("_cycles"), "with_openimagedenoise", True):
        settings.append((cycles, "use_denoising", False))
    return settings


def render(scene, path):
    """Renders into this very path."""
    earlier = os.stat(path).st_mtime_ns if os.path.exists(path) else None
    output = (scene.render, "filepath", path), (scene.render, "use_file_extension", False)
    with changed(*output):
        try:
            bpy.ops.render.render(write_still=True)
        except RuntimeError as error:
            raise Problem(f"Blender could not render: {str(error).strip()}") from None
    if not os.path.exists(path) or os.stat(path).st_mtime_ns == earlier or not os.path.getsize(path):
        raise Problem(f"Blender rendered but wrote no file {path}: is there room, and may it write there?")
    bpy.app.driver_namespace.setdefault(RENDERED, {})[path] = state_of(path)


def size(scene):
    """Pixels of the picture."""
    settings = scene.render
    width, height = (
        int(side * settings.resolution_percentage / 100) for side in (settings.resolution_x, settings.resolution_y)
    )
    if settings.use_border and settings.use_crop_to_border:
        width = round(width * (settings.border_max_x - settings.border_min_x))
        height = round(height * (settings.border_max_y - settings.border_min_y))
    return width, height


def main(output_path, is_thumbnail):
    """Entry point."""
    scene = bpy.context.scene
    try:
        output_path = placed(output_path)
        ending = check(output_path)
        if why := why_busy() or why_not_rendered(scene):
            raise Problem(why)
        # Several views, as stereo has them, would be several files of other names.
        settings = [(scene.render, "use_multiview", False), *(as_thumbnail(scene) if is_thumbnail else ())]
        with format_for(scene, ending), changed(*settings):
            width, height = size(scene)
            render(scene, output_path)
    except Problem as problem:
        return {"status": "error", "message": str(problem)}
    return {"status": "ok", "filepath": output_path, "width": width, "height": height}
