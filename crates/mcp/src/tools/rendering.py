# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands in the way of rendering here and now. Put in front of the snippets that render, copy scenes or change
modes. Those that render have the add-on's `graphics` in front of it, since not every add-on at the port has that.
"""

from typing import TYPE_CHECKING

import bpy

if TYPE_CHECKING:
    from blendwire.graphics import why_not_drawn

# What Blender does in threads that read the scene.
DOES = {"RENDER": "renders", "OBJECT_BAKE": "bakes"}
# Whatever renders the rest, Blender draws these with the graphics driver.
DRAWN_TYPES = {"GPENCIL", "GREASEPENCIL"}


def why_busy():
    """Why nothing may be rendered, no scene be copied and no mode be changed now; empty where all that may be."""
    for job, does in DOES.items():
        if bpy.app.is_job_running(job):
            return (
                f"Blender {does} right now, and this could make it crash: wait for the end of that "
                f"(result = bpy.app.is_job_running({job!r}) in execute_blender_code tells), or have the user cancel it"
            )
    return ""


def why_not_rendered(scene):
    """Why Blender would crash if it rendered this scene, for want of a graphics driver; empty where it would not."""
    return why_not_drawn() if is_drawn(scene, set()) else ""


def is_drawn(scene, seen):
    """Whether the driver has a part in it: Cycles alone computes without."""
    seen.add(scene)
    render = scene.render
    if render.engine != "CYCLES" or any(item.type in DRAWN_TYPES for item in scene.objects):
        return True
    # Since 5.0 a scene's compositor is a group of nodes like others.
    compositor = getattr(scene, "compositing_node_group", None) or getattr(scene, "node_tree", None)
    if render.use_compositing and compositor and getattr(render, "compositor_device", "CPU") == "GPU":
        return True
    editor = scene.sequence_editor if render.use_sequencer else None
    strips = getattr(editor, "strips_all", None) or getattr(editor, "sequences_all", ())
    others = {strip.scene for strip in strips if strip.type == "SCENE" and strip.scene}
    if render.use_compositing and compositor:
        others |= scenes_in(compositor, set())
    return any(is_drawn(other, seen) for other in others - seen)


def scenes_in(tree, seen):
    """The scenes that a compositor has rendered, those in its groups too."""
    seen.add(tree)
    scenes = {node.scene for node in tree.nodes if node.type == "R_LAYERS" and node.scene}
    for node in tree.nodes:
        group = node.node_tree if node.type == "GROUP" else None
        if group is not None and group not in seen:
            scenes |= scenes_in(group, seen)
    return scenes
