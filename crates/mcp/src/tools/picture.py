# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures as files: made of pixels, put side by side, made small enough to be sent. Put in front of the snippets that
take pictures. No numpy: not every distribution's Blender has it.
"""

import math
import os
import struct
import tempfile
import zlib
from array import array
from contextlib import contextmanager

import bpy

PNG = b"\x89PNG\r\n\x1a\n"
# A new attempt aims a little lower, since size does not follow the number of pixels exactly.
SAFETY = 0.95
# Below this nothing can be read.
SMALLEST_SIDE = 64
JPEG_QUALITY = 85


class Problem(Exception):
    """What cannot be taken or drawn, in words for the caller."""


def png_of(rgba, width, height):
    """A PNG file of 8-bit RGBA pixels, bottom row first, without their alpha."""
    rgb = bytearray(width * height * 3)
    for channel in range(3):
        rgb[channel::3] = rgba[channel::4]
    stride = width * 3
    rows = b"".join(b"\0" + rgb[start : start + stride] for start in range(stride * (height - 1), -1, -stride))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = (b"IHDR", header), (b"IDAT", zlib.compress(rows, 6)), (b"IEND", b"")
    return PNG + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )


def size_of_png(png):
    """Its width and height."""
    return struct.unpack_from(">II", png, 16)


def folder_for_a_moment():
    """A folder in Blender's own temporary one."""
    return tempfile.TemporaryDirectory(prefix="blendwire-", dir=bpy.app.tempdir)


@contextmanager
def loaded(png):
    """A PNG file as an image of Blender's, for a moment, and the folder that it lies in."""
    with folder_for_a_moment() as folder:
        path = os.path.join(folder, "picture.png")
        with open(path, "wb") as file:
            file.write(png)
        image = bpy.data.images.load(path)
        try:
            yield image, folder
        finally:
            bpy.data.images.remove(image)


def pixels_of(png):
    """8-bit RGBA pixels of a PNG file, bottom row first."""
    with loaded(png) as (image, _folder):
        values = array("f", bytes(4 * len(image.pixels)))
        image.pixels.foreach_get(values)
    return bytes(round(min(1.0, max(0.0, value)) * 255) for value in values)


def sheet_of(pictures, columns, width, height):
    """One picture of several, from left to right and top to bottom; each is RGBA of this size, bottom row first."""
    stride, rows = width * 4, []
    for last in range(len(pictures), 0, -columns):
        line = pictures[last - columns : last]
        rows += [picture[at * stride : (at + 1) * stride] for at in range(height) for picture in line]
    return b"".join(rows), width * columns, height * (len(pictures) // columns)


def jpeg_of(png, scale):
    """The same picture as a JPEG file."""
    with loaded(png) as (image, folder):
        # Read before it is told that it will be of another kind.
        image.scale(*(max(1, round(side * scale)) for side in image.size))
        image.file_format = "JPEG"
        path = os.path.join(folder, "picture.jpg")
        image.save(filepath=path, quality=JPEG_QUALITY)
        with open(path, "rb") as file:
            return file.read()


def within(png, limit):
    """A file of at most so many bytes, its type and its scale: the picture as it is, as JPEG, or smaller."""
    if len(png) <= limit:
        return png, "image/png", 1.0
    scale, size = 1.0, size_of_png(png)
    jpeg = jpeg_of(png, scale)
    while len(jpeg) > limit:
        scale *= min(math.sqrt(limit / len(jpeg)) * SAFETY, 0.9)
        if min(size) * scale < min(SMALLEST_SIDE, *size):
            raise Problem(f"no readable picture of {size[0]}×{size[1]} pixels fits into {limit} bytes: allow more")
        jpeg = jpeg_of(png, scale)
    return jpeg, "image/jpeg", scale
