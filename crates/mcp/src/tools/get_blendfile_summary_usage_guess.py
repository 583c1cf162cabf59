# SPDX-License-Identifier: GPL-3.0-or-later
"""What the file seems to be for, guessed from what is in it. Reads only.

Each use has pieces of evidence, each with the probability that a file with it is for that use. Those that are there are
taken as independent, so that they add up without ever exceeding 100.
"""

import bpy

# How sure one is of a use when nothing speaks for it, and when only weak evidence does.
CERTAINTY_OF_NOTHING = 60
STRONG = 0.7


def animation(data, _scene):
    """Evidence of keyframes, rigs and simulated motion."""
    has_armature = any(item.type == "ARMATURE" for item in data.objects)
    yield 0.9, has_armature and len(data.actions) > 0
    yield 0.8, len(data.actions) > 0
    yield 0.6, has_armature
    yield 0.5, any(mesh.shape_keys for mesh in data.meshes)
    yield 0.4, any(item.constraints for item in data.objects)


def rendering(_data, scene):
    """Evidence of settings that one makes for a picture."""
    render = scene.render
    yield 0.6, render.filepath not in {"", "/tmp/", "/tmp\\", "//"}
    yield 0.5, render.engine == "CYCLES"
    yield 0.5, (render.resolution_x, render.resolution_y) != (1920, 1080)
    yield 0.4, len(scene.view_layers) > 1
    yield 0.3, sum(item.type == "LIGHT" for item in scene.objects) > 2


def scripting(data, _scene):
    """Evidence of programs."""
    yield 0.8, any(text.name.endswith(".py") for text in data.texts)
    yield 0.4, len(data.texts) > 0


def video_editing(data, _scene):
    """Evidence of a cut."""
    editors = [scene.sequence_editor for scene in data.scenes if scene.sequence_editor]
    # Sequences until 4.3, strips since 4.4.
    name = "strips_all" if "strips_all" in bpy.types.SequenceEditor.bl_rna.properties else "sequences_all"
    strips = [strip for editor in editors for strip in getattr(editor, name)]
    yield 0.8, len(strips) > 0
    yield 0.7, len(strips) > 5


def modeling(data, _scene):
    """Evidence of shapes that Blender did not begin with."""
    shapes = [mesh for mesh in data.meshes if not (mesh.name == "Cube" and len(mesh.vertices) == 8)]
    yield 0.5, len(shapes) > 0
    yield 0.6, any(len(mesh.vertices) > 1000 for mesh in shapes)
    yield 0.5, any(item.modifiers for item in data.objects)
    yield 0.4, len(data.curves) + len(data.metaballs) > 0


def grease_pencil(data, _scene):
    """Evidence of drawings; annotations are none."""
    yield 0.9, any(item.type in {"GPENCIL", "GREASEPENCIL"} for item in data.objects)


def geometry_nodes(data, _scene):
    """Evidence of node groups that make geometry."""
    modifiers = [modifier for item in data.objects for modifier in item.modifiers if modifier.type == "NODES"]
    yield 0.8, any(modifier.node_group for modifier in modifiers)
    yield 0.5, any(tree.bl_idname == "GeometryNodeTree" for tree in data.node_groups)


def compositing(_data, scene):
    """Evidence of nodes beyond those that Blender begins with: what was rendered, and where it goes."""
    # The scene's own tree until 4.5, a node group since 5.0.
    if hasattr(scene, "compositing_node_group"):
        tree = scene.compositing_node_group
    else:
        tree = scene.node_tree if scene.use_nodes else None
    nodes = [node for node in tree.nodes if node.type not in {"FRAME", "REROUTE"}] if tree else []
    yield 0.8, len(nodes) > 2
    yield 0.7, len(nodes) > 6


def uv_unwrapping(data, _scene):
    """Evidence of work on texture coordinates."""
    trees = [material.node_tree for material in data.materials if material.node_tree]
    yield 0.6, any(len(mesh.uv_layers) > 1 for mesh in data.meshes)
    yield 0.4, any(layer.name != "UVMap" for mesh in data.meshes for layer in mesh.uv_layers)
    yield 0.5, any(node.type == "TEX_IMAGE" and node.image for tree in trees for node in tree.nodes)


def motion_tracking(data, _scene):
    """Evidence of footage."""
    yield 0.6, len(data.movieclips) > 0
    yield 0.8, any(clip.tracking.tracks for clip in data.movieclips)


def audio(data, _scene):
    """Evidence of sound."""
    yield 0.7, len(data.sounds) > 0
    yield 0.7, len(data.speakers) > 0


USES = {
    "Animation": animation,
    "Rendering": rendering,
    "Scripting": scripting,
    "Video Editing": video_editing,
    "Modeling": modeling,
    "Grease Pencil": grease_pencil,
    "Geometry Nodes": geometry_nodes,
    "Compositing": compositing,
    "UV Unwrapping": uv_unwrapping,
    "Motion Tracking": motion_tracking,
    "Audio": audio,
}


def judged(evidence):
    """Score and certainty, 0 to 100 each."""
    present = [probability for probability, is_there in evidence if is_there]
    against = 1.0
    for probability in present:
        against *= 1 - probability
    certainty = 90 if max(present, default=0) >= STRONG else CERTAINTY_OF_NOTHING if not present else 50
    return {"score": round(100 * (1 - against)), "certainty": certainty}


def main():
    """Entry point."""
    guesses = {use: judged(evidence(bpy.data, bpy.context.scene)) for use, evidence in USES.items()}
    return {"status": "ok", "usage_guesses": guesses}
