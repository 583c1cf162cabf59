// SPDX-License-Identifier: GPL-3.0-or-later
//! Known edits of the file that `SETUP` makes, each with exactly what is to be told about it, and what is no edit.

use serde_json::{Value, json};

/// The scene of a new file, with what edits need.
pub(super) const SETUP: &str = "
bpy.ops.wm.read_homefile()
data, scene = bpy.data, bpy.context.scene
cube = data.objects['Cube']
for name in 'Child', 'Grandchild':
    child = data.objects.new(name, None)
    data.collections['Collection'].objects.link(child)
    child.parent = cube
data.objects['Grandchild'].parent = data.objects['Child']
loose = data.objects.new('Loose', None)
scene.collection.objects.link(loose)
data.texts.new('Notes').write('one')
data.images.new('Paint', 8, 8).use_fake_user = True
data.materials['Material'].use_nodes = True
data.materials.new('Spare').use_fake_user = True
side = data.collections.new('Side')
scene.collection.children.link(side)
armature = data.objects.new('Rig', data.armatures.new('Rig'))
scene.collection.objects.link(armature)
follower = data.objects.new('Follower', None)
scene.collection.objects.link(follower)
follower.constraints.new('COPY_LOCATION').target = cube
scene.render.engine = 'CYCLES'
scene.cycles.samples, scene.cycles.use_denoising, scene.cycles.device = 1, False, 'CPU'
scene.render.resolution_x = scene.render.resolution_y = 8
bpy.context.view_layer.objects.active = cube
bpy.context.view_layer.update()
";

/// Names under which the scripts know the file, and what they share.
pub(super) const PRELUDE: &str = "
import bmesh
data, scene, objects, layer = bpy.data, bpy.context.scene, bpy.data.objects, bpy.context.view_layer
cube, light = objects['Cube'], objects['Light']
tree = data.materials['Material'].node_tree
def modes(*between):
    layer.objects.active = cube
    bpy.ops.object.mode_set(mode='EDIT')
    for each in between:
        each()
    bpy.ops.object.mode_set(mode='OBJECT')
";

