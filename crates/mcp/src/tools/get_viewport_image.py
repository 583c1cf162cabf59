# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws the scene off-screen and gives the picture back.

With a window, the 3D viewport's own drawing code draws into an off-screen buffer. Without one (or where the viewport
cannot draw: Cycles, and what EEVEE has not compiled yet), a copy of the scene is rendered and removed again. Nothing
stays in the file: no data-blocks, no changed setting, no undo step.
"""

import base64
import math
import os
import sys
from typing import TYPE_CHECKING

import bpy
from mathutils import Euler, Matrix, Vector

if TYPE_CHECKING:
    from picture import Problem, folder_for_a_moment, pixels_of, png_of, sheet_of, size_of_png, within
    from rendering import why_busy, why_not_rendered
    from similar import unknown

# Where the camera of each named view is turned to (degrees); it looks along its own -Z.
VIEW_ANGLES = {
    "front": (90, 0, 0),
    "back": (90, 0, 180),
    "left": (90, 0, -90),
    "right": (90, 0, 90),
    "top": (0, 0, 0),
    "bottom": (180, 0, 0),
    "isometric": (54.7356, 0, 45),
}
# What of these EEVEE draws.
EEVEE_SHADING = {"material", "rendered"}
SHADING_TYPES = {"solid": "SOLID", "material": "MATERIAL", "rendered": "RENDERED", "wireframe": "WIREFRAME"}
# Types whose bounding box says what is to be seen; lights and cameras are framed only where they are asked for.
FRAMED_TYPES = {"MESH", "CURVE", "CURVES", "SURFACE", "META", "FONT", "VOLUME", "POINTCLOUD", "GPENCIL", "GREASEPENCIL"}
# Enough to frame any scene; a forest of a million instances must not take seconds to measure.
LARGEST_INSTANCE_COUNT = 20_000
# Metres around what has no shape, which is seen by what is beside it; of an empty, in the size that it is displayed in.
REACH = 2.0
# Metres around the origin where there is nothing to frame.
EMPTY_REACH = 5.0
# Names told in a note.
MOST_NAMES = 5
# Samples of a rendered picture: a preview, not a final image.
PREVIEW_SAMPLES = 16
# A contact sheet: from left to right, top to bottom.
SHEET = ("front", "right", "top", "isometric")
SHEET_COLUMNS = 2
# Air around the framed objects.
MARGIN = 1.12


# Its last chunk.
_END_OF_PNG = b"IEND\xaeB`\x82"


class Camera:
    """An orthographic camera that frames the scene, or some objects of it, from one side."""

    def __init__(self, wanted, aspect):
        if wanted.view == "custom":
            # Its own Z points to where it is looked from, its Y up.
            rotation = Vector(wanted.direction).to_track_quat("Z", "Y").to_matrix()
        else:
            rotation = Euler([math.radians(angle) for angle in VIEW_ANGLES[wanted.view]]).to_matrix()
        low, high = _bounds(rotation.transposed(), wanted)
        size = high - low
        fitted = max(size.x, size.y * aspect) if aspect >= 1 else max(size.y, size.x / aspect)
        self.scale = max(fitted * MARGIN, 1e-3)
        distance = size.z / 2 + self.scale
        self.clip_end = distance + size.z + self.scale
        position = rotation @ ((low + high) / 2 + Vector((0, 0, distance)))
        self.matrix = Matrix.Translation(position) @ rotation.to_4x4()

    def projection(self, aspect):
        """The matrix that maps what this camera sees into the unit cube."""
        half_width = self.scale / 2 if aspect >= 1 else self.scale / 2 * aspect
        half_height = half_width / aspect
        matrix = Matrix.Diagonal((1 / half_width, 1 / half_height, -2 / self.clip_end, 1))
        matrix[2][3] = -1
        return matrix


class Wanted:
    """One picture. What is to be said of it goes into its notes, which all parts of a sheet share."""

    def __init__(self, view, shading, size, direction, framed):
        self.view, self.shading, self.direction, self.framed = view, shading, direction, framed
        self.width, self.height = size
        self.notes = []

    def note(self, text):
        """Says it once."""
        if text not in self.notes:
            self.notes.append(text)


def _framed(focus):
    """Names of the objects to frame; None for all that are visible."""
    if focus is None:
        return None
    objects = bpy.context.view_layer.objects
    if focus == "selected":
        names = {ob.name for ob in objects if ob.select_get()}
        if not names:
            raise Problem("nothing is selected in Blender: name an object in focus, or leave it out")
        return names
    if focus not in objects:
        raise Problem(unknown("object of the view layer", focus, objects.keys()))
    return {focus} | {child.name for child in objects[focus].children_recursive if child.name in objects}


def _bounds(to_view, wanted):
    """Lowest and highest corner of what is framed, in the view's own axes."""
    to_view = to_view.to_4x4()
    low, high = Vector((math.inf,) * 3), Vector((-math.inf,) * 3)
    for corners, matrix in _boxes(wanted):
        to_box = to_view @ matrix
        for corner in corners:
            point = to_box @ Vector(corner)
            # NaN compares as neither, and what is infinitely far away is in no picture.
            if all(map(math.isfinite, point)):
                low, high = Vector(map(min, low, point)), Vector(map(max, high, point))
    if low.x <= high.x:
        return low, high
    if wanted.framed is not None:
        raise Problem("focus is nowhere: its location is infinite or not a number; set it, or focus on something else")
    wanted.note(f"nothing that has a shape is visible, so this shows {EMPTY_REACH:g} m around the origin")
    return Vector((-EMPTY_REACH,) * 3), Vector((EMPTY_REACH,) * 3)


