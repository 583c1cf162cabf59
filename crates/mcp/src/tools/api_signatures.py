# SPDX-License-Identifier: GPL-3.0-or-later
"""How the parts of Blender's API are written in one line. Put in front of the snippets that list or look up."""

import ctypes
import importlib
import inspect
import re
import sys

import bpy

PLAIN = {"BOOLEAN": "bool", "INT": "int", "FLOAT": "float", "STRING": "str", "ENUM": "enum"}
# Beyond these a limit is only what the number's type holds.
LARGEST = {"INT": 2**31 - 2, "FLOAT": 3e38}
# Classes of the user interface: many, and nobody calls them.
INTERFACE = re.compile(r"_(OT|PT|MT|HT|UL|GT|GGT|AST|FH|KSI)_")
# Those of Blender's own that scripts use.
MODULES = [
    "aud",
    "bl_math",
    "blf",
    "bmesh",
    "bmesh.geometry",
    "bmesh.ops",
    "bmesh.types",
    "bmesh.utils",
    "bpy.app",
    "bpy.app.handlers",
    "bpy.app.icons",
    "bpy.app.timers",
    "bpy.app.translations",
    "bpy.msgbus",
    "bpy.path",
    "bpy.props",
    "bpy.utils",
    "bpy.utils.previews",
    "bpy.utils.units",
    "bpy_extras",
    "bpy_extras.anim_utils",
    "bpy_extras.asset_utils",
    "bpy_extras.bmesh_utils",
    "bpy_extras.id_map_utils",
    "bpy_extras.image_utils",
    "bpy_extras.io_utils",
    "bpy_extras.keyconfig_utils",
    "bpy_extras.mesh_utils",
    "bpy_extras.node_utils",
    "bpy_extras.object_utils",
    "bpy_extras.view3d_utils",
    "bpy_extras.wm_utils.progress_report",
    "freestyle",
    "freestyle.chainingiterators",
    "freestyle.functions",
    "freestyle.predicates",
    "freestyle.shaders",
    "freestyle.types",
    "freestyle.utils",
    "gpu",
    "gpu.capabilities",
    "gpu.compute",
    "gpu.matrix",
    "gpu.platform",
    "gpu.select",
    "gpu.shader",
    "gpu.state",
    "gpu.texture",
    "gpu.types",
    "gpu_extras",
    "gpu_extras.batch",
    "gpu_extras.presets",
    "idprop",
    "idprop.types",
    "imbuf",
    "imbuf.types",
    "mathutils",
    "mathutils.bvhtree",
    "mathutils.geometry",
    "mathutils.interpolate",
    "mathutils.kdtree",
    "mathutils.noise",
]
# Which tree takes a built-in node, by how the name of its type begins.
TREES = {
    "ShaderNode": "ShaderNodeTree",
    "GeometryNode": "GeometryNodeTree",
    "FunctionNode": "GeometryNodeTree",
    "CompositorNode": "CompositorNodeTree",
    "TextureNode": "TextureNodeTree",
}
# Members that most classes have, and nobody asks for.
EVERYWHERE = frozenset(
    [
        "bl_rna",
        "bl_rna_get_subclass",
        "bl_rna_get_subclass_py",
        "input_template",
        "is_registered_node_type",
        "output_template",
        "register",
        "rna_type",
        "unregister",
    ]
)
# Nodes that, wherever they are made, take the user's scene or have the user's file get a font or an image.
REACHING_OUT = {
    "CompositorNodeCryptomatteV2",
    "CompositorNodeRLayers",
    "CompositorNodeStringToImage",
    "CompositorNodeSwitchView",
    "CompositorNodeViewer",
    "GeometryNodeInputFont",
    "GeometryNodeStringToCurves",
}
# Each order of a vector's components is an attribute.
SWIZZLE = re.compile("[xyzw]{2,4}")
DIRECTIVE = re.compile(r"\.\. (?:method|function|classmethod|staticmethod|class|attribute|data|decorator)::\s*(.+)")
WRITTEN = re.compile(r"(?:\w+ )?((?:\w+\.)+\w+\([^\n]*\)(?:\n? *-> [^\n]*)?)(?:\n|$)")
ROLE = re.compile(r":\w+:`~?!?([^`]+)`")


