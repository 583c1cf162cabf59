// SPDX-License-Identifier: GPL-3.0-or-later
//! What a file holds that is no content: runtime state that Blender writes along, results that it works out again, and
//! what a user has selected or made active. By the names of struct and member, each with its reason; a name that a
//! version of Blender does not know is passed over. `plan` applies it.

/// What becomes of a member.
#[derive(Clone, Copy)]
pub(crate) enum Rule {
    /// It does not count. Where it is a pointer, the block behind it still does.
    Skip,
    /// It does not count, and neither does the block that it points to.
    SkipTarget,
    /// Of a whole number, only these bits count.
    Keep(u64),
    /// A pointer to bytes, as many as this member of the same struct says.
    Sized(&'static str),
    /// The elements of its struct count only where one of these bits is set, and of this member only these bits.
    Gate(u64),
}

use Rule::{Gate, Keep, Sized, Skip, SkipTarget};

/// Data-blocks that are the user interface, and blocks of other kinds that begin like one.
pub(crate) const INTERFACE: [[u8; 2]; 4] = [*b"WM", *b"WS", *b"SN", *b"SR"];

/// Structs of which nothing counts.
pub(crate) const STRUCTS: [&str; 2] = [
    // Which objects a view layer shows and which of them are selected: the first follows from the collections.
    "Base", // Where the user clicked last in Edit Mode.
    "MSelect",
];

/// Names of layers and attributes, by how they begin, that hold which vertices, edges, faces and UVs are selected.
pub(crate) const SELECTION_LAYERS: [&str; 4] = [".select_", ".uv_select_", ".vs.", ".es."];

pub(crate) const MEMBERS: &[(&str, &[(&str, Rule)])] = &[
    (
        "ID",
        &[
            // What it is compared by, and not with.
            ("name", Skip),
            // Bookkeeping of the running Blender. Some versions write zeros here; the recalc flags for undo are
            // written as they are, and change when an object is selected.
            ("next", Skip),
            ("prev", Skip),
            ("newid", Skip),
            ("orig_id", Skip),
            ("py_instance", Skip),
            ("tag", Skip),
            ("us", Skip),
            ("icon_id", Skip),
            ("recalc", Skip),
            ("recalc_up_to_undo_push", Skip),
            ("recalc_after_undo_push", Skip),
            ("session_uid", Skip),
            ("runtime", Skip),
        ],
    ),
    (
        "Object",
        &[
            // Edit Mode and the like are where the user is.
            ("mode", Skip),
            ("restore_mode", Skip),
            // Copies of the Base's.
            ("base_flag", Skip),
            ("base_local_view_bits", Skip),
            // The active material slot.
            ("actcol", Skip),
            // Before 4.1 the evaluated matrices were written: they follow a parent, which is no change of the child.
            ("obmat", Skip),
            ("imat", Skip),
            ("imat_ren", Skip),
            // What the constraints did at the last evaluation: follows their targets.
            ("constinv", Skip),
            ("matbits", Sized("totcol")),
            // Pictures that Blender renders when it likes.
            ("preview", SkipTarget),
        ],
    ),
    (
        "Scene",
        &[
            ("basact", Skip),
            // What the editors need evaluated, gathered at each evaluation.
            ("customdata_mask", Skip),
            ("customdata_mask_modal", Skip),
            ("preview", SkipTarget),
        ],
    ),
    (
        "ViewLayer",
        &[
            ("object_bases", Skip),
            ("basact", Skip),
            // The tree of layer collections follows from the collections, which count themselves.
            ("layer_collections", Skip),
            ("active_collection", Skip),
        ],
    ),
    (
        "LayerCollection",
        &[
            ("next", Skip),
            ("prev", Skip),
            ("layer_collections", Skip),
            ("runtime_flag", Skip),
            ("local_collections_bits", Skip),
            // Excluded, holdout, indirect only. Others are temporary hiding and what Blender works out.
            ("flag", Gate(1 << 4 | 1 << 5 | 1 << 6)),
        ],
    ),
    // Set by every undo step, for particle editing.
    ("ParticleEditSettings", &[("scene", Skip), ("object", Skip)]),
    ("Collection", &[("preview", SkipTarget)]),
    (
        "Mesh",
        &[
            ("attributes_active_index", Skip),
            ("act_face", Skip),
            ("mselect", SkipTarget),
            ("totselect", Skip),
            // The names of the active and the other layers to draw on.
            ("active_color_attribute", SkipTarget),
            ("active_uv_map_attribute", SkipTarget),
            ("stencil_uv_map_attribute", SkipTarget),
            ("clone_uv_map_attribute", SkipTarget),
        ],
    ),
    // Counted by what it holds, without the selection.
    ("AttributeStorage", &[("dna_attributes_num", Skip)]),
    ("CurvesGeometry", &[("attributes_active_index", Skip)]),
    ("PointCloud", &[("attributes_active_index", Skip)]),
    (
        "CustomData",
        &[
            // An index of the layers, and room for more.
            ("typemap", Skip),
            ("totlayer", Skip),
            ("maxlayer", Skip),
            ("totsize", Skip),
        ],
    ),
    ("Material", &[("preview", SkipTarget)]),
    ("World", &[("preview", SkipTarget)]),
    ("Light", &[("preview", SkipTarget)]),
    ("Tex", &[("preview", SkipTarget)]),
    ("Brush", &[("preview", SkipTarget)]),
    ("bAction", &[("preview", SkipTarget)]),
    (
        "Image",
        &[
            ("preview", SkipTarget),
            // When and what was shown last.
            ("lastused", Skip),
            ("lastframe", Skip),
            ("gpuframenr", Skip),
            ("gpuflag", Skip),
            ("gpu_pass", Skip),
            ("gpu_layer", Skip),
            ("gpu_view", Skip),
        ],
    ),
    ("PreviewImage", &[("rect", SkipTarget)]),
    ("PackedFile", &[("seek", Skip), ("data", Sized("size"))]),
    (
        "bNodeTree",
        &[
            ("preview", SkipTarget),
            // Where the editor has scrolled to, and counters of the evaluation.
            ("view_center", Skip),
            ("view_width", Skip),
            ("cur_index", Skip),
            ("chunksize", Skip),
            ("active_viewer_key", Skip),
        ],
    ),
    ("bNodeTreeInterface", &[("active_index", Skip)]),
    (
        "bNode",
        &[
            // All but: selected, active, active texture, and what the last evaluation left.
            ("flag", Keep(!(1 | 1 << 4 | 1 << 5 | 1 << 8 | 1 << 12 | 1 << 14))),
        ],
    ),
    (
        "bNodeSocket",
        &[
            // All but: selected, linked, unavailable, inactive. The last three follow from the node and its links, and
            // are brought up to date at the next evaluation or rendering.
            ("flag", Keep(!(1 | 1 << 2 | 1 << 3 | 1 << 11))),
            ("stack_index", Skip),
            ("stack_type", Skip),
            ("ns", Skip),
            ("own_index", Skip),
            ("to_index", Skip),
        ],
    ),
    (
        "Text",
        &[
            // The cursor; whether Blender's copy differs from the file on disk follows from the lines.
            ("curl", Skip),
            ("sell", Skip),
            ("curc", Skip),
            ("selc", Skip),
        ],
    ),
    ("bArmature", &[("act_bone", Skip), ("active_collection_name", Skip), ("layer_used", Skip)]),
    // Selected: the bone, its root, its tip.
    ("Bone", &[("flag", Keep(!0b111))]),
    (
        "bPoseChannel",
        &[
            ("selectflag", Skip),
            // Evaluated: they follow parents, targets and drivers, which is no change of this armature.
            ("chan_mat", Skip),
            ("pose_mat", Skip),
            ("disp_mat", Skip),
            ("disp_tail_mat", Skip),
            ("constinv", Skip),
            ("pose_head", Skip),
            ("pose_tail", Skip),
            ("constflag", Skip),
        ],
    ),
    // Measured at each evaluation.
    ("bConstraint", &[("lin_error", Skip), ("rot_error", Skip)]),
    ("FCurve", &[("curval", Skip), ("prev_norm_factor", Skip), ("prev_offset", Skip)]),
    ("ChannelDriver", &[("curval", Skip)]),
    ("DriverVar", &[("curval", Skip)]),
    ("ModifierData", &[("execution_time", Skip), ("error", SkipTarget)]),
];

/// Where the number of elements of the layers in a `CustomData` is.
pub(crate) const LAYER_LENGTHS: &[(&str, &str, &str)] = &[
    ("Mesh", "vdata", "totvert"),
    ("Mesh", "edata", "totedge"),
    ("Mesh", "pdata", "totpoly"),
    ("Mesh", "ldata", "totloop"),
    ("Mesh", "fdata", "totface"),
    ("CurvesGeometry", "point_data", "point_size"),
    ("CurvesGeometry", "curve_data", "curve_size"),
    ("PointCloud", "pdata", "totpoint"),
];