/// What is told after each.
#[rustfmt::skip]
pub(super) fn edits() -> Vec<(&'static str, &'static str, Value)> {
    let modified = |kind: &str, name: &str| json!({"modified": {kind: [name]}});
    vec![
        ("add_by_operator", "bpy.ops.mesh.primitive_uv_sphere_add()",
            json!({"added": {"objects": ["Sphere"], "meshes": ["Sphere"]}, "modified": {"collections": ["Collection"]}})),
        ("add_empty_to_the_scene", "scene.collection.objects.link(objects.new('E', None))",
            json!({"added": {"objects": ["E"]}, "modified": {"scenes": ["Scene"]}})),
        ("delete_by_operator",
            "for one in objects: one.select_set(one == light)\nbpy.ops.object.delete()",
            json!({"removed": {"objects": ["Light"]}, "modified": {"collections": ["Collection"]}})),
        ("remove_a_parent", "objects.remove(objects['Child'])",
            json!({"removed": {"objects": ["Child"]}, "modified": {"collections": ["Collection"], "objects": ["Grandchild"]}})),
        ("remove_the_mesh", "data.meshes.remove(cube.data)",
            json!({"removed": {"meshes": ["Cube"], "objects": ["Cube"]},
                "modified": {"collections": ["Collection"], "objects": ["Child", "Follower"]}})),
        ("replace_by_another_of_the_same_name",
            "objects.remove(objects['Loose'])\nscene.collection.objects.link(objects.new('Loose', None))",
            json!({"added": {"objects": ["Loose"]}, "removed": {"objects": ["Loose"]}, "modified": {"scenes": ["Scene"]}})),
        ("rename_object", "light.name = 'Key'", json!({"renamed": {"objects": {"Light": "Key"}}})),
        ("rename_a_parent_and_target", "cube.name = 'Box'", json!({"renamed": {"objects": {"Cube": "Box"}}})),
        ("rename_mesh", "cube.data.name = 'Box'", json!({"renamed": {"meshes": {"Cube": "Box"}}})),
        ("rename_material", "data.materials['Material'].name = 'Clay'",
            json!({"renamed": {"materials": {"Material": "Clay"}}})),
        ("rename_collection", "data.collections['Collection'].name = 'All'",
            json!({"renamed": {"collections": {"Collection": "All"}}})),
        ("rename_scene", "scene.name = 'Act'", json!({"renamed": {"scenes": {"Scene": "Act"}}})),
        ("rename_text", "data.texts['Notes'].name = 'Log'", json!({"renamed": {"texts": {"Notes": "Log"}}})),
        ("swap_names", "cube.name = 'Cubus'\nlight.name = 'Cube'\ncube.name = 'Light'",
            json!({"renamed": {"objects": {"Cube": "Light", "Light": "Cube"}}})),
        ("take_the_name_of_a_removed_one", "objects.remove(light)\nobjects['Loose'].name = 'Light'",
            json!({"removed": {"objects": ["Light"]}, "renamed": {"objects": {"Loose": "Light"}},
                "modified": {"collections": ["Collection"]}})),
        ("rename_and_move", "cube.name = 'Box'\ncube.location.z = 2",
            json!({"renamed": {"objects": {"Cube": "Box"}}, "modified": {"objects": ["Box"]}})),
        ("move_a_parent", "cube.location.x = 5\nlayer.update()", modified("objects", "Cube")),
        ("rotate_by_operator",
            "for one in objects: one.select_set(one == cube)\nbpy.ops.transform.rotate(value=1, orient_axis='Z')",
            modified("objects", "Cube")),
        ("parent", "objects['Loose'].parent = cube", modified("objects", "Loose")),
        ("hide_from_renders", "cube.hide_render = True", modified("objects", "Cube")),
        ("vertices", "cube.data.vertices[0].co.x += 1", modified("meshes", "Cube")),
        ("the_last_face_is_smooth", "cube.data.polygons[5].use_smooth ^= True", modified("meshes", "Cube")),
        ("bmesh", "made = bmesh.new()\nmade.from_mesh(cube.data)\nmade.verts.new((3, 3, 3))\nmade.to_mesh(cube.data)\n\
            made.free()", modified("meshes", "Cube")),
        ("operator_in_edit_mode",
            "modes(lambda: bpy.ops.mesh.select_all(action='SELECT'), lambda: bpy.ops.mesh.subdivide())",
            modified("meshes", "Cube")),
        ("vertex_group", "cube.vertex_groups.new(name='Top').add([7], 0.5, 'REPLACE')", modified("meshes", "Cube")),
        ("uv", "cube.data.uv_layers[0].data[23].uv.x += 0.25", modified("meshes", "Cube")),
        ("attribute", "cube.data.attributes.new('heat', 'BOOLEAN', 'FACE').data[5].value = True",
            modified("meshes", "Cube")),
        ("assign_material", "cube.data.materials[0] = data.materials['Spare']", modified("meshes", "Cube")),
        ("material_colour", "data.materials['Material'].diffuse_color = (1, 0, 0, 1)", modified("materials", "Material")),
        ("material_of_nobody", "data.materials['Spare'].roughness = 0.9", modified("materials", "Spare")),
        ("node_add", "tree.nodes.new('ShaderNodeValue')", modified("materials", "Material")),
        ("node_value", "tree.nodes['Principled BSDF'].inputs['Roughness'].default_value = 0.125",
            modified("materials", "Material")),
        ("node_move", "tree.nodes['Principled BSDF'].location.x += 7", modified("materials", "Material")),
        ("node_link", "tree.links.clear()", modified("materials", "Material")),
        ("node_group", "data.node_groups.new('Group', 'ShaderNodeTree')", json!({"added": {"node_groups": ["Group"]}})),
        ("collection_create", "scene.collection.children.link(data.collections.new('More'))",
            json!({"added": {"collections": ["More"]}, "modified": {"scenes": ["Scene"]}})),
        ("collection_in_a_collection", "data.collections['Side'].children.link(data.collections.new('More'))",
            json!({"added": {"collections": ["More"]}, "modified": {"collections": ["Side"]}})),
        ("link_to_a_second_collection", "data.collections['Side'].objects.link(light)", modified("collections", "Side")),
        ("between_collections",
            "data.collections['Side'].objects.link(light)\ndata.collections['Collection'].objects.unlink(light)",
            json!({"modified": {"collections": ["Collection", "Side"]}})),
        ("collection_exclude", "layer.layer_collection.children['Side'].exclude = True", modified("scenes", "Scene")),
        ("modifier_add", "cube.modifiers.new('Round', 'SUBSURF')", modified("objects", "Cube")),
        ("modifier_change", "cube.modifiers.new('Round', 'SUBSURF').levels = 3", modified("objects", "Cube")),
        ("constraint", "light.constraints.new('TRACK_TO').target = cube", modified("objects", "Light")),
        ("property_of_an_object", "cube['mass'] = 'heavy'", modified("objects", "Cube")),
        ("property_of_a_scene", "scene['take'] = [True, False, True]", modified("scenes", "Scene")),
        ("keyframe", "light.keyframe_insert('location', frame=1)\n\
            light.animation_data.action.name = 'Move'",
            json!({"added": {"actions": ["Move"]}, "modified": {"objects": ["Light"]}})),
        ("light_energy", "light.data.energy = 77", modified("lights", "Light")),
        ("world_colour", "data.worlds['World'].color = (1, 0, 0)", modified("worlds", "World")),
        ("frame_end", "scene.frame_end = 99", modified("scenes", "Scene")),
        ("marker", "scene.timeline_markers.new('Cut', frame=3)", modified("scenes", "Scene")),
        ("text_write", "data.texts['Notes'].write(' two')", modified("texts", "Notes")),
        ("image_pixels", "data.images['Paint'].pixels[0] = 0.5", modified("images", "Paint")),
        ("image_create", "data.images.new('Fresh', 4, 4)", json!({"added": {"images": ["Fresh"]}})),
        ("fake_user", "data.meshes['Cube'].use_fake_user = True", modified("meshes", "Cube")),
        ("bone", "layer.objects.active = objects['Rig']\nbpy.ops.object.mode_set(mode='EDIT')\n\
            objects['Rig'].data.edit_bones.new('Arm').tail.z = 1\nbpy.ops.object.mode_set(mode='OBJECT')",
            json!({"modified": {"armatures": ["Rig"], "objects": ["Rig"]}})),
        ("two_at_once", "light.data.energy = 5\ncube.scale.x = 2",
            json!({"modified": {"lights": ["Light"], "objects": ["Cube"]}})),
        ("undone_by_itself", "cube.location.x += 1\ncube.location.x -= 1", json!({})),
    ]
}

