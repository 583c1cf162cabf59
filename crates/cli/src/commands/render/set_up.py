# SPDX-License-Identifier: GPL-3.0-or-later
"""Sets up a scene as it was asked for, and says which pictures that makes.

Runs in a background Blender of its own, in a file that is never saved: settings need not be put back.
"""

import difflib

import bpy

ENGINES = {
    "CYCLES": ("CYCLES",),
    # It had another name from 4.2 to 4.5.
    "EEVEE": ("BLENDER_EEVEE", "BLENDER_EEVEE_NEXT"),
    "WORKBENCH": ("BLENDER_WORKBENCH",),
}


class CannotBeDone(Exception):
    """Why what was asked for is not possible."""


def unknown(kind, name, names):
    similar = difflib.get_close_matches(name, names, n=3, cutoff=0.4) or names[:10]
    told = f"; there are: {', '.join(map(repr, similar))}" if similar else ""
    return CannotBeDone(f"no {kind} named {name!r}{told}")


def chosen_scene(name):
    if name is None:
        return bpy.context.scene
    if name not in bpy.data.scenes:
        raise unknown("scene", name, bpy.data.scenes.keys())
    return bpy.data.scenes[name]


def set_engine(scene, name):
    for identifier in ENGINES.get(name.upper(), (name.upper(), name)):
        try:
            scene.render.engine = identifier
        except TypeError as error:
            reason = str(error)
        else:
            return
    raise CannotBeDone(f"no engine named {name!r} ({reason.strip()})")


def set_camera(scene, name):
    cameras = [ob.name for ob in scene.objects if ob.type == "CAMERA"]
    if name not in cameras:
        raise unknown("camera of the scene", name, cameras)
    scene.camera = scene.objects[name]
    for marker in scene.timeline_markers:
        # It would take over at its frame.
        marker.camera = None


def set_samples(scene, samples):
    for settings, name in ((getattr(scene, "cycles", None), "samples"), (scene.eevee, "taa_render_samples")):
        if settings is not None:
            setattr(settings, name, samples)


def set_format(scene, wanted, notes):
    settings = scene.render.image_settings
    if wanted is None and scene.render.is_movie_format:
        wanted = "PNG"
        notes.append(f"the file is set to make a movie ({settings.file_format}); its frames are rendered as PNG")
    if wanted is None or settings.file_format.startswith(wanted + "_"):
        # The second: OpenEXR with layers is OpenEXR.
        return
    if hasattr(settings, "media_type"):
        settings.media_type = "IMAGE"
    try:
        settings.file_format = wanted
    except TypeError as error:
        raise CannotBeDone(f"this Blender does not write {wanted} ({str(error).strip()})") from None


def chosen_frames(scene, ranges, animation):
    if animation:
        ranges = [(scene.frame_start, scene.frame_end, scene.frame_step)]
    if not ranges:
        return [scene.frame_current]
    return list(dict.fromkeys(frame for first, last, step in ranges for frame in range(first, last + 1, step)))


def view_suffixes(scene):
    """What the files of one frame are told apart by; a single file has nothing."""
    render = scene.render
    if not render.use_multiview or render.image_settings.views_format != "INDIVIDUAL":
        return [""]
    return [view.file_suffix for view in render.views if view.use]


def own_paths(scene, frames):
    """Where the file itself wants the pictures."""
    try:
        return [bpy.path.abspath(scene.render.frame_path(frame=frame)) for frame in frames]
    except RuntimeError as error:
        reason = f"the path that is set in the file cannot be used ({str(error).strip()}); give another with --output"
        raise CannotBeDone(reason) from None


def set_up(wanted):
    notes = []
    if not bpy.data.filepath:
        raise CannotBeDone("Blender could not open the file; its output says why")
    if bpy.app.autoexec_fail and not bpy.app.autoexec_fail_quiet:
        notes.append(
            f"Blender did not run the scripts in the file ({bpy.app.autoexec_fail_message}): what they drive may be "
            "wrong; allow them in its preferences (Save & Load, Auto Run Python Scripts)"
        )
    scene = chosen_scene(wanted["scene"])
    if wanted["engine"] is not None:
        set_engine(scene, wanted["engine"])
    if wanted["camera"] is not None:
        set_camera(scene, wanted["camera"])
    if wanted["samples"] is not None:
        set_samples(scene, wanted["samples"])
    if wanted["resolution"] is not None:
        scene.render.resolution_x, scene.render.resolution_y = wanted["resolution"]
        scene.render.resolution_percentage = 100
    if wanted["scale"] is not None:
        scene.render.resolution_percentage = wanted["scale"]
    set_format(scene, wanted["format"], notes)
    frames = chosen_frames(scene, wanted["frames"], wanted["animation"])
    return {
        "scene": scene.name,
        "frames": frames,
        "extension": scene.render.file_extension,
        "own_paths": own_paths(scene, frames) if wanted["own_paths"] else [],
        "views": view_suffixes(scene),
        "notes": notes,
    }


def main(wanted):
    """Entry point."""
    try:
        return set_up(wanted)
    except CannotBeDone as error:
        return {"problem": str(error)}