def _boxes(wanted):
    """What is to be framed, as corners of boxes and the matrix that each is placed by."""
    depsgraph = bpy.context.evaluated_depsgraph_get()
    if wanted.framed is None:
        yield from _boxes_of_instances(wanted, depsgraph)
        return
    items = [bpy.context.view_layer.objects[name] for name in sorted(wanted.framed)]
    shown = [item for item in items if item.visible_get()]
    instances = [*_boxes_of_instances(wanted, depsgraph)]
    boxes = [*_boxes_of_objects(shown, depsgraph), *instances]
    if hidden := [item.name for item in items if item not in shown]:
        more = ", …" if len(hidden) > MOST_NAMES else ""
        wanted.note(f"hidden in the viewport: {', '.join(hidden[:MOST_NAMES])}{more}")
    if not instances and not any(item.type in FRAMED_TYPES for item in items):
        wanted.note("what is in focus has no surface to be drawn: this shows the place where it is")
    # The box of something hidden is the last that Blender has worked out.
    yield from boxes or [*_boxes_of_objects(items, depsgraph)] or _boxes_around(items)


def _boxes_around(items):
    """Those of what has none: as wide to all sides, however it is turned."""
    for item in items:
        reach = REACH * (item.empty_display_size if item.type == "EMPTY" else 1.0)
        corners = [(x, y, z) for x in (-reach, reach) for y in (-reach, reach) for z in (-reach, reach)]
        yield corners, Matrix.Translation(item.matrix_world.translation)


def _boxes_of_objects(items, depsgraph):
    """Those of the objects that have one: also armatures and lattices do."""
    for item in items:
        evaluated = item.evaluated_get(depsgraph)
        corners = [tuple(corner) for corner in evaluated.bound_box]
        if len(set(corners)) > 1:
            yield corners, evaluated.matrix_world.copy()


def _boxes_of_instances(wanted, depsgraph):
    """Those of all that is visible; with a focus those of the instances that it makes."""
    for count, instance in enumerate(depsgraph.object_instances):
        if count == LARGEST_INSTANCE_COUNT:
            wanted.note(f"framed by the first {count} objects and instances: others may be cut off")
            return
        if not instance.show_self or instance.object.type not in FRAMED_TYPES:
            continue
        # An instance belongs to what it is made by.
        if wanted.framed is None or (instance.is_instance and instance.parent.original.name in wanted.framed):
            yield [tuple(corner) for corner in instance.object.bound_box], instance.matrix_world.copy()


