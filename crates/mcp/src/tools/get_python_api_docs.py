# SPDX-License-Identifier: GPL-3.0-or-later
"""One thing of Blender's API in detail, by its name. Reads only."""

import inspect
import re
import sys
from typing import TYPE_CHECKING

import bpy

if TYPE_CHECKING:
    from api_signatures import (
        EVERYWHERE,
        MODULES,
        REACHING_OUT,
        Scratch,
        callable_line,
        class_named,
        default_of,
        defined_in,
        docstring_of,
        first_sentence,
        function_line,
        limits_of,
        members_of,
        module_named,
        operator_line,
        operator_text,
        parameters_of,
        property_line,
        static_items,
        tree_for,
        type_of,
    )

# Beyond so many members a type's are named only, and so much of a docstring is told.
MOST_DESCRIBED = 60
MOST_NAMED = 600
MOST_ITEMS = 120
LONGEST_TEXT = 6000
# An element of a path: a name, or what stands behind it in brackets.
PART = re.compile(r"\.?([A-Za-z_]\w*)|\[[^\]]*\]|\([^)]*\)")
# What stands in front of types and of operators, and is left out as often.
SHORT = {"C": "bpy.context", "D": "bpy.data", "bpy.C": "bpy.context", "bpy.D": "bpy.data"}


def describe_property(prop):
    """All that is to be known of a property or a parameter."""
    described = {"type": type_of(prop), "label": prop.name, "description": prop.description}
    default = default_of(prop)
    if default is not None:
        described["default"] = default
    for key, soft in (("range", False), ("soft_range", True)):
        limits = limits_of(prop, soft)
        if limits != (None, None) and limits != described.get("range"):
            described[key] = limits
    for key, plain in (("subtype", "NONE"), ("unit", "NONE")):
        if getattr(prop, key, plain) != plain:
            described[key] = getattr(prop, key)
    if prop.type == "STRING" and prop.length_max:
        described["longest"] = prop.length_max
    if prop.type == "ENUM":
        described.update(describe_items(prop))
    if prop.type == "COLLECTION" and prop.srna:
        described["collection_type"] = prop.srna.identifier
    if prop.is_readonly:
        described["read_only"] = True
    if getattr(prop, "is_deprecated", False):
        described["deprecated"] = getattr(prop, "deprecated_note", "") or True
    return {key: list(value) if isinstance(value, tuple) else value for key, value in described.items()}


def describe_items(prop):
    """The values of an enumeration, as far as they are fixed."""
    items = static_items(prop)
    if not items:
        return {"items": "depend on the context; assign a wrong one and the error lists them"}
    if len(items) > MOST_ITEMS:
        return named("items", [item.identifier for item in items], "the error about a wrong one lists all")
    return {"items": {item.identifier: ": ".join(filter(None, (item.name, item.description))) for item in items}}


def named(key, names, how):
    """The names, as far as they are told, and how to see the others."""
    told = {key: names[:MOST_NAMED]}
    if len(names) > MOST_NAMED:
        told["more"] = f"{len(names) - MOST_NAMED} more: {how}"
    return told


def describe_parameters(props):
    """Parameters by their name."""
    return {prop.identifier: describe_property(prop) for prop in props}


def one_line(prop):
    """A property as a type's description lists it."""
    line = property_line(prop)
    if prop.type == "ENUM" and 0 < len(prop.enum_items_static) <= 12:
        line += f" of {', '.join(item.identifier for item in static_items(prop))}"
    return f"{line}: {prop.description}" if prop.description else line


def describe_type(path, cls, rna):
    """A type of RNA; what it inherits by name, where it comes from."""
    base = rna.base
    described = {"kind": "type", "path": path, "label": rna.name, "description": rna.description}
    described["bases"] = [each.__name__ for each in cls.__mro__[1:-1]]
    taken = {prop.identifier for prop in base.properties} if base else {"rna_type"}
    own = [prop for prop in rna.properties if prop.identifier not in taken and prop.identifier != "rna_type"]
    if len(own) > MOST_DESCRIBED:
        described["more"] = f"{len(own)} properties: look one up as {path}.{own[0].identifier}"
        described |= named("properties", [prop.identifier for prop in own], f"{path}.* lists them")
    else:
        described["properties"] = {prop.identifier: one_line(prop) for prop in own}
    inherited = set(base.functions.keys()) | EVERYWHERE if base else EVERYWHERE
    functions = [each for each in rna.functions if each.identifier not in inherited]
    described["functions"] = {each.identifier: function_line(each.identifier, each) for each in functions}
    for name, kind, thing in members_of(cls):
        line = callable_line(name, thing) if kind == "method" else first_sentence(docstring_of(thing)[1])
        described["functions" if kind == "method" else "properties_in_python"] = {
            **described.get("functions" if kind == "method" else "properties_in_python", {}),
            name: line,
        }
    inherits = {}
    while base is not None:
        above = {prop.identifier for prop in base.base.properties} if base.base else {"rna_type"}
        inherits[base.identifier] = [prop.identifier for prop in base.properties if prop.identifier not in above]
        base = base.base
    described["inherited"] = inherits
    if issubclass(cls, bpy.types.Node):
        described["kind"] = "node"
        scratch = Scratch()
        try:
            sockets = scratch.sockets(cls)
        finally:
            scratch.close()
        if sockets is not None:
            described["inputs"], described["outputs"] = sockets
        elif cls.__name__ in REACHING_OUT:
            described["more"] = "its sockets are told by a node of a tree: node.inputs.keys(), node.outputs.keys()"
        if tree_for(cls) or cls.__name__ in REACHING_OUT:
            described["new"] = f"node_tree.nodes.new({rna.identifier!r})"
    return {key: value for key, value in described.items() if value not in ({}, [], "")}


