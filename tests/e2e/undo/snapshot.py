# SPDX-License-Identifier: GPL-3.0-or-later
# What a file holds, as data: every plain property of every data-block, and what the blocks consist of.
import bpy

# Numbers that Blender gives anew, what it works out, and what is a window's business and not the file's.
SKIPPED = {"session_uid", "users", "rna_type", "is_evaluated", "tag", "is_updated", "is_updated_data", "show_expanded"}
SKIPPED |= {
    "pixels",
    "has_data",
    "depth",
    "is_dirty",
    "bindcode",
    "is_embedded_data",
    "is_library_indirect",
    "is_missing",
    "is_runtime_data",
    "total_vert_sel",
}
COLLECTIONS = (
    "objects",
    "meshes",
    "materials",
    "lights",
    "cameras",
    "collections",
    "scenes",
    "worlds",
    "texts",
    "node_groups",
    "images",
    "actions",
    "palettes",
)


def plain(value):
    if isinstance(value, float):
        return round(value, 5)
    if isinstance(value, int | str | None):
        return value
    if isinstance(value, bpy.types.ID):
        return type(value).__name__ + "/" + value.name
    if hasattr(value, "to_dict"):
        return {key: plain(one) for key, one in value.to_dict().items()}
    if hasattr(value, "__len__"):
        return [plain(one) for one in (sorted(value) if isinstance(value, set) else value)]
    return type(value).__name__


def properties(block):
    found = {}
    for known in block.bl_rna.properties:
        is_plain = known.type in {"FLOAT", "INT", "BOOLEAN", "STRING", "ENUM"}
        is_block = known.type == "POINTER" and isinstance(getattr(block, known.identifier, None), bpy.types.ID)
        if known.identifier not in SKIPPED and (is_plain or is_block):
            found[known.identifier] = plain(getattr(block, known.identifier))
    return found


def nodes(tree):
    sockets = {}
    for node in tree.nodes:
        values = [plain(getattr(socket, "default_value", None)) for socket in node.inputs]
        sockets[node.name] = [node.bl_idname, plain(node.location), values]
    links = [[k.from_node.name, k.from_socket.name, k.to_node.name, k.to_socket.name] for k in tree.links]
    return [sockets, sorted(links)]


def geometry(mesh):
    if mesh.is_editmode:
        import bmesh

        edited = bmesh.from_edit_mesh(mesh)
        vertices = [[plain(v.co), v.select, v.hide] for v in edited.verts]
        return [vertices, [[v.index for v in face.verts] for face in edited.faces]]
    vertices = [[plain(v.co), v.select, v.hide] for v in mesh.vertices]
    return [vertices, [list(face.vertices) for face in mesh.polygons]]


def object_contents(block):
    is_here = block.name in bpy.context.view_layer.objects
    state = [block.mode, is_here and block.select_get(), is_here and block.hide_get()]
    parts = [[m.name, m.type] for m in block.modifiers], [g.name for g in block.vertex_groups]
    return [plain([list(row) for row in block.matrix_basis]), state, parts]


def collection_contents(block):
    return [sorted(o.name for o in block.objects), sorted(c.name for c in block.children)]


def scene_contents(block):
    markers = sorted([marker.name, marker.frame] for marker in block.timeline_markers)
    members = collection_contents(block.collection)
    return [members, markers, properties(block.render), plain(block.cursor.location)]


def tree_contents(block):
    tree = block if isinstance(block, bpy.types.NodeTree) else getattr(block, "node_tree", None)
    return nodes(tree) if tree else None


CONTENTS = {
    "Object": object_contents,
    "Mesh": geometry,
    "Collection": collection_contents,
    "Scene": scene_contents,
    "Text": lambda block: block.as_string(),
    "Image": lambda block: plain(list(block.pixels)) if block.size[0] <= 16 else None,
}


def animation(block):
    data = getattr(block, "animation_data", None)
    return [data.action.name if data.action else None, len(data.drivers)] if data else None


def snapshot():
    found = {"mode": bpy.context.mode, "path": bpy.data.filepath}
    active = bpy.context.view_layer.objects.active
    found["active"] = active.name if active else None
    for name in COLLECTIONS:
        for block in getattr(bpy.data, name):
            if getattr(block, "source", "") == "VIEWER":
                continue
            # Those of Cycles come into being when it looks at them.
            own = {key: plain(value) for key, value in block.items() if not key.startswith("cycles")}
            found[name + "/" + block.name] = [
                properties(block),
                CONTENTS.get(type(block).__name__, tree_contents)(block),
                animation(block),
                own,
            ]
    return found


result = snapshot()
