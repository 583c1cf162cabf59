# SPDX-License-Identifier: GPL-3.0-or-later
"""A low-poly house with a red roof and two trees on a green ground plane."""

import math

import bpy


def use_nodes(made):
    """From Blender 5.0 on materials and worlds always have nodes, and the property is deprecated."""
    if bpy.app.version < (5, 0, 0):
        made.use_nodes = True


def material(name, color, roughness=0.8):
    made = bpy.data.materials.new(name)
    use_nodes(made)
    shader = made.node_tree.nodes["Principled BSDF"]
    shader.inputs["Base Color"].default_value = (*color, 1.0)
    shader.inputs["Roughness"].default_value = roughness
    return made


def add(operator, name, look, **options):
    operator(**options)
    made = bpy.context.object
    made.name = name
    made.data.materials.append(look)
    return made


def box(name, look, size, location):
    made = add(bpy.ops.mesh.primitive_cube_add, name, look, size=1, location=location)
    made.scale = size
    return made


def roof(look, half_width, half_depth, height, base):
    corners = [(x, y, base) for x in (-half_width, half_width) for y in (-half_depth, half_depth)]
    ridge = [(0, -half_depth, base + height), (0, half_depth, base + height)]
    faces = [(0, 1, 5, 4), (2, 4, 5, 3), (0, 4, 2), (1, 3, 5), (0, 2, 3, 1)]
    mesh = bpy.data.meshes.new("Roof")
    mesh.from_pydata(corners + ridge, [], faces)
    mesh.materials.append(look)
    bpy.context.collection.objects.link(bpy.data.objects.new("Roof", mesh))


def tree(name, trunk, leaves, place, height):
    x, y = place
    add(
        bpy.ops.mesh.primitive_cylinder_add,
        f"{name} trunk",
        trunk,
        vertices=7,
        radius=0.13,
        depth=height * 0.5,
        location=(x, y, height * 0.25),
    )
    for level, (radius, at) in enumerate(((0.85, 0.62), (0.66, 0.88), (0.44, 1.12))):
        add(
            bpy.ops.mesh.primitive_cone_add,
            f"{name} crown {level + 1}",
            leaves,
            vertices=8,
            radius1=radius,
            depth=height * 0.42,
            location=(x, y, height * at),
            rotation=(0, 0, level * 0.5),
        )


def build():
    bpy.ops.wm.read_homefile(use_empty=True)
    grass = material("Grass", (0.13, 0.36, 0.08))
    walls = material("Walls", (0.86, 0.77, 0.62))
    red = material("Roof tiles", (0.55, 0.045, 0.03), 0.6)
    wood = material("Wood", (0.2, 0.095, 0.04))
    leaves = material("Leaves", (0.06, 0.27, 0.07))
    glass = material("Glass", (0.25, 0.5, 0.7), 0.15)
    stone = material("Stone", (0.42, 0.4, 0.38))

    add(bpy.ops.mesh.primitive_plane_add, "Ground", grass, size=60)
    box("House", walls, (3.2, 2.6, 1.9), (0, 0, 0.95))
    box("Plinth", stone, (3.36, 2.76, 0.22), (0, 0, 0.11))
    roof(red, 1.95, 1.6, 1.35, 1.85)
    box("Chimney", stone, (0.38, 0.38, 1.1), (0.85, 0.45, 2.85))
    box("Door", wood, (0.66, 0.08, 1.25), (0, -1.32, 0.72))
    for index, x in enumerate((-1.02, 1.02)):
        box(f"Window {index + 1}", glass, (0.66, 0.06, 0.62), (x, -1.31, 1.12))
        box(f"Sill {index + 1}", wood, (0.78, 0.14, 0.07), (x, -1.34, 0.78))
    box("Path", stone, (0.8, 3.2, 0.04), (0, -3.0, 0.02))
    tree("Pine", wood, leaves, (-3.1, -0.5), 2.9)
    tree("Fir", wood, leaves, (3.0, 0.9), 2.3)


def light():
    world = bpy.data.worlds.new("Sky")
    use_nodes(world)
    background = world.node_tree.nodes["Background"]
    background.inputs["Color"].default_value = (0.32, 0.58, 0.95, 1.0)
    background.inputs["Strength"].default_value = 0.6
    bpy.context.scene.world = world
    bpy.ops.object.light_add(type="SUN", rotation=(math.radians(48), 0, math.radians(38)))
    sun = bpy.context.object
    sun.data.energy = 3.6
    sun.data.angle = math.radians(3)
    sun.data.color = (1.0, 0.93, 0.8)


def look():
    bpy.ops.object.camera_add(location=(6.2, -9.6, 4.3))
    camera = bpy.context.object
    camera.data.lens = 42
    bpy.ops.object.empty_add(location=(0, 0, 1.15))
    target = bpy.context.object
    target.name = "Camera target"
    follow = camera.constraints.new("TRACK_TO")
    follow.target = target
    bpy.context.scene.camera = camera


build()
light()
look()
result = {"objects": len(bpy.data.objects), "materials": len(bpy.data.materials)}