def _viewport():
    """The largest 3D viewport with its window: (window, area, region, space), or None."""
    found = [
        (area.width * area.height, window, area)
        for window in bpy.context.window_manager.windows
        # Another window may show another scene.
        if window.view_layer == bpy.context.view_layer
        for area in window.screen.areas
        if area.type == "VIEW_3D"
    ]
    if not found or bpy.app.background:
        return None
    _, window, area = max(found, key=lambda item: item[0])
    region = next(region for region in area.regions if region.type == "WINDOW")
    return window, area, region, area.spaces.active


def _matrices(wanted, camera, region_3d):
    """View and projection matrix of a windowed drawing."""
    width, height = wanted.width, wanted.height
    aspect = width / height
    if camera is not None:
        depsgraph = bpy.context.evaluated_depsgraph_get()
        return camera.matrix_world.normalized().inverted(), camera.calc_matrix_camera(depsgraph, x=width, y=height)
    if wanted.view != "current":
        view = Camera(wanted, aspect)
        return view.matrix.inverted(), view.projection(aspect)
    # The viewport has another shape than the picture: widen one side, so that nothing that is visible is cut off.
    projection = region_3d.window_matrix.copy()
    if projection[0][0] * aspect > projection[1][1]:
        projection[0] *= projection[1][1] / aspect / projection[0][0]
    else:
        projection[1] *= projection[0][0] * aspect / projection[1][1]
    return region_3d.view_matrix.copy(), projection


def _zoom_for_eevee(space, projection):
    """What the viewport's focal length is to be multiplied by, for EEVEE to show as much as the projection does.

    It takes no notice of that: of the longer side of a picture it shows what the viewport's longer side would show.
    """
    of_viewport = space.region_3d.window_matrix
    return max(1 / of_viewport[0][0], 1 / of_viewport[1][1]) / max(1 / projection[0][0], 1 / projection[1][1])


def _camera_of(wanted, space):
    """The camera whose whole frame is the picture; None for another view."""
    if wanted.view == "camera":
        return _scene_camera()
    if wanted.view == "current" and wanted.shading in EEVEE_SHADING and space.region_3d.view_perspective == "CAMERA":
        # Through a camera EEVEE knows nothing of how the viewport is zoomed.
        wanted.note("the viewport looks through a camera: this is the camera's frame")
        return space.camera or _scene_camera()
    return None


def _scene_camera():
    camera = bpy.context.scene.camera
    if camera is None:
        raise Problem("the scene has no camera: use view='isometric', or add one and set bpy.context.scene.camera")
    return camera


def _draw(viewport, wanted):
    """Lets the 3D viewport draw into an off-screen buffer. Gives RGBA pixels, bottom row first."""
    import gpu

    window, area, region, space = viewport
    width, height = wanted.width, wanted.height
    # What a script has just set is in its matrices only when Blender has drawn it.
    space.region_3d.update()
    camera = _camera_of(wanted, space)
    matrices = _matrices(wanted, camera, space.region_3d)
    before = space.shading.type, space.overlay.show_overlays, space.region_3d.view_perspective, space.lens
    offscreen = gpu.types.GPUOffScreen(width, height)
    try:
        space.shading.type = SHADING_TYPES[wanted.shading]
        if wanted.view != "current":
            space.overlay.show_overlays = wanted.shading == "wireframe"
            # EEVEE believes the viewport more than the matrix it is given.
            space.region_3d.view_perspective = "ORTHO" if matrices[1][3][3] else "PERSP"
        elif wanted.shading in EEVEE_SHADING and camera is None:
            space.lens *= _zoom_for_eevee(space, matrices[1])
        with bpy.context.temp_override(window=window, area=area, region=region), offscreen.bind():
            context = bpy.context
            # What the script before has edited is not evaluated until Blender comes round: the picture would be old.
            context.view_layer.update()
            offscreen.draw_view3d(context.scene, context.view_layer, space, region, *matrices, do_color_management=True)
            pixels = gpu.state.active_framebuffer_get().read_color(0, 0, width, height, 4, 0, "UBYTE")
    finally:
        space.shading.type, space.overlay.show_overlays, space.region_3d.view_perspective, space.lens = before
        offscreen.free()
    pixels.dimensions = width * height * 4
    return bytes(pixels)


