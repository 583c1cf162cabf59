# SPDX-License-Identifier: GPL-3.0-or-later
"""Renders one frame into a folder of its own, where nobody takes it for finished."""

import os
import sys
import traceback

import bpy


def main(scene, frame, folder, extension):
    """Entry point. Why it failed, or None."""
    target = bpy.data.scenes[scene]
    raised = []

    def note(kind, error, trace):
        traceback.print_exception(kind, error, trace)
        raised.append("".join(traceback.format_exception_only(kind, error)).strip())

    # Blender reports what its handlers raise here, and goes on.
    hook, sys.excepthook = sys.excepthook, note
    try:
        target.frame_set(frame)
        # What belongs to an engine or a handler is kept from the scene's own path.
        target.render.use_file_extension = False
        target.render.filepath = os.path.join(folder, "picture" + extension)
        bpy.ops.render.render(write_still=True, scene=scene)
    except RuntimeError as error:
        reason = str(error).strip().removeprefix("Error: ")
        advice = "; add one, or name one with --camera" if "camera" in reason else ""
        return f"Blender could not render: {reason}{advice}"
    finally:
        sys.excepthook = hook
    if raised:
        return f"Python raised in a handler while it was rendered: {raised[0]}"
    return None
