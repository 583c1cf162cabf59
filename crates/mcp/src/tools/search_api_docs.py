# SPDX-License-Identifier: GPL-3.0-or-later
"""A part of what there is in Blender's API: as much as fits the time. Reads only."""

import contextlib
import gc
import inspect
import sys
import time
from typing import TYPE_CHECKING

import bpy

if TYPE_CHECKING:
    from api_signatures import (
        EVERYWHERE,
        INTERFACE,
        MODULES,
        TREES,
        Scratch,
        callable_line,
        class_named,
        defined_in,
        docstring_of,
        first_sentence,
        function_line,
        members_of,
        module_named,
        operator_line,
        operator_text,
        parameters_of,
        property_line,
        static_items,
        tree_for,
    )

STAGES = ["types", "nodes", "operators", "modules", "context"]
# Of an enumeration and of a list of parameters, as many as somebody might search for.
MOST_WORDS = 60


def words_of(props):
    """What else is searched for: names of parameters, values of enumerations."""
    words = []
    for prop in props:
        words += [prop.identifier, prop.name]
        # Lists as long as that of all icons are no help, and take long.
        if prop.type == "ENUM" and len(prop.enum_items_static) < MOST_WORDS:
            words += [word for item in static_items(prop) for word in (item.identifier, item.name)]
    return " ".join(dict.fromkeys(words[:MOST_WORDS]))


def type_rows(name, scratch):
    """A type of RNA with what it has itself; what it inherits is told where it comes from."""
    cls = class_named(name)
    rna = getattr(cls, "bl_rna", None)
    if rna is None:
        if isinstance(cls, type) and not name.startswith("_"):
            yield from class_rows(f"bpy.types.{name}", cls)
        return
    path, base = f"bpy.types.{name}", rna.base
    kind, words = "type", ""
    if issubclass(cls, bpy.types.Node):
        kind, sockets = "node", scratch.sockets(cls)
        words = " ".join(dict.fromkeys(item["name"] for each in sockets or [] for item in each))
    yield kind, path, rna.name, rna.description, f"class {name}({base.identifier if base else ''})", words
    inherited = set(base.properties.keys()) if base else set()
    for prop in rna.properties:
        if prop.identifier not in inherited and prop.identifier != "rna_type":
            searched = words_of([prop]) if prop.type == "ENUM" else ""
            line = property_line(prop)
            yield "property", f"{path}.{prop.identifier}", prop.name, prop.description, line, searched
    inherited = set(base.functions.keys()) if base else set()
    for function in rna.functions:
        each = function.identifier
        if each not in inherited and each not in EVERYWHERE:
            line = function_line(each, function)
            yield "function", f"{path}.{each}", "", function.description, line, words_of(function.parameters)
    yield from member_rows(path, cls)


def class_rows(path, cls):
    """A class of Python or C with its members."""
    line, text = docstring_of(cls)
    yield "class", path, "", first_sentence(text), line or f"class {path.rpartition('.')[2]}", ""
    yield from member_rows(path, cls)


def member_rows(path, cls):
    """What a class has beyond its RNA."""
    for name, kind, thing in members_of(cls):
        text = first_sentence(docstring_of(thing)[1])
        line = callable_line(name, thing) if kind == "method" else name
        yield kind, f"{path}.{name}", "", text, line, line if kind == "method" else ""


def operator_rows(module, name):
    """One operator; its parameters are found with it."""
    rna = getattr(getattr(bpy.ops, module), name).get_rna_type()
    line = operator_line(f"{module}.{name}", rna)
    yield "operator", f"bpy.ops.{module}.{name}", rna.name, operator_text(rna), line, words_of(parameters_of(rna))


def module_rows(name):
    """A module of Python with what it defines itself."""
    module = module_named(name)
    if module is None:
        return
    yield "module", name, "", first_sentence(docstring_of(module)[1]), name, ""
    for each in dir(module):
        thing = getattr(module, each, None)
        if each.startswith("_") or inspect.ismodule(thing) or not defined_in(thing, name):
            continue
        path = f"{name}.{each}"
        if isinstance(thing, type):
            yield from class_rows(path, thing)
        elif callable(thing):
            line = callable_line(each, thing)
            yield "function", path, "", first_sentence(docstring_of(thing)[1]), line, line
        else:
            told = docstring_of(getattr(type(module), each, None))[1]
            yield "attribute", path, "", first_sentence(told), f"{each}: {type(thing).__name__}", ""


def is_node(name):
    """Whether it is a built-in node, whose sockets are asked for."""
    return name.startswith(tuple(TREES)) and tree_for(class_named(name)) is not None


def names_of(stage, after):
    """The names of what a stage has beyond `after`, in an order that two calls agree on."""
    if stage == "types":
        groups = (cls.__name__ for cls in bpy.types.PropertyGroup.__subclasses__())
        names = (name for name in {*dir(bpy.types), *groups} if name > after and not INTERFACE.search(name))
        return (name for name in sorted(names) if not is_node(name))
    # Apart from other types, and so in one go: after each part with some, Blender draws its viewports anew.
    if stage == "nodes":
        return (name for name in sorted(dir(bpy.types)) if name > after and is_node(name))
    if stage == "operators":
        module, _, last = after.partition(".")
        modules = (each for each in sorted(dir(bpy.ops)) if each >= module)
        names = ((each, name) for each in modules for name in sorted(dir(getattr(bpy.ops, each))))
        return (f"{each}.{name}" for each, name in names if (each, name) > (module, last))
    if stage == "modules":
        return (name for name in sorted(MODULES) if name > after)
    known = bpy.types.Context.bl_rna.properties.keys()
    return (name for name in dir(bpy.context) if name > after and not name.startswith("_") and name not in known)


def rows_of(stage, name, scratch):
    """All rows of one thing."""
    if stage in {"types", "nodes"}:
        return type_rows(name, scratch)
    if stage == "operators":
        return operator_rows(*name.split("."))
    if stage == "modules":
        return module_rows(name)
    return [("attribute", f"bpy.context.{name}", "", "", name, "")]


def part(at, milliseconds):
    """As much as fits the time of what comes after `at`: stage and last name of the part before; None at first."""
    began = time.perf_counter()
    rows, scratch = [], Scratch()
    reached, after = at or (STAGES[0], "")
    done = [reached, after]
    # Nothing here is garbage, and looking for some in all of Blender's Python takes longer than a part.
    gc.disable()
    try:
        for stage in STAGES[STAGES.index(reached) :]:
            for name in names_of(stage, after if stage == reached else ""):
                took = (time.perf_counter() - began) * 1000
                # The first import of a module takes as long as all of a part should.
                if rows and (took > milliseconds or (stage == "modules" and name not in sys.modules)):
                    return {"status": "ok", "rows": rows, "at": done}
                # What an add-on has broken is not found, and everything else is.
                with contextlib.suppress(Exception):
                    rows += rows_of(stage, name, scratch)
                done = [stage, name]
    finally:
        scratch.close()
        gc.enable()
    return {"status": "ok", "rows": rows, "at": None}


def main(keep_as):
    """Entry point: keeps `part` for the scripts that follow, since compiling all this takes longer than a part."""
    sys.modules[keep_as] = kept = type(sys)(keep_as)
    kept.part = part
    return {"status": "ok"}