def _render(wanted):
    """Renders a copy of the scene: the way without a window. Gives a PNG file and the engine that made it."""
    if why := why_busy():
        raise Problem(why)
    scene = bpy.context.scene.copy()
    had_result = "Render Result" in bpy.data.images
    colors = {}
    camera = None
    try:
        if wanted.shading == "material":
            _show_base_colors(colors)
        if wanted.view == "camera":
            scene.camera = _scene_camera()
        else:
            camera = _temporary_camera(scene, Camera(wanted, wanted.width / wanted.height))
        engine = _prepare(scene, wanted.shading, wanted.width, wanted.height)
        return _rendered_file(scene), engine
    finally:
        for material, color in colors.items():
            material.diffuse_color = color
        if camera is not None:
            bpy.data.cameras.remove(camera.data)
        bpy.data.scenes.remove(scene)
        if not had_result and "Render Result" in bpy.data.images:
            bpy.data.images.remove(bpy.data.images["Render Result"])


def _show_base_colors(before):
    """Gives each material its shader's base colour as viewport colour, and notes what was there before."""
    for material in bpy.data.materials:
        nodes = material.node_tree.nodes if material.node_tree and not material.library else ()
        shader = next((node for node in nodes if node.type == "BSDF_PRINCIPLED"), None)
        if shader is not None and not shader.inputs["Base Color"].is_linked:
            before[material] = material.diffuse_color[:]
            material.diffuse_color = shader.inputs["Base Color"].default_value


def _temporary_camera(scene, spec):
    data = bpy.data.cameras.new("blendwire")
    data.type, data.ortho_scale = "ORTHO", spec.scale
    data.clip_start, data.clip_end = 1e-3, spec.clip_end
    camera = bpy.data.objects.new("blendwire", data)
    camera.matrix_world = spec.matrix
    scene.collection.objects.link(camera)
    scene.camera = camera
    return camera


def _prepare(scene, shading, width, height):
    """Settings of the scene's copy. Returns the engine that will render."""
    render = scene.render
    render.resolution_x, render.resolution_y, render.resolution_percentage = width, height, 100
    render.use_border = render.use_compositing = render.use_sequencer = render.use_stamp = False
    # One eye's picture in one file, of the view layer that is looked at.
    render.use_multiview = False
    for layer in scene.view_layers:
        layer.use = layer.name == bpy.context.view_layer.name
    render.pixel_aspect_x = render.pixel_aspect_y = 1
    # Noise against banding makes the file five times as large.
    render.dither_intensity = 0
    if hasattr(render.image_settings, "media_type"):
        render.image_settings.media_type = "IMAGE"
    render.image_settings.file_format, render.image_settings.color_mode = "PNG", "RGB"
    render.image_settings.color_depth = "8"
    if shading == "rendered":
        _limit_samples(scene)
    else:
        render.engine = "BLENDER_WORKBENCH"
        _set_up_workbench(scene, shading)
    if why := why_not_rendered(scene):
        raise Problem(why)
    return render.engine


def _limit_samples(scene):
    for settings, name in ((getattr(scene, "cycles", None), "samples"), (scene.eevee, "taa_render_samples")):
        if settings is not None:
            setattr(settings, name, min(getattr(settings, name), PREVIEW_SAMPLES))
    # Debian's Cycles is built without the denoiser and refuses to render with it.
    cycles = sys.modules.get("_cycles")
    if hasattr(scene, "cycles") and not getattr(cycles, "with_openimagedenoise", True):
        scene.cycles.use_denoising = False


def _set_up_workbench(scene, shading):
    """As near to the viewport's solid mode as a render comes."""
    scene.view_settings.view_transform, scene.view_settings.look = "Standard", "None"
    scene.view_settings.exposure, scene.view_settings.gamma = 0, 1
    scene.display.render_aa = "8"
    look = scene.display.shading
    look.type, look.light, look.studio_light = "SOLID", "STUDIO", "Default"
    look.color_type = "TEXTURE" if shading == "material" else "MATERIAL"
    look.show_cavity = look.show_object_outline = True
    look.show_xray = shading == "wireframe"
    look.background_type, look.background_color = "VIEWPORT", (0.05, 0.05, 0.05)