def number(value):
    """RNA's floats have 32 bits: 0.1 is not to be told as 0.10000000149011612."""
    return float(f"{value:.6g}") if isinstance(value, float) else value


def static_items(prop):
    """Those that need no context: the others would run code of whoever defined them."""
    return [item for item in prop.enum_items_static if item.identifier]


def default_of(prop):
    """The default as a value of JSON, or None where there is none to tell."""
    # Of what cannot be set, the default says nothing, and Blender warns of some.
    if prop.type in {"POINTER", "COLLECTION"} or prop.is_readonly:
        return None
    try:
        if prop.type == "ENUM":
            if not len(prop.enum_items_static):
                return None
            return sorted(prop.default_flag) if prop.is_enum_flag else prop.default
        if getattr(prop, "is_array", False):
            return [number(value) for value in prop.default_array]
        return number(prop.default)
    except (AttributeError, TypeError, ValueError, RuntimeError):
        return None


def limits_of(prop, soft):
    """Least and greatest value; None where it is only what the number's type holds."""
    if prop.type not in LARGEST:
        return None, None
    least, greatest = (prop.soft_min, prop.soft_max) if soft else (prop.hard_min, prop.hard_max)
    bound = LARGEST[prop.type]
    return number(least) if least > -bound else None, number(greatest) if greatest < bound else None


def type_of(prop):
    """The type's name as Python sees it."""
    if prop.type == "POINTER":
        return prop.fixed_type.identifier
    if prop.type == "COLLECTION":
        return f"collection of {prop.fixed_type.identifier}"
    name = "set of enum" if prop.type == "ENUM" and prop.is_enum_flag else PLAIN.get(prop.type, prop.type.lower())
    if getattr(prop, "is_array", False):
        return f"{name}[{prop.array_length or '…'}]"
    return name


def property_line(prop):
    """Type, default and range of a property."""
    line = type_of(prop)
    default = default_of(prop)
    if default not in (None, ""):
        line += f" = {default!r}"
    least, greatest = limits_of(prop, soft=False)
    if least is not None or greatest is not None:
        line += f", {'-∞' if least is None else least} to {'∞' if greatest is None else greatest}"
    return line + (", read-only" if prop.is_readonly else "")


def argument(prop):
    """One parameter of a function or an operator."""
    if prop.is_required:
        return prop.identifier
    return f"{prop.identifier}={default_of(prop)!r}"


def function_line(name, function):
    """The signature of a function of RNA."""
    inputs = [argument(prop) for prop in function.parameters if not prop.is_output]
    outputs = [prop for prop in function.parameters if prop.is_output]
    line = f"{name}({', '.join(inputs)})"
    if not outputs:
        return line
    told = ", ".join(f"{prop.identifier}: {type_of(prop)}" for prop in outputs)
    return f"{line} -> {told}" if len(outputs) == 1 else f"{line} -> ({told})"


def parameters_of(rna):
    """What an operator takes."""
    return [prop for prop in rna.properties if prop.identifier != "rna_type"]


def operator_text(rna):
    """What an operator does. Some make that up anew for each of their buttons, and have this in its place."""
    return "" if rna.description == "(undocumented operator)" else rna.description


def operator_line(name, rna):
    """The call of an operator with its defaults."""
    return f"bpy.ops.{name}({', '.join(argument(prop) for prop in parameters_of(rna))})"


def docstring_of(thing):
    """Signature, where the docstring has one, and the rest of it without marks of its markup."""
    text = inspect.cleandoc(thing.__doc__) if isinstance(getattr(thing, "__doc__", None), str) else ""
    found = DIRECTIVE.match(text)
    # `bmesh.ops` write theirs without a mark.
    found = found or WRITTEN.match(text)
    if found:
        text = text[found.end() :].strip()
    return (" ".join(found.group(1).split()) if found else "", ROLE.sub(r"\1", text).replace("``", "`"))


def callable_line(name, thing):
    """The signature of a function of Python or C."""
    written, text = docstring_of(thing)
    if written:
        return written
    try:
        return f"{name}{inspect.signature(thing)}".replace("(self, ", "(").replace("(self)", "()")
    except (TypeError, ValueError):
        first = text.split("\n", 1)[0]
        return first if f"{name}(" in first else f"{name}(…)"