def describe_function(path, function):
    """A function of RNA."""
    described = {"kind": "function", "path": path, "signature": function_line(function.identifier, function)}
    described["description"] = function.description
    described["parameters"] = describe_parameters(prop for prop in function.parameters if not prop.is_output)
    described["returns"] = describe_parameters(prop for prop in function.parameters if prop.is_output)
    return described


def describe_operator(module, name):
    """An operator with all that it takes."""
    rna = getattr(getattr(bpy.ops, module), name).get_rna_type()
    described = {
        "kind": "operator",
        "path": f"bpy.ops.{module}.{name}",
        "signature": operator_line(f"{module}.{name}", rna),
    }
    described |= {"label": rna.name, "description": operator_text(rna)}
    described["parameters"] = describe_parameters(parameters_of(rna))
    described["returns"] = "a set of str: {'FINISHED'} or {'CANCELLED'}, or {'RUNNING_MODAL'} from an interactive one"
    return described


def describe_python(path, thing):
    """A module, class, function or value of Python."""
    text = docstring_of(thing)[1]
    described = {"path": path, "description": text[:LONGEST_TEXT] + ("…" if len(text) > LONGEST_TEXT else "")}
    last = path.rpartition(".")[2]
    if inspect.ismodule(thing) or path in MODULES:
        described["kind"] = "module"
        names = [
            name for name in dir(thing) if not name.startswith("_") and defined_in(getattr(thing, name, None), path)
        ]
        described |= named("members", names, f"{path}.* lists them")
    elif isinstance(thing, type):
        described |= {"kind": "class", "signature": docstring_of(thing)[0] or last}
        lines = {
            name: callable_line(name, each) if kind == "method" else name for name, kind, each in members_of(thing)
        }
        described |= (
            {"members": lines} if len(lines) <= MOST_DESCRIBED else named("members", [*lines], f"{path}.* lists them")
        )
    elif callable(thing):
        described |= {"kind": "function", "signature": callable_line(last, thing)}
    elif inspect.isdatadescriptor(thing):
        described["kind"] = "attribute"
    else:
        # The text of a plain value is that of its type.
        parent = module_named(path.rpartition(".")[0])
        told = docstring_of(getattr(type(parent), last, None))[1]
        described |= {
            "kind": "attribute",
            "type": type(thing).__name__,
            "value": repr(thing)[:300],
            "description": told,
        }
    return described


def walk_rna(cls, names):
    """Follows names from a type of RNA to what they lead to; None where they lead nowhere."""
    for index, name in enumerate(names):
        rna, is_last = cls.bl_rna, index == len(names) - 1
        prop = rna.properties.get(name)
        owner = rna
        while prop is not None and owner.base is not None and name in owner.base.properties:
            owner = owner.base
        if prop is not None and is_last:
            at = f"bpy.types.{owner.identifier}.{name}"
            return {
                "kind": "property",
                "path": at,
                "signature": f"{name}: {property_line(prop)}",
                **describe_property(prop),
            }
        if prop is not None and prop.type in {"POINTER", "COLLECTION"}:
            follow = names[index + 1]
            # What follows a collection is its own, such as `new`, or an element's behind brackets.
            target = prop.fixed_type
            if prop.type == "COLLECTION" and follow != "[]":
                target = prop.srna or bpy.types.bpy_prop_collection
                if hasattr(bpy.types.bpy_prop_collection, follow) and follow not in EVERYWHERE:
                    return member(bpy.types.bpy_prop_collection, names[index + 1 :])
            cls = class_named(getattr(target, "identifier", "")) or target
            if not hasattr(cls, "bl_rna"):
                return member(cls, names[index + 1 :])
            continue
        if name == "[]" and not is_last:
            continue
        function = rna.functions.get(name)
        if function is not None and is_last:
            return describe_function(f"bpy.types.{rna.identifier}.{name}", function)
        return member(cls, names[index:])
    return describe_type(f"bpy.types.{cls.__name__}", cls, cls.bl_rna)