def _rendered_file(scene):
    with folder_for_a_moment() as folder:
        path = scene.render.filepath = os.path.join(folder, "render.png")
        try:
            bpy.ops.render.render(scene=scene.name, write_still=True)
        except RuntimeError as error:
            raise Problem(f"Blender could not render: {str(error).strip()}") from None
        png = b""
        if os.path.exists(path):
            with open(path, "rb") as file:
                png = file.read()
    # Blender does not say when there was no room.
    if not png.endswith(_END_OF_PNG):
        place = os.path.dirname(folder)
        raise Problem(f"Blender could not write the picture: is there room in its temporary folder {place}?")
    return png


def _one(viewport, wanted):
    """A PNG file of one view, and what drew it."""
    if viewport:
        return png_of(_draw(viewport, wanted), wanted.width, wanted.height), "viewport"
    return _render(wanted)


def _sheet(viewport, wanted):
    """The same of a contact sheet."""
    size = wanted.width // SHEET_COLUMNS, wanted.height // (len(SHEET) // SHEET_COLUMNS)
    if min(size) < 1:
        raise Problem("a contact sheet needs at least 2×2 pixels")
    pictures, drawn_by = [], "viewport"
    for view in SHEET:
        part = Wanted(view, wanted.shading, size, None, wanted.framed)
        part.notes = wanted.notes
        if viewport:
            pictures.append(_draw(viewport, part))
        else:
            png, drawn_by = _render(part)
            pictures.append(pixels_of(png))
    return png_of(*sheet_of(pictures, SHEET_COLUMNS, *size)), drawn_by


def _taken(request):
    """The answer for what was asked for."""
    # What the script before has linked or moved is there only then.
    bpy.context.view_layer.update()
    viewport, notes = _viewport(), []
    view, shading, direction = request["view"], request.get("shading"), request.get("direction")
    framed = _framed(request.get("focus"))
    if direction is not None:
        if not any(direction):
            raise Problem("direction must lead somewhere, as [1, -2, 1] does: from what is seen to the eye")
        view = "custom"
    elif view == "custom":
        raise Problem("view=custom needs a direction, from what is seen to the eye, such as [1, -2, 1]")
    if framed is not None and view in {"current", "camera"}:
        view = "isometric"
        notes.append("focus frames objects, so this is the isometric view")
    shown = viewport[3].shading.type.lower() if viewport and view == "current" else None
    if shading is None:
        shading = shown or "solid"
    scene = bpy.context.scene
    if shading == "rendered" and scene.render.engine == "CYCLES":
        # The viewport shows what it has computed so far, which off-screen is nothing.
        viewport = None
    elif shading in EEVEE_SHADING and shading != shown:
        # EEVEE compiles a material when a viewport first shows it, and draws it grey until that is done.
        viewport = None
    if viewport is None:
        if view == "current":
            view = "camera" if scene.camera else "isometric"
            notes.append(f"rendered, not seen through a viewport, so this is the {view} view")
        notes += _render_notes(shading)
    elif viewport[3].local_view:
        notes.append("the viewport is in local view and shows nothing else")
    wanted = Wanted(view, shading, (request["width"], request["height"]), direction, framed)
    wanted.notes = notes
    png, drawn_by = (_sheet if view == "sheet" else _one)(viewport, wanted)
    data, mime_type, scale = within(png, request["max_bytes"])
    if scale < 1:
        notes.append(f"sent at {scale:.0%} of that size, to fit {request['max_bytes']} bytes")
    if view == "sheet":
        notes.append("from left to right and top to bottom: " + ", ".join(SHEET))
    width, height = size_of_png(png)
    return {
        "status": "ok",
        "view": view,
        "shading": shading,
        "width": width,
        "height": height,
        "drawn_by": drawn_by,
        "notes": notes,
        "mime_type": mime_type,
        "data": base64.b64encode(data).decode(),
    }


def main(**request):
    """Entry point; the caller has checked names and ranges."""
    try:
        return _taken(request)
    except Problem as problem:
        return {"status": "error", "message": str(problem)}


def _render_notes(shading):
    if shading == "wireframe":
        return ["wires need a window; outlines and see-through surfaces stand in for them"]
    if shading == "material":
        return ["Workbench with the shaders' base colours stands in for material preview"]
    return []