def first_sentence(text):
    """What says in one line what the rest explains."""
    paragraph = text.strip().split("\n\n", 1)[0]
    return "" if paragraph.startswith(":") else " ".join(paragraph.split())


def members_of(cls):
    """What a class has beyond its RNA: methods and properties of Python or C, without what is inherited."""
    for name, thing in sorted(vars(cls).items()):
        if name.startswith("_") or name in EVERYWHERE or SWIZZLE.fullmatch(name):
            continue
        function = thing.__func__ if isinstance(thing, classmethod | staticmethod) else thing
        if callable(function) and not isinstance(function, type):
            yield name, "method", function
        elif inspect.isdatadescriptor(thing):
            yield name, "attribute", thing


def tree_for(cls):
    """The tree that takes this built-in node; None where there is none."""
    name = cls.__name__
    # Any other in a tree that is not meant for it ends Blender.
    if (
        not issubclass(cls, bpy.types.NodeInternal)
        or name in TREES
        or name.endswith("CustomGroup")
        or name in REACHING_OUT
    ):
        return None
    return next((tree for prefix, tree in TREES.items() if name.startswith(prefix)), None)


class Scratch:
    """Nodes in a file of their own that is never opened: the sockets of a node are known only once it is there.

    One in `bpy.data` would have Blender find out anew how everything in the user's file depends on each other.
    """

    def __init__(self):
        self.manager = self.data = None
        self.trees = {}

    def sockets(self, cls):
        """The sockets of a built-in node: each input's and output's name, identifier and type; None when it is none."""
        kind = tree_for(cls)
        if kind is None:
            return None
        try:
            nodes = self.tree(kind).nodes
            node = nodes.new(cls.__name__)
        except RuntimeError:
            return None
        told = [[(item.name, item.identifier, item) for item in each] for each in (node.inputs, node.outputs)]
        described = [[describe_socket(*item) for item in each] for each in told]
        nodes.remove(node)
        return described

    def tree(self, kind):
        """A tree of this kind."""
        if self.manager is None:
            self.manager = bpy.data.temp_data()
            self.data, control = self.manager.__enter__(), [object()]
            # Blender's manager gives back a reference that it has not taken (seen in 4.2 to 5.2), which would leave us
            # with memory that is freed.
            if sys.getrefcount(self.data) <= sys.getrefcount(control[0]):
                ctypes.pythonapi.Py_IncRef(ctypes.py_object(self.data))
        if kind not in self.trees:
            self.trees[kind] = self.data.node_groups.new("api docs", kind)
        return self.trees[kind]

    def close(self):
        """Frees all of it."""
        if self.manager is not None:
            self.trees.clear()
            self.manager.__exit__(None, None, None)
            self.manager = self.data = None


def describe_socket(name, identifier, socket):
    """One socket of a node."""
    described = {"name": name, "type": socket.bl_idname.removeprefix("NodeSocket")}
    if identifier != name:
        described["identifier"] = identifier
    value = getattr(socket, "default_value", None)
    if isinstance(value, bool | int | float | str):
        described["default"] = number(value)
    elif value is not None and hasattr(value, "__len__"):
        described["default"] = [number(item) for item in value]
    return described


def class_named(name):
    """A class of `bpy.types`, also one that an add-on has registered for its settings."""
    found = getattr(bpy.types, name, None)
    if found is None:
        found = next((cls for cls in bpy.types.PropertyGroup.__subclasses__() if cls.__name__ == name), None)
    return found


def module_named(name):
    """A module that ships with Blender; some are attributes of others and cannot be imported."""
    try:
        return importlib.import_module(name)
    except ImportError:
        parent, _, last = name.rpartition(".")
        return getattr(sys.modules.get(parent), last, None)


def defined_in(thing, name):
    """Whether what a module holds is its own, and not what it has imported."""
    home = getattr(thing, "__module__", None)
    if not callable(thing):
        # Plain values of a module written in Python are mostly its own business.
        return name.startswith(("bpy.app", "gpu", "aud"))
    if not isinstance(home, str):
        return True
    return home in {"builtins", "bpy_types"} or home.lstrip("_").partition(".")[0] in name.split(".")
