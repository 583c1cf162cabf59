# SPDX-License-Identifier: GPL-3.0-or-later
"""A picture of Blender's window, or of one editor in it, as the user sees it. Changes nothing.

The answer is deferred until Blender has drawn what the scripts before have changed.
"""

import base64
import os
import struct
import zlib
from typing import TYPE_CHECKING

import bpy

if TYPE_CHECKING:
    from picture import PNG, Problem, folder_for_a_moment, png_of, size_of_png, within
    from still_there import at

# What most clients take as one message, the text around the picture included.
LIMIT_BYTES = 700_000
# Some five seconds. Loading a file takes timers away, and then nobody would tell of the drawing.
MOST_POLLS = 250
NO_WINDOW = "this Blender has no window; get_viewport_image shows the scene without one"

check_is_finished = None


class Redraw:
    """Has Blender draw all editors of a window anew and notes when that is done.

    Blender calls timers once in each turn of its event loop, at the end of which it draws.
    """

    def __init__(self, window):
        self.window, self.turns = window.as_pointer(), 0
        bpy.app.timers.register(self.turn)

    def turn(self):
        """One turn of the event loop: the second one comes after the drawing."""
        self.turns += 1
        if self.turns == 1:
            if window := at(bpy.context.window_manager.windows, self.window):
                for area in window.screen.areas:
                    area.tag_redraw()
            return 0.0
        return None


class Screenshot:
    """A poll of a deferred result.

    Window and editor are looked up anew: another client may load a file meanwhile, and the user close them.
    """

    def __init__(self, window, area, limit):
        self.window, self.area, self.limit = window.as_pointer(), area and area.as_pointer(), limit
        self.redraw, self.polls = Redraw(window), 0

    def __call__(self):
        """The picture, or None until the window has been drawn."""
        self.polls += 1
        if self.redraw.turns < 2 and self.polls < MOST_POLLS:
            return None
        try:
            return self.taken()
        except Problem as problem:
            return {"status": "error", "message": str(problem)}

    def taken(self):
        """The picture within the limit, and what it shows."""
        window = at(bpy.context.window_manager.windows, self.window)
        area = at(window.screen.areas, self.area) if window and self.area else None
        if window is None or (self.area and area is None):
            raise Problem("what was to be shown was closed, or another file loaded, before it was drawn: try again")
        png = taken_by(window, area)
        if is_black(png):
            # Where the graphics driver does not keep what is shown, software rendering for one, Blender's own operator
            # finds nothing. What it has drawn is there.
            png = png_of(*drawn(window, area))
            if is_black(png):
                raise Problem("Blender's screenshot is black under this graphics driver: use get_viewport_image")
        picture, mime_type, scale = within(png, self.limit)
        full = size_of_png(png)
        return {
            "status": "ok",
            "what": f"{area.ui_type} editor" if area else "window",
            "full_size": full,
            "size": [max(1, round(side * scale)) for side in full],
            "mime_type": mime_type,
            "data": base64.b64encode(picture).decode(),
        }


def taken_by(window, area):
    """Blender's own screenshot, as a PNG file."""
    with folder_for_a_moment() as folder:
        path = os.path.join(folder, "window.png")
        try:
            if area is None:
                with bpy.context.temp_override(window=window):
                    bpy.ops.screen.screenshot(filepath=path, check_existing=False)
            else:
                with bpy.context.temp_override(window=window, area=area):
                    bpy.ops.screen.screenshot_area(filepath=path, check_existing=False)
        except RuntimeError as error:
            raise Problem(f"Blender could not take a screenshot: {str(error).strip()}") from None
        with open(path, "rb") as file:
            return file.read()


def drawn(window, area):
    """What lies in the window's frame buffer: RGBA bytes from the bottom row, width and height."""
    import gpu

    x, y, width, height = (area.x, area.y, area.width, area.height) if area else (0, 0, window.width, window.height)
    pixels = gpu.state.active_framebuffer_get().read_color(x, y, width, height, 4, 0, "UBYTE")
    pixels.dimensions = width * height * 4
    return bytes(pixels), width, height


def is_black(data):
    """Whether nothing is on the PNG picture: its rows hold zeros, opaque alpha and numbers of filters only."""
    packed, start = b"", len(PNG)
    while start < len(data):
        (length,) = struct.unpack_from(">I", data, start)
        if data[start + 4 : start + 8] == b"IDAT":
            packed += data[start + 8 : start + 8 + length]
        start += length + 12
    return set(zlib.decompress(packed)) <= {0, 1, 2, 3, 4, 255}


def editor(window, ui_type):
    """The largest editor of this type in the window."""
    areas = window.screen.areas
    found = [area for area in areas if ui_type in {area.ui_type, area.type}]
    if not found:
        there = ", ".join(sorted({area.ui_type for area in areas}))
        message = f"the window shows no editor of type {ui_type!r}; it shows {there}"
        raise Problem(f"{message}. jump_to_tab_by_space_type finds a workspace that has others")
    return max(found, key=lambda area: area.width * area.height)


def main(size_limit_in_bytes, area_ui_type=None):
    """Entry point; the picture of the whole window where no editor is named."""
    global check_is_finished
    windows = bpy.context.window_manager.windows
    if bpy.app.background or not windows:
        return {"status": "error", "message": NO_WINDOW}
    window = bpy.context.window or windows[0]
    try:
        area = editor(window, area_ui_type) if area_ui_type is not None else None
    except Problem as problem:
        return {"status": "error", "message": str(problem)}
    check_is_finished = Screenshot(window, area, size_limit_in_bytes or LIMIT_BYTES)
    return None
