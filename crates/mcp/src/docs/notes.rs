// SPDX-License-Identifier: GPL-3.0-or-later
//! What well-known code for other versions of Blender trips over: removals and renamings from 4.0 to 5.x.

/// One change of the API.
pub(crate) struct Note {
    /// Paths as people look them up, whether they are still there or not.
    pub(crate) about: &'static [&'static str],
    /// The first version that has the change.
    pub(crate) since: (u8, u8),
    /// What changed and what to write instead.
    pub(crate) text: &'static str,
    /// Python that is true from that version on, and not before: a test asks real Blenders.
    pub(crate) holds: &'static str,
}

/// What is known to have changed at these paths, or at members of theirs.
pub(crate) fn notes_on(path: &str) -> impl Iterator<Item = String> + '_ {
    let is_about = move |about: &&str| {
        let path = path.to_lowercase();
        let about = about.to_lowercase();
        // `Material.use_nodes` is meant as well as `bpy.types.Material.use_nodes`.
        path == about || about.ends_with(&format!(".{path}"))
    };
    let told = NOTES.iter().filter(move |note| note.about.iter().any(is_about));
    told.map(|Note { since: (major, minor), text, .. }| format!("Blender {major}.{minor}: {text}"))
}

/// For tests that ask real Blenders: the version that a change came with, and Python that is true from then on.
pub fn api_changes() -> impl Iterator<Item = ((u8, u8), &'static str)> {
    NOTES.iter().map(|note| (note.since, note.holds))
}