/// Nothing is told after any of these.
pub(super) const NO_EDITS: &[(&str, &str)] = &[
    ("nothing", "pass"),
    (
        "reading",
        "[(one.name, one.matrix_world[:], one.bound_box[:]) for one in objects]\ncube.data.vertices[0].co.length",
    ),
    ("selecting", "for one in objects: one.select_set(not one.select_get())"),
    ("making_active", "layer.objects.active = light"),
    ("hiding_for_now", "cube.hide_set(True)"),
    ("active_collection", "layer.active_layer_collection = layer.layer_collection.children['Side']"),
    ("depsgraph", "cube.evaluated_get(bpy.context.evaluated_depsgraph_get()).to_mesh()"),
    ("view_layer_update", "layer.update()"),
    ("edit_mode_and_back", "modes()"),
    ("edit_mode_to_stay", "layer.objects.active = cube\nbpy.ops.object.mode_set(mode='EDIT')"),
    (
        "selecting_in_edit_mode",
        "modes(lambda: bpy.ops.mesh.select_all(action='SELECT'))\n\
        modes(lambda: bpy.ops.mesh.select_all(action='DESELECT'))",
    ),
    ("selecting_nodes", "for one in tree.nodes: one.select ^= True\ntree.nodes.active = tree.nodes[0]"),
    ("rendering", "bpy.ops.render.render()"),
    ("undo_push", "bpy.ops.ed.undo_push(message='nothing')"),
    ("same_frame", "scene.frame_set(scene.frame_current)"),
    ("a_temporary_object", "objects.remove(objects.new('Gone', None))"),
];