def member(cls, names):
    """What a class has in Python, its own or of a class that it comes from."""
    if len(names) != 1:
        return None
    for owner in cls.__mro__:
        if names[0] in vars(owner) and not names[0].startswith("_"):
            thing = vars(owner)[names[0]]
            home = f"bpy.types.{owner.__name__}" if hasattr(bpy.types, owner.__name__) else owner.__name__
            return describe_python(f"{home}.{names[0]}", getattr(thing, "__func__", thing))
    return None


def walk_python(names):
    """Follows names from the longest module that they begin with."""
    for length in range(len(names), 0, -1):
        name = ".".join(names[:length])
        if name in MODULES or name == "bpy":
            thing = module_named(name)
            for each in names[length:]:
                # Not `getattr` on what a script could have put there: a class's own entries tell of themselves.
                thing = vars(thing).get(each) if isinstance(thing, type) else getattr(thing, each, None)
            return describe_python(".".join(names), thing) if thing is not None else None
    return None


def operator_named(names):
    """An operator, or one of its parameters."""
    if len(names) < 2 or names[1] not in dir(getattr(bpy.ops, names[0])):
        return None
    # In a Blender without a window, something else stands in the place of the one that quits it.
    if not hasattr(getattr(getattr(bpy.ops, names[0]), names[1]), "get_rna_type"):
        return None
    described = describe_operator(*names[:2])
    if len(names) == 2:
        return described
    parameter = described["parameters"].get(names[2])
    return parameter and {"kind": "parameter", "path": f"{described['path']}.{names[2]}", **parameter}


def type_named(names):
    """A type, or what it leads to."""
    cls = class_named(names[0])
    if hasattr(cls, "bl_rna"):
        return walk_rna(cls, names[1:])
    if not isinstance(cls, type):
        return None
    return member(cls, names[1:]) if names[1:] else describe_python(f"bpy.types.{names[0]}", cls)


def data_named(names):
    """What `bpy.data` leads to."""
    return walk_rna(bpy.types.BlendData, names)


def resolve(names):
    """What these names mean. Those that only group others are told of from what was read for searches."""
    if names in (["bpy"], ["bpy", "types"], ["bpy", "ops"]):
        return None
    groups = {"ops": operator_named, "types": type_named, "data": data_named, "context": walk_context}
    group = groups.get(names[1]) if names[0] == "bpy" else None
    return group(names[2:]) if group else walk_python(names)


def walk_context(names):
    """From the context, part of which depends on where the user is and has a type only then."""
    known = {"object": "Object", "active_object": "Object", "active_bone": "Bone", "active_pose_bone": "PoseBone"}
    if len(names) > 1 and names[0] in known:
        return walk_rna(class_named(known[names[0]]), names[1:])
    found = walk_rna(bpy.types.Context, names)
    if found is None and len(names) == 1 and names[0] in dir(bpy.context):
        value = getattr(bpy.context, names[0], None)
        shown = {
            "type": type(value).__name__,
            "description": "a member of the context, which depends on mode and editor",
        }
        found = {"kind": "attribute", "path": f"bpy.context.{names[0]}", **shown}
    return found


def candidates(names):
    """The names as they are, and with what may have been left out in front."""
    yield names
    written = re.fullmatch(r"([A-Z0-9_]+)_OT_(\w+)", names[-1])
    if written:
        yield ["bpy", "ops", written[1].lower(), written[2]]
    if names[0] not in {"bpy", "mathutils", "bmesh", "gpu"}:
        yield ["bpy", *names]
        yield ["bpy", "types", *names]
        yield ["bpy", "ops", *names]
        # Freestyle's hold much that is others'.
        for module in sorted(MODULES, key=lambda name: name.startswith("freestyle")):
            # A name that means nothing here is no reason to import what nobody has asked for.
            if module not in sys.modules and module.startswith(("bpy_extras", "freestyle", "gpu_extras")):
                continue
            yield [*module.split("."), *names]
        yield ["bpy", "types", names[0].title().replace("_", ""), *names[1:]]


def main(identifier):
    """Entry point. `found` is null where there is nothing of that name."""
    text = identifier.strip().strip("`")
    first, dot, rest = text.partition(".")
    text = SHORT.get(first, first) + dot + rest
    names = ["[]" if found[0].startswith("[") else found[1] for found in PART.finditer(text) if found[0][0] != "("]
    for each in candidates(names) if names else ():
        found = resolve(each)
        if found:
            first = {key: found[key] for key in ("path", "kind", "signature") if key in found}
            return {"status": "ok", "found": {**first, **found}}
    return {"status": "ok", "found": None}