pub(crate) const NOTES: &[Note] = &[
    Note {
        about: &[
            "bpy.types.Armature.layers",
            "bpy.types.Bone.layers",
            "bpy.types.PoseBone.bone_group",
            "bpy.types.Pose.bone_groups",
            "bpy.types.BoneGroup",
        ],
        since: (4, 0),
        text: "bone layers and bone groups became bone collections: armature.collections.new(name), collection.assign(bone), \
            bone.collections; colours are bone.color and pose_bone.color.",
        holds: "hasattr(bpy.types, 'BoneCollection') and 'layers' not in bpy.types.Bone.bl_rna.properties",
    },
    Note {
        about: &["bpy.types.NodeTree.inputs", "bpy.types.NodeTree.outputs"],
        since: (4, 0),
        text: "sockets of a node group are in tree.interface: tree.interface.new_socket(name, in_out='INPUT', \
            socket_type='NodeSocketFloat') and tree.interface.items_tree.",
        holds: "'interface' in bpy.types.NodeTree.bl_rna.properties and 'inputs' not in bpy.types.NodeTree.bl_rna.properties",
    },
    Note {
        about: &["bpy.types.ShaderNodeBsdfPrincipled"],
        since: (4, 0),
        text: "inputs were renamed: Subsurface → Subsurface Weight, Specular → Specular IOR Level, Transmission → \
            Transmission Weight, Clearcoat → Coat Weight, Sheen → Sheen Weight, Emission → Emission Color; Specular \
            Tint and Sheen Tint are colours.",
        holds: "bpy.app.version >= (4, 0, 0)",
    },
    Note {
        about: &["bpy.types.Mesh.calc_normals"],
        since: (4, 0),
        text: "removed; normals are computed where they are read (mesh.vertex_normals, mesh.polygon_normals). Leave the call out.",
        holds: "'calc_normals' not in bpy.types.Mesh.bl_rna.functions",
    },
    Note {
        about: &["bpy.types.Context.copy", "bpy.ops"],
        since: (4, 0),
        text: "an operator takes no dictionary as context any more: with bpy.context.temp_override(window=…, area=…): bpy.ops.…().",
        holds: "bpy.app.version >= (4, 0, 0)",
    },
    Note {
        about: &[
            "bpy.ops.export_scene.obj",
            "bpy.ops.import_scene.obj",
            "bpy.ops.import_mesh.stl",
            "bpy.ops.export_mesh.stl",
            "bpy.ops.import_mesh.ply",
            "bpy.ops.export_mesh.ply",
        ],
        since: (4, 2),
        text: "OBJ, PLY and STL go through bpy.ops.wm.obj_import, obj_export, ply_import, ply_export, stl_import and stl_export.",
        holds: "'obj' not in dir(bpy.ops.import_scene) and 'stl' not in dir(bpy.ops.import_mesh) and 'stl_import' in dir(bpy.ops.wm)",
    },
    Note {
        about: &["bpy.types.Mesh.use_auto_smooth", "bpy.types.Mesh.auto_smooth_angle"],
        since: (4, 1),
        text: "removed; bpy.ops.object.shade_auto_smooth(angle=…) adds a modifier, bpy.ops.object.shade_smooth_by_angle() \
            marks sharp edges once; custom normals need no switch.",
        holds: "'use_auto_smooth' not in bpy.types.Mesh.bl_rna.properties",
    },
    Note {
        about: &[
            "bpy.types.Mesh.calc_normals_split",
            "bpy.types.Mesh.create_normals_split",
            "bpy.types.Mesh.free_normals_split",
        ],
        since: (4, 1),
        text: "removed; mesh.corner_normals has them, mesh.normals_split_custom_set(…) sets one's own.",
        holds: "'calc_normals_split' not in bpy.types.Mesh.bl_rna.functions and 'corner_normals' in bpy.types.Mesh.bl_rna.properties",
    },
    Note {
        about: &["bpy.types.RenderSettings.engine"],
        since: (4, 2),
        text: "from 4.2 to 4.5 EEVEE's identifier is BLENDER_EEVEE_NEXT; before and after that it is BLENDER_EEVEE.",
        holds: "bpy.app.version >= (4, 2, 0)",
    },
    Note {
        about: &["bpy.types.SceneEEVEE.use_bloom", "bpy.types.SceneEEVEE.use_ssr", "bpy.types.SceneEEVEE.use_gtao"],
        since: (4, 2),
        text: "EEVEE was written anew and these do nothing any more (5.0 has none of them): bloom is the compositor's Glare node, reflections are scene.eevee.use_raytracing, \
            ambient occlusion is part of the fast GI approximation (scene.eevee.fast_gi_method).",
        holds: "'use_raytracing' in bpy.types.SceneEEVEE.bl_rna.properties",
    },
    Note {
        about: &["bpy.types.Material.blend_method", "bpy.types.Material.shadow_method"],
        since: (4, 2),
        text: "EEVEE takes material.surface_render_method ('DITHERED' or 'BLENDED'); shadow_method does nothing any more (5.0 has \
            none): whether an object casts shadows is object.visible_shadow.",
        holds: "'surface_render_method' in bpy.types.Material.bl_rna.properties",
    },
    Note {
        about: &["bpy.types.Action.slots", "bpy.types.AnimData.action_slot", "bpy.types.ActionSlot"],
        since: (4, 4),
        text: "an action has slots, one for each data-block that it animates: after anim_data.action = action also set \
            anim_data.action_slot, or nothing moves.",
        holds: "'slots' in bpy.types.Action.bl_rna.properties",
    },
    Note {
        about: &[
            "bpy.types.Action.fcurves",
            "bpy.types.ActionFCurves",
            "bpy.types.ActionFCurves.new",
            "bpy.types.Action.groups",
            "bpy.types.Action.id_root",
        ],
        since: (5, 0),
        text: "removed with Action.groups and Action.id_root; F-curves are in action.layers[0].strips[0].channelbag(slot).fcurves. Shortest: \
            action.fcurve_ensure_for_datablock(data_block, data_path, index=0), or bpy_extras.anim_utils.\
            action_get_channelbag_for_slot(action, slot).fcurves to read. keyframe_insert works as before.",
        holds: "'fcurves' not in bpy.types.Action.bl_rna.properties and 'groups' not in bpy.types.Action.bl_rna.properties",
    },
    Note {
        about: &["bpy.types.RenderSettings.engine", "bpy.types.SceneEEVEE"],
        since: (5, 0),
        text: "EEVEE's identifier is BLENDER_EEVEE again; BLENDER_EEVEE_NEXT is an error.",
        holds: "bpy.app.version >= (5, 0, 0)",
    },
    Note {
        about: &["bpy.types.Scene.node_tree", "bpy.types.Scene.use_nodes"],
        since: (5, 0),
        text: "scene.node_tree is removed; the compositor's is a node group: tree = bpy.data.node_groups.new('Compositing', \
            'CompositorNodeTree'); scene.compositing_node_group = tree. Its end is a Group Output node (NodeGroupOutput) with an \
            Image socket in tree.interface, no longer CompositorNodeComposite. scene.use_nodes does nothing.",
        holds: "'node_tree' not in bpy.types.Scene.bl_rna.properties and 'compositing_node_group' in bpy.types.Scene.bl_rna.properties",
    },
    Note {
        about: &["bpy.types.CompositorNodeComposite"],
        since: (5, 0),
        text: "removed; a Group Output node (NodeGroupOutput) takes its place.",
        holds: "not hasattr(bpy.types, 'CompositorNodeComposite')",
    },
    Note {
        about: &["bpy.types.Material.use_nodes", "bpy.types.World.use_nodes"],
        since: (5, 0),
        text: "materials and worlds always have a node tree: use_nodes is deprecated, always true, and setting it does nothing.",
        holds: "bpy.app.version >= (5, 0, 0)",
    },
    Note {
        about: &["bgl", "bgl.glEnable"],
        since: (5, 0),
        text: "the module bgl is removed; use gpu (gpu.state.blend_set('ALPHA'), gpu.shader.from_builtin('UNIFORM_COLOR'), \
            gpu_extras.batch.batch_for_shader).",
        holds: "'bgl' not in (*(sys := __import__('sys')).modules, *sys.builtin_module_names)",
    },
    Note {
        about: &["bpy.types.SequenceEditor.sequences", "bpy.types.SequenceEditor.sequences_all", "bpy.types.Sequence"],
        since: (5, 0),
        text: "sequences are called strips: sequence_editor.strips and strips_all (from 4.4 on), strips.new_effect(…, length=…).",
        holds: "'sequences' not in bpy.types.SequenceEditor.bl_rna.properties",
    },
    Note {
        about: &["bpy.types.GreasePencilLayer", "bpy.types.GreasePencilv3", "bpy.types.BlendData.grease_pencils_v3"],
        since: (5, 0),
        text: "bpy.data.grease_pencils holds Grease Pencil 3 (curves in drawings: layer.frames[0].drawing.strokes); annotations \
            are in bpy.data.annotations.",
        holds: "'annotations' in bpy.types.BlendData.bl_rna.properties",
    },
    Note {
        about: &["bpy.types.bpy_struct.keys", "bpy.types.bpy_struct.get"],
        since: (5, 0),
        text: "what bpy.props defines is no longer among custom properties: object['name'] and object.get('name') do not see it, \
            object.name does.",
        holds: "bpy.app.version >= (5, 0, 0)",
    },
];
